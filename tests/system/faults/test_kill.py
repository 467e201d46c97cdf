"""SIGKILL at random moments of an import: whatever dies, the job ends complete and the store consistent.

The moments are drawn from a seeded generator; what matters is the state at the end, whichever step each kill hits.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError

from support.faults.data_rules import check_data_rules
from support.faults.kills import KILLS
from support.files.synthetic import noise, slice_of, uid
from support.imaging.import_folders import check_counters, fill, primaries_by_series, sop_instances, start_job
from support.imaging.imports import Outcome, image_sets, outcome_of
from support.imaging.stored_frames import verify_frames
from support.servers import ServerProcess, active_datastore, wait_for

FILES = 240
ENVIRONMENT = {"HOUNSFIELD_LEASE_SECONDS": "1.5", "HOUNSFIELD_IMPORT_WORKERS": "2"}


@pytest.fixture(scope="module")
def mortal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with a folder to import, which goes on from one test to the next, whatever of it was killed."""
    process = ServerProcess(tmp_path_factory.mktemp("kill") / "data", ENVIRONMENT).start()
    fill(process, "series", _slices())
    yield process
    process.stop()


def _status(server: ServerProcess, client: Any, datastore_id: str, job_id: str) -> dict[str, Any] | None:
    """Ask for the job; None while nobody answers."""
    try:
        job: dict[str, Any] = client.get_dicom_import_job(datastoreId=datastore_id, jobId=job_id)["jobProperties"]
    except BotoCoreError:
        return None
    return job


def _import_under_fire(
    server: ServerProcess, datastore_id: str, folder: str, kinds: list[str], dice: random.Random
) -> tuple[Outcome, int]:
    """Import a folder and kill at random moments in turn; return the outcome and how many kills hit a running job."""
    client = server.client(connect_timeout=5, read_timeout=10)
    job_id = start_job(server, client, datastore_id, folder)
    hits, turn = 0, 0
    # The first soon: on an idle machine the import takes less than a second.
    next_kill = time.monotonic() + dice.uniform(0.02, 0.15)

    def ended() -> dict[str, Any] | None:
        nonlocal hits, turn, next_kill
        job = _status(server, client, datastore_id, job_id)
        if job is not None and job["jobStatus"] in {"COMPLETED", "FAILED"}:
            return job
        if turn < len(kinds) and time.monotonic() >= next_kill and KILLS[kinds[turn]](server, dice):
            hits, turn = hits + 1, turn + 1
            next_kill = time.monotonic() + dice.uniform(0.3, 1.5)
        return None

    job = wait_for(ended, "the job to end", 240)
    assert job["jobStatus"] == "COMPLETED", job
    return outcome_of(server, job), hits


def _check_store(server: ServerProcess, datastore_id: str, outcome: Outcome, version: int) -> None:
    """Every instance once, all frames as promised, one primary set of each series, counters that add up."""
    # A process whose parent was killed ends a little later, in the middle of what it answers.
    client = server.client(retrying=True)
    check_counters(outcome)
    assert outcome.failure == []
    assert outcome.summary["numberOfImportedFiles"] == FILES
    primaries = primaries_by_series(client, datastore_id)
    assert len(primaries) == len(image_sets(client, datastore_id)) == 2
    for (_, series_uid), entry in primaries.items():
        series = 1 if series_uid == uid(1, 1) else 2
        assert entry["version"] == version
        instances = sop_instances(client, datastore_id, entry["imageSetId"])
        assert instances.keys() == {uid(1, series, number) for number in range(FILES // 2)}
        for instance in instances.values():
            assert verify_frames(client, datastore_id, entry["imageSetId"], instance) == 1
        frames = [instance["ImageFrames"][0]["ID"] for instance in instances.values()]
        assert len(set(frames)) == FILES // 2
    check_data_rules(server)


def _slices() -> Iterator[Any]:
    for number in range(FILES // 2):
        for series in (1, 2):
            yield slice_of(series, number, pixels=noise(256, 256, seed=number))


@pytest.mark.parametrize(
    ("kinds", "seed"),
    [
        (["worker", "worker", "worker"], 1),
        (["runner", "runner"], 2),
        pytest.param(["api", "worker", "api"], 3, marks=pytest.mark.slow),
        (["server", "runner", "server"], 4),
        pytest.param(["worker", "runner", "api", "server"] * 3, 5, marks=pytest.mark.slow),
        pytest.param(["server", "server", "runner", "runner", "worker"], 6, marks=pytest.mark.slow),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else str(value),
)
def test_a_killed_import_ends_complete(mortal: ServerProcess, kinds: list[str], seed: int) -> None:
    dice = random.Random(seed)
    datastore_id = active_datastore(mortal.client(retrying=True))
    outcome, hits = _import_under_fire(mortal, datastore_id, "series", kinds, dice)
    assert hits >= 1
    _check_store(mortal, datastore_id, outcome, version=1)


def test_two_jobs_on_the_same_files_survive_the_runner(mortal: ServerProcess) -> None:
    """Two jobs at once on one series while their runner dies: one primary set a series, one version a job."""
    dice = random.Random(7)
    client = mortal.client(retrying=True)
    datastore_id = active_datastore(client)
    first = start_job(mortal, client, datastore_id, "series")
    outcome, hits = _import_under_fire(mortal, datastore_id, "series", ["runner", "worker"], dice)
    assert hits >= 1
    other = wait_for(
        lambda: (job := _status(mortal, client, datastore_id, first)) and job["jobStatus"] == "COMPLETED" and job,
        "the first job to end",
        240,
    )
    check_counters(outcome_of(mortal, other))
    _check_store(mortal, datastore_id, outcome, version=2)
