from urllib.parse import quote

import pytest

from hounsfield.aws.protocol.errors import AwsError, MethodNotAllowedException, UnknownOperationException
from support.requests.shape_samples import OPERATIONS, sample, sent

ARN = f"arn:aws:medical-imaging:us-east-1:000000000000:datastore/{'0' * 32}/imageset/{'a' * 32}"


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_is_found_by_the_path_botocore_makes(router, name):
    request = sent(name, sample(name))
    match = router.match(request.method, request.raw_path)
    assert match.operation.name == name
    assert match.path_parameters == {key: sample(name)[key] for key in match.path_parameters}
    assert router.match(request.method, request.raw_path.decode()) == match


@pytest.mark.parametrize("path", [f"/tags/{quote(ARN, safe='')}", f"/tags/{ARN}", f"/tags/{quote(ARN)}"])
@pytest.mark.parametrize(
    ("method", "name"), [("GET", "ListTagsForResource"), ("POST", "TagResource"), ("DELETE", "UntagResource")]
)
def test_arns_are_taken_encoded_and_as_they_are(router, path, method, name):
    match = router.match(method, path.encode())
    assert match.operation.name == name
    assert match.path_parameters == {"resourceArn": ARN}


def test_an_encoded_slash_does_not_make_a_segment(router):
    match = router.match("GET", b"/datastore/a%2Fb")
    assert match.operation.name == "GetDatastore"
    assert match.path_parameters == {"datastoreId": "a/b"}


@pytest.mark.parametrize(
    ("method", "path", "name", "labels"),
    [
        ("GET", b"/datastore/", "GetDatastore", {"datastoreId": ""}),
        ("GET", b"/tags/", "ListTagsForResource", {"resourceArn": ""}),
        ("POST", b"/datastore//imageSet/b/getImageSet", "GetImageSet", {"datastoreId": "", "imageSetId": "b"}),
        ("POST", b"/datastore/a/imageSet//getImageSet", "GetImageSet", {"datastoreId": "a", "imageSetId": ""}),
    ],
)
def test_an_empty_label_is_left_to_its_constraints(router, method, path, name, labels):
    match = router.match(method, path)
    assert (match.operation.name, match.path_parameters) == (name, labels)


@pytest.mark.parametrize(
    "path",
    [b"", b"/", b"*", b"datastore", b"/Datastore", b"//datastore", b"/datastore/a/", b"/datastore/a/imageSet",
     b"/datastore/a/imageSet/b", b"//", b"/datastore/a//", b"/datastore%2Fa", b"/tags", b"/\xff\xfe",
     b"/datastore/./searchImageSets/x", b"/healthz"],
)  # fmt: skip
def test_other_paths_are_unknown(router, path):
    with pytest.raises(UnknownOperationException) as caught:
        router.match("GET", path)
    assert caught.value.status == 404


def test_a_wrong_method_is_told_the_right_ones(router):
    with pytest.raises(MethodNotAllowedException) as caught:
        router.match("PUT", b"/datastore/" + b"0" * 32)
    assert caught.value.status == 405
    assert caught.value.headers == (("Allow", "DELETE, GET"),)


def test_bytes_that_are_not_utf8_do_no_harm(router):
    match = router.match("GET", b"/datastore/%ff\xff")
    assert set(match.path_parameters["datastoreId"]) == {"�"}
    with pytest.raises(AwsError):
        router.match("GET", b"\xff")
