"""Backups that are damaged, cut short, of others or do not open are refused, with what to do, and nothing is written over."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from support.clients.dicomweb import part10, store
from support.files.synthetic import noise, slice_of
from support.identities.users import command
from support.servers import ServerProcess, active_datastore

ENVIRONMENT = {"HOUNSFIELD_STORE_WORKERS": "1"}


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> ServerProcess:
    """An installation with one image set, whose server is stopped."""
    server = ServerProcess(tmp_path_factory.mktemp("refused") / "data", ENVIRONMENT).start()
    try:
        datastore = active_datastore(server.client())
        assert store(server, datastore, [part10(slice_of(pixels=noise(32, 32)))]).status_code == 200
    finally:
        server.stop()
    return server


@pytest.fixture(scope="module")
def backup(stopped: ServerProcess, passphrase: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("backup") / "there"
    result = command(stopped, "backup", str(target), *passphrase)
    assert result.exit_code == 0, result.output
    return target


@pytest.fixture
def copy(backup: Path, tmp_path: Path) -> Path:
    """A copy of the backup, to be damaged."""
    return Path(shutil.copytree(backup, tmp_path / "copy"))


def generation(backup: Path) -> Path:
    (found,) = (backup / "generations").iterdir()
    return found


def restored(source: Path, data: Path, *options: str) -> Result:
    return command(ServerProcess(data), "restore", str(source), *options)


def remove_manifest(backup: Path) -> None:
    (generation(backup) / "manifest.json").unlink()


def cut_manifest(backup: Path) -> None:
    path = generation(backup) / "manifest.json"
    path.write_bytes(path.read_bytes()[:-20])


def change_manifest(backup: Path) -> None:
    path = generation(backup) / "manifest.json"
    content = json.loads(path.read_bytes())
    content["rows"]["image_sets"] = 7
    path.write_text(json.dumps(content))


def newer_schema(backup: Path) -> None:
    path = generation(backup) / "manifest.json"
    content = json.loads(path.read_bytes())
    content["schema"] = "9999"
    path.write_text(json.dumps(content))


def newer_format(backup: Path) -> None:
    path = generation(backup) / "manifest.json"
    content = json.loads(path.read_bytes())
    content["version"] = 2
    path.write_text(json.dumps(content))


def cut_table(backup: Path) -> None:
    path = sorted((generation(backup) / "tables").iterdir())[3]
    path.write_bytes(path.read_bytes()[:-1])


def exchange_tables(backup: Path) -> None:
    first, second = sorted((generation(backup) / "tables").iterdir())[:2]
    kept = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(kept)


def remove_table(backup: Path) -> None:
    sorted((generation(backup) / "tables").iterdir())[0].unlink()


def cut_list(backup: Path) -> None:
    (path,) = (generation(backup) / "packs").iterdir()
    path.write_bytes(path.read_bytes()[:-1])


def remove_keys(backup: Path) -> None:
    (path,) = (backup / "keys").iterdir()
    path.unlink()


def damage_keys(backup: Path) -> None:
    (path,) = (backup / "keys").iterdir()
    path.write_text("{}")


def remove_mark(backup: Path) -> None:
    (backup / "backup.json").unlink()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (remove_manifest, "holds no complete generation; 1 were cut short; none is complete"),
        pytest.param(cut_manifest, "manifest.json of the backup is damaged", marks=pytest.mark.slow),
        pytest.param(change_manifest, "manifest.json of the backup was changed", marks=pytest.mark.slow),
        pytest.param(newer_schema, "has tables of revision 9999", marks=pytest.mark.slow),
        pytest.param(newer_format, "is of version 2, this Hounsfield reads 1", marks=pytest.mark.slow),
        (cut_table, "is not as it was written; restore another generation"),
        pytest.param(exchange_tables, "is not as it was written; restore another generation", marks=pytest.mark.slow),
        pytest.param(remove_table, "is missing in the backup", marks=pytest.mark.slow),
        pytest.param(cut_list, "is not as it was written; restore another generation", marks=pytest.mark.slow),
        pytest.param(remove_keys, "is missing in the backup", marks=pytest.mark.slow),
        pytest.param(damage_keys, "is damaged", marks=pytest.mark.slow),
        pytest.param(remove_mark, "holds no backup of Hounsfield", marks=pytest.mark.slow),
    ],
)
def test_what_is_not_whole_is_refused(
    copy: Path, tmp_path: Path, passphrase: tuple[str, str], damage: Callable[[Path], None], said: str
) -> None:
    damage(copy)
    result = restored(copy, tmp_path / "data", *passphrase)
    assert (result.exit_code, said in result.output) == (3, True), result.output
    # No server starts with what may be there.
    assert not (tmp_path / "data/keys/master.json").exists()


@pytest.mark.slow
def test_a_damaged_pack_is_told_and_left_out(copy: Path, tmp_path: Path, passphrase: tuple[str, str]) -> None:
    (pack,) = (path for path in (copy / "packs").rglob("*") if path.is_file())
    data = bytearray(pack.read_bytes())
    data[100] ^= 1
    pack.write_bytes(data)
    result = restored(copy, tmp_path / "data", *passphrase)
    assert result.exit_code == 1, result.output
    assert f"{pack.name} of the backup is damaged, and was left out" in result.output


def test_wrong_passphrase(backup: Path, stopped: ServerProcess, tmp_path: Path) -> None:
    (tmp_path / "other").write_text("backup of another ward")
    for result in (
        restored(backup, tmp_path / "data", "--passphrase-file", str(tmp_path / "other")),
        command(stopped, "backup", str(backup), "--passphrase-file", str(tmp_path / "other")),
    ):
        assert (result.exit_code, "the passphrase is another one" in result.output) == (3, True), result.output
    assert not (tmp_path / "data").exists()


def test_nothing_is_written_over(
    backup: Path, stopped: ServerProcess, tmp_path: Path, passphrase: tuple[str, str]
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "notes").write_text("mine")
    for data in (tmp_path / "data", stopped.data):
        result = restored(backup, data, *passphrase)
        assert (result.exit_code, "is not empty" in result.output) == (3, True), result.output
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["notes"]


def test_a_restore_that_was_interrupted_goes_on(backup: Path, tmp_path: Path, passphrase: tuple[str, str]) -> None:
    broken = Path(shutil.copytree(backup, tmp_path / "broken"))
    table = sorted((generation(broken) / "tables").iterdir())[-1]
    content = table.read_bytes()
    table.unlink()
    assert restored(broken, tmp_path / "data", *passphrase).exit_code == 3
    server = ServerProcess(tmp_path / "data")
    refused = command(server, "verify")
    assert (refused.exit_code, "a restore into" in refused.output) == (3, True), refused.output
    other = restored(backup, tmp_path / "data", *passphrase)
    assert (other.exit_code, "a restore of something else" in other.output) == (3, True), other.output
    table.write_bytes(content)
    assert restored(broken, tmp_path / "data", *passphrase).exit_code == 0
    assert command(server, "verify", "--processes", "1").exit_code == 0


@pytest.mark.slow
def test_generations_are_chosen_by_name_and_by_time(backup: Path, tmp_path: Path, passphrase: tuple[str, str]) -> None:
    for choice, code in (
        (("--generation", "20200101T000000Z-00000000"), 3),
        (("--to", "2020-01-01T00:00:00Z"), 3),
        (("--to", "yesterday"), 2),
        (("--to", "2020-01-01T00:00:00"), 2),
        (("--to", "2020-01-01T00:00:00Z", "--generation", "x"), 2),
    ):
        assert restored(backup, tmp_path / "data", *choice, *passphrase).exit_code == code
    assert not (tmp_path / "data").exists()
    assert restored(tmp_path / "nowhere", tmp_path / "data", *passphrase).exit_code == 3


@pytest.mark.slow
def test_targets_that_cannot_be(
    backup: Path,
    stopped: ServerProcess,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    passphrase: tuple[str, str],
) -> None:
    def made(server: ServerProcess, target: Path, *options: str) -> tuple[int, str]:
        result = command(server, "backup", str(target), *options)
        return result.exit_code, result.output

    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes").write_text("mine")
    code, said = made(stopped, tmp_path / "full", *passphrase)
    assert (code, "holds something else than a backup" in said) == (3, True), said
    code, said = made(stopped, stopped.data / "backup", *passphrase)
    assert (code, "is to be backed up" in said) == (3, True), said
    code, said = made(stopped, tmp_path / "without-keys")
    assert (code, "give --passphrase-file or --kms-key" in said) == (3, True), said
    code, said = made(stopped, tmp_path / "both", "--kms-key", "arn", *passphrase)
    assert code == 2
    code, said = made(stopped, tmp_path / "short", "--passphrase-file", _file(tmp_path / "short-one", "short"))
    assert (code, "at least 12 characters" in said) == (2, True), said
    other = ServerProcess(tmp_path / "other", ENVIRONMENT).start()
    other.stop()
    code, said = made(other, backup, *passphrase)
    assert (code, "holds the backup of another installation" in said) == (3, True), said
    # What was there and is gone may be a disk that is not mounted.
    (backup / "backup.json").rename(backup.parent / "away")
    try:
        shutil.copytree(backup, tmp_path / "kept")
        code, said = made(stopped, backup, *passphrase)
        assert (code, "is it mounted" in said) == (3, True), said
    finally:
        (backup.parent / "away").rename(backup / "backup.json")
    assert made(ServerProcess(tmp_path / "none"), tmp_path / "backup", *passphrase)[0] == 3


def _file(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)
