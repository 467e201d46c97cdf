"""A server that is stopped or killed as a whole in the middle of an import goes on with it after the next start."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import imagecodecs
import psutil
import pytest

from support.files.synthetic import noise, save, slice_of
from support.imaging.imports import document, frame, image_sets, instances, outcome_of
from support.processes import runners
from support.servers import ServerProcess, active_datastore, finished_job, start_import, wait_for

SERIES = 2
SLICES = 60
SIDE = 256


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[ServerProcess]:
    process = ServerProcess(
        tmp_path / "data", {"HOUNSFIELD_LEASE_SECONDS": "2", "HOUNSFIELD_IMPORT_WORKERS": "2"}
    ).start()
    yield process
    process.stop()


def write_study(folder: Path) -> dict[str, int]:
    """Write the series and return the CRC-32 of the samples of each instance."""
    checksums = {}
    for series in range(1, SERIES + 1):
        for number in range(1, SLICES + 1):
            pixels = noise(SIDE, SIDE, seed=series * 1000 + number)
            instance = slice_of(series, number, pixels=pixels)
            save(instance, folder / f"{series}" / f"{number:04d}.dcm")
            checksums[str(instance.SOPInstanceUID)] = zlib.crc32(pixels.tobytes())
    return checksums


def begun(client: Any, datastore: str, job_id: str) -> bool:
    job = client.get_dicom_import_job(datastoreId=datastore, jobId=job_id)["jobProperties"]
    return job["jobStatus"] != "SUBMITTED"


def assert_complete(server: ServerProcess, datastore: str, job_id: str, checksums: dict[str, int]) -> None:
    """Everything that went in is there once, every frame with the samples that went in, and the counters say so."""
    client = server.client()
    job = finished_job(client, datastore, job_id)
    assert job["jobStatus"] == "COMPLETED"
    outcome = outcome_of(server, job)
    assert outcome.failure == []
    assert outcome.summary["numberOfImportedFiles"] == len(outcome.success) == len(checksums)
    sets = image_sets(client, datastore)
    assert [(entry["isPrimary"], entry["version"]) for entry in sets] == [(True, 1)] * SERIES
    seen = {}
    for entry in sets:
        for sop_uid, instance in instances(document(client, datastore, entry["imageSetId"])):
            data, _ = frame(client, datastore, entry["imageSetId"], instance["ImageFrames"][0]["ID"])
            seen[sop_uid] = zlib.crc32(imagecodecs.htj2k_decode(data).tobytes())
    assert seen == checksums


def test_a_killed_server_leaves_no_process_and_goes_on(own_server: ServerProcess) -> None:
    choice = random.Random(7)
    checksums = write_study(own_server.bucket("input"))
    own_server.bucket("output")
    datastore = active_datastore(own_server.client())
    job_id = start_import(own_server.client(), datastore, "s3://input/")
    for _ in range(2):
        # Not a wait for something: the point in the import at which the server dies.
        time.sleep(choice.uniform(0.2, 0.8))
        below = psutil.Process(own_server.process.pid).children(recursive=True)
        own_server.process.kill()
        own_server.process.wait()
        wait_for(lambda left=below: not psutil.wait_procs(left, timeout=0.1)[1], "its children to end")
        own_server.start()
    assert_complete(own_server, datastore, job_id, checksums)


def tell_another_thread_to_end(process: psutil.Process) -> None:
    """Send SIGTERM as the kernel does where the first thread has another signal to see to, such as that it may go on."""
    others = [thread.id for thread in process.threads() if thread.id != process.pid] if sys.platform == "linux" else []
    os.kill(max([*others, process.pid]), signal.SIGTERM)


def test_a_stopped_server_gives_its_lease_back(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data", {"HOUNSFIELD_LEASE_SECONDS": "600"}).start()
    try:
        checksums = write_study(server.bucket("input"))
        server.bucket("output")
        client = server.client()
        datastore = active_datastore(client)
        job_id = start_import(client, datastore, "s3://input/")
        wait_for(lambda: begun(client, datastore, job_id), "the job to begin")
        (runner,) = runners(server)
        tell_another_thread_to_end(runner)
        runner.wait(120)
        server.stop()
        # A copy of the database file alone has all that was written.
        assert (server.data / "hounsfield.db-wal").stat().st_size == 0
        server.start()
        # Had the lease not been given back, the job would wait ten minutes.
        assert_complete(server, datastore, job_id, checksums)
    finally:
        server.stop()
