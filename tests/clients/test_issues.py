"""What users of HealthImaging met and wrote down in public issues, and what they meet here instead."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from support.files.synthetic import save, slice_of
from support.imaging.imports import image_sets, run_import
from support.servers import ROLE, ServerProcess, finished_job, start_import


def test_importing_again_makes_no_duplicates(server: ServerProcess, client: Any, datastore: str) -> None:
    """aws-healthimaging-samples issue 55: the same files imported twice were there twice."""
    for series, number in ((1, 1), (1, 2), (2, 1)):
        save(slice_of(series, number, study=941), server.bucket("input") / f"again/{series}-{number}.dcm")
    first = run_import(server, client, datastore, "again/")
    before = {entry["imageSetId"] for entry in image_sets(client, datastore)}
    second = run_import(server, client, datastore, "again/")
    after = image_sets(client, datastore)
    assert {entry["imageSetId"] for entry in after} == before
    assert len(before) == 2
    assert sorted(entry["DICOMTags"]["DICOMNumberOfStudyRelatedInstances"] for entry in after) == [1, 2]
    assert [o.summary["numberOfImportedFiles"] for o in (first, second)] == [3, 3]


def test_a_prefix_that_matches_too_much_says_so(server: ServerProcess, client: Any, datastore: str) -> None:
    """aws-sdk-js-v3 issue 6157: the job failed with a message that tells nothing, or nothing of use."""
    folder = server.bucket("input") / "too-much"
    folder.mkdir()
    for number in range(5001):
        (folder / f"{number}.dcm").touch()
    server.bucket("output")
    job = finished_job(client, datastore, start_import(client, datastore, "s3://input/too-much/"))
    assert job["jobStatus"] == "FAILED"
    assert "more than 5000 files" in job["message"]
    written = server.data / "buckets" / job["outputS3Uri"].removeprefix("s3://")
    assert json.loads((written / "job-output-manifest.json").read_bytes())["jobSummary"]["numberOfImportedFiles"] == 0
    assert (written / "FAILURE/failure.ndjson").read_bytes() == b""


def test_a_prefix_means_a_folder(server: ServerProcess, client: Any, datastore: str) -> None:
    """The same issue: `study-1` took `study-10` with it."""
    for folder, number in (("prefix-1", 1), ("prefix-10", 2)):
        save(slice_of(number=number, study=942), server.bucket("input") / folder / "one.dcm")
    assert run_import(server, client, datastore, "prefix-1").summary["numberOfScannedFiles"] == 1


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"inputOwnerAccountId": ""}, "inputOwnerAccountId"),
        ({"jobName": "n" * 65}, "jobName"),
        ({"jobName": "a name"}, "jobName"),
        ({"dataAccessRoleArn": "import"}, "dataAccessRoleArn"),
    ],
)
def test_a_job_that_cannot_be_names_the_member(
    server: ServerProcess, datastore: str, wrong: dict[str, str], named: str
) -> None:
    """The same issue: an empty account was refused with "import job has failed"."""
    asked = {"dataAccessRoleArn": ROLE, "inputS3Uri": "s3://input/x/", "outputS3Uri": "s3://output/", **wrong}
    client = server.client(parameter_validation=False)
    with pytest.raises(ClientError) as caught:
        client.start_dicom_import_job(datastoreId=datastore, clientToken="issue", **asked)
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    assert f"'{named}'" in caught.value.response["Error"]["Message"]


def test_an_outdated_version_is_not_found(server: ServerProcess, client: Any, datastore: str) -> None:
    """grand-challenge.org waits for this error, not for a conflict."""
    save(slice_of(study=943), server.bucket("input") / "outdated/one.dcm")
    (entry,) = run_import(server, client, datastore, "outdated/").summary["imageSetsSummary"]
    update = {"DICOMUpdates": {"updatableAttributes": b'{"SchemaVersion":1.1,"Patient":{"DICOM":{"PatientSex":"M"}}}'}}
    with pytest.raises(client.exceptions.ResourceNotFoundException, match="not the latest"):
        client.update_image_set_metadata(
            datastoreId=datastore,
            imageSetId=entry["imageSetId"],
            latestVersionId="7",
            updateImageSetMetadataUpdates=update,
        )


def test_retrying_clients_are_not_told_to_retry_what_is_wrong(server: ServerProcess) -> None:
    """Clients retry 429 and 5xx without end: what the caller did wrong is never one of these."""
    client = server.client(retrying=True)
    seen: list[int] = []

    def note(response_dict: dict[str, Any], **_: object) -> None:
        seen.append(response_dict["status_code"])

    client.meta.events.register("response-received.medical-imaging", note)
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_datastore(datastoreId="0" * 32)
    assert seen == [404]
