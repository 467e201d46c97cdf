"""Bad input: reported file by file, bounded in time and memory, no worker dies of it, and nothing of the patient is told."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from support.files.bad_files import FAILING, SECRETS, good, warned, written
from support.files.synthetic import slice_of
from support.imaging.import_folders import INPUT, check_counters, import_folder, sop_instances, start_job
from support.imaging.imports import Outcome, outcome_of
from support.imaging.stored_frames import verify_frames
from support.processes import workers, working_on
from support.servers import ServerProcess, active_datastore, finished_job, wait_for

GOOD_FILES = 20
MOST_BYTES = 2 * 1024**3


@dataclass
class Job:
    """The import of all bad files and some good ones."""

    datastore_id: str
    outcome: Outcome
    workers_before: set[int]
    workers_after: set[int]
    peak_bytes: int


@pytest.fixture(scope="module")
def bad_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    process = ServerProcess(tmp_path_factory.mktemp("bad") / "data", {"HOUNSFIELD_IMPORT_WORKERS": "2"}).start()
    yield process
    process.stop()


@pytest.fixture(scope="module")
def bad_client(bad_server: ServerProcess) -> Any:
    return bad_server.client()


@pytest.fixture(scope="module")
def job(bad_server: ServerProcess, bad_client: Any) -> Job:
    folder = bad_server.bucket(INPUT) / "bad"
    folder.mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, (make, _) in FAILING.items():
            (folder / name).write_bytes(make())
        for name, dataset, _, _ in warned():
            (folder / name).write_bytes(written(dataset))
    for number in range(GOOD_FILES):
        (folder / f"good-{number:02d}.dcm").write_bytes(written(good()))
    (folder / "link.dcm").symlink_to("/etc/hostname")
    datastore_id = active_datastore(bad_client)
    before = wait_for(lambda: {process.pid for process in workers(bad_server)}, "a worker to start")
    outcome = import_folder(bad_server, bad_client, datastore_id, "bad", 240)
    after = workers(bad_server)
    return Job(datastore_id, outcome, before, {p.pid for p in after}, max(map(_peak, after)))


def _peak(process: psutil.Process) -> int:
    """Most memory that a process ever had, in bytes; what it has now where the system does not tell."""
    if sys.platform != "linux":
        return int(process.memory_info().rss)
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) * 1024


def _named(lines: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {line["inputFile"].removeprefix("bad/"): line for line in lines}


def test_the_counters_add_up(job: Job) -> None:
    check_counters(job.outcome)
    bad, warnings_ = list(FAILING), [name for name, _, _, _ in warned()]
    assert job.outcome.summary["numberOfFilesWithCustomerError"] == len(bad)
    assert job.outcome.summary["numberOfFilesWithServerError"] == 0
    assert job.outcome.summary["numberOfImportedFiles"] == len(warnings_) + GOOD_FILES
    assert set(_named(job.outcome.failure)) == set(bad)
    assert set(_named(job.outcome.warning)) == set(warnings_)


@pytest.mark.parametrize("name", FAILING)
def test_what_cannot_be_imported_is_reported_with_its_reason(job: Job, name: str) -> None:
    exception = _named(job.outcome.failure)[name]["exception"]
    assert exception["exceptionType"] == "ValidationException"
    assert FAILING[name][1] in exception["message"]


@pytest.mark.parametrize(("name", "code", "said"), [(name, code, said) for name, _, code, said in warned()])
def test_what_is_imported_with_a_warning_says_so(job: Job, name: str, code: int, said: str) -> None:
    told = _named(job.outcome.warning)[name]["importResponse"]["warnings"]
    assert code in {warning["warning_reason_code"] for warning in told}, told
    assert any(said in warning["message"] for warning in told if warning["warning_reason_code"] == code), told


def test_pixel_data_without_frames_is_kept_as_it_came(job: Job, bad_client: Any) -> None:
    """Where no frames can be made the object is there whole, or withheld when it could not even be cut; never changed."""
    lines = _named(job.outcome.warning)
    for name, _, code, _ in warned():
        image_set_id = lines[name]["importResponse"]["imageSetId"]
        instances = sop_instances(bad_client, job.datastore_id, image_set_id)
        (instance,) = instances.values()
        frames = verify_frames(bad_client, job.datastore_id, image_set_id, instance)
        expected = {0xB100: 1, 0xB120: 1, 0xB110: 0, 0xB111: 0, 0xB112: 2, 0xB201: 1, 0xB202: 1}[code]
        if name == "j2k-fewer.dcm":
            expected = 2  # codestreams show how many there are, native pixel data does not
        assert frames == expected, name
        assert instance["DICOM"]["WarningReason"] == code, name


def test_good_files_are_imported_beside_bad_ones(job: Job, bad_client: Any) -> None:
    places = [line["importResponse"] for name, line in _named(job.outcome.success).items() if name.startswith("good-")]
    assert len(places) == GOOD_FILES
    for place in places:
        (instance,) = sop_instances(bad_client, job.datastore_id, place["imageSetId"]).values()
        assert instance["ChecksumType"] == "DECOMPRESSED"
        assert verify_frames(bad_client, job.datastore_id, place["imageSetId"], instance) == 1


def test_no_worker_dies_and_memory_is_bounded(job: Job, bad_server: ServerProcess) -> None:
    assert job.workers_before <= job.workers_after
    assert "lost" not in bad_server.log_text()
    assert job.peak_bytes < MOST_BYTES


def test_links_out_of_the_bucket_are_not_followed(job: Job) -> None:
    lines = [*job.outcome.success, *job.outcome.failure]
    assert not [line for line in lines if line["inputFile"].endswith("link.dcm")]


def test_nothing_of_the_patient_is_told(job: Job, bad_server: ServerProcess) -> None:
    log = bad_server.log_text()
    assert "import completed" in log
    texts = {"the log": log}
    for path in (bad_server.data / "buckets" / "results").rglob("*"):
        if path.is_file():
            texts[path.name] = path.read_text()
    assert len(texts) > 4
    for place, text in texts.items():
        assert [secret for secret in SECRETS if secret in text] == [], place


def test_a_file_that_kills_its_worker_fails_alone(bad_server: ServerProcess, bad_client: Any) -> None:
    """Whoever opens the one file is killed with SIGKILL: it fails in the end, and every other file is imported."""
    folder = bad_server.bucket(INPUT) / "killer"
    folder.mkdir()
    for number in range(30):
        (folder / f"{number:02d}.dcm").write_bytes(written(slice_of(number=number, study=81)))
    frames = np.random.default_rng(1).integers(0, 4000, (80, 512, 512), "<u2")
    killer = folder / "15-killer.dcm"
    killer.write_bytes(written(slice_of(number=99, study=81, pixels=frames)))
    datastore_id = active_datastore(bad_client)
    job_id = start_job(bad_server, bad_client, datastore_id, "killer")
    killed = 0

    def finished() -> bool:
        nonlocal killed
        for process in working_on(bad_server, killer):
            process.kill()
            killed += 1
        job = bad_client.get_dicom_import_job(datastoreId=datastore_id, jobId=job_id)["jobProperties"]
        return job["jobStatus"] in {"COMPLETED", "FAILED"}

    wait_for(finished, "the job to end", 240)
    outcome = outcome_of(bad_server, finished_job(bad_client, datastore_id, job_id))
    assert outcome.job["jobStatus"] == "COMPLETED"
    check_counters(outcome)
    assert killed >= 2
    (failure,) = outcome.failure
    assert failure["inputFile"] == "killer/15-killer.dcm"
    assert failure["exception"]["exceptionType"] == "InternalServerException"
    assert "process" in failure["exception"]["message"]
    assert outcome.summary["numberOfFilesWithServerError"] == 1
    (image_set_id,) = {line["importResponse"]["imageSetId"] for line in outcome.success}
    instances = sop_instances(bad_client, datastore_id, image_set_id)
    assert len(instances) == 30
    assert sum(verify_frames(bad_client, datastore_id, image_set_id, one) for one in instances.values()) == 30
