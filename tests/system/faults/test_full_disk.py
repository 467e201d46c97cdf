"""A full disk: writes are refused in the words of each API, nothing is half done, and everything goes on once there is room."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from support.clients.dicomweb import part10, root, session, store
from support.faults.small_disk import MEBIBYTE, SmallDisk, small_disk
from support.files.synthetic import noise, slice_of
from support.imaging.import_folders import fill, start_job
from support.imaging.imports import outcome_of
from support.imaging.stored_series import imported, pack_files, verified
from support.servers import ServerProcess, active_datastore, finished_job, wait_for

FILES = 12
FULL = (507, "InsufficientStorageException")
AWAY = (503, "ServiceUnavailableException")


@pytest.fixture(params=["continue", pytest.param("refuse-writes", marks=pytest.mark.slow)])
def disk_and_server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[SmallDisk, ServerProcess]]:
    """With an audit trail that is left behind where it cannot be written, and with one without which nothing is changed."""
    settings = {
        "HOUNSFIELD_STORE_WORKERS": "1",
        "HOUNSFIELD_IMPORT_WORKERS": "1",
        "HOUNSFIELD_AUDIT_ON_FAILURE": request.param,
        # Others may fill a disk to its last byte, whatever is left free for that.
        "HOUNSFIELD_FREE_SPACE_FLOOR_BYTES": "0",
    }
    with small_disk(tmp_path / "data", 64 * MEBIBYTE) as disk:
        process = ServerProcess(disk.folder, settings)
        process.start()
        try:
            yield disk, process
        finally:
            process.stop()


def test_a_full_disk(disk_and_server: tuple[SmallDisk, ServerProcess]) -> None:
    disk, server = disk_and_server
    client = server.client(read_timeout=120)
    datastore = active_datastore(client)
    (image_set,) = imported(server, client, datastore, slice_of())
    fill(server, "waiting", [slice_of(series=7, number=n, pixels=noise(256, 256, n)) for n in range(FILES)])
    arn = client.get_datastore(datastoreId=datastore)["datastoreProperties"]["datastoreArn"]
    before = pack_files(server, datastore)
    files = [part10(slice_of(series=3, number=n, pixels=noise(256, 256, n))) for n in range(4)]
    # Two large instances, so that one is spooled.
    large = [part10(slice_of(series=4, number=n, pixels=noise(1024, 1280, n))) for n in range(2)]
    job_id = start_job(server, client, datastore, "waiting")
    with disk.full():
        answers = [store(server, datastore, files), store(server, datastore, large)]
        told = {(answer.status_code, answer.headers["x-amzn-errortype"]) for answer in answers}
        if server.environment["HOUNSFIELD_AUDIT_ON_FAILURE"] == "continue":
            assert told == {FULL}, server.log_text()
        assert told <= {FULL, AWAY}, server.log_text()
        # What SQLite still has room for in its log, it writes.
        codes: set[tuple[int, str]] = set()
        number = 0
        while not codes:
            number += 1
            assert number < 500, "the disk is never full"
            try:
                client.tag_resource(resourceArn=arn, tags={f"key-{number % 9}": "v" * 200})
            except ClientError as error:
                codes.add((error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]))
        assert codes == {AWAY}, server.log_text()
        assert len(verified(client, datastore, image_set)) == 1
        assert session(server).get(f"{root(server, datastore)}/studies", timeout=60).status_code == 200
    done = wait_for(lambda: finished_job(client, datastore, job_id), "the job to end")
    assert (done["jobStatus"], outcome_of(server, done).failure) == ("COMPLETED", [])
    again = wait_for(
        lambda: [a for a in (store(server, datastore, files), store(server, datastore, large)) if a.status_code == 200],
        "what was refused to be stored",
    )
    assert len(again) == 2
    client.tag_resource(resourceArn=arn, tags={"ward": "3"})
    # Each request and each series of the job has a pack; of those that were refused there is nothing.
    assert len(pack_files(server, datastore)) >= len(before) + 3
    assert not list((server.data / "spool").glob("*"))
    found = client.search_image_sets(datastoreId=datastore)["imageSetsMetadataSummaries"]
    assert sum(len(verified(client, datastore, entry["imageSetId"])) for entry in found) == 1 + FILES + len(files) + 2
