"""The quotas of import jobs, each at its limit and one beyond, and how long a job is kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from sqlalchemy import func, select, update

from hounsfield.bootstrap.image_store import open_image_store
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.imports.retention import FORGET_IMPORT_JOBS
from hounsfield.settings import Settings
from hounsfield.storage.db.job_tables import client_tokens, import_jobs, work_items
from support.faults.suspended_runner import suspended
from support.files.bad_files import written
from support.files.synthetic import slice_of
from support.imaging.import_folders import INPUT, check_counters, fill, import_folder, primaries_by_series, start_job
from support.imaging.imports import document, image_sets, outcome_of
from support.servers import ServerProcess, active_datastore, finished_job, wait_for

FILES, FOLDERS, METADATA = 12, 3, 9_000
RETENTION = 3600.0
JOB_BYTES, FILE_BYTES = 150_000, 40_000


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    environment = {
        "HOUNSFIELD_QUOTA_IMPORT_FILES": str(FILES),
        "HOUNSFIELD_QUOTA_IMPORT_FOLDERS": str(FOLDERS),
        "HOUNSFIELD_QUOTA_IMPORT_BYTES": str(JOB_BYTES),
        "HOUNSFIELD_QUOTA_IMPORT_FILE_BYTES": str(FILE_BYTES),
        "HOUNSFIELD_QUOTA_IMPORT_JOBS": "2",
        "HOUNSFIELD_QUOTA_METADATA_BYTES": str(METADATA),
        "HOUNSFIELD_JOB_RETENTION_SECONDS": str(RETENTION),
        "HOUNSFIELD_IMPORT_WORKERS": "1",
    }
    process = ServerProcess(tmp_path_factory.mktemp("limited") / "data", environment).start()
    yield process
    process.stop()


@pytest.fixture(scope="module")
def client(limited: ServerProcess) -> Any:
    return limited.client()


@pytest.fixture
def datastore(client: Any) -> str:
    return active_datastore(client)


def failed_message(server: ServerProcess, client: Any, datastore: str, folder: str) -> str:
    """Run a job that must be FAILED, having written its output files and nothing else; return its message."""
    job = finished_job(client, datastore, start_job(server, client, datastore, folder))
    assert job["jobStatus"] == "FAILED"
    outcome = outcome_of(server, job)
    assert (outcome.success, outcome.failure, outcome.summary["numberOfImportedFiles"]) == ([], [], 0)
    assert image_sets(client, datastore) == []
    return str(job["message"])


def test_files_of_a_job(limited: ServerProcess, client: Any, datastore: str) -> None:
    folder = limited.bucket(INPUT) / "files"
    folder.mkdir()
    for number in range(FILES + 1):
        (folder / f"{number}.txt").write_text("x")
    assert f"more than {FILES} files" in failed_message(limited, client, datastore, "files")
    (folder / "0.txt").unlink()
    assert len(import_folder(limited, client, datastore, "files").failure) == FILES


def test_metadata_files_are_not_counted_as_files(limited: ServerProcess, client: Any, datastore: str) -> None:
    folder = limited.bucket(INPUT) / "with-json"
    folder.mkdir()
    for number in range(FILES):
        (folder / f"{number}.txt").write_text("x")
    (folder / "meta.json").write_text("{}")
    mappings = [{"studyInstanceUID": "1.2", "metadataFilePath": "meta.json"}]
    configuration = {"dicomJsonMetadataImportConfiguration": {"dicomMetadataMappings": mappings}}
    job_id = start_job(limited, client, datastore, "with-json", importConfiguration=configuration)
    assert outcome_of(limited, finished_job(client, datastore, job_id)).summary["numberOfScannedFiles"] == FILES


def test_folders_of_a_job(limited: ServerProcess, client: Any, datastore: str) -> None:
    root = limited.bucket(INPUT) / "folders"
    for path in ("a/b/c/x", "a/y", "z"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text("x")
    assert import_folder(limited, client, datastore, "folders").summary["numberOfScannedFiles"] == 3
    (root / "d").mkdir()
    (root / "d" / "x").write_text("x")
    assert f"more than {FOLDERS} folders" in failed_message(limited, client, active_datastore(client), "folders")


def test_bytes_of_a_job_and_of_a_file(limited: ServerProcess, client: Any, datastore: str) -> None:
    folder = limited.bucket(INPUT) / "bytes"
    folder.mkdir()
    for number, size in enumerate((FILE_BYTES + 1, FILE_BYTES, JOB_BYTES - 2 * FILE_BYTES - 1)):
        (folder / f"{number}.dcm").write_bytes(bytes(size))
    outcome = import_folder(limited, client, datastore, "bytes")
    messages = {line["inputFile"]: line["exception"] for line in outcome.failure}
    assert messages["bytes/0.dcm"]["exceptionType"] == "ValidationException"
    assert f"{FILE_BYTES + 1} bytes, the quota is {FILE_BYTES}" in messages["bytes/0.dcm"]["message"]
    assert "quota" not in messages["bytes/1.dcm"]["message"]
    (folder / "3.dcm").write_bytes(b"x")
    assert f"more than {JOB_BYTES} bytes" in failed_message(limited, client, datastore, "bytes")


def metadata_size(client: Any, datastore: str, image_set: str) -> int:
    return len(json.dumps(document(client, datastore, image_set), separators=(",", ":"), ensure_ascii=False).encode())


def test_metadata_of_an_image_set(limited: ServerProcess, client: Any, datastore: str) -> None:
    fill(limited, "one", [slice_of(number=1, study=802)])
    fill(limited, "two", [slice_of(number=number, study=802) for number in (1, 2)])
    sizes = []
    for folder in ("one", "two"):
        outcome = import_folder(limited, client, datastore, folder)
        (entry,) = outcome.summary["imageSetsSummary"]
        sizes.append(metadata_size(client, datastore, entry["imageSetId"]))
    most = 2 + (METADATA - sizes[1]) // (sizes[1] - sizes[0])
    assert 3 < most < FILES - 1
    fill(limited, "most", [slice_of(number=number, study=802) for number in range(1, most + 1)])
    outcome = import_folder(limited, client, datastore, "most")
    (entry,) = outcome.summary["imageSetsSummary"]
    size = metadata_size(client, datastore, entry["imageSetId"])
    assert METADATA - (sizes[1] - sizes[0]) < size <= METADATA
    # One more does not fit; what replaces an instance, and another series, do.
    fill(limited, "more", [slice_of(number=most + 1, study=802), slice_of(2, study=802)])
    outcome = import_folder(limited, client, datastore, "more")
    check_counters(outcome)
    (failure,) = outcome.failure
    assert failure["exception"]["exceptionType"] == "ValidationException"
    assert f"bytes, the quota is {METADATA}" in failure["exception"]["message"]
    assert len(outcome.success) == 1
    before = client.get_image_set(datastoreId=datastore, imageSetId=entry["imageSetId"])
    assert (before["versionId"], before["imageSetState"]) == ("3", "ACTIVE")
    outcome = import_folder(limited, client, datastore, "one")
    assert (outcome.failure, outcome.summary["imageSetsSummary"][0]["imageSetVersion"]) == ([], 4)


def test_a_series_too_large_at_once_is_not_imported_in_part(
    limited: ServerProcess, client: Any, datastore: str
) -> None:
    fill(limited, "large", [slice_of(number=number, study=803) for number in range(FILES - 1)])
    (limited.bucket(INPUT) / "large" / "other.dcm").write_bytes(written(slice_of(2, study=803)))
    outcome = import_folder(limited, client, datastore, "large")
    check_counters(outcome)
    assert (len(outcome.success), len(outcome.failure)) == (1, FILES - 1)
    assert len(primaries_by_series(client, datastore)) == 1


def test_jobs_at_the_same_time(limited: ServerProcess, client: Any, datastore: str) -> None:
    fill(limited, "jobs", [slice_of(study=804)])
    other = active_datastore(client)
    # A runner that stands still keeps its jobs under way.
    runner = suspended(limited)
    try:
        started = [start_job(limited, client, datastore, "jobs") for _ in range(2)]
        with pytest.raises(ClientError) as caught:
            start_job(limited, client, datastore, "jobs")
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 402
        assert caught.value.response["Error"]["Code"] == "ServiceQuotaExceededException"
        assert "2 import jobs under way, its quota is 2" in caught.value.response["Error"]["Message"]
        assert len(client.list_dicom_import_jobs(datastoreId=datastore)["jobSummaries"]) == 2
        other_job = start_job(limited, client, other, "jobs")
    finally:
        runner.resume()
    assert finished_job(client, other, other_job)["jobStatus"] == "COMPLETED"
    for job_id in started:
        assert finished_job(client, datastore, job_id)["jobStatus"] == "COMPLETED"
    assert finished_job(client, datastore, start_job(limited, client, datastore, "jobs"))["jobStatus"] == "COMPLETED"


def test_jobs_are_forgotten_and_what_they_made_stays(limited: ServerProcess, client: Any, datastore: str) -> None:
    fill(limited, "kept", [slice_of(study=805)])
    outcome = import_folder(limited, client, datastore, "kept")
    old, young = outcome.job["jobId"], import_folder(limited, client, datastore, "kept").job["jobId"]
    assert listed(client, datastore) == [young, old]
    image_store, _ = open_image_store(Settings(data=limited.data))
    try:
        with image_store.database.write() as connection:
            ended = import_jobs.c.ended_at - int(RETENTION * 1000)
            steady = import_jobs.c.ended_steady - int(RETENTION * 1000)
            connection.execute(
                update(import_jobs).where(import_jobs.c.id == old).values(ended_at=ended, ended_steady=steady)
            )
        with pytest.raises(ClientError) as caught:
            client.get_dicom_import_job(datastoreId=datastore, jobId=old)
        assert caught.value.response["Error"]["Code"] == "ResourceNotFoundException"
        assert listed(client, datastore) == [young]
        assert rows(image_store, old) == (1, 1)
        with image_store.database.write() as connection:
            due = update(work_items).where(work_items.c.kind == FORGET_IMPORT_JOBS)
            connection.execute(due.values(available_at=0, lease_owner=None))
        wait_for(lambda: rows(image_store, old) == (0, 0), "the rows of the old job to be removed")
        assert rows(image_store, young) == (1, 1)
    finally:
        image_store.database.close()
    assert listed(client, datastore) == [young]
    (entry,) = outcome.summary["imageSetsSummary"]
    assert document(client, datastore, entry["imageSetId"])["Patient"]["DICOM"]["PatientID"] == "P-1"


def listed(client: Any, datastore: str) -> list[str]:
    return [job["jobId"] for job in client.list_dicom_import_jobs(datastoreId=datastore)["jobSummaries"]]


def rows(image_store: ImageStore, job_id: str) -> tuple[int, int]:
    """Count the rows of a job and of its client token."""
    with image_store.database.read() as connection:
        jobs = connection.execute(select(func.count()).where(import_jobs.c.id == job_id)).scalar_one()
        tokens = connection.execute(select(func.count()).where(client_tokens.c.resource_id == job_id)).scalar_one()
    return jobs, tokens
