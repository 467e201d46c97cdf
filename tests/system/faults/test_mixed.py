"""Everything at once, and something that fails: what was acknowledged is there, what was not is not half there.

    storing · importing · updating · copying · deleting · rotating keys          of one data store, by threads of a client
    killed processes · a log that takes nothing · a locked database · a full disk · clocks that jump     drawn by the seed

Sixty runs of different seeds; each prints its seed and what befell it. When all faults are over, what clients were told is held
against what is there.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import requests
from botocore.exceptions import BotoCoreError, ClientError
from numpy.typing import NDArray

from support.clients.dicomweb import part10, store, values
from support.faults.data_rules import check_data_rules
from support.faults.locked_database import locked_for_writing
from support.faults.shifted_clock import ShiftedClock
from support.faults.small_disk import SmallDisk, small_disk
from support.faults.standard_error import FAULTS
from support.files.synthetic import noise, slice_of, uid
from support.identities.users import command
from support.imaging.import_folders import fill, primaries_by_series, start_job
from support.imaging.imports import document, image_sets, instances
from support.imaging.stored_frames import verify_frames
from support.processes import api_processes, runners, store_workers, workers
from support.servers import ServerProcess, active_datastore, wait_for

ENVIRONMENT = {
    "HOUNSFIELD_LEASE_SECONDS": "2",
    "HOUNSFIELD_IMPORT_WORKERS": "1",
    "HOUNSFIELD_STORE_WORKERS": "1",
    "HOUNSFIELD_FREE_SPACE_FLOOR_BYTES": str(16 << 20),
}
DISK_BYTES = 192 << 20
WORK_SECONDS = 4.0
HOUR, DAY = 3600, 86_400
IMPORTED = 8
NOT_NOW = (BotoCoreError, ClientError, requests.RequestException)


@dataclass
class Told:
    """What clients were told was done."""

    stored: set[int] = field(default_factory=set)
    """Numbers of the instances of the series that is stored one by one."""
    jobs: dict[str, str] = field(default_factory=dict)
    """Folder of each import job, by its id."""
    updates: dict[str, list[str]] = field(default_factory=dict)
    """Patient names that an image set was given, by its id."""
    deleted: set[str] = field(default_factory=set)
    """Image sets whose deletion was taken in."""


class Ward:
    """Clients of one server that go on until they are told to stop, whatever they are answered."""

    def __init__(self, server: ServerProcess, seed: int) -> None:
        self.server, self.seed = server, seed
        self.told = Told()
        self.stop = threading.Event()
        self.client = server.client(connect_timeout=5, read_timeout=60)
        self.datastore = active_datastore(self.client)
        for folder in range(3):
            fill(
                server,
                f"{seed}-{folder}",
                [slice_of(10 + folder, number, study=2 + folder) for number in range(IMPORTED)],
            )
        # One to update, one to copy and to delete copies of.
        for study in (8, 9):
            assert store(server, self.datastore, [part10(slice_of(1, 1, study=study))]).status_code == 200
        found = primaries_by_series(self.client, self.datastore)
        self.updated = found[uid(8), uid(8, 1)]["imageSetId"]
        self.copied = found[uid(9), uid(9, 1)]["imageSetId"]

    def work(self) -> list[threading.Thread]:
        """Start the clients."""
        jobs = (self._store, self._import, self._update, self._copy_and_delete, self._rotate)
        threads = [threading.Thread(target=self._going_on, args=(job,), daemon=True) for job in jobs]
        for thread in threads:
            thread.start()
        return threads

    def _going_on(self, job: Callable[[int], None]) -> None:
        turn = 0
        while not self.stop.is_set():
            with suppress(*NOT_NOW):
                job(turn)
            turn += 1
            self.stop.wait(0.02)

    def _store(self, number: int) -> None:
        answer = store(self.server, self.datastore, [part10(slice_of(1, number, pixels=_pixels(number)))])
        if answer.status_code in (200, 202):
            sops = {value for item in values(answer.json(), "00081199") for value in values(item, "00081155")}
            if uid(1, 1, number) in sops:
                self.told.stored.add(number)

    def _import(self, turn: int) -> None:
        if turn < 3:
            folder = f"{self.seed}-{turn}"
            job = start_job(self.server, self.client, self.datastore, folder)
            self.told.jobs[job] = folder
        self.stop.wait(0.5)

    def _update(self, turn: int) -> None:
        latest = self.client.get_image_set(datastoreId=self.datastore, imageSetId=self.updated)["versionId"]
        name = f"Turn^{turn}"
        self.client.update_image_set_metadata(
            datastoreId=self.datastore,
            imageSetId=self.updated,
            latestVersionId=latest,
            updateImageSetMetadataUpdates={
                "DICOMUpdates": {
                    "updatableAttributes": f'{{"SchemaVersion": 1.1, "Patient": {{"DICOM": {{"PatientName": "{name}"}}}}}}'
                }
            },
        )
        self.told.updates.setdefault(self.updated, []).append(name)

    def _copy_and_delete(self, _: int) -> None:
        source = self.client.get_image_set(datastoreId=self.datastore, imageSetId=self.copied)
        copied = self.client.copy_image_set(
            datastoreId=self.datastore,
            sourceImageSetId=self.copied,
            copyImageSetInformation={"sourceImageSet": {"latestVersionId": source["versionId"]}},
        )["destinationImageSetProperties"]["imageSetId"]
        deadline = time.monotonic() + 5
        while not self.stop.is_set() and time.monotonic() < deadline:
            try:
                self.client.delete_image_set(datastoreId=self.datastore, imageSetId=copied)
            except ClientError:
                self.stop.wait(0.05)
                continue
            self.told.deleted.add(copied)
            return

    def _rotate(self, turn: int) -> None:
        if turn == 0:
            command(self.server, "master-key", "rotate")
        self.stop.wait(1)


def _pixels(number: int) -> NDArray[Any]:
    return noise(64, 64, seed=number)


def _kill(found: list[psutil.Process], dice: random.Random) -> None:
    with suppress(psutil.NoSuchProcess, IndexError):
        dice.choice(found).kill()


@dataclass
class Trouble:
    """What can befall a server, one after another, as its seed has it."""

    server: ServerProcess
    dice: random.Random
    disk: SmallDisk
    clock: ShiftedClock

    def worker(self) -> None:
        _kill(workers(self.server) + store_workers(self.server), self.dice)

    def runner(self) -> None:
        _kill(runners(self.server), self.dice)

    def api(self) -> None:
        _kill(api_processes(self.server), self.dice)

    def server_itself(self) -> None:
        process = self.server.process
        assert process is not None
        family = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait()
        _, alive = psutil.wait_procs(family, timeout=120)
        assert alive == [], "processes outlive the server"
        self.server.log.close()
        self.server.start()

    def lock(self) -> None:
        with locked_for_writing(self.server):
            time.sleep(self.dice.uniform(0.2, 1.5))

    def full_disk(self) -> None:
        self.disk.fill()
        try:
            time.sleep(self.dice.uniform(0.2, 1.0))
        finally:
            self.disk.empty()

    def clock_ahead(self) -> None:
        self.clock.move(self.dice.choice((HOUR, DAY)))

    def clock_back(self) -> None:
        self.clock.move(-HOUR)

    def clock_right(self) -> None:
        self.clock.move(0)


KINDS = ("worker", "runner", "api", "server_itself", "lock", "full_disk", "clock_ahead", "clock_back", "clock_right")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk", DISK_BYTES) as found:
        yield found


@pytest.fixture(scope="session")
def clock(tmp_path_factory: pytest.TempPathFactory) -> ShiftedClock:
    return ShiftedClock(tmp_path_factory.mktemp("clock"))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(60))
def test_nothing_acknowledged_is_missing(seed: int, disk: SmallDisk, clock: ShiftedClock, tmp_path: Path) -> None:
    dice = random.Random(seed)
    clock.move(0)
    with ExitStack() as stack:
        errors = dice.choice(["the log", *FAULTS])
        server = ServerProcess(disk.folder / "data", {**ENVIRONMENT, **clock.environment})
        server.standard_error = None if errors == "the log" else stack.enter_context(FAULTS[errors]())
        server.start()
        stack.callback(server.stop)
        ward = Ward(server, seed)
        befell = [dice.choice(KINDS) for _ in range(dice.randint(2, 4))]
        print(f"seed {seed}: standard error is {errors}; {', '.join(befell)}")
        threads = ward.work()
        for kind in befell:
            time.sleep(dice.uniform(0.1, WORK_SECONDS / len(befell)))
            getattr(Trouble(server, dice, disk, clock), kind)()
        time.sleep(0.5)
        ward.stop.set()
        for thread in threads:
            thread.join(120)
        # Requests are signed with the time that the server has.
        clock.move(0)
        _check(ward)
        check_data_rules(server)


def _check(ward: Ward) -> None:
    server, datastore = ward.server, ward.datastore
    wait_for(lambda: _answers(ward), "the server to answer", 120)
    for job in ward.told.jobs:
        wait_for(lambda job=job: _job(ward, job) in {"COMPLETED", "FAILED"}, "the job to end", 180)
        assert _job(ward, job) == "COMPLETED"
    found = {entry["imageSetId"]: entry for entry in image_sets(ward.client, datastore)}
    for image_set_id in found:
        wait_for(lambda one=image_set_id: not _locked(ward, one), "the image set to be unlocked", 180)
    found = {entry["imageSetId"]: entry for entry in image_sets(ward.client, datastore)}
    primaries = primaries_by_series(ward.client, datastore)
    _check_stored(ward, primaries)
    for folder in ward.told.jobs.values():
        study = 2 + int(folder.rpartition("-")[2])
        entry = primaries[uid(study), uid(study, study + 8)]
        there = dict(instances(document(ward.client, datastore, entry["imageSetId"])))
        assert there.keys() == {uid(study, study + 8, number) for number in range(IMPORTED)}
    for image_set_id, entry in found.items():
        # Whatever is visible is whole.
        content = dict(instances(document(ward.client, datastore, image_set_id)))
        assert len(content) == entry["DICOMTags"]["DICOMNumberOfStudyRelatedInstances"]
        for instance in content.values():
            assert verify_frames(ward.client, datastore, image_set_id, instance) == 1
    assert not ward.told.deleted & found.keys()
    for image_set_id, names in ward.told.updates.items():
        versions = ward.client.get_paginator("list_image_set_versions").paginate(
            datastoreId=datastore, imageSetId=image_set_id
        )
        made = {
            document(ward.client, datastore, image_set_id, versionId=entry["versionId"])["Patient"]["DICOM"][
                "PatientName"
            ]
            for page in versions
            for entry in page["imageSetPropertiesList"]
            if entry["ImageSetWorkflowStatus"] == "UPDATED"
        }
        assert set(names) <= made
    with requests.get(f"{server.url}/readyz", timeout=10) as answer:
        assert answer.status_code == 200


def _check_stored(ward: Ward, primaries: dict[tuple[str, str], dict[str, Any]]) -> None:
    if not ward.told.stored:
        return
    image_set_id = primaries[uid(1), uid(1, 1)]["imageSetId"]
    there = dict(instances(document(ward.client, ward.datastore, image_set_id)))
    missing = {number for number in ward.told.stored if uid(1, 1, number) not in there}
    assert not missing, f"acknowledged and lost: {sorted(missing)}"
    for number in ward.told.stored:
        low, high = int(np.min(_pixels(number))), int(np.max(_pixels(number)))
        (entry,) = there[uid(1, 1, number)]["ImageFrames"]
        assert (entry["MinPixelValue"], entry["MaxPixelValue"]) == (low, high)


def _answers(ward: Ward) -> bool:
    try:
        return bool(ward.client.get_datastore(datastoreId=ward.datastore))
    except NOT_NOW:
        return False


def _job(ward: Ward, job: str) -> str:
    properties = ward.client.get_dicom_import_job(datastoreId=ward.datastore, jobId=job)["jobProperties"]
    return str(properties["jobStatus"])


def _locked(ward: Ward, image_set_id: str) -> bool:
    try:
        found = ward.client.get_image_set(datastoreId=ward.datastore, imageSetId=image_set_id)
    except ClientError:
        return False
    return bool(found["imageSetState"] == "LOCKED")
