"""What the server does while the database, the store of the packs, or one of its own runners is away for a while."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from botocore.exceptions import ClientError
from sqlalchemy import update

from hounsfield.bootstrap.image_store import open_image_store
from hounsfield.imaging.imports.jobs import read_progress
from hounsfield.settings import Settings
from hounsfield.storage.db.image_set_tables import image_sets
from support.clients.dicomweb import part10, store
from support.faults.suspended_runner import suspended
from support.files.synthetic import noise, save, slice_of, uid
from support.imaging.import_folders import fill, import_folder, sop_instances, start_job
from support.imaging.imports import frame, outcome_of
from support.imaging.stored_series import imported, settled, verified
from support.processes import runners
from support.programs import begin_hounsfield
from support.servers import ServerProcess, active_datastore, finished_job, start_import, wait_for
from support.services.object_store import ObjectStore
from support.services.postgresql import PostgresqlServer

LONG = 120
THREADS = 6


@pytest.fixture
def mortal_postgresql() -> Iterator[PostgresqlServer]:
    """A PostgreSQL server that the test may stop."""
    server = PostgresqlServer()
    try:
        yield server.start()
    finally:
        server.remove()


def test_everything_goes_on_when_the_database_is_back(tmp_path: Path, mortal_postgresql: PostgresqlServer) -> None:
    environment = {
        "HOUNSFIELD_DATABASE_URL": mortal_postgresql.new_database(),
        "HOUNSFIELD_LEASE_SECONDS": "3",
        "HOUNSFIELD_IMPORT_WORKERS": "1",
    }
    server = ServerProcess(tmp_path / "data", environment).start()
    try:
        client = server.client(max_pool_connections=THREADS, read_timeout=120)
        datastore = active_datastore(client)
        (image_set,) = imported(server, client, datastore, slice_of(9))
        (found,) = sop_instances(client, datastore, image_set).values()
        frame_id = found["ImageFrames"][0]["ID"]
        before = _in_all_threads(client, datastore, image_set, frame_id)
        assert all(isinstance(answer, bytes) for answer in before)
        fill(server, "long", [slice_of(number=n, pixels=noise(256, 256, seed=n)) for n in range(LONG)])
        job_id = start_job(server, client, datastore, "long")
        wait_for(lambda: _status(client, datastore, job_id) == "IN_PROGRESS", "the import to begin")
        (runner,) = runners(server)
        mortal_postgresql.stop()
        wait_for(lambda: "taking work failed" in server.log_text(), "the runner to notice")
        assert set(_in_all_threads(client, datastore, image_set, frame_id)) == {503}
        wait_for(lambda: _ready(server) == (503, b'{"status":"not ready","reasons":["database"]}'), "it to be told")
        mortal_postgresql.start()
        wait_for(lambda: _answer(client, datastore, image_set, frame_id) != 503, "the directory to be looked at again")
        assert _in_all_threads(client, datastore, image_set, frame_id) == before
        # Each API process looks at the database in its own time.
        wait_for(lambda: _ready(server) == (200, b'{"status":"ready"}'), "it to be told")
        outcome = outcome_of(server, finished_job(client, datastore, job_id))
        assert (outcome.job["jobStatus"], outcome.failure, len(outcome.success)) == ("COMPLETED", [], LONG)
        (image_set,) = {line["importResponse"]["imageSetId"] for line in outcome.success}
        assert len(verified(client, datastore, image_set)) == LONG
        # The short work has a runner of its own in the same process, which must have survived too.
        client.delete_image_set(datastoreId=datastore, imageSetId=image_set)
        assert settled(client, datastore, image_set)["imageSetState"] == "DELETED"
        assert runners(server) == [runner]
    finally:
        server.stop()


def _ready(server: ServerProcess) -> tuple[int, bytes]:
    with requests.get(f"{server.url}/readyz", timeout=30) as answer:
        return answer.status_code, answer.content


def _status(client: Any, datastore: str, job_id: str) -> str:
    job = client.get_dicom_import_job(datastoreId=datastore, jobId=job_id)["jobProperties"]
    return str(job["jobStatus"])


def _answer(client: Any, datastore: str, image_set: str, frame_id: str) -> bytes | int:
    """Read a frame; return its bytes or the status."""
    try:
        return frame(client, datastore, image_set, frame_id)[0]
    except ClientError as error:
        return int(error.response["ResponseMetadata"]["HTTPStatusCode"])


def _in_all_threads(client: Any, datastore: str, image_set: str, frame_id: str) -> list[bytes | int]:
    """Read a frame so often at once that every thread of the server has had a turn."""

    def answer(_: int) -> bytes | int:
        return _answer(client, datastore, image_set, frame_id)

    with ThreadPoolExecutor(THREADS) as threads:
        return list(threads.map(answer, range(4 * THREADS)))


def _taken_away(s3: ObjectStore, bucket: str, kept: dict[str, bytes]) -> bool:
    """Delete a bucket with all that is in it, which is kept; return whether it is gone."""
    for key in s3.keys(bucket):
        kept[key] = s3.get(bucket, key)
        s3.client.delete_object(Bucket=bucket, Key=key)
    try:
        s3.client.delete_bucket(Bucket=bucket)
    except ClientError:
        return False
    return True


def test_files_wait_while_the_packs_cannot_be_stored(tmp_path: Path, s3: ObjectStore) -> None:
    for bucket in ("waiting-sources", "waiting-results", "waiting-packs"):
        s3.client.create_bucket(Bucket=bucket)
    for number in range(3):
        path = save(slice_of(number=number, pixels=noise(64, 64, seed=number)), tmp_path / "file.dcm")
        s3.client.put_object(Bucket="waiting-sources", Key=f"{number}.dcm", Body=path.read_bytes())
    environment = {**s3.environment(), "HOUNSFIELD_BLOBS_URL": "s3://waiting-packs/archive"}
    server = ServerProcess(tmp_path / "data", environment).start()
    try:
        client = server.client()
        datastore = active_datastore(client)
        kept: dict[str, bytes] = {}
        # What the server writes down of its own beside the packs may come in between.
        wait_for(lambda: _taken_away(s3, "waiting-packs", kept), "the bucket to be gone")
        job_id = start_import(client, datastore, "s3://waiting-sources/", "s3://waiting-results/")
        wait_for(
            lambda: server.log_text().count('"work waits"') > 1 or _status(client, datastore, job_id) == "COMPLETED",
            "the job to be tried twice",
        )
        waiting = client.get_dicom_import_job(datastoreId=datastore, jobId=job_id)["jobProperties"]
        assert waiting["jobStatus"] == "IN_PROGRESS"
        assert "the store of the images cannot be reached" in waiting["message"]
        answer = store(server, datastore, [part10(slice_of(study=9))])
        assert (answer.status_code, answer.headers["x-amzn-errortype"]) == (503, "ServiceUnavailableException")
        assert answer.headers["retry-after"].isdigit()
        s3.client.create_bucket(Bucket="waiting-packs")
        for key, content in kept.items():
            s3.client.put_object(Bucket="waiting-packs", Key=key, Body=content)
        job = finished_job(client, datastore, job_id)
        assert job["jobStatus"] == "COMPLETED"
        failures = [key for key in s3.keys("waiting-results") if key.endswith("failure.ndjson")]
        assert b"".join(s3.get("waiting-results", key) for key in failures) == b""
        (entry,) = client.search_image_sets(datastoreId=datastore, searchCriteria={})["imageSetsMetadataSummaries"]
        assert verified(client, datastore, entry["imageSetId"]).keys() == {uid(1, 1, number) for number in range(3)}
    finally:
        server.stop()


def test_a_runner_that_lost_its_lease_leaves_the_output_files_alone(
    tmp_path: Path, postgresql_server: PostgresqlServer
) -> None:
    # Of an embedded database there is one runner.
    url = postgresql_server.new_database()
    environment = {
        "HOUNSFIELD_DATABASE_URL": url,
        "HOUNSFIELD_LEASE_SECONDS": "2",
        "HOUNSFIELD_IMPORT_SLOTS": "1",
        "HOUNSFIELD_IMPORT_WORKERS": "1",
    }
    server = ServerProcess(tmp_path / "data", environment).start()
    image_store, _ = open_image_store(Settings(data=server.data, database_url=url))
    try:
        client = server.client()
        datastore = active_datastore(client)
        (image_set,) = imported(server, client, datastore, slice_of(number=1))
        _set_state(image_store, image_set, "LOCKED")
        fill(server, "stale", [slice_of(number=2)])
        job_id = start_job(server, client, datastore, "stale")
        # All files are done; the job waits for the image set that it extends to be unlocked.
        wait_for(lambda: read_progress(image_store, job_id).done == 1, "the file to be done")
        stale = suspended(server)
        _set_state(image_store, image_set, "ACTIVE")
        second = begin_hounsfield(
            "runner", "--data", str(server.data), environment=environment, log=tmp_path / "second.log"
        )
        try:
            job = finished_job(client, datastore, job_id)
        finally:
            second.terminate()
            second.wait(120)
        assert job["jobStatus"] == "COMPLETED"
        output = server.data / "buckets" / job["outputS3Uri"].removeprefix("s3://")
        before = _files(output)
        assert before
        stale.resume()
        # It has one slot, so that it has let go of the first job when it ends another.
        fill(server, "next", [slice_of(number=3)])
        assert import_folder(server, client, datastore, "next").failure == []
        assert runners(server) == [stale]
        assert _files(output) == before
        assert client.get_image_set(datastoreId=datastore, imageSetId=image_set)["versionId"] == "3"
    finally:
        image_store.database.close()
        server.stop()


def _set_state(image_store: Any, image_set: str, state: str) -> None:
    with image_store.database.write() as connection:
        connection.execute(update(image_sets).where(image_sets.c.id == image_set).values(state=state))


def _files(folder: Path) -> dict[str, tuple[bytes, int, int]]:
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino)
        for path in folder.rglob("*")
        if path.is_file()
    }
