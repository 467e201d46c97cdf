"""The route table: from method and raw path to one route of all APIs, or to what is wrong."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from hounsfield.aws.protocol.errors import AwsError
from hounsfield.gateway.route_table import Route, RouteTable
from support.requests.route_tables import find_operation, route_table
from support.requests.shape_samples import OPERATIONS, sample, sent

STORE = "0" * 32
ARN = f"arn:aws:medical-imaging:us-east-1:000000000000:datastore/{STORE}/imageset/{'a' * 32}"


def found(method: str, path: bytes) -> tuple[str, dict[str, str]]:
    """Return the operation of a request and its decoded labels."""
    match = route_table().find(method, path)
    if match.route is None:
        raise match.error()
    return match.route.operation, match.api.decode_labels(match.labels)


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_is_found_by_the_path_botocore_makes(name: str) -> None:
    request = sent(name, sample(name))
    operation, labels = find_operation(request.method, request.raw_path)
    assert operation.name == name
    assert labels == {key: sample(name)[key] for key in labels}


def test_every_route_is_found_by_its_own_path() -> None:
    for route in route_table().routes:
        match = route_table().find(route.method, route.path.encode())
        assert match.route is not None
        # Operations of the query protocol share a path.
        assert match.route.operation == route.operation or route.path == "/"


@pytest.mark.parametrize("path", [f"/tags/{quote(ARN, safe='')}", f"/tags/{ARN}", f"/tags/{quote(ARN)}"])
@pytest.mark.parametrize(
    ("method", "name"), [("GET", "ListTagsForResource"), ("POST", "TagResource"), ("DELETE", "UntagResource")]
)
def test_arns_are_taken_encoded_and_as_they_are(path: str, method: str, name: str) -> None:
    assert found(method, path.encode()) == (name, {"resourceArn": ARN})


@pytest.mark.parametrize(
    ("method", "path", "name", "labels"),
    [
        ("GET", b"/datastore/a%2Fb", "GetDatastore", {"datastoreId": "a/b"}),
        ("GET", b"/datastore/x/studies/1%2F2", "RetrieveStudy", {"datastoreId": "x", "study": "1/2"}),
        ("GET", b"/datastore/", "GetDatastore", {"datastoreId": ""}),
        ("GET", b"/tags/", "ListTagsForResource", {"resourceArn": ""}),
        ("POST", b"/datastore//imageSet/b/getImageSet", "GetImageSet", {"datastoreId": "", "imageSetId": "b"}),
        ("POST", b"/datastore/a/imageSet//getImageSet", "GetImageSet", {"datastoreId": "a", "imageSetId": ""}),
    ],
)
def test_slashes_make_labels_and_encoded_ones_do_not(
    method: str, path: bytes, name: str, labels: dict[str, str]
) -> None:
    """An empty label of HealthImaging is left to its constraints."""
    assert found(method, path) == (name, labels)


@pytest.mark.parametrize(
    ("path", "name"),
    [("studies", "SearchDICOMStudies"), ("studies/1.2", "RetrieveStudy"), ("studies/1/series", "SearchDICOMSeries")],
)
def test_dicomweb_takes_a_slash_at_the_end_and_head_for_get(path: str, name: str) -> None:
    for method in ("GET", "HEAD"):
        for end in ("", "/"):
            assert found(method, f"/datastore/{STORE}/{path}{end}".encode())[0] == name


@pytest.mark.parametrize(
    "path",
    [b"", b"*", b"datastore", b"/Datastore", b"//datastore", b"/datastore/a/imageSet", b"/datastore/a/imageSet/b", b"//",
     b"/datastore/a/", b"/datastore/a//", b"/datastore%2Fa", b"/tags", b"/\xff\xfe", b"\xff", b"/datastore/./searchImageSets/x",
     b"/healthz/x", b"/datastore/a/studies//series", b"/datastore/a/studies/1/series//instances",
     b"/datastore/a/studies/1/nothing", b"x/datastore", b"/datastore/a/studies//metadata"],
)  # fmt: skip
def test_other_paths_are_unknown(path: bytes) -> None:
    with pytest.raises(AwsError) as caught:
        found("GET", path)
    assert (caught.value.status, caught.value.code) == (404, "UnknownOperationException")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", f"/datastore/{STORE}", "DELETE, GET, OPTIONS"),
        ("HEAD", f"/datastore/{STORE}", "DELETE, GET, OPTIONS"),
        ("POST", f"/datastore/{STORE}/studies/1/series", "GET"),
    ],
)
def test_a_wrong_method_is_told_the_right_ones(method: str, path: str, allowed: str) -> None:
    with pytest.raises(AwsError) as caught:
        found(method, path.encode())
    assert caught.value.status == 405
    assert caught.value.headers == (("Allow", allowed),)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "BREW"])
def test_health_answers_the_method_that_a_load_balancer_likes(method: str) -> None:
    """HAProxy asks with OPTIONS unless it is told otherwise."""
    assert found(method, b"/healthz") == ("Health", {})
    assert found(method, b"/readyz") == ("Ready", {})


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("GET", "studies/1/%73eries", "SearchDICOMSeries"),
        ("GET", "%73tudies/1/%6D%65tadata/", "RetrieveStudyMetadata"),
        ("POST", "search%49mageSets", "SearchImageSets"),
    ],
)
def test_an_encoded_word_of_a_path_means_the_same(method: str, path: str, name: str) -> None:
    assert found(method, f"/datastore/{STORE}/{path}".encode())[0] == name


def test_a_server_that_forbids_delete_does_not_have_it() -> None:
    assert found("DELETE", b"/datastore/x/studies/1")[0] == "DeleteStudy"
    assert route_table(deletes=False).find("DELETE", b"/datastore/x/studies/1").allowed == ["GET", "POST"]


@pytest.mark.parametrize(
    ("path", "api"),
    [
        (b"/nothing", "HealthImaging"),
        (b"/datastore/x/nothing", "HealthImaging"),
        (b"/datastore/x/studies/1/nothing", "DICOMweb"),
        (b"/datastore/x/instances/1", "DICOMweb"),
        (b"/", "HealthImaging"),
    ],
)
def test_an_unknown_path_is_of_the_api_all_of_whose_routes_begin_like_it(path: bytes, api: str) -> None:
    match = route_table().find("BREW", path)
    assert (match.route, match.api.name) == (None, api)


def test_bytes_that_are_not_utf8_do_no_harm() -> None:
    assert set(found("GET", b"/datastore/%ff\xff")[1]["datastoreId"]) == {"�"}
    with pytest.raises(AwsError, match="UTF-8"):
        found("GET", b"/datastore/x/studies/%ff")


def test_two_routes_cannot_have_the_same_method_and_path() -> None:
    table = route_table()
    with pytest.raises(ValueError, match="routed twice"):
        RouteTable(table.apis, (Route("GET", "/datastore/{another}", "Another"),))
