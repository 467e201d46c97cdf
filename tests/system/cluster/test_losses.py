"""A cluster that loses workers or its scheduler, or has the wrong ones: jobs wait and go on, and nothing is stored twice."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from hounsfield.bootstrap.cluster import read_cluster_state
from hounsfield.settings import Settings
from support.clients.dicomweb import part10, store
from support.faults.data_rules import check_data_rules
from support.files.real_files import dicom_files
from support.files.synthetic import noise, save, slice_of
from support.imaging.import_folders import (
    INPUT,
    check_counters,
    fill,
    import_folder,
    primaries_by_series,
    sop_instances,
    start_job,
)
from support.imaging.imports import frame, image_sets, outcome_of
from support.servers import ServerProcess, active_datastore, finished_job, wait_for
from support.services.certificates import Authority
from support.services.dask_cluster import DaskCluster, dask_cluster, joined, open_by

pytestmark = pytest.mark.slow
FILES = 160
SECONDS = 240.0
LARGEST = 200_000


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[DaskCluster]:
    with dask_cluster(tmp_path / "cluster") as started:
        yield started


@pytest.fixture
def server(cluster: DaskCluster, tmp_path: Path) -> Iterator[ServerProcess]:
    process = ServerProcess(tmp_path / "data", {**cluster.environment(), "HOUNSFIELD_STORE_WORKERS": "1"}).start()
    yield process
    process.stop()


def slices(count: int = FILES) -> Iterator[Any]:
    return (slice_of(number=number, pixels=noise(256, 256, seed=number)) for number in range(1, count + 1))


def begun(server: ServerProcess, datastore: str) -> bool:
    """Return whether packs of an unfinished job are there."""
    folder = server.data / "blobs" / "packs" / datastore
    return sum(1 for path in folder.rglob("*") if path.is_file()) >= 2


def check_whole(server: ServerProcess, client: Any, datastore: str, job_id: str, failed: int = 0) -> None:
    """Check that a job came to its end with everything, once, and the pixels that went in."""
    outcome = outcome_of(server, finished_job(client, datastore, job_id, SECONDS))
    assert outcome.job["jobStatus"] == "COMPLETED"
    check_counters(outcome)
    assert (len(outcome.success), len(outcome.failure)) == (FILES, failed)
    (primary,) = primaries_by_series(client, datastore).values()
    assert len(sop_instances(client, datastore, primary["imageSetId"])) == FILES
    check_data_rules(server)


def in_progress(client: Any, datastore: str, job_id: str) -> bool:
    job = client.get_dicom_import_job(datastoreId=datastore, jobId=job_id)["jobProperties"]
    return job["jobStatus"] == "IN_PROGRESS"


def test_a_worker_is_killed_in_the_midst_of_a_job(server: ServerProcess, cluster: DaskCluster) -> None:
    for name in ("first", "second"):
        cluster.start_worker(name)
    client = server.client()
    datastore = active_datastore(client)
    fill(server, "series", slices())
    wait_for(lambda: all(joined(server.log_text(), name) for name in ("first", "second")), "the workers", SECONDS)
    job_id = start_job(server, client, datastore, "series")
    wait_for(lambda: begun(server, datastore), "the first packs", SECONDS)
    beside = cluster.task_processes("first")
    assert beside
    cluster.workers["first"].kill()
    _, alive = psutil.wait_procs(beside, timeout=60)
    assert alive == [], "processes outlive their worker"
    check_whole(server, client, datastore, job_id)


def test_the_scheduler_is_restarted_in_the_midst_of_a_job(server: ServerProcess, cluster: DaskCluster) -> None:
    cluster.start_worker("first")
    client = server.client()
    datastore = active_datastore(client)
    fill(server, "series", slices())
    job_id = start_job(server, client, datastore, "series")
    wait_for(lambda: begun(server, datastore), "the first packs", SECONDS)
    assert cluster.scheduler is not None
    cluster.scheduler.kill()
    cluster.scheduler.wait()
    wait_for(lambda: "cluster not ready, work waits" in server.log_text(), "the loss to be noticed", SECONDS)
    # A worker ends with its scheduler, and whatever started it starts another one.
    cluster.workers["first"].wait(60)
    assert in_progress(client, datastore, job_id)
    cluster.start_scheduler()
    cluster.start_worker("again")
    check_whole(server, client, datastore, job_id)


def test_without_workers_imports_wait_and_requests_are_answered(
    server: ServerProcess, cluster: DaskCluster, tmp_path: Path
) -> None:
    client = server.client()
    datastore, stored = active_datastore(client), active_datastore(client)
    fill(server, "series", slices())
    job_id = start_job(server, client, datastore, "series")
    assert store(server, stored, [part10(slice_of(study=2))]).status_code == 200
    old = tmp_path / "old" / "pydicom-1.0.0.dist-info"
    old.mkdir(parents=True)
    (old / "METADATA").write_text("Metadata-Version: 2.1\nName: pydicom\nVersion: 1.0.0\n")
    path = cluster.environment()["PYTHONPATH"]
    cluster.start_worker("old", {"PYTHONPATH": f"{old.parent}:{path}"})
    cluster.start_worker("nannied", nanny=True)
    for reason in ("pydicom 1.0.0 is not", "--no-nanny"):
        wait_for(lambda reason=reason: reason in server.log_text(), f"a refusal: {reason}", SECONDS)
    assert in_progress(client, datastore, job_id)
    # Nobody has to wait for a cluster to stop a server.
    server.stop()
    server.start()
    assert in_progress(client, datastore, job_id)
    cluster.start_worker("fit")
    check_whole(server, client, datastore, job_id)


def test_a_file_that_ends_its_process_fails_alone(server: ServerProcess, cluster: DaskCluster) -> None:
    cluster.start_worker("first")
    client = server.client()
    datastore = active_datastore(client)
    folder = fill(server, "series", slices())
    # It stands for one that a codec crashes with: whatever opens it is killed.
    culprit = save(slice_of(number=FILES + 1, pixels=noise(3000, 3000)), folder / "00080x.dcm")
    wait_for(lambda: joined(server.log_text(), "first"), "the worker", SECONDS)
    job_id = start_job(server, client, datastore, "series")

    def ended() -> bool:
        for process in cluster.task_processes("first"):
            if open_by(process, culprit):
                process.kill()
        return not in_progress(client, datastore, job_id)

    wait_for(ended, "the job to end", SECONDS)
    assert cluster.workers["first"].poll() is None
    check_whole(server, client, datastore, job_id, failed=1)


def test_by_tls_all_kinds_of_files_come_out_as_by_processes_of_this_machine(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.sign("cluster")
    options = ("--tls-ca-file", authority.file, "--tls-cert", certificate, "--tls-key", key)
    with dask_cluster(tmp_path / "cluster", "first", security=tuple(map(str, options))) as cluster:
        environment = {
            **cluster.environment(),
            "HOUNSFIELD_EXECUTOR_CA": str(authority.file),
            "HOUNSFIELD_EXECUTOR_CERTIFICATE": str(certificate),
            "HOUNSFIELD_EXECUTOR_KEY": str(key),
        }
        found = {}
        for name, settings in (("cluster", environment), ("here", {"HOUNSFIELD_IMPORT_WORKERS": "1"})):
            server = ServerProcess(tmp_path / name / "data", settings).start()
            try:
                client = server.client()
                datastore = active_datastore(client)
                found[name] = _what_became_of_real_files(server, client, datastore)
                check_data_rules(server)
            finally:
                server.stop()
        assert found["cluster"] == found["here"]
        other = tmp_path / "other"
        other.mkdir()
        strange, strange_key = Authority(other).sign("strange")
        stranger = Settings(
            data=tmp_path / "cluster" / "data",
            executor=cluster.url,
            executor_ca=str(authority.file),
            executor_certificate=str(strange),
            executor_key=str(strange_key),
        )
        state = read_cluster_state(stranger, seconds=15)
        assert state is not None
        assert (state.threads, state.fault) == (0, "the scheduler does not answer")


def _what_became_of_real_files(server: ServerProcess, client: Any, datastore: str) -> dict[str, Any]:
    """Import the small ones of the files that pydicom carries; return all that does not differ between two imports."""
    folder = server.bucket(INPUT) / "real"
    folder.mkdir()
    for number, path in enumerate(dicom_files()):
        if path.stat().st_size < LARGEST:
            shutil.copy(path, folder / f"{number:03d}-{path.name}")
    outcome = import_folder(server, client, datastore, "real", SECONDS)
    found: dict[str, Any] = {line["inputFile"]: line["exception"] for line in outcome.failure}
    for entry in image_sets(client, datastore):
        image_set = entry["imageSetId"]
        for uid, instance in sop_instances(client, datastore, image_set).items():
            frames = instance.pop("ImageFrames", [])
            for one in frames:
                content, kind = frame(client, datastore, image_set, one.pop("ID"))
                one["content"] = hashlib.sha256(content).hexdigest(), kind
            found.setdefault(uid, []).append((entry["isPrimary"], instance, frames))
    assert len(found) > 50
    return {name: sorted(what, key=str) if isinstance(what, list) else what for name, what in found.items()}
