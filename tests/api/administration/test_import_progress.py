"""Progress of import jobs by the administration API."""

from __future__ import annotations

from hounsfield.imaging.imports.files import FileOutcome
from support.clients.administration import administer, refused
from support.files.synthetic import slice_of
from support.identities.users_and_roles import UsersAndRoles, allow
from support.imaging.import_folders import fill
from support.imaging.standing_job import standing_job
from support.servers import ServerProcess, active_datastore, finished_job

OUTCOMES = (FileOutcome.SKIPPED, *[FileOutcome.STAGED] * 2, FileOutcome.FAILED, *[FileOutcome.PENDING] * 3)


def test_progress_is_told_from_begin_to_end(server: ServerProcess, world: UsersAndRoles) -> None:
    client = server.client()
    datastore_id = active_datastore(client)
    fill(server, "progress-of-jobs", [slice_of()])
    nothing = {"NumberOfScannedFiles": 0, "NumberOfProcessedFiles": 0, "NumberOfFailedFiles": 0}
    half = {"NumberOfScannedFiles": 6, "NumberOfProcessedFiles": 3, "NumberOfFailedFiles": 1}
    with standing_job(server, client, datastore_id, "progress-of-jobs") as job:
        named = {"DatastoreId": datastore_id, "JobId": job.id}
        assert administer(server, "GetImportJobProgress", **named) == {"JobStatus": "SUBMITTED", **nothing}
        job.note(OUTCOMES)
        seer = world.some_user(allow("medical-imaging:GetDICOMImportJob"))
        assert administer(server, "GetImportJobProgress", seer, **named) == {"JobStatus": "SUBMITTED", **half}
    finished_job(client, datastore_id, job.id)
    assert administer(server, "GetImportJobProgress", **named) == {"JobStatus": "COMPLETED", **nothing}
    told = refused(server, "GetImportJobProgress", **{**named, "JobId": "0" * 32})
    assert told[:2] == (404, "ResourceNotFoundException")
    told = refused(server, "GetImportJobProgress", world.some_user(allow("s3:*")), **named)
    assert told[0] == 403
    assert "medical-imaging:GetDICOMImportJob on resource" in told[2]
