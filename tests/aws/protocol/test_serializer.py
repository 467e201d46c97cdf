import json
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum

import pytest
from botocore.awsrequest import HeadersDict
from botocore.parsers import create_parser
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hounsfield.aws.protocol.serializer import ResultError, serialise
from support.examples import examples
from support.requests.shape_samples import MODEL, OPERATIONS, values_of

STORE = "0" * 32


def parsed(name, response):
    """What botocore makes of a response."""

    class Raw:
        def __init__(self, body):
            self.body = body

        def read(self):
            return self.body

    operation = MODEL.operation_model(name)
    body = Raw(response.body) if operation.has_streaming_output else response.body
    http = {"status_code": response.status, "headers": HeadersDict(response.headers), "body": body}
    result = create_parser("rest-json").parse(http, operation.output_shape)
    del result["ResponseMetadata"]
    return {key: value.read() if isinstance(value, Raw) else value for key, value in result.items()}


def plain_headers(value):
    return {key: item for key, item in value.items() if key not in {"contentType", "contentEncoding"}}


@pytest.mark.parametrize("name", OPERATIONS)
@settings(max_examples=examples(20), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_botocore_reads_what_went_in(service, name, data):
    result = data.draw(values_of(MODEL.operation_model(name).output_shape, fractions=True))
    if "contentType" in MODEL.operation_model(name).output_shape.members:
        result = {**plain_headers(result), "contentType": "image/jph"}
    response = serialise(service.operations[name], result)
    assert parsed(name, response) == result


def test_the_form_on_the_wire(service):
    class State(StrEnum):
        ACTIVE = "ACTIVE"

    moment = datetime(2023, 11, 17, 18, 52, 2, 295678, tzinfo=timezone(timedelta(hours=1)))
    result = {
        "imageSetPropertiesList": [
            {
                "imageSetId": STORE, "versionId": "1", "imageSetState": State.ACTIVE, "ImageSetWorkflowStatus": "CREATED",
                "createdAt": moment, "updatedAt": None, "isPrimary": True,
            }
        ],
        "nextToken": None,
    }  # fmt: skip
    response = serialise(service.operations["ListImageSetVersions"], result)
    assert response.status == 200
    assert response.headers == [("Content-Type", "application/json")]
    assert b'"createdAt":1700243522.296' in response.body
    assert json.loads(response.body) == {
        "imageSetPropertiesList": [
            {
                "imageSetId": STORE, "versionId": "1", "imageSetState": "ACTIVE", "ImageSetWorkflowStatus": "CREATED",
                "createdAt": 1700243522.296, "isPrimary": True,
            }
        ]
    }  # fmt: skip


def test_blobs_are_the_body(service):
    frame = serialise(service.operations["GetImageFrame"], {"imageFrameBlob": b"\xff\x4f", "contentType": "image/jph"})
    assert (frame.status, frame.headers, frame.body) == (200, [("Content-Type", "image/jph")], b"\xff\x4f")
    untyped = serialise(service.operations["GetImageFrame"], {"imageFrameBlob": b""})
    assert untyped.headers == [("Content-Type", "application/octet-stream")]
    result = {"imageSetMetadataBlob": b"\x1f\x8b", "contentType": "application/json", "contentEncoding": "gzip"}
    metadata = serialise(service.operations["GetImageSetMetadata"], result)
    assert metadata.headers == [("Content-Type", "application/json"), ("Content-Encoding", "gzip")]
    assert parsed("GetImageSetMetadata", metadata) == result


def test_nothing_to_return_is_204_without_body(service):
    response = serialise(service.operations["TagResource"], {})
    assert (response.status, response.headers, response.body) == (204, [], b"")


GOOD = {"datastoreId": STORE, "jobId": "1", "jobStatus": "SUBMITTED", "submittedAt": datetime(2024, 1, 1, tzinfo=UTC)}


@pytest.mark.parametrize(
    ("operation", "result"),
    [
        ("StartDICOMImportJob", {**GOOD, "jobName": "unknown member"}),
        ("StartDICOMImportJob", {**GOOD, "jobStatus": "DONE"}),
        ("StartDICOMImportJob", {**GOOD, "jobId": 1}),
        ("StartDICOMImportJob", {**GOOD, "jobId": None}),
        ("StartDICOMImportJob", {**GOOD, "submittedAt": datetime(2024, 1, 1)}),  # noqa: DTZ001
        ("StartDICOMImportJob", {**GOOD, "submittedAt": 1700000000}),
        ("SearchImageSets", {"imageSetsMetadataSummaries": [{"imageSetId": STORE, "isPrimary": 1}]}),
        ("SearchImageSets", {"imageSetsMetadataSummaries": [{"imageSetId": STORE, "version": True}]}),
        ("SearchImageSets", {"imageSetsMetadataSummaries": [{"imageSetId": STORE, "version": "1"}]}),
        ("SearchImageSets", {"imageSetsMetadataSummaries": {}}),
        ("SearchImageSets", {"imageSetsMetadataSummaries": [None]}),
        ("ListTagsForResource", {"tags": {"k": 1}}),
        ("TagResource", {"tags": {}}),
        ("GetImageFrame", {"imageFrameBlob": "text"}),
        ("GetImageFrame", {"contentType": "image/jph"}),
        ("GetImageFrame", {"imageFrameBlob": b"", "contentType": "image/jph\r\nX: y"}),
        ("GetImageFrame", {"imageFrameBlob": b"", "contentEncoding": "gzip"}),
    ],
)  # fmt: skip
def test_a_result_that_does_not_fit_is_a_fault_of_ours(service, operation, result):
    with pytest.raises(ResultError):
        serialise(service.operations[operation], result)
    assert serialise(service.operations["StartDICOMImportJob"], GOOD).status == 200
