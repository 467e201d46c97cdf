"""Requests with a zero character in one of their texts, which PostgreSQL cannot store and no value of DICOM may have."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from botocore.exceptions import ClientError

from support.clients.signed_http import send_signed
from support.files.synthetic import uid
from support.servers import ROLE, ServerProcess

ZERO = "a\0b"


def requests_with_zeros(client: Any, datastore_id: str, image_set_id: str) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Return calls of the API by name, each with a zero character somewhere."""
    arn = f"arn:aws:medical-imaging:us-east-1:000000000000:datastore/{datastore_id}"
    job = {"datastoreId": datastore_id, "dataAccessRoleArn": ROLE, "inputS3Uri": "s3://in/", "outputS3Uri": "s3://out/"}
    for member in ("inputS3Uri", "outputS3Uri"):
        yield member, lambda member=member: client.start_dicom_import_job(**{**job, member: f"s3://in/{ZERO}/"})
    for member in ("jobName", "clientToken"):
        yield member, lambda member=member: client.start_dicom_import_job(**{**job, member: ZERO})
    yield "tag value", lambda: client.tag_resource(resourceArn=arn, tags={"ward": ZERO})
    yield "tag key", lambda: client.tag_resource(resourceArn=arn, tags={ZERO: "1"})
    yield "tag key of untag", lambda: client.untag_resource(resourceArn=arn, tagKeys=[ZERO])
    yield "resource", lambda: client.list_tags_for_resource(resourceArn=f"{arn}/imageset/{ZERO}")
    yield "name of a data store", lambda: client.create_datastore(datastoreName=ZERO)
    yield "tag of a data store", lambda: client.create_datastore(tags={"ward": ZERO})
    for key in ("DICOMPatientId", "DICOMAccessionNumber", "DICOMStudyId", "DICOMStudyInstanceUID"):
        criteria = {"filters": [{"operator": "EQUAL", "values": [{key: ZERO}]}]}
        yield key, lambda criteria=criteria: client.search_image_sets(datastoreId=datastore_id, searchCriteria=criteria)
    yield "role", lambda: client.start_dicom_import_job(**{**job, "dataAccessRoleArn": f"{ROLE}{ZERO}"})
    yield "token", lambda: client.list_dicom_import_jobs(datastoreId=datastore_id, nextToken=ZERO)
    for level in (
        {"Patient": {"DICOM": {"PatientName": ZERO}}},
        {"Patient": {"DICOM": {"PatientID": "ends\0"}}},
        {"Study": {"Series": {f"1.2{ZERO}": {"DICOM": {"SeriesDescription": "x"}}}}},
        {"Study": {"Series": {uid(1, 1): {"Instances": {f"1{ZERO}": {"DICOM": {"ImageComments": "x"}}}}}}},
    ):
        for force in (False, True):
            yield (
                "update",
                lambda level=level, force=force: client.update_image_set_metadata(
                    datastoreId=datastore_id,
                    imageSetId=image_set_id,
                    latestVersionId="1",
                    force=force,
                    updateImageSetMetadataUpdates={
                        "DICOMUpdates": {
                            "updatableAttributes": json.dumps({"SchemaVersion": 1.1, **level}).encode(),
                        }
                    },
                ),
            )
    chosen = {"SchemaVersion": "1.1", "Study": {"Series": {uid(1, 1): {"Instances": {f"1{ZERO}": {}}}}}}
    source = {"latestVersionId": "1", "DICOMCopies": {"copiableAttributes": json.dumps(chosen)}}
    yield (
        "copy",
        lambda: client.copy_image_set(
            datastoreId=datastore_id,
            sourceImageSetId=image_set_id,
            copyImageSetInformation={"sourceImageSet": source},
        ),
    )


def check_zeros_are_refused(server: ServerProcess, client: Any, datastore_id: str, image_set_id: str) -> None:
    """Each is a ValidationException, by the API and by DICOMweb, and nothing changes."""
    for name, call in requests_with_zeros(client, datastore_id, image_set_id):
        try:
            answer = call()
        except ClientError as error:
            answer = error.response
        assert answer["Error"]["Code"] == "ValidationException", (name, answer)
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 400, name
    base = f"/datastore/{datastore_id}"
    instance = f"{base}/studies/{uid(1)}/series/{uid(1, 1)}/instances/{uid(1, 1, 1)}"
    for path in (
        *(f"{base}/studies?{key}=a%00b" for key in ("PatientName", "PatientID", "StudyDate", "StudyInstanceUID")),
        f"{base}/studies?PatientID%00=1",
        f"{base}/studies?00091010=a%00b&00090010=%00",
        f"{base}/studies?includefield=a%00b",
        f"{base}/instances?SOPInstanceUID=1.2%00",
        f"{instance}?imageSetId=a%00b",
        f"{base}/studies/1%00",
    ):
        refused = send_signed(server, "GET", path)
        assert (refused.status, refused.code) == (400, "ValidationException"), (path, refused.body)
    (entry,) = client.search_image_sets(datastoreId=datastore_id)["imageSetsMetadataSummaries"]
    assert (entry["imageSetId"], entry["version"]) == (image_set_id, 1)
