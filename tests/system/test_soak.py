"""A mixed load for minutes or an hour: no call fails, and neither memory nor open descriptors grow.

    make soak SOAK_MINUTES=60      prints errors, calls, and memory and descriptors of all processes with their slopes

Each client makes a study of its own again and again, by STOW or by an import job, searches and reads it, updates and copies it,
and deletes all of it, so that what the server holds stays the same.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import psutil
import pytest

from support.clients.dicomweb import get, part10, root, session, store, updated
from support.faults.data_rules import check_data_rules
from support.files.synthetic import noise, slice_of, uid
from support.imaging.import_folders import fill, import_folder
from support.imaging.imports import document, frame, image_sets, instances
from support.imaging.stored_series import settled
from support.servers import ServerProcess, active_datastore, wait_for

MINUTES = float(os.environ.get("SOAK_MINUTES", "1"))
ENVIRONMENT = {
    "HOUNSFIELD_STORE_WORKERS": "1",
    "HOUNSFIELD_IMPORT_WORKERS": "1",
    "HOUNSFIELD_RELEASE_AFTER_SECONDS": "1",
    "HOUNSFIELD_VERIFY_DAYS": "1",
    # Small enough to be full soon, so that what grows afterwards is no cache.
    "HOUNSFIELD_METADATA_CACHE_BYTES": str(4 << 20),
    "HOUNSFIELD_FRAME_CACHE_BYTES": str(8 << 20),
    "HOUNSFIELD_RENDERED_CACHE_BYTES": str(2 << 20),
}
CLIENTS = 3
SLICES = 6
LONG_MINUTES = 10.0
"""From here on the second half of a run is long enough to tell growth from noise."""
MOST_GROWTH_BYTES = 40 << 20
"""What all processes together may grow in an hour, as the line through the second half has it.

Caches that go by image sets (places of frames, presentations, pages of the database) are far from their bounds after an hour.
"""
MOST_DESCRIPTORS = 20
"""By how many the most open descriptors of the last quarter may exceed those of the quarter before."""


@dataclass
class Samples:
    """Memory and descriptors of a server over time."""

    server: ServerProcess
    seconds: list[float] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)
    of_each: list[dict[str, int]] = field(default_factory=list)

    def take(self) -> None:
        """Take one: proportional set sizes, as forked processes share most of their pages."""
        assert self.server.process is not None
        first = psutil.Process(self.server.process.pid)
        memory: Counter[str] = Counter()
        descriptors = 0
        for process in (first, *first.children(recursive=True)):
            try:
                memory[" ".join(process.cmdline())[:48]] += process.memory_full_info().pss
                descriptors += process.num_fds()
            except psutil.Error:
                continue
        self.seconds.append(time.monotonic())
        self.memory.append(sum(memory.values()))
        self.descriptors.append(descriptors)
        self.of_each.append(dict(memory))

    @property
    def second_half(self) -> slice:
        return slice(len(self.seconds) // 2, None)

    def bytes_an_hour(self) -> float:
        """Return the slope of the line through the second half."""
        return _slope(self.seconds[self.second_half], self.memory[self.second_half]) * 3600

    def report(self) -> str:
        """Return the figures, with those of each process."""
        half = self.of_each[self.second_half]
        names = sorted({name for sample in half for name in sample})
        lines = [
            f"  {name}: {half[0].get(name, 0) >> 20} MiB in the middle, {half[-1].get(name, 0) >> 20} MiB at the end"
            for name in names
        ]
        growth = f"slope of the second half {self.bytes_an_hour() / (1 << 20):+.1f} MiB an hour"
        middle = self.descriptors[len(self.descriptors) // 2]
        return "\n".join(
            [
                f"memory {min(self.memory) >> 20} to {max(self.memory) >> 20} MiB, {growth}",
                f"descriptors {middle} in the middle, {self.descriptors[-1]} at the end",
                *lines,
            ]
        )


def _slope(x: list[float], y: list[int]) -> float:
    return float(np.polyfit(np.array(x) - x[0], np.array(y, dtype=float), 1)[0]) if len(x) > 1 else 0.0


class Client:
    """One client, with studies of its own."""

    def __init__(self, server: ServerProcess, datastore: str, number: int) -> None:
        self.server, self.datastore, self.number = server, datastore, number
        self.client = server.client(read_timeout=120)
        self.calls: Counter[str] = Counter()

    def round(self, turn: int) -> None:
        """Make a study, use it, and delete it."""
        study = 100 + self.number * 100_000 + turn
        slices = [slice_of(number=n, study=study, pixels=noise(128, 128, n)) for n in range(SLICES)]
        if turn % 2:
            self._import(study, slices)
        else:
            assert store(self.server, self.datastore, [part10(one) for one in slices]).status_code == 200
            self.calls["STOW"] += 1
        image_set = self._search(study)
        self._read(image_set, study)
        updated(
            self.client, self.datastore, image_set, {"SchemaVersion": 1.1, "Patient": {"DICOM": {"PatientName": "B^C"}}}
        )
        self.calls["update"] += 1
        copy = self._copy(image_set)
        for one in (copy, image_set):
            self.client.delete_image_set(datastoreId=self.datastore, imageSetId=one)
            settled(self.client, self.datastore, one)
            self.calls["delete"] += 1

    def _import(self, study: int, slices: list[Any]) -> None:
        folder = fill(self.server, f"soak-{study}", slices)
        outcome = import_folder(self.server, self.client, self.datastore, folder.name)
        assert (outcome.failure, len(outcome.success)) == ([], SLICES)
        for file in folder.iterdir():
            file.unlink()
        self.calls["import"] += 1

    def _search(self, study: int) -> str:
        criteria = {"filters": [{"values": [{"DICOMStudyInstanceUID": uid(study)}], "operator": "EQUAL"}]}
        answer = self.client.search_image_sets(datastoreId=self.datastore, searchCriteria=criteria)
        (entry,) = answer["imageSetsMetadataSummaries"]
        found = session(self.server).get(
            f"{root(self.server, self.datastore)}/studies?StudyInstanceUID={uid(study)}", timeout=60
        )
        assert (found.status_code, len(found.json())) == (200, 1)
        self.calls["search"] += 2
        return str(entry["imageSetId"])

    def _read(self, image_set: str, study: int) -> None:
        for _, instance in instances(document(self.client, self.datastore, image_set)):
            frame(self.client, self.datastore, image_set, instance["ImageFrames"][0]["ID"])
            self.calls["frame"] += 1
        path = f"studies/{uid(study)}/series/{uid(study, 1)}"
        for resource in (path, f"{path}/rendered", f"{path}/metadata"):
            assert get(self.server, self.datastore, resource).status_code == 200
            self.calls["retrieve"] += 1

    def _copy(self, image_set: str) -> str:
        latest = self.client.get_image_set(datastoreId=self.datastore, imageSetId=image_set)["versionId"]
        made = self.client.copy_image_set(
            datastoreId=self.datastore,
            sourceImageSetId=image_set,
            copyImageSetInformation={"sourceImageSet": {"latestVersionId": latest}},
        )["destinationImageSetProperties"]["imageSetId"]
        for one in (made, image_set):
            settled(self.client, self.datastore, one)
        self.calls["copy"] += 1
        return str(made)


def _going_on(client: Client, until: float, errors: list[BaseException]) -> None:
    turn = 0
    while time.monotonic() < until:
        try:
            client.round(turn)
        except BaseException as error:
            errors.append(error)
        turn += 1


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    process = ServerProcess(tmp_path_factory.mktemp("soak") / "data", ENVIRONMENT).start()
    yield process
    process.stop()


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_nothing_fails_and_nothing_grows(server: ServerProcess) -> None:
    datastore = active_datastore(server.client())
    samples, errors = Samples(server), list[BaseException]()
    clients = [Client(server, datastore, number) for number in range(CLIENTS)]
    begun = time.monotonic()
    until = begun + MINUTES * 60
    threads = [threading.Thread(target=_going_on, args=(client, until, errors), daemon=True) for client in clients]
    for thread in threads:
        thread.start()
    while time.monotonic() < until:
        samples.take()
        threads[0].join(min(15.0, MINUTES * 2))
    for thread in threads:
        thread.join(300)
    total = sum((client.calls for client in clients), Counter[str]())
    text = f"{(time.monotonic() - begun) / 60:.1f} minutes, {dict(total)}, {len(errors)} errors\n{samples.report()}"
    print(text)
    assert errors == []
    assert image_sets(server.client(), datastore) == []
    if MINUTES >= LONG_MINUTES:
        assert samples.bytes_an_hour() < MOST_GROWTH_BYTES
        quarter = len(samples.descriptors) // 4
        third, last = samples.descriptors[2 * quarter : 3 * quarter], samples.descriptors[3 * quarter :]
        assert max(last) <= max(third) + MOST_DESCRIPTORS
    # Deleted bytes are gone once the grace time is over.
    packs = server.data / "blobs" / "packs" / datastore
    wait_for(lambda: not [path for path in packs.rglob("*") if path.is_file()], "all packs to be released")
    check_data_rules(server)
