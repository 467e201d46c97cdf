"""Results of import jobs by the administration API, as the jobs wrote them, and who may read them."""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest

from support.audit_trail import record_of
from support.clients.administration import administer, call, refused
from support.files.bad_files import FAILING
from support.files.synthetic import slice_of
from support.identities.users_and_roles import UsersAndRoles, allow
from support.imaging.import_folders import fill, start_job
from support.servers import ServerProcess, active_datastore, finished_job


@pytest.fixture(scope="module")
def job(server: ServerProcess) -> dict[str, Any]:
    """A job that imported three files and refused five."""
    client = server.client()
    datastore_id = active_datastore(client)
    folder = fill(server, "results-of-jobs", [slice_of(number) for number in range(3)])
    for number in range(5):
        (folder / f"bad-{number}.dcm").write_bytes(FAILING["truncated-in-pixels.dcm"][0]())
    return finished_job(client, datastore_id, start_job(server, client, datastore_id, "results-of-jobs"))


@pytest.fixture
def named(job: dict[str, Any]) -> dict[str, str]:
    return {"DatastoreId": job["datastoreId"], "JobId": job["jobId"]}


def object_arn(job: dict[str, Any], name: str) -> str:
    return job["outputS3Uri"].replace("s3://", "arn:aws:s3:::") + name


def test_the_results_of_a_job_are_read(server: ServerProcess, job: dict[str, Any], named: dict[str, str]) -> None:
    summary = administer(server, "GetImportJobManifest", **named)["JobSummary"]
    assert (summary["jobId"], summary["numberOfImportedFiles"]) == (job["jobId"], 3)
    assert summary["numberOfFilesWithCustomerError"] == 5
    imported = administer(server, "ListImportJobResults", Kind="SUCCESS", **named)
    assert [len(imported["Results"]), imported.get("NextToken")] == [3, None]
    assert imported["Results"][0]["inputFile"] == "results-of-jobs/00000.dcm"
    assert administer(server, "ListImportJobResults", Kind="WARNING", **named) == {"Results": []}
    path = server.data / "buckets" / job["outputS3Uri"].removeprefix("s3://") / "FAILURE" / "failure.ndjson"
    written = [json.loads(line) for line in path.read_bytes().splitlines()]
    found, token = [], {}
    while token is not None:
        page = administer(server, "ListImportJobResults", Kind="FAILURE", MaxResults=2, **named, **token)
        assert len(page["Results"]) <= 2
        found += page["Results"]
        token = {"NextToken": page["NextToken"]} if "NextToken" in page else None
    assert found == written
    one = administer(server, "ListImportJobResults", Kind="FAILURE", Contains="BAD-3", **named)["Results"]
    assert [line["inputFile"] for line in one] == ["results-of-jobs/bad-3.dcm"]


def test_what_cannot_be_read_is_said(server: ServerProcess, named: dict[str, str]) -> None:
    assert (
        "Kind must be one of SUCCESS, FAILURE, WARNING"
        in refused(server, "ListImportJobResults", Kind="ALL", **named)[2]
    )
    other = {**named, "JobId": "0" * 32}
    assert refused(server, "GetImportJobManifest", **other)[:2] == (404, "ResourceNotFoundException")
    token = administer(server, "ListImportJobResults", Kind="FAILURE", MaxResults=1, **named)["NextToken"]
    assert (
        "NextToken must be what" in refused(server, "ListImportJobResults", Kind="SUCCESS", NextToken=token, **named)[2]
    )


def test_who_may_see_the_job_and_read_the_object_may_read_it(
    server: ServerProcess, world: UsersAndRoles, job: dict[str, Any], named: dict[str, str]
) -> None:
    see = allow("medical-imaging:GetDICOMImportJob")
    seer = world.some_user(see)
    told = refused(server, "GetImportJobManifest", seer, **named)
    assert told[0] == 403
    assert f"s3:GetObject on resource: {object_arn(job, 'job-output-manifest.json')}" in told[2]
    assert refused(server, "GetImportJobManifest", seer, **{**named, "JobId": "0" * 32})[0] == 404
    reader = world.some_user(allow("s3:GetObject"))
    for job_id in (named["JobId"], "0" * 32):
        told = refused(server, "GetImportJobManifest", reader, **{**named, "JobId": job_id})
        assert told[0] == 403
        assert "medical-imaging:GetDICOMImportJob on resource" in told[2]
    both = world.some_user(see, allow("s3:GetObject", object_arn(job, "FAILURE/*")))
    administer(server, "ListImportJobResults", both, Kind="FAILURE", **named)
    assert refused(server, "ListImportJobResults", both, Kind="SUCCESS", **named)[0] == 403


def test_the_record_names_job_and_object(server: ServerProcess, job: dict[str, Any], named: dict[str, str]) -> None:
    read = call(server, "ListImportJobResults", Kind="FAILURE", Contains="Müller", **named)
    record = record_of(server, read.headers["x-amzn-requestid"])
    assert record["requestParameters"]["contains"] == "HIDDEN_DUE_TO_SECURITY_REASONS"
    arns = {entry["ARN"]: entry["type"] for entry in record["resources"]}
    assert arns[object_arn(job, "FAILURE/failure.ndjson")] == "AWS::S3::Object"


def test_files_that_are_gone_are_told(server: ServerProcess, job: dict[str, Any], named: dict[str, str]) -> None:
    path = server.data / "buckets" / job["outputS3Uri"].removeprefix("s3://")
    shutil.rmtree(path / "FAILURE")
    told = refused(server, "ListImportJobResults", Kind="FAILURE", **named)
    assert told[0] == 404
    assert "has no file FAILURE/failure.ndjson" in told[2]
    (path / "job-output-manifest.json").write_bytes(b"rubbish")
    assert "not what an import job writes" in refused(server, "GetImportJobManifest", **named)[2]
