"""Generations: only what is new is copied, old ones go with what only they needed; losses and a full disk are told."""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hounsfield.bootstrap.backup import BackupOrder, back_up
from hounsfield.bootstrap.image_store import open_image_store
from hounsfield.bootstrap.installation import open_database, open_keyring
from hounsfield.imaging.backup.lock import lock_backups
from hounsfield.imaging.backup.pruning import Retention
from hounsfield.imaging.backup.runs import RunState, list_runs
from hounsfield.imaging.backup.wrapped_keys import KeyProtection
from hounsfield.settings import Settings
from hounsfield.storage.blobs.blobs import Blobs
from support.backup.installations import ENVIRONMENT, backed_up, restored, store_study
from support.faults.data_rules import check_data_rules
from support.faults.small_disk import small_disk
from support.identities.users import command
from support.imaging.imports import image_sets
from support.servers import ServerProcess, active_datastore, wait_for


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    environment = {**ENVIRONMENT, "HOUNSFIELD_RELEASE_AFTER_SECONDS": "0"}
    process = ServerProcess(tmp_path_factory.mktemp("generations") / "data", environment).start()
    yield process
    process.stop()


def packs_of(folder: Path, datastore: str = "") -> set[str]:
    return {path.name for path in (folder / "packs" / datastore).rglob("*") if path.is_file()}


def test_incremental_and_pruned(server: ServerProcess, tmp_path: Path, passphrase: tuple[str, str]) -> None:
    client = server.client()
    datastore = active_datastore(client)
    target = tmp_path / "backup"
    store_study(server, datastore, 1)
    first = backed_up(server, target, *passphrase)
    (old,) = packs_of(target, datastore)
    marks = {path: path.stat().st_mtime_ns for path in (target / "packs").rglob("*") if path.is_file()}
    (deleted,) = image_sets(client, datastore)
    client.delete_image_set(datastoreId=datastore, imageSetId=deleted["imageSetId"])
    wait_for(lambda: not packs_of(server.data / "blobs", datastore), "the storage to be released")
    store_study(server, datastore, 2)
    # Unattended: the keys are there.
    second = backed_up(server, target)
    assert packs_of(target, datastore) > {old}
    assert {path: path.stat().st_mtime_ns for path in marks} == marks
    listed = json.loads(command(server, "backup", str(target), "--list", "--json").stdout)
    assert [entry["generation"] for entry in listed] == [first["generation"], second["generation"]]
    third = backed_up(server, target, "--keep", "1")
    assert third["prunedGenerations"] == [first["generation"], second["generation"]]
    assert packs_of(target, datastore) == packs_of(server.data / "blobs", datastore)
    copy = restored(target, tmp_path / "restored", *passphrase)
    check_data_rules(copy)


@pytest.mark.slow
def test_a_lost_pack_is_told_and_comes_back(server: ServerProcess, tmp_path: Path, passphrase: tuple[str, str]) -> None:
    datastore = active_datastore(server.client())
    store_study(server, datastore, 1)
    (pack,) = (path for path in (server.data / "blobs/packs" / datastore).rglob("*") if path.is_file())
    away = tmp_path / "away"
    pack.rename(away)
    target = tmp_path / "backup"
    made = backed_up(server, target, *passphrase, code=1)
    assert made["state"] == "lost-packs"
    assert pack.name not in packs_of(target)
    restored(target, tmp_path / "restored", *passphrase, code=1)
    away.rename(pack)
    made = backed_up(server, target)
    assert pack.name in packs_of(target)
    # What is cut in the backup is copied anew.
    there = next(path for path in (target / "packs").rglob(pack.name))
    whole = there.read_bytes()
    there.write_bytes(whole[:-1])
    backed_up(server, target)
    assert there.read_bytes() == whole


class VanishingPacks:
    """The blobs of an installation, in which something happens before the first one is read."""

    def __init__(self, blobs: Blobs, happens: Any) -> None:
        self._blobs, self._happens, self._lock = blobs, happens, threading.Lock()
        self.times = 0

    def size(self, name: str) -> int:
        with self._lock:
            if not self.times:
                self.times = 1
                self._happens()
        return self._blobs.size(name)

    def read(self, name: str, offset: int, length: int) -> bytes:
        return self._blobs.read(name, offset, length)


def test_packs_that_vanish_meanwhile(server: ServerProcess, tmp_path: Path, passphrase: tuple[str, str]) -> None:
    """A new snapshot is taken, and the generation is whole."""
    client = server.client()
    datastore = active_datastore(client)
    for study in (1, 2, 3):
        store_study(server, datastore, study)
    before = packs_of(server.data / "blobs", datastore)

    def delete() -> None:
        for entry in image_sets(client, datastore)[:2]:
            client.delete_image_set(datastoreId=datastore, imageSetId=entry["imageSetId"])
        wait_for(lambda: len(packs_of(server.data / "blobs", datastore)) == 1, "the storage to be released")
        store_study(server, datastore, 4)

    settings = Settings(data=server.data)
    image_store, keyring = open_image_store(settings)
    try:
        blobs = VanishingPacks(image_store.blobs, delete)
        order = BackupOrder(KeyProtection("backup of the ward"), anew=False, rate=0, retention=Retention())
        run, _ = back_up(
            settings,
            dataclasses.replace(image_store, blobs=blobs),
            keyring,
            str(tmp_path / "backup"),
            order,
            lambda *_: None,
            threading.Event(),
        )
        assert (run.state, blobs.times) == (RunState.COMPLETE, 1)
        assert list_runs(image_store.database)[0] == run
    finally:
        image_store.database.close()
    there = packs_of(tmp_path / "backup", datastore)
    # That of the study that was stored after the first snapshot, too.
    assert len(there - before) == 1
    copy = restored(tmp_path / "backup", tmp_path / "restored", *passphrase)
    check_data_rules(copy)


def test_one_at_a_time(server: ServerProcess, tmp_path: Path, passphrase: tuple[str, str]) -> None:
    settings = Settings(data=server.data)
    database = open_database(settings, open_keyring(settings))
    try:
        with lock_backups(database, server.data):
            second = command(server, "backup", str(tmp_path / "other"), *passphrase)
    finally:
        database.close()
    assert (second.exit_code, "another backup of this installation is under way" in second.output) == (3, True)


def test_no_room(server: ServerProcess, tmp_path: Path, passphrase: tuple[str, str]) -> None:
    store_study(server, active_datastore(server.client()), 1)
    with small_disk(tmp_path / "disk", 1 << 20) as disk:
        target = disk.folder / "backup"
        disk.fill_but(40 << 10)
        result = command(server, "backup", str(target), *passphrase)
        assert (result.exit_code, "there is no room left" in result.output) == (3, True), result.output
        refused = command(ServerProcess(tmp_path / "none"), "restore", str(target), *passphrase)
        assert (refused.exit_code, "no complete generation" in refused.output) == (3, True), refused.output
        assert not list((target / "packs").rglob(".*"))
        disk.empty()
        backed_up(server, target, *passphrase)
        check_data_rules(restored(target, tmp_path / "restored", *passphrase))
