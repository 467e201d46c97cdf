"""A new master key, and a new key of the database: whatever ends the change, everything opens, and it can be done again."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import LargeBinary, event, insert, select
from sqlalchemy.engine import Engine

from hounsfield.storage.db.database import Database
from hounsfield.storage.db.engines import open_embedded
from hounsfield.storage.db.errors import DatabaseDamagedError
from hounsfield.storage.db.image_set_tables import datastores, metadata
from hounsfield.storage.keys.data_key import KeyUnavailableError
from hounsfield.storage.keys.database_key import (
    DatabaseInUseError,
    change_database_key,
    database_key,
    use_database,
)
from hounsfield.storage.keys.installation_secrets import installation_secret
from hounsfield.storage.keys.master_keys import LocalKeyring
from hounsfield.storage.keys.rotation import WRAPPED, WrappedKeys

STORES = ["a" * 32, "b" * 32, "c" * 32]
DIED = 9


@dataclass
class Installation:
    """The part of a data folder that holds keys."""

    folder: Path

    @property
    def keyring(self) -> LocalKeyring:
        return LocalKeyring(self.folder / "master.json")

    @property
    def file(self) -> Path:
        return self.folder / "h.db"

    @property
    def key_file(self) -> Path:
        return self.folder / "database.key"

    def open(self) -> Database:
        return open_embedded(self.file, database_key(self.key_file, self.keyring, self.file))

    def make(self) -> dict[str, bytes]:
        """Fill it; gives what must be readable for ever."""
        database = self.open()
        ring = self.keyring
        known = {name: bytes([number] * 32) for number, name in enumerate(STORES)}
        with database.write() as connection:
            for name, key in known.items():
                row = {"id": name, "account_id": "0" * 12, "name": name, "status": "ACTIVE", "lossless_format": "HTJ2K"}
                row |= {"wrapped_key": ring.wrap(key, name), "created_at": 1, "updated_at": 1}
                connection.execute(insert(datastores).values(**row))
        known["page-tokens"] = installation_secret(database, ring, "page-tokens")
        database.close()
        return known

    def read(self) -> dict[str, bytes]:
        database = self.open()
        ring = self.keyring
        with database.read() as connection:
            rows = connection.execute(select(datastores.c.id, datastores.c.wrapped_key)).all()
        known = {row.id: ring.unwrap(row.wrapped_key, row.id) for row in rows}
        known["page-tokens"] = installation_secret(database, ring, "page-tokens")
        database.close()
        return known

    def rotate(self) -> None:
        ring = self.keyring
        ring.prepare()
        ring.activate()
        database = self.open()
        list(WrappedKeys(database, self.key_file).rewrap(ring))
        database.close()

    def change_database_key(self) -> None:
        change_database_key(self.key_file, self.keyring, self.file)


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return Installation(tmp_path)


def dies_at(step: int, work: Callable[[], None]) -> bool:
    """Do some work in a process that ends before its nth change of a file or of the database; False when it came to its end."""
    child = os.fork()
    if child == 0:
        left = step

        def count(*_: Any) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                os._exit(DIED)

        def audit(name: str, arguments: tuple[Any, ...]) -> None:
            changes = name in {"os.rename", "os.remove", "os.link", "os.mkdir", "os.chmod", "shutil.copyfile"}
            if changes or (
                name == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
            ):
                count()

        try:
            sys.addaudithook(audit)
            event.listen(Engine, "commit", count)
            work()
        except BaseException:
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in {0, DIED}, "the work failed before it was ended"
    return code == DIED


@pytest.mark.parametrize("change", ["rotate", "change_database_key"])
def test_everything_opens_whatever_ends_the_change(installation: Installation, change: str) -> None:
    known = installation.make()
    step = 0
    while dies_at(step, getattr(installation, change)):
        assert installation.read() == known, f"after the end at step {step}"
        step += 1
    assert step > 5
    assert installation.read() == known
    # What was left half done is no hindrance, and nothing of it stays.
    getattr(installation, change)()
    assert installation.read() == known
    assert not [path.name for path in installation.folder.iterdir() if path.name.endswith((".next", ".rekeyed"))]


def test_a_rotation_leaves_nothing_to_the_old_key(installation: Installation) -> None:
    known = installation.make()
    old = installation.keyring.current.id
    installation.rotate()
    database = installation.open()
    uses = WrappedKeys(database, installation.key_file).uses()
    database.close()
    assert set(uses) == {installation.keyring.current.id} != {old}
    assert sum(uses[installation.keyring.current.id].values()) == len(known) + 1
    installation.keyring.remove([old])
    assert installation.read() == known


def test_a_process_that_runs_sees_the_new_key(installation: Installation) -> None:
    known = installation.make()
    running = installation.keyring
    old = running.current.id
    installation.rotate()
    database = installation.open()
    with database.read() as connection:
        wrapped = connection.execute(select(datastores.c.wrapped_key).where(datastores.c.id == STORES[0])).scalar_one()
    database.close()
    assert running.unwrap(wrapped, STORES[0]) == known[STORES[0]]
    assert not running.wrap(b"k", "c").startswith(old)


def test_a_prepared_key_opens_and_does_not_wrap(installation: Installation) -> None:
    ring = installation.keyring
    current = ring.current.id
    prepared = ring.prepare()
    assert ring.prepare() == prepared
    assert ring.wrap(b"k", "c").startswith(current)
    assert ring.activate() == prepared
    assert ring.wrap(b"k", "c").startswith(prepared.id)
    with pytest.raises(ValueError, match="current"):
        ring.remove([prepared.id])


def test_a_keyring_of_before_keys_had_dates_is_read(tmp_path: Path) -> None:
    ring = LocalKeyring(tmp_path / "master.json")
    wrapped = ring.wrap(b"k", "c")
    content = json.loads((tmp_path / "master.json").read_text())
    entries = [{"id": entry["id"], "key": entry["key"]} for entry in content["keys"]]
    (tmp_path / "master.json").write_text(json.dumps({"keys": entries}))
    old = LocalKeyring(tmp_path / "master.json")
    assert old.unwrap(wrapped, "c") == b"k"
    assert old.current.made_at is None
    old.prepare()
    assert old.activate().made_at is not None


def test_the_database_opens_with_its_new_key_only(installation: Installation) -> None:
    known = installation.make()
    old = database_key(installation.key_file, installation.keyring)
    installation.change_database_key()
    assert installation.read() == known
    assert database_key(installation.key_file, installation.keyring) != old
    with pytest.raises(Exception, match="SQLITE_NOTADB"):
        open_embedded(installation.file, old)


def test_the_key_of_a_database_in_use_stays(installation: Installation) -> None:
    installation.make()
    before = installation.key_file.read_bytes()
    with use_database(installation.file), pytest.raises(DatabaseInUseError, match="stop the server"):
        installation.change_database_key()
    assert installation.key_file.read_bytes() == before


def test_a_damaged_database_keeps_its_key(installation: Installation) -> None:
    installation.make()
    content = bytearray(installation.file.read_bytes())
    content[-2000] ^= 1
    installation.file.write_bytes(content)
    with pytest.raises((DatabaseDamagedError, Exception)):
        installation.change_database_key()
    assert installation.file.read_bytes()[-4096:] == content[-4096:]
    assert not (installation.folder / "database.key.next").exists()


def test_what_nothing_opens_is_told(installation: Installation) -> None:
    installation.make()
    key = installation.keyring.wrap(b"x" * 32, "database")
    installation.key_file.write_bytes(key)
    (installation.folder / "database.key.next").write_bytes(key)
    with pytest.raises(KeyUnavailableError, match="neither"):
        installation.open()


def test_every_column_that_may_be_wrapped_is_known() -> None:
    """A new column whose values the keyring wraps must be put into the list, or a rotation would leave it behind."""
    wrapped = {f"{column.wrapped.table.name}.{column.wrapped.name}" for column in WRAPPED}
    sealed = {"import_files.sealed_instance", "image_set_versions.sealed_levels", "image_set_versions.sealed_request"}
    open_ = {"frame_runs.lengths"}
    binary = {
        f"{table.name}.{column.name}"
        for table in metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, LargeBinary)
    }
    assert wrapped <= binary
    assert {name for name in binary if "wrapped" in name} == wrapped
    assert sealed | open_ | wrapped <= binary
