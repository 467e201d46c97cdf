"""The modelled errors of each operation, provoked: boto3 raises its own class for each; and what each state refuses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from support.clients.signed_http import send_signed
from support.conformance.stuck_server import COPY, JOB, RENAME, REVERT, Trouble, in_trouble
from support.conformance.world import COPIED, DELETED, KEPT, UPDATED, World
from support.requests.shape_samples import MODEL, OPERATIONS

Parameters = dict[str, Any]
UNKNOWN = "0123456789abcdef" * 2


@pytest.fixture(scope="module")
def trouble(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trouble]:
    with in_trouble(tmp_path_factory.mktemp("trouble")) as found:
        yield found


def a_set(world: World, series: int, name: str = "imageSetId") -> Parameters:
    return {"datastoreId": world.datastore_id, name: world.image_sets[series]}


def in_store(datastore_id: str) -> Parameters:
    return {"datastoreId": datastore_id, "imageSetId": UNKNOWN}


ARN = f"arn:aws:medical-imaging:us-east-1:000000000000:datastore/{UNKNOWN}"
FRAME = {"imageFrameInformation": {"imageFrameId": UNKNOWN}}


def frame(world: World) -> Parameters:
    return {**a_set(world, KEPT), "imageFrameInformation": {"imageFrameId": world.frame_id}}


PROVOKED: dict[tuple[str, str], Callable[[Trouble], Parameters]] = {
    ("CopyImageSet", "AccessDeniedException"): lambda t: {**a_set(t.keyless, KEPT, "sourceImageSetId"), **COPY},
    ("CopyImageSet", "ConflictException"): lambda t: {**a_set(t.working, COPIED, "sourceImageSetId"), **COPY},
    ("CopyImageSet", "ResourceNotFoundException"): lambda t: {
        "datastoreId": t.working.datastore_id,
        "sourceImageSetId": UNKNOWN,
        **COPY,
    },
    ("CreateDatastore", "ConflictException"): lambda _: {
        "clientToken": "conformance-creating",
        "datastoreName": "another",
    },
    ("DeleteDatastore", "ConflictException"): lambda t: {"datastoreId": t.working.datastore_id},
    ("DeleteDatastore", "ResourceNotFoundException"): lambda _: {"datastoreId": UNKNOWN},
    ("DeleteImageSet", "AccessDeniedException"): lambda t: a_set(t.keyless, KEPT),
    ("DeleteImageSet", "ConflictException"): lambda t: a_set(t.working, DELETED),
    ("DeleteImageSet", "ResourceNotFoundException"): lambda t: in_store(t.working.datastore_id),
    ("GetDICOMImportJob", "ResourceNotFoundException"): lambda t: {
        "datastoreId": t.working.datastore_id,
        "jobId": UNKNOWN,
    },
    ("GetDatastore", "ResourceNotFoundException"): lambda _: {"datastoreId": UNKNOWN},
    ("GetImageFrame", "AccessDeniedException"): lambda t: frame(t.keyless),
    ("GetImageFrame", "ConflictException"): lambda t: {**in_store(t.stores["CREATING"]), **FRAME},
    ("GetImageFrame", "ResourceNotFoundException"): lambda t: {**a_set(t.working, KEPT), **FRAME},
    ("GetImageSet", "ConflictException"): lambda t: in_store(t.stores["CREATING"]),
    ("GetImageSet", "ResourceNotFoundException"): lambda t: in_store(t.working.datastore_id),
    ("GetImageSetMetadata", "AccessDeniedException"): lambda t: a_set(t.keyless, UPDATED),
    ("GetImageSetMetadata", "ConflictException"): lambda t: a_set(t.working, UPDATED),
    ("GetImageSetMetadata", "ResourceNotFoundException"): lambda t: in_store(t.working.datastore_id),
    ("ListDICOMImportJobs", "ResourceNotFoundException"): lambda _: {"datastoreId": UNKNOWN},
    ("ListImageSetVersions", "ConflictException"): lambda t: in_store(t.stores["CREATING"]),
    ("ListImageSetVersions", "ResourceNotFoundException"): lambda t: in_store(t.working.datastore_id),
    ("ListTagsForResource", "ResourceNotFoundException"): lambda _: {"resourceArn": ARN},
    ("SearchImageSets", "ConflictException"): lambda t: {"datastoreId": t.stores["CREATING"]},
    ("SearchImageSets", "ResourceNotFoundException"): lambda _: {"datastoreId": UNKNOWN},
    ("StartDICOMImportJob", "ConflictException"): lambda t: {
        **JOB,
        "datastoreId": t.working.datastore_id,
        "inputS3Uri": "s3://input/b/",
    },
    ("StartDICOMImportJob", "ResourceNotFoundException"): lambda _: {**JOB, "datastoreId": UNKNOWN},
    ("TagResource", "ResourceNotFoundException"): lambda _: {"resourceArn": ARN, "tags": {"a": "b"}},
    ("UntagResource", "ResourceNotFoundException"): lambda _: {"resourceArn": ARN, "tagKeys": ["a"]},
    ("GetImageSet", "AccessDeniedException"): lambda t: a_set(t.keyless, KEPT),
    ("ListImageSetVersions", "AccessDeniedException"): lambda t: a_set(t.keyless, KEPT),
    ("SearchImageSets", "AccessDeniedException"): lambda t: {"datastoreId": t.keyless.datastore_id},
    ("UpdateImageSetMetadata", "AccessDeniedException"): lambda t: {**a_set(t.keyless, KEPT), **REVERT},
    ("UpdateImageSetMetadata", "ConflictException"): lambda t: {**a_set(t.working, UPDATED), **REVERT},
    ("UpdateImageSetMetadata", "ResourceNotFoundException"): lambda t: {
        **in_store(t.working.datastore_id),
        **REVERT,
    },
    ("UpdateImageSetMetadata", "ServiceQuotaExceededException"): lambda t: {
        **a_set(t.working, KEPT),
        "latestVersionId": "1",
        "updateImageSetMetadataUpdates": {"DICOMUpdates": {"updatableAttributes": b" " * 20_000}},
    },
}
"""Parameters that make an operation answer with an error."""

ELSEWHERE = {
    "ValidationException": "every rule of every operation is broken in test_conformance_refusals",
    "NotAcceptableException": "test_frames_are_given_as_accepted_only in tests/system",
    "BadRequestException": "boto3 sends no malformed JSON; below",
    "InternalServerException": "would be a bug of ours",
    "ThrottlingException": "a matter of rates, not of one request",
}
"""Errors that no request of this table provokes, and why."""

NEVER = {
    ("CopyImageSet", "ServiceQuotaExceededException"): "1,000 frames, in test_a_copy_has_at_most_a_thousand_frames",
    ("CreateDatastore", "ServiceQuotaExceededException"): "100 data stores",
    ("StartDICOMImportJob", "ServiceQuotaExceededException"): "100 jobs under way",
    ("CreateDatastore", "ResourceNotFoundException"): "names nothing that could be missing",
    ("GetDICOMImportJob", "ConflictException"): "can be read in every state",
    ("ListDICOMImportJobs", "ConflictException"): "can be read in every state",
    **{
        (operation, "AccessDeniedException"): "needs no data key, and the root key may do everything"
        for operation in (
            "CreateDatastore",
            "DeleteDatastore",
            "GetDICOMImportJob",
            "GetDatastore",
            "ListDICOMImportJobs",
            "ListDatastores",
            "ListTagsForResource",
            "StartDICOMImportJob",
            "TagResource",
            "UntagResource",
        )
    },
}


def test_each_modelled_error_is_provoked_or_has_a_reason() -> None:
    modelled = {
        (operation, error.name) for operation in OPERATIONS for error in MODEL.operation_model(operation).error_shapes
    }
    explained = {pair for pair in modelled if pair[1] in ELSEWHERE} | set(NEVER)
    assert set(PROVOKED) & explained == set()
    assert set(PROVOKED) | explained == modelled


@pytest.mark.parametrize(("operation", "error"), sorted(PROVOKED), ids=lambda name: name.removesuffix("Exception"))
def test_boto3_raises_the_class_of_the_error(trouble: Trouble, operation: str, error: str) -> None:
    parameters = PROVOKED[operation, error](trouble)
    with pytest.raises(getattr(trouble.client.exceptions, error)) as caught:
        trouble.client._make_api_call(operation, parameters)
    response = caught.value.response
    shape = next(shape for shape in MODEL.operation_model(operation).error_shapes if shape.name == error)
    assert response["ResponseMetadata"]["HTTPStatusCode"] == shape.metadata["error"]["httpStatusCode"]
    assert response["ResponseMetadata"]["RequestId"]
    assert response["Error"]["Message"]


def test_reading_goes_on_beside_locked_sets_and_stores_with_lost_keys(trouble: Trouble) -> None:
    working, client = trouble.working, trouble.client
    assert client.get_image_frame(**frame(working))["imageFrameBlob"].read()
    assert client.get_image_set_metadata(**a_set(working, KEPT))["imageSetMetadataBlob"].read()
    assert (
        client.get_datastore(datastoreId=trouble.keyless.datastore_id)["datastoreProperties"]["datastoreStatus"]
        == "ACTIVE"
    )


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_wrong_key_opens_no_operation(trouble: Trouble, operation: str) -> None:
    """AWS's generic error for keys it does not know; the modelled AccessDenied is for callers it does know."""
    http = MODEL.operation_model(operation).http
    path = "/".join(UNKNOWN if part.startswith("{") else part for part in http["requestUri"].split("/"))
    known, secret = trouble.server.key()
    for key, code in (
        (("AKIAAAAAAAAAAAAAAAAA", secret), "UnrecognizedClientException"),
        ((known, "x" * 40), "InvalidSignatureException"),
    ):
        answer = send_signed(trouble.server, http["method"], path, b"{}", key=key)
        assert (answer.status, answer.code) == (403, code)
        assert answer.message


def test_malformed_json_for_a_frame_is_a_bad_request(trouble: Trouble) -> None:
    path = f"/datastore/{UNKNOWN}/imageSet/{UNKNOWN}/getImageFrame"
    answer = send_signed(trouble.server, "POST", path, b'{"imageFrameId": ', {"Content-Type": "application/json"})
    assert (answer.status, answer.code) == (400, "BadRequestException")


NOT_ACTIVE = ("CREATING", "CREATE_FAILED", "DELETING")
OF_A_STORE = sorted(set(OPERATIONS) - {"CreateDatastore", "ListDatastores"})
CONFLICT, MISSING = "ConflictException", "ResourceNotFoundException"
ALLOWED = {"GetDatastore", "ListDICOMImportJobs", "ListTagsForResource", "TagResource", "UntagResource"}
"""What a data store that is not ACTIVE allows; that there is no such job is for a reader of jobs to hear in any state."""


def refusal_in(status: str, operation: str) -> str | None:
    """The table: what an operation answers about a data store in a state other than ACTIVE."""
    if status == "DELETED":
        return None if operation in {"GetDatastore", "ListDICOMImportJobs"} else MISSING
    if operation == "DeleteDatastore":
        return None if status == "DELETING" else CONFLICT
    if operation == "GetDICOMImportJob":
        return MISSING
    return None if operation in ALLOWED else CONFLICT


def about_store(operation: str, datastore_id: str) -> Parameters:
    """Valid parameters about a data store that is empty."""
    arn = ARN.replace(UNKNOWN, datastore_id)
    tags = {"TagResource": {"tags": {}}, "UntagResource": {"tagKeys": ["a"]}}
    if operation.endswith(("TagResource", "TagsForResource")) or operation in tags:
        return {"resourceArn": arn, **tags.get(operation, {})}
    more: dict[str, Parameters] = {
        "StartDICOMImportJob": {**JOB, "clientToken": "conformance-states"},
        "GetDICOMImportJob": {"jobId": UNKNOWN},
        "CopyImageSet": {"sourceImageSetId": UNKNOWN, **COPY},
        "GetImageFrame": FRAME,
        "UpdateImageSetMetadata": REVERT,
    }
    shape = MODEL.operation_model(operation).input_shape
    image_set = {"imageSetId": UNKNOWN} if "imageSetId" in shape.members else {}
    return {"datastoreId": datastore_id, **image_set, **more.get(operation, {})}


@pytest.mark.parametrize("status", [*NOT_ACTIVE, "DELETED"])
@pytest.mark.parametrize("operation", OF_A_STORE)
def test_a_data_store_allows_what_its_state_does(trouble: Trouble, operation: str, status: str) -> None:
    datastore_id = trouble.stores[status]
    expected = refusal_in(status, operation)
    if expected is None:
        trouble.client._make_api_call(operation, about_store(operation, datastore_id))
    else:
        with pytest.raises(getattr(trouble.client.exceptions, expected), match=datastore_id):
            trouble.client._make_api_call(operation, about_store(operation, datastore_id))
    shown = trouble.client.get_datastore(datastoreId=datastore_id)["datastoreProperties"]
    assert shown["datastoreStatus"] == status


LOCKING = ("UPDATING", "UPDATING_FOR_STUDY_CONSISTENCY", "COPYING", "COPYING_WITH_READ_ONLY_ACCESS", "DELETING")
ACTIONS: dict[str, tuple[str, Callable[[World, str, str], Parameters]]] = {
    "update": (
        "UpdateImageSetMetadata",
        lambda _, one, latest: {"imageSetId": one, **RENAME, "latestVersionId": latest},
    ),
    "update-of-the-study": (
        "UpdateImageSetMetadata",
        lambda _, one, latest: {
            "imageSetId": one,
            **RENAME,
            "latestVersionId": latest,
            "includeStudyImageSets": True,
        },
    ),
    "revert": (
        "UpdateImageSetMetadata",
        lambda _, one, latest: {"imageSetId": one, **REVERT, "latestVersionId": latest},
    ),
    "copy-from": (
        "CopyImageSet",
        lambda _, one, latest: {
            "sourceImageSetId": one,
            "copyImageSetInformation": {"sourceImageSet": {"latestVersionId": latest}},
        },
    ),
    "copy-into": (
        "CopyImageSet",
        lambda world, one, latest: {
            "sourceImageSetId": world.image_sets[KEPT],
            "copyImageSetInformation": {
                "sourceImageSet": {"latestVersionId": "1"},
                "destinationImageSet": {"imageSetId": one, "latestVersionId": latest},
            },
        },
    ),
    "promote": (
        "CopyImageSet",
        lambda _, one, latest: {
            "sourceImageSetId": one,
            "copyImageSetInformation": {"sourceImageSet": {"latestVersionId": latest}},
            "promoteToPrimary": True,
        },
    ),
    "delete": ("DeleteImageSet", lambda _, one, __: {"imageSetId": one}),
}
"""What can be begun with an image set: the operation, and its parameters for an image set at a version."""


@pytest.mark.parametrize("status", [*LOCKING, "DELETED"])
@pytest.mark.parametrize("action", ACTIONS)
def test_an_image_set_that_is_not_active_begins_nothing(trouble: Trouble, action: str, status: str) -> None:
    one = trouble.gone if status == "DELETED" else trouble.locked[status]
    store = {"datastoreId": trouble.working.datastore_id}
    before = _without_metadata(trouble.client.get_image_set(**store, imageSetId=one))
    operation, parameters = ACTIONS[action]
    expected = MISSING if status == "DELETED" else CONFLICT
    # Of a study the first that is found locked is told.
    told = "is LOCKED" if action == "update-of-the-study" and status != "DELETED" else one
    with pytest.raises(getattr(trouble.client.exceptions, expected), match=told):
        trouble.client._make_api_call(operation, {**store, **parameters(trouble.working, one, before["versionId"])})
    assert _without_metadata(trouble.client.get_image_set(**store, imageSetId=one)) == before
    kept = trouble.client.get_image_set(**a_set(trouble.working, KEPT))
    assert (kept["versionId"], kept["imageSetState"]) == ("1", "ACTIVE")


def _without_metadata(answer: Parameters) -> Parameters:
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


@pytest.mark.parametrize(
    ("status", "readable"), [(status, status == "COPYING_WITH_READ_ONLY_ACCESS") for status in LOCKING]
)
def test_metadata_can_be_read_where_the_status_says_so(trouble: Trouble, status: str, *, readable: bool) -> None:
    image_set = {"datastoreId": trouble.working.datastore_id, "imageSetId": trouble.locked[status]}
    if readable:
        assert trouble.client.get_image_set_metadata(**image_set)["imageSetMetadataBlob"].read()
        return
    with pytest.raises(trouble.client.exceptions.ConflictException, match=status):
        trouble.client.get_image_set_metadata(**image_set)


def test_the_table_has_every_state_of_the_model(trouble: Trouble) -> None:
    shapes = MODEL.shape_for
    assert {*NOT_ACTIVE, "DELETED", "ACTIVE"} == set(shapes("DatastoreStatus").enum)
    assert set(trouble.stores) == {*NOT_ACTIVE, "DELETED"}
    assert set(trouble.locked) == set(LOCKING)
    ended = {"CREATED", "COPIED", "COPY_FAILED", "UPDATED", "UPDATE_FAILED", "DELETED", "IMPORTED"}
    # Imports make a new version in one transaction, so that nothing is seen between.
    unused = {"IMPORTING", "IMPORT_FAILED"}
    assert {*LOCKING, *ended, *unused} == set(shapes("ImageSetWorkflowStatus").enum)
