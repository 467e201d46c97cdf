import json
from base64 import b64encode
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hounsfield.aws.protocol.errors import (
    BadRequestException,
    RequestEntityTooLargeException,
    SerializationException,
    ValidationException,
)
from hounsfield.aws.protocol.parser import MAX_BODY_BYTES, MAX_QUERY_BYTES
from support.examples import examples
from support.requests.shape_samples import MODEL, OPERATIONS, SentRequest, sample, sent, values_of

STORE = "0" * 32
IMAGE_SET = "1" * 32
FRAME = "2" * 32
SET_PATH = f"/datastore/{STORE}/imageSet/{IMAGE_SET}"


@pytest.fixture
def ask(read):
    """Parse a request given by its parts; gives the parameters."""

    def parse(method, path, body=b"", query=b""):
        request = object.__new__(SentRequest)
        request.method, request.raw_path, request.query_string = method, path.encode(), query
        request.headers = [(b"host", b"imaging.test")]
        request.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        return read(request)[1]

    return parse


@pytest.mark.parametrize("name", OPERATIONS)
@settings(
    max_examples=examples(20),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_what_boto3_sends_comes_out_as_it_went_in(read, name, data):
    shape = MODEL.operation_model(name).input_shape
    parameters = data.draw(values_of(shape))
    operation, parsed = read(sent(name, parameters))
    payload = shape.serialization.get("payload")
    expected = parameters if payload is None else {payload: {}, **parameters}  # botocore sends {} for an absent payload
    assert operation == name
    assert parsed == expected


def test_blobs_timestamps_and_booleans_are_typed(ask):
    updates = {"DICOMUpdates": {"updatableAttributes": b64encode(b'{"SchemaVersion":1.1}').decode()}}
    parameters = ask("POST", f"{SET_PATH}/updateImageSetMetadata", updates, b"latestVersion=3&force=true")
    assert parameters == {
        "datastoreId": STORE,
        "imageSetId": IMAGE_SET,
        "latestVersionId": "3",
        "force": True,
        "updateImageSetMetadataUpdates": {"DICOMUpdates": {"updatableAttributes": b'{"SchemaVersion":1.1}'}},
    }


@pytest.mark.parametrize(
    ("sent_value", "moment"),
    [
        (1700243522, datetime(2023, 11, 17, 17, 52, 2, tzinfo=UTC)),
        (1700243522.295, datetime(2023, 11, 17, 17, 52, 2, 295000, tzinfo=UTC)),
        ("2023-11-17T17:52:02.295Z", datetime(2023, 11, 17, 17, 52, 2, 295000, tzinfo=UTC)),
        ("2023-11-17T18:52:02+01:00", datetime(2023, 11, 17, 17, 52, 2, tzinfo=UTC)),
        ("2023-11-17T17:52:02", datetime(2023, 11, 17, 17, 52, 2, tzinfo=UTC)),
        (-1, datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_timestamps_are_taken_as_numbers_and_as_text(ask, sent_value, moment):
    criteria = {"filters": [{"operator": "EQUAL", "values": [{"createdAt": sent_value}]}]}
    parameters = ask("POST", f"/datastore/{STORE}/searchImageSets", criteria)
    assert parameters["searchCriteria"]["filters"][0]["values"][0]["createdAt"] == moment


@pytest.mark.parametrize("value", ["yesterday", True, 1e300, [], {}, "2023-13-01T00:00:00Z"])
def test_other_timestamps_are_refused(ask, value):
    criteria = {"filters": [{"operator": "EQUAL", "values": [{"createdAt": value}]}]}
    with pytest.raises(ValidationException, match=r"searchCriteria\.filters\.1\.member\.values\.1\.member\.createdAt"):
        ask("POST", f"/datastore/{STORE}/searchImageSets", criteria)


@pytest.mark.parametrize("body", [b"", b"{}", b"null", b" { } "])
def test_a_body_may_be_empty_where_nothing_in_it_is_required(ask, body):
    assert ask("POST", f"{SET_PATH}/getImageSet", body) == {"datastoreId": STORE, "imageSetId": IMAGE_SET}
    assert ask("POST", f"/datastore/{STORE}/searchImageSets", body)["datastoreId"] == STORE


def test_a_missing_payload_is_a_violation_and_no_more(ask):
    with pytest.raises(ValidationException, match="Value null at 'imageFrameInformation' failed"):
        ask("POST", f"{SET_PATH}/getImageFrame")
    with pytest.raises(ValidationException, match=r"Value null at 'imageFrameInformation\.imageFrameId' failed"):
        ask("POST", f"{SET_PATH}/getImageFrame", {})


def test_what_the_model_does_not_know_is_passed_over_and_nulls_are_dropped(ask):
    body = {"imageFrameId": FRAME, "datastoreId": 7, "__type": "x", "nested": {"deep": [1]}}
    parameters = ask("POST", f"{SET_PATH}/getImageFrame", body, b"imageFrameId=zzz&&=&x-id=GetImageFrame&%zz=1")
    assert parameters == {
        "datastoreId": STORE,
        "imageSetId": IMAGE_SET,
        "imageFrameInformation": {"imageFrameId": FRAME},
    }
    created = ask("POST", "/datastore", {"clientToken": "t", "datastoreName": None, "tags": None})
    assert created == {"clientToken": "t"}


def test_a_body_is_not_looked_at_where_the_operation_has_none(ask):
    assert ask("POST", f"{SET_PATH}/getImageSet", b'{"version": oops') == {
        "datastoreId": STORE,
        "imageSetId": IMAGE_SET,
    }
    assert ask("GET", "/datastore", b"\x00\x01") == {}


def test_query_values(ask):
    page = ask(
        "GET", f"/listDICOMImportJobs/datastore/{STORE}", query=b"maxResults=7&jobStatus=FAILED&nextToken=a%2Bb%2F%3D+c"
    )
    assert page == {"datastoreId": STORE, "maxResults": 7, "jobStatus": "FAILED", "nextToken": "a+b/=+c"}
    arn = f"arn:aws:medical-imaging:us-east-1:000000000000:datastore/{STORE}"
    untag = ask("DELETE", f"/tags/{arn}", query=b"tagKeys=a&tagKeys=b%3Ac&tag%4Beys=d")
    assert untag["tagKeys"] == ["a", "b:c", "d"]


@pytest.mark.parametrize("value", [b"seven", b"1.0", b"", b"0x1", b"99999999999", b"%31%", b"4294967297", "٣".encode()])
def test_numbers_in_the_query_that_are_none_are_refused(ask, value):
    with pytest.raises(ValidationException, match="maxResults"):
        ask("GET", "/datastore", query=b"maxResults=" + value)


@pytest.mark.parametrize("value", [b"True", b"1", b"", b"yes"])
def test_booleans_in_the_query_are_true_or_false(ask, value):
    with pytest.raises(ValidationException, match="force"):
        ask("POST", f"{SET_PATH}/copyImageSet", {"sourceImageSet": {"latestVersionId": "1"}}, b"force=" + value)


@pytest.mark.parametrize(
    "body",
    [b"{", b"{'a':1}", b'{"clientToken":"a"} {}', b"\xff", b'{"clientToken":"\xff"}', b"NaN", b"\x00",
     b'{"clientToken": "\\ud800"}'],
)  # fmt: skip
def test_bodies_that_cannot_be_read(ask, body):
    with pytest.raises(SerializationException, match="stops being JSON at character"):
        ask("POST", "/datastore", body)
    with pytest.raises(BadRequestException, match="stops being JSON at character"):
        ask("POST", f"{SET_PATH}/getImageFrame", body)


@pytest.mark.parametrize(
    "body",
    [b"[]", b'"x"', b"1", b'{"clientToken":1}', b'{"clientToken":["a"]}', b'{"clientToken":"a","tags":[]}',
     b'{"clientToken":"a","tags":{"k":1}}', b'{"clientToken":"a","tags":{"k":null}}'],
)  # fmt: skip
def test_bodies_of_another_type(ask, body):
    with pytest.raises(ValidationException, match="must be"):
        ask("POST", "/datastore", body)


@pytest.mark.parametrize("filters", [{}, "x", [1], [{"operator": "EQUAL", "values": [{"isPrimary": "true"}]}]])
def test_values_of_another_json_type_are_told_with_their_member(ask, filters):
    with pytest.raises(ValidationException, match=r"Value at 'searchCriteria\.filters"):
        ask("POST", f"/datastore/{STORE}/searchImageSets", {"filters": filters})


def test_base64_is_strict_and_the_value_is_not_told(ask):
    updates = {"DICOMUpdates": {"removableAttributes": "Doe^John"}}
    with pytest.raises(
        ValidationException, match=r"removableAttributes' failed .* must be a string in base64"
    ) as caught:
        ask("POST", f"{SET_PATH}/updateImageSetMetadata", updates, b"latestVersion=1")
    assert "Doe" not in caught.value.message


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b'{"a":' * 50_000 + b"1" + b"}" * 50_000, b'{"a":"\\\\",' + b'"b":[' * 40]
)
def test_depth_is_limited_before_parsing(ask, body):
    with pytest.raises(SerializationException, match="32 deep"):
        ask("POST", "/datastore", body)


def test_brackets_inside_texts_are_not_depth(ask):
    body = json.dumps({"clientToken": "t", "other": "[{" * 200 + '\\"' * 50, "flat": [[]] * 100}).encode()
    assert ask("POST", "/datastore", body) == {"clientToken": "t"}


def test_a_long_unterminated_text_is_refused_at_once(ask):
    with pytest.raises(SerializationException):
        ask("POST", "/datastore", b"[" * 20 + b'"' + b'\\"' * 1_000_000 + b"[" * 40)


def test_sizes_are_limited(ask):
    with pytest.raises(RequestEntityTooLargeException):
        ask("POST", "/datastore", b" " * (MAX_BODY_BYTES + 1))
    with pytest.raises(RequestEntityTooLargeException):
        ask("GET", "/datastore", query=b"x" * (MAX_QUERY_BYTES + 1))


def test_the_largest_import_job_fits(read):
    mapping = {"studyInstanceUID": "1" * 512, "seriesInstanceUID": "2" * 512, "metadataFilePath": "~" * 1024}
    job = dict(sample("StartDICOMImportJob"))
    job["importConfiguration"] = {"dicomJsonMetadataImportConfiguration": {"dicomMetadataMappings": [mapping] * 1000}}
    assert read(sent("StartDICOMImportJob", job))[1] == job


@settings(max_examples=examples(150), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    operation=st.sampled_from(OPERATIONS),
    query=st.binary(max_size=60) | st.text("maxResultsforcenextTkvgKy=&%12-.", max_size=40).map(str.encode),
    body=st.binary(max_size=80)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["filters", "values", "operator", "tags", "sort", "sourceImageSet", "x"]), inner
            )
        ),
        max_leaves=10,
    ).map(lambda document: json.dumps(document).encode()),
)
def test_whatever_is_sent_the_answer_is_parameters_or_an_aws_error(read, operation, query, body):
    request = sent(operation, sample(operation))
    request.query_string, request.body = query, body
    try:
        parameters = read(request)[1]
    except (BadRequestException, SerializationException, ValidationException):
        return
    assert {"datastoreId", "resourceArn"} & set(parameters) or operation in {"CreateDatastore", "ListDatastores"}
