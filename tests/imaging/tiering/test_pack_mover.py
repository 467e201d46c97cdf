"""The second place of packs: what moves there and back, and that nothing is lost whatever dies meanwhile."""

from __future__ import annotations

import os
import random
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hounsfield.bootstrap.image_store import open_image_store
from hounsfield.imaging.tiering.tiers import SWEEP_TIERS, TierSweeper
from hounsfield.settings import Settings, SettingsError
from hounsfield.storage.blobs.tiered_blobs import TieredBlobs
from support.faults.mortal_blobs import KilledError, MortalBlobs, Mortality
from support.files.synthetic import noise, slice_of
from support.imaging.imports import document
from support.imaging.orphan_sweeps import swept
from support.imaging.stored_series import deleted, imported, settled, verified
from support.imaging.tiers import (
    FREQUENT,
    QUICK,
    Bell,
    archived,
    comes_to,
    frame_ids,
    frames,
    packs_in,
    put_back,
    rested,
)
from support.processes import runners
from support.servers import ServerProcess, active_datastore, wait_for


class Places:
    """A server with a second place in a folder, and a data store on it."""

    def __init__(self, server: ServerProcess, second: Path, wakeup: Bell) -> None:
        self.server, self.second, self.wakeup = server, second, wakeup
        self.client = server.client()
        self.datastore = active_datastore(self.client)

    def frequent(self) -> set[str]:
        return packs_in(self.server.data / "blobs", self.datastore)

    def archived(self) -> set[str]:
        return packs_in(self.second, self.datastore)

    def archived_first(self) -> set[str]:
        """Wait until packs are archived as a whole, and tell which; what is on its way has another name until it is there."""
        return set(
            wait_for(
                lambda: {name for name in self.archived() if not name.startswith(".")},
                "a pack to be archived",
            )
        )

    def imported(self, *slices: Any) -> list[str]:
        return imported(self.server, self.client, self.datastore, *slices)

    def rest(self, *image_sets: str) -> None:
        archived(self.server, self.client, self.datastore, *image_sets)

    def rest_again(self, *image_sets: str) -> None:
        """Let image sets rest that were accessed before."""
        self.wakeup.wait()
        self.rest(*image_sets)

    def come_to_be(self, frequent: set[str], archived: set[str], left: frozenset[str] = frozenset()) -> None:
        """Wait until the packs are there and nothing else is, but for files that dead runners left."""
        wait_for(
            lambda: (self.frequent() - left, self.archived() - left) == (frequent, archived),
            "the packs to be where they belong",
        )

    def left_behind(self) -> frozenset[str]:
        """Files that are not finished; while no runner is at work, those that a dead one left for the sweep of orphans."""
        return frozenset(name for name in self.frequent() | self.archived() if name.startswith("."))

    def copy(self, source: str) -> str:
        answer = self.client.copy_image_set(
            datastoreId=self.datastore,
            sourceImageSetId=source,
            copyImageSetInformation={"sourceImageSet": {"latestVersionId": "1"}},
        )
        into = answer["destinationImageSetProperties"]["imageSetId"]
        assert settled(self.client, self.datastore, into)["imageSetWorkflowStatus"] == "COPIED"
        settled(self.client, self.datastore, source)
        return str(into)


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("second") / "archive"


@pytest.fixture(scope="module")
def tiered(tmp_path_factory: pytest.TempPathFactory, second: Path) -> Iterator[ServerProcess]:
    environment = {
        **QUICK,
        "HOUNSFIELD_ARCHIVE_BLOBS_URL": str(second),
        "HOUNSFIELD_RELEASE_AFTER_SECONDS": "0",
        "HOUNSFIELD_LEASE_SECONDS": "1.5",
        "HOUNSFIELD_IMPORT_WORKERS": "1",
    }
    process = ServerProcess(tmp_path_factory.mktemp("tiered") / "data", environment).start()
    yield process
    process.stop()


@pytest.fixture(scope="module")
def wakeup(tiered: ServerProcess) -> Bell:
    return Bell(tiered, tiered.client())


@pytest.fixture
def places(tiered: ServerProcess, second: Path, wakeup: Bell) -> Places:
    return Places(tiered, second, wakeup)


def test_packs_go_and_come_back_and_are_read_from_either_place(places: Places) -> None:
    client, datastore = places.client, places.datastore
    (image_set,) = places.imported(slice_of())
    (other,) = places.imported(slice_of(2))
    packs = places.frequent()
    places.rest(image_set)
    moved = places.archived_first()
    assert len(moved) == 1
    places.come_to_be(packs - moved, moved)
    # This server has not read the pack yet, so it has to look for it.
    assert len(verified(client, datastore, image_set)) == 1
    comes_to(client, datastore, image_set, FREQUENT)
    places.come_to_be(packs, set())
    assert len(verified(client, datastore, image_set)) == 1
    assert len(verified(client, datastore, other)) == 1


def test_the_packs_of_all_versions_go(places: Places) -> None:
    (image_set, _) = places.imported(slice_of(number=1), slice_of(number=2))
    places.imported(slice_of(number=2, pixels=noise(64, 64, seed=9)))
    before = {
        version: document(places.client, places.datastore, image_set, versionId=version) for version in ("1", "2")
    }
    packs = places.frequent()
    assert len(packs) == 3
    places.rest_again(image_set)
    places.come_to_be(set(), packs)
    for version, wanted in before.items():
        assert document(places.client, places.datastore, image_set, versionId=version) == wanted
    places.come_to_be(packs, set())


def test_a_shared_pack_goes_with_the_last_image_set_and_comes_back_with_the_first(places: Places) -> None:
    client, datastore = places.client, places.datastore
    (source,) = places.imported(slice_of())
    (mark,) = places.imported(slice_of(2))
    both = places.frequent()
    places.rest(mark)
    (aside,) = places.archived_first()
    (pack,) = both - {aside}
    places.come_to_be({pack}, {aside})
    copy = places.copy(source)
    places.rest(source)
    places.rest(mark)
    places.come_to_be({pack}, {aside})
    places.rest(copy)
    places.come_to_be(set(), {pack, aside})
    # A copy of an archived image set is new, and so is read often.
    again = places.copy(source)
    places.come_to_be({pack}, {aside})
    # It goes when nobody but archived image sets needs it any more.
    deleted(client, datastore, again)
    places.come_to_be(set(), {pack, aside})
    assert len(verified(client, datastore, copy)) == 1
    places.come_to_be({pack}, {aside})
    deleted(client, datastore, source)
    assert len(verified(client, datastore, copy)) == 1


def test_deleting_removes_packs_from_either_place(places: Places) -> None:
    image_set, other = places.imported(slice_of(), slice_of(2))
    places.rest(image_set)
    places.archived_first()
    wait_for(lambda: len(places.frequent()) == 1, "it to be in one place")
    deleted(places.client, places.datastore, image_set)
    wait_for(lambda: not places.archived(), "the archived pack to be deleted")
    deleted(places.client, places.datastore, other)
    places.come_to_be(set(), set())
    assert places.client.delete_datastore(datastoreId=places.datastore)["datastoreStatus"] == "DELETING"


def test_a_damaged_pack_stays_and_holds_up_no_other(places: Places) -> None:
    image_sets = places.imported(slice_of(), slice_of(2))
    packs = places.frequent()
    damaged = min(packs)
    (path,) = (places.server.data / "blobs").rglob(damaged)
    data = path.read_bytes()
    path.write_bytes(data[:300] + bytes([data[300] ^ 1]) + data[301:])
    places.rest(*image_sets)
    places.come_to_be({damaged}, packs - {damaged})
    told = f'"pack": "{damaged}"'

    def is_told() -> bool:
        return any(told in line and "pack damaged" in line for line in places.server.log_text().splitlines())

    wait_for(is_told, "the log to tell of the damaged pack")
    assert places.frequent() == {damaged}


def test_orphans_are_found_in_either_place(places: Places) -> None:
    (image_set,) = places.imported(slice_of())
    packs = places.frequent()
    places.rest(image_set)
    places.come_to_be(set(), packs)
    settings = Settings(data=places.server.data, archive_blobs_url=str(places.second))
    two_days = 2 * 24 * 3600
    for folder in (places.second, places.server.data / "blobs"):
        orphan = folder / "packs" / places.datastore / "ff" / ("f" * 32)
        orphan.parent.mkdir(parents=True, exist_ok=True)
        orphan.write_bytes(b"nobody's")
        for path in (folder / "packs" / places.datastore).rglob("*"):
            if path.is_file():
                _age(path, two_days)
    assert swept(settings) == swept(settings, hours_later=25) == 1
    assert (places.frequent(), places.archived()) == (set(), packs)
    assert len(verified(places.client, places.datastore, image_set)) == 1


def _age(path: Path, seconds: float) -> None:
    moment = time.time() - seconds
    os.utime(path, (moment, moment))


def test_readers_notice_nothing_of_moves_and_killed_runners(places: Places) -> None:
    client, datastore = places.client, places.datastore
    slices = [slice_of(series, number, pixels=noise(256, 256, seed=number)) for series in (1, 2) for number in range(8)]
    image_sets = sorted(set(places.imported(*slices)))
    ids = {name: frame_ids(client, datastore, name) for name in image_sets}
    wanted = {name: frames(client, datastore, name, ids[name]) for name in image_sets}
    packs = places.frequent()
    stop, wrong = threading.Event(), []

    def read() -> None:
        own = places.server.client()
        # The pauses leave the processor to the runners, which start again and again.
        while not stop.wait(0.02):
            for name in image_sets:
                try:
                    if frames(own, datastore, name, ids[name]) != wanted[name]:
                        wrong.append("other bytes")
                except Exception as error:
                    wrong.append(repr(error))

    reader = threading.Thread(target=read)
    reader.start()
    dice = random.Random(4)
    left: frozenset[str] = frozenset()
    try:
        moves = 0
        for _ in range(4):
            wait_for(
                lambda left=left: places.archived() - left or rested(places.server, *image_sets),
                "a pack to be archived",
            )
            moves += 1
            time.sleep(dice.uniform(0, 0.3))
            for runner in runners(places.server):
                runner.kill()
                runner.wait(120)
            left = places.left_behind()
            wait_for(lambda: runners(places.server), "another runner to start")
    finally:
        stop.set()
        reader.join()
    assert wrong == []
    assert moves == 4
    # The reader may have ended before the last sweep archived what it had read: only what is accessed after that comes back.
    for name in image_sets:
        assert frames(client, datastore, name, ids[name]) == wanted[name]
    places.come_to_be(packs, set(), left)
    for name in image_sets:
        assert frames(client, datastore, name, ids[name]) == wanted[name]


def test_a_death_at_any_step_loses_nothing(tmp_path: Path) -> None:
    """Packs go and come back again and again, each time with a death one step later; the next runner finishes."""
    server = ServerProcess(tmp_path / "data", QUICK).start()
    try:
        client = server.client()
        datastore = active_datastore(client)
        image_set, _ = imported(server, client, datastore, slice_of(number=1), slice_of(number=2))
    finally:
        server.stop()
    second = tmp_path / "second"
    image_store, _ = open_image_store(Settings(data=server.data, archive_blobs_url=str(second), lease_seconds=0.0))
    first = image_store.blob_location.folder
    assert first is not None
    packs = packs_in(Path(first), datastore)
    assert len(packs) == 2
    content = {name: path.read_bytes() for path in Path(first).rglob("*") if (name := path.name) in packs}

    def swept(after_days: float, mortality: Mortality) -> bool:
        """Run one sweep; tell whether it came to its end."""
        tiers = image_store.tiers
        assert tiers is not None
        mortal = TieredBlobs(MortalBlobs(tiers.frequent, mortality), MortalBlobs(tiers.archived, mortality), far=False)
        own = replace(image_store, tiers=mortal, blobs=mortal)
        sweeper = TierSweeper(own, archive_after_seconds=after_days * 86400, every_seconds=0, stop=threading.Event())
        item = wait_for(lambda: image_store.queue.claim([SWEEP_TIERS], "test"), "the work to be free")
        try:
            sweeper.run(item)
        except KilledError:
            return False
        return True

    def whole() -> bool:
        """Every pack is whole in one place at least."""
        found = [path for place in (Path(first), second) for path in place.rglob("*") if path.name in packs]
        assert all(path.read_bytes() == content[path.name] for path in found)
        return {path.name for path in found} == packs

    image_store.queue.schedule(SWEEP_TIERS)
    moment, deaths, ended = 0, 0, 0
    while ended < 2:
        ended = 0
        for after_days, here, there in ((30.0, second, Path(first)), (0.0, Path(first), second)):
            if after_days:
                put_back(image_store.database, [image_set], days=31)
            alive = swept(after_days, Mortality(moment))
            deaths, ended = deaths + (not alive), ended + alive
            assert whole()
            assert swept(after_days, Mortality(None))
            left = {name for name in packs_in(here, datastore) if not name.startswith(".")}
            assert left == packs
            assert not {name for name in packs_in(there, datastore) if not name.startswith(".")}
        moment += 1
    assert deaths > 40
    image_store.database.close()


def test_a_second_place_that_cannot_be_is_refused(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (tmp_path / "link").symlink_to(data / "blobs")
    wrong = {
        "it must be another one": (
            {"archive_blobs_url": str(data / "blobs")},
            {"archive_blobs_url": f"file://{tmp_path / 'link'}"},
            {"blobs_url": "s3://packs/here", "archive_blobs_url": "s3://packs/here/"},
        ),
        "must be readable at once": ({"archive_storage_class": "DEEP_ARCHIVE"},),
    }
    for said, many in wrong.items():
        for some in many:
            with pytest.raises(SettingsError, match=said):
                open_image_store(Settings(data=data, **some))


def test_packs_are_not_trusted_to_a_place_that_is_not_mounted(
    places: Places, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """An empty mount point looks like a place without packs; what goes there would be hidden when it is mounted again."""
    (image_set,) = places.imported(slice_of())
    packs = places.frequent()
    places.rest(image_set)
    places.come_to_be(set(), packs)
    away = places.second.with_name("away")
    ids = frame_ids(places.client, places.datastore, image_set)
    places.come_to_be(packs, set())
    places.second.rename(away)
    try:
        places.rest_again(image_set)
        wait_for(
            lambda: "is not the place that packs were moved to" in places.server.log_text(), "the runner to say so"
        )
        assert places.frequent() == packs
        assert len(frames(places.client, places.datastore, image_set, ids)) == 1
    finally:
        for path in places.second.rglob("*"):
            assert path.is_dir(), "nothing was written into the mount point"
        shutil.rmtree(places.second, ignore_errors=True)
        away.rename(places.second)
    places.rest_again(image_set)
    places.come_to_be(set(), packs)
    with pytest.raises(SettingsError, match="HOUNSFIELD_ARCHIVE_BLOBS_URL is not set"):
        open_image_store(Settings(data=places.server.data))
