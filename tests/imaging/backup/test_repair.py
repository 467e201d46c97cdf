"""Packs that are damaged or lost are healed from a backup or from the archive location; others are left as they are."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.audit_trail import records
from support.backup.installations import ENVIRONMENT, backed_up, store_study
from support.identities.users import command
from support.servers import ServerProcess, active_datastore


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("repaired")
    environment = {**ENVIRONMENT, "HOUNSFIELD_ARCHIVE_BLOBS_URL": str(folder / "archive")}
    process = ServerProcess(folder / "data", environment).start()
    yield process
    process.stop()


def verified(server: ServerProcess, *options: str) -> tuple[int, dict[str, Any]]:
    result = command(server, "verify", "--json", "--processes", "1", *options)
    return result.exit_code, json.loads(result.stdout)


def test_damaged_and_lost_packs_are_healed(server: ServerProcess, tmp_path: Path, passphrase: tuple[str, str]) -> None:
    datastore = active_datastore(server.client())
    for study in range(1, 7):
        store_study(server, datastore, study)
    packs = sorted(path for path in (server.data / "blobs/packs" / datastore).rglob("*") if path.is_file())
    assert len(packs) == 6
    whole = {path: path.read_bytes() for path in packs}
    target = tmp_path / "backup"
    backed_up(server, target, *passphrase)
    intact, lost, cut, flipped, elsewhere, hopeless = packs
    lost.unlink()
    os.truncate(cut, 100)
    flipped.write_bytes(whole[flipped][:90] + bytes([whole[flipped][90] ^ 1]) + whole[flipped][91:])
    name = elsewhere.relative_to(server.data / "blobs")
    archived = Path(server.environment["HOUNSFIELD_ARCHIVE_BLOBS_URL"]) / name
    archived.parent.mkdir(parents=True)
    archived.write_bytes(whole[elsewhere])
    os.truncate(elsewhere, 100)
    for path in (target / name, target / hopeless.relative_to(server.data / "blobs")):
        path.write_bytes(path.read_bytes()[:-1] + b"x")
    os.truncate(hopeless, 100)
    before = intact.stat().st_ino
    code, report = verified(server)
    assert code == 1
    code, report = verified(server, "--repair")
    assert code == 1
    healed = {entry["packId"]: entry["source"] for entry in report["repairs"] if entry["healed"]}
    assert healed == {elsewhere.name: server.environment["HOUNSFIELD_ARCHIVE_BLOBS_URL"]}
    code, report = verified(server, "--repair", "--from", str(target))
    assert code == 1
    assert {entry["packId"] for entry in report["repairs"] if entry["healed"]} == {lost.name, cut.name, flipped.name}
    (left,) = (entry for entry in report["repairs"] if not entry["healed"])
    assert (left["packId"], "no whole copy of it was found" in left["why"]) == (hopeless.name, True)
    assert {entry["packId"] for entry in report["findings"]} == {hopeless.name}
    assert all(len(entry["imageSetIds"]) == 1 for entry in report["repairs"])
    for path in (intact, lost, cut, flipped, elsewhere):
        assert path.read_bytes() == whole[path]
    assert intact.stat().st_ino == before
    hopeless.write_bytes(whole[hopeless])
    assert verified(server)[0] == 0
    assert [record["eventName"] for record in records(server)].count("RepairPacks") == 2


@pytest.mark.slow
def test_repairs_that_cannot_be(server: ServerProcess, tmp_path: Path) -> None:
    assert command(server, "verify", "--from", str(tmp_path)).exit_code == 2
    datastore = active_datastore(server.client())
    store_study(server, datastore, 1)
    (pack,) = (path for path in (server.data / "blobs/packs" / datastore).rglob("*") if path.is_file())
    content = pack.read_bytes()
    os.truncate(pack, 100)
    for source in (tmp_path, tmp_path / "none"):
        result = command(server, "verify", "--processes", "1", "--repair", "--from", str(source))
        assert (result.exit_code, "nothing was repaired" in result.output) == (3, True), result.output
    pack.write_bytes(content)
