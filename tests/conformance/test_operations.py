"""A valid minimal request of each operation, its answer checked against the output shape of the model."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from botocore import xform_name

from support.conformance.responses import Recorder, check_answer
from support.conformance.world import COPIED, DELETED, KEPT, UPDATED, World
from support.imaging.imports import image_sets
from support.requests.shape_samples import MODEL, OPERATIONS
from support.servers import ROLE, ServerProcess, active_datastore, finished_job, wait_for

Parameters = dict[str, Any]


def store(world: World, _: Any) -> Parameters:
    return {"datastoreId": world.datastore_id}


def image_set(world: World, _: Any) -> Parameters:
    return {"datastoreId": world.datastore_id, "imageSetId": world.image_sets[KEPT]}


MINIMAL: dict[str, Callable[[World, Any], Parameters]] = {
    "CopyImageSet": lambda world, _: {
        "datastoreId": world.datastore_id,
        "sourceImageSetId": world.image_sets[COPIED],
        "copyImageSetInformation": {"sourceImageSet": {"latestVersionId": "1"}},
    },
    "CreateDatastore": lambda *_: {"clientToken": str(uuid.uuid4())},
    "DeleteDatastore": lambda _, client: {"datastoreId": active_datastore(client)},
    "DeleteImageSet": lambda world, _: {
        "datastoreId": world.datastore_id,
        "imageSetId": world.image_sets[DELETED],
    },
    "GetDICOMImportJob": lambda world, _: {"datastoreId": world.datastore_id, "jobId": world.job_id},
    "GetDatastore": store,
    "GetImageFrame": lambda world, client: {
        **image_set(world, client),
        "imageFrameInformation": {"imageFrameId": world.frame_id},
    },
    "GetImageSet": image_set,
    "GetImageSetMetadata": image_set,
    "ListDICOMImportJobs": store,
    "ListDatastores": lambda *_: {},
    "ListImageSetVersions": image_set,
    "ListTagsForResource": lambda world, _: {"resourceArn": world.arn},
    "SearchImageSets": store,
    "StartDICOMImportJob": lambda world, _: {
        "clientToken": str(uuid.uuid4()),
        "datastoreId": world.datastore_id,
        "dataAccessRoleArn": ROLE,
        "inputS3Uri": "s3://input/nothing-there/",
        "outputS3Uri": "s3://output/",
    },
    "TagResource": lambda world, _: {"resourceArn": world.arn, "tags": {}},
    "UntagResource": lambda world, _: {"resourceArn": world.arn, "tagKeys": ["never-there"]},
    "UpdateImageSetMetadata": lambda world, _: {
        "datastoreId": world.datastore_id,
        "imageSetId": world.image_sets[UPDATED],
        "latestVersionId": "1",
        "updateImageSetMetadataUpdates": {"revertToVersionId": "1"},
    },
}
"""The required members only, with as little in them as can be brought onto the wire."""


@pytest.fixture(scope="module")
def recorded(server: ServerProcess) -> tuple[Any, Recorder]:
    """A client of this module, and the recorder of its responses."""
    client = server.client()
    return client, Recorder(client)


def called(recorded: tuple[Any, Recorder], operation: str, parameters: Parameters) -> Parameters:
    """Call an operation by the method that boto3 has for it, check its answer, and return it."""
    client, recorder = recorded
    answer: Parameters = getattr(client, xform_name(operation))(**parameters)
    check_answer(operation, answer, recorder.response)
    return answer


def test_a_minimal_request_is_known_for_each_operation(world: World, client: Any) -> None:
    assert sorted(MINIMAL) == OPERATIONS
    for operation in OPERATIONS:
        shape = MODEL.operation_model(operation).input_shape
        if operation != "DeleteDatastore":  # it would make a data store
            assert set(MINIMAL[operation](world, client)) == set(shape.required_members), operation


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_minimal_request_is_answered_as_the_model_says(
    recorded: tuple[Any, Recorder], world: World, client: Any, operation: str
) -> None:
    answer = called(recorded, operation, MINIMAL[operation](world, client))
    match operation:
        case "StartDICOMImportJob":
            finished_job(client, world.datastore_id, answer["jobId"])
        case "CreateDatastore":
            wait_for(lambda: status_of(client, answer["datastoreId"]) == "ACTIVE", "the data store to become ACTIVE")
            client.delete_datastore(datastoreId=answer["datastoreId"])
        case "CopyImageSet" | "DeleteImageSet" | "UpdateImageSetMetadata":
            wait_for(lambda: not locked(client, world.datastore_id), "the image sets to settle")


def status_of(client: Any, datastore_id: str) -> str:
    return str(client.get_datastore(datastoreId=datastore_id)["datastoreProperties"]["datastoreStatus"])


def locked(client: Any, datastore_id: str) -> list[str]:
    """Image sets of a data store that an operation still holds."""
    ids = [entry["imageSetId"] for entry in image_sets(client, datastore_id)]
    return [
        one
        for one in ids
        if client.get_image_set(datastoreId=datastore_id, imageSetId=one)["imageSetState"] == "LOCKED"
    ]


def test_optional_members_of_answers_are_as_the_model_says(
    recorded: tuple[Any, Recorder], world: World, client: Any
) -> None:
    """Answers with more in them: several entries, failed versions, a forced one, a deleted set, a failed job, pages."""
    datastore_id = active_datastore(client, losslessStorageFormat="JPEG_2000_LOSSLESS", tags={"a": ""})
    one_store = {"datastoreId": datastore_id}
    called(recorded, "GetDatastore", one_store)
    job = client.start_dicom_import_job(
        **one_store, dataAccessRoleArn=ROLE, inputS3Uri="s3://input/nothing-there/", outputS3Uri="s3://output/"
    )["jobId"]
    assert finished_job(client, datastore_id, job)["message"]
    called(recorded, "GetDICOMImportJob", {**one_store, "jobId": job})
    called(recorded, "ListDICOMImportJobs", {**one_store, "jobStatus": "FAILED"})
    page = called(recorded, "ListDatastores", {"maxResults": 1})
    called(recorded, "ListDatastores", {"maxResults": 1, "nextToken": page["nextToken"]})
    copied = client.copy_image_set(
        datastoreId=world.datastore_id,
        sourceImageSetId=world.image_sets[KEPT],
        copyImageSetInformation={"sourceImageSet": {"latestVersionId": "1"}},
    )["destinationImageSetProperties"]["imageSetId"]
    wait_for(lambda: not locked(client, world.datastore_id), "the image sets to settle")
    copy = {"datastoreId": world.datastore_id, "imageSetId": copied}
    called(
        recorded,
        "CopyImageSet",
        {
            "datastoreId": world.datastore_id,
            "sourceImageSetId": world.image_sets[KEPT],
            "copyImageSetInformation": {
                "sourceImageSet": {"latestVersionId": "1"},
                "destinationImageSet": {"imageSetId": copied, "latestVersionId": "1"},
            },
            "force": True,
        },
    )
    wait_for(lambda: not locked(client, world.datastore_id), "the image sets to settle")
    shown = called(recorded, "GetImageSet", copy)
    assert (shown["imageSetWorkflowStatus"], shown["overrides"]) == ("COPY_FAILED", {"forced": True})
    assert shown["message"]
    called(recorded, "DeleteImageSet", copy)
    wait_for(lambda: client.get_image_set(**copy)["imageSetState"] == "DELETED", "the image set to be deleted")
    assert called(recorded, "GetImageSet", copy)["deletedAt"]
    versions = called(recorded, "ListImageSetVersions", {**copy, "maxResults": 1})
    called(recorded, "ListImageSetVersions", {**copy, "maxResults": 1, "nextToken": versions["nextToken"]})
    sort = {"sortField": "createdAt", "sortOrder": "ASC"}
    found = called(recorded, "SearchImageSets", {**store(world, client), "searchCriteria": {"sort": sort}})
    assert found["sort"] == sort
    client.delete_datastore(**one_store)
