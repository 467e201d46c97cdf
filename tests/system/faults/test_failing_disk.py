"""Disks that fail under a mixed load, for packs and for the database: what was acknowledged is there, nothing is there in part.

The fault is in the C library of the processes, so that SQLite meets it as Python does (`support.faults.failing_disk`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.clients.dicomweb import part10, store
from support.faults.data_rules import check_data_rules, check_nothing_is_left
from support.faults.failing_disk import DiskFault, FailingDisk
from support.faults.kills import kill_processes
from support.faults.ward import Ward, check_ward
from support.files.synthetic import noise, slice_of
from support.imaging.stored_series import imported, verified
from support.servers import ServerProcess, active_datastore, wait_for

PACKS, DATABASE = "/blobs/", "/hounsfield.db"
ENVIRONMENT = {
    "HOUNSFIELD_LEASE_SECONDS": "2",
    "HOUNSFIELD_IMPORT_WORKERS": "1",
    "HOUNSFIELD_STORE_WORKERS": "1",
    "HOUNSFIELD_RELEASE_AFTER_SECONDS": "1",
    "HOUNSFIELD_DATABASE_WAIT_SECONDS": "5",
}
LASTING = (DiskFault.WRITE_ERROR, DiskFault.NO_ROOM, DiskFault.SYNC_ERROR, DiskFault.READ_ONLY)
KINDS = (DiskFault.SHORT_WRITE, *LASTING)


@pytest.fixture(scope="module")
def disk_and_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[FailingDisk, ServerProcess]]:
    folder = tmp_path_factory.mktemp("failing")
    disk = FailingDisk(folder / "disk", folder / "data")
    server = ServerProcess(folder / "data", {**ENVIRONMENT, **disk.environment}).start()
    yield disk, server
    server.stop()


def test_each_fault_in_turn(disk_and_server: tuple[FailingDisk, ServerProcess]) -> None:
    disk, server = disk_and_server
    ward = Ward(server, 1)
    ward.work()
    for kind in KINDS:
        for part in (PACKS, DATABASE):
            with disk.failing(kind, part, every=2):
                wait_for(lambda: disk.hits >= 3, f"{kind.name} of {part}")
    ward.end()
    check_ward(ward)
    check_data_rules(server)


def test_a_spool_that_fails(disk_and_server: tuple[FailingDisk, ServerProcess]) -> None:
    disk, server = disk_and_server
    datastore = active_datastore(server.client())
    # It is too large to wait in memory.
    large = [part10(slice_of(2, 1, pixels=noise(1024, 1280, 1)))]
    for kind, status, name in (
        (DiskFault.WRITE_ERROR, 503, "ServiceUnavailableException"),
        (DiskFault.NO_ROOM, 507, "InsufficientStorageException"),
    ):
        with disk.failing(kind, "/spool/"):
            refused = store(server, datastore, large)
            assert disk.hits
        assert (refused.status_code, refused.headers["x-amzn-errortype"]) == (status, name)
        assert int(refused.headers["Retry-After"]) > 0
        assert not list((server.data / "spool").iterdir())
    assert store(server, datastore, large).status_code == 200


@pytest.mark.slow
@pytest.mark.parametrize("every", [1, 2, 3, 7, 13])
@pytest.mark.parametrize("part", [PACKS, DATABASE, ""], ids=["packs", "database", "everything"])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name.lower())
def test_a_fault_that_lasts(
    kind: DiskFault, part: str, every: int, disk_and_server: tuple[FailingDisk, ServerProcess]
) -> None:
    disk, server = disk_and_server
    ward = Ward(server, int(kind) * 1000 + every * 10 + len(part))
    ward.work()
    time.sleep(0.3)
    with disk.failing(kind, part, every):
        time.sleep(2.0)
        assert disk.hits
    ward.end()
    check_ward(ward)
    check_data_rules(server)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*LASTING, DiskFault.NOTHING], ids=lambda kind: kind.name.lower())
@pytest.mark.parametrize("every", [2, 5])
def test_power_is_lost_after_a_fault(kind: DiskFault, every: int, tmp_path: Path) -> None:
    """What was acknowledged is there although all is gone that no sync made durable, or one that failed should have."""
    data = tmp_path / "data"
    disk = FailingDisk(tmp_path / "disk", data)
    server = ServerProcess(data, {**ENVIRONMENT, **disk.environment}).start()
    try:
        disk.trace()
        ward = Ward(server, 1)
        ward.work()
        time.sleep(0.5)
        with disk.failing(kind, "", every):
            time.sleep(2.0)
        time.sleep(0.5)
        kill_processes(server)
        ward.end()
        print(f"{disk.lose_what_is_not_durable(data)} bytes lost")
        server.log.close()
        server.start()
        check_ward(ward)
        check_data_rules(server)
    finally:
        server.stop()
    check_nothing_is_left(server)


@pytest.mark.slow
def test_a_data_folder_that_becomes_read_only_is_read_on(disk_and_server: tuple[FailingDisk, ServerProcess]) -> None:
    disk, server = disk_and_server
    client = server.client(read_timeout=120)
    datastore = active_datastore(client)
    (image_set,) = imported(server, client, datastore, slice_of())
    with disk.failing(DiskFault.READ_ONLY):
        for _ in range(3):
            refused = store(server, datastore, [part10(slice_of(series=2))])
            assert refused.status_code == 503
            assert int(refused.headers["Retry-After"]) > 0
            assert len(verified(client, datastore, image_set)) == 1
    assert wait_for(
        lambda: store(server, datastore, [part10(slice_of(series=2))]).status_code == 200, "it to be stored"
    )
    check_data_rules(server)


@pytest.mark.slow
def test_a_file_system_that_does_not_answer(disk_and_server: tuple[FailingDisk, ServerProcess]) -> None:
    disk, server = disk_and_server
    client = server.client(read_timeout=120)
    datastore = active_datastore(client)
    (image_set,) = imported(server, client, datastore, slice_of())
    with disk.failing(DiskFault.STALLED):
        wait_for(lambda: store(server, datastore, [part10(slice_of(series=2))]).status_code == 503, "it to be refused")
        assert len(verified(client, datastore, image_set)) == 1
    assert wait_for(
        lambda: store(server, datastore, [part10(slice_of(series=2))]).status_code == 200, "it to be stored"
    )


@pytest.mark.slow
def test_writes_on_a_slow_disk_hold_up_no_reads(disk_and_server: tuple[FailingDisk, ServerProcess]) -> None:
    disk, server = disk_and_server
    ward = Ward(server, 2)
    (image_set,) = imported(server, ward.client, ward.datastore, slice_of(study=5))
    ward.work()
    with disk.failing(DiskFault.SLOW, milliseconds=300):
        for _ in range(20):
            assert len(verified(ward.client, ward.datastore, image_set)) == 1
    ward.end()
    check_ward(ward)
