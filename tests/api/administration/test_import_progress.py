"""Progress of import jobs by the administration API."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hounsfield.bootstrap.installation import open_database, open_keyring
from hounsfield.imaging.imports.files import FileOutcome, add_files, forget_files
from hounsfield.imaging.ingest.files import InputFile
from hounsfield.settings import Settings
from hounsfield.storage.buckets.buckets import ObjectEntry
from support.clients.administration import administer, refused
from support.faults.suspended_runner import suspended
from support.files.synthetic import slice_of
from support.identities.users_and_roles import UsersAndRoles, allow
from support.imaging.import_folders import fill, start_job
from support.servers import ServerProcess, active_datastore, finished_job

OUTCOMES = (FileOutcome.SKIPPED, *[FileOutcome.STAGED] * 2, FileOutcome.FAILED, *[FileOutcome.PENDING] * 3)


@pytest.fixture(scope="module")
def world(server: ServerProcess) -> Iterator[UsersAndRoles]:
    world = UsersAndRoles(server)
    yield world
    world.close()


def test_progress_is_told_from_begin_to_end(server: ServerProcess, world: UsersAndRoles) -> None:
    client = server.client()
    datastore_id = active_datastore(client)
    fill(server, "progress-of-jobs", [slice_of()])
    settings = Settings(data=server.data, database_url=server.environment.get("HOUNSFIELD_DATABASE_URL", ""))
    database = open_database(settings, open_keyring(settings))
    runner = suspended(server)
    try:
        named = {
            "DatastoreId": datastore_id,
            "JobId": start_job(server, client, datastore_id, "progress-of-jobs"),
        }
        nothing = {"NumberOfScannedFiles": 0, "NumberOfProcessedFiles": 0, "NumberOfFailedFiles": 0}
        assert administer(server, "GetImportJobProgress", **named) == {"JobStatus": "SUBMITTED", **nothing}
        with database.write() as connection:
            for number, outcome in enumerate(OUTCOMES):
                file = InputFile(number, ObjectEntry(f"{number}.dcm", 1, None))
                add_files(connection, named["JobId"], [file], outcome=outcome)
        half = {"NumberOfScannedFiles": 6, "NumberOfProcessedFiles": 3, "NumberOfFailedFiles": 1}
        seer = world.some_user(allow("medical-imaging:GetDICOMImportJob"))
        assert administer(server, "GetImportJobProgress", seer, **named) == {"JobStatus": "SUBMITTED", **half}
        with database.write() as connection:
            forget_files(connection, named["JobId"])
    finally:
        runner.resume()
        database.close()
    finished_job(client, datastore_id, named["JobId"])
    assert administer(server, "GetImportJobProgress", **named) == {"JobStatus": "COMPLETED", **nothing}
    told = refused(server, "GetImportJobProgress", **{**named, "JobId": "0" * 32})
    assert told[:2] == (404, "ResourceNotFoundException")
    told = refused(server, "GetImportJobProgress", world.some_user(allow("s3:*")), **named)
    assert told[0] == 403
    assert "medical-imaging:GetDICOMImportJob on resource" in told[2]
