"""Key of the embedded database: wrapped in a file, and its change.

    nobody uses the database? ─▶ copy ─▶ the copy gets the new key, and is checked ─▶ database.key.next ─▶ the copy takes the
    place of the database ─▶ database.key.next takes the place of database.key

At any moment one of the two key files opens the database: `database_key` asks which, and finishes what was begun.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import sqlcipher3.dbapi2

from hounsfield.storage.db.errors import DatabaseDamagedError
from hounsfield.storage.durable_files import sync_folder, write_file_durably
from hounsfield.storage.keys.data_key import KEY_BYTES, KeyUnavailableError, KeyWrapper
from hounsfield.storage.keys.master_keys import wrapping_key

_CONTEXT = "database"


class DatabaseInUseError(Exception):
    """A process uses the embedded database."""


class DatabaseKeyMissingError(Exception):
    """There is an embedded database whose key is gone."""


def database_key(path: Path, wrapper: KeyWrapper, database: Path | None = None) -> bytes:
    """Return the 32-byte key of the embedded database, kept wrapped in ``path`` and made on first use.

    Parameters
    ----------
    path : Path
        The file of the wrapped key.
    wrapper : KeyWrapper
        Wraps it.
    database : Path or None
        The database, which is asked where a change of the key did not come to its end.

    Raises
    ------
    KeyUnavailableError
        It was wrapped with a key that is gone, or is damaged.
    DatabaseKeyMissingError
        There is a database, and no key of it.
    OSError
        It cannot be read or written.
    """
    if not path.exists():
        # Whoever makes both for the first time makes the key first.
        if database is not None and database.exists() and not _following(path).exists() and not path.exists():
            raise DatabaseKeyMissingError(f"{path} is missing, and nothing else opens {database}")
        wrapped = wrapper.wrap(secrets.token_bytes(KEY_BYTES), _CONTEXT)
        write_file_durably(path, wrapped, mode=0o600, replace=False)
    following = _following(path)
    if database is not None and following.exists():
        with _changing(path):
            if following.exists():
                _finish(path, following, wrapper, database)
    return wrapper.unwrap(path.read_bytes(), _CONTEXT)


def rewrap_database_key(path: Path, wrapper: KeyWrapper, current: bytes) -> bool:
    """Wrap the key of the database with the current master key; False when it is already, or there is no such file."""
    with _changing(path):
        if not path.exists() or wrapping_key(path.read_bytes()) == current:
            return False
        write_file_durably(path, wrapper.wrap(wrapper.unwrap(path.read_bytes(), _CONTEXT), _CONTEXT), mode=0o600)
        return True


@contextmanager
def _changing(path: Path) -> Iterator[None]:
    with path.with_name(f"{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def use_database(database: Path) -> IO[str]:
    """Note that this process uses the database, until what this gives is closed or the process ends."""
    lock = Path(f"{database}.use").open("w")  # noqa: SIM115 - closed by whoever uses the database
    fcntl.flock(lock, fcntl.LOCK_SH)
    return lock


@contextmanager
def alone_with_database(database: Path) -> Iterator[None]:
    """Keep all others from the database, as a block; raises `DatabaseInUseError` where a process uses it."""
    with Path(f"{database}.use").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DatabaseInUseError("the database is in use: stop the server and all runners first") from error
        yield


def change_database_key(path: Path, wrapper: KeyWrapper, database: Path) -> None:
    """Encrypt the embedded database with a new key.

    It needs room for a second copy of the database beside it. Whatever ends it, the database opens as before or with the
    new key, and `database_key` knows which.

    Raises
    ------
    DatabaseInUseError
        A process uses the database.
    DatabaseDamagedError
        The database, or the copy of it, is not as it was written; nothing was changed.
    OSError
        There is no room for the copy; nothing was changed.
    """
    with alone_with_database(database):
        old = database_key(path, wrapper, database)
        new = secrets.token_bytes(KEY_BYTES)
        _fold_log(database, old)
        copy = database.with_name(f"{database.name}.rekeyed")
        following = _following(path)
        try:
            _copy_with_key(database, copy, old, new)
            write_file_durably(following, wrapper.wrap(new, _CONTEXT), mode=0o600)
            copy.replace(database)
        finally:
            copy.unlink(missing_ok=True)
        sync_folder(database.parent)
        following.replace(path)
        sync_folder(path.parent)


def _following(path: Path) -> Path:
    return path.with_name(f"{path.name}.next")


def _finish(path: Path, following: Path, wrapper: KeyWrapper, database: Path) -> None:
    """Bring a change of the key to its end that was left after the key was written."""
    if _opens(database, wrapper.unwrap(following.read_bytes(), _CONTEXT)):
        following.replace(path)
    elif _opens(database, wrapper.unwrap(path.read_bytes(), _CONTEXT)):
        following.unlink()
    else:
        raise KeyUnavailableError("neither of the two keys opens the database")
    sync_folder(path.parent)


def _fold_log(database: Path, key: bytes) -> None:
    """Bring everything from the write-ahead log into the database file."""
    connection = _connect(database, key)
    try:
        (busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        # Out of the mode of the log, so that the copy is one file.
        (mode,) = connection.execute("PRAGMA journal_mode = DELETE").fetchone()
    finally:
        connection.close()
    if busy or mode != "delete":
        raise DatabaseInUseError("the database is in use: stop the server and all runners first")


def _copy_with_key(database: Path, copy: Path, old: bytes, new: bytes) -> None:
    shutil.copyfile(database, copy)
    copy.chmod(0o600)
    connection = _connect(copy, old)
    try:
        connection.execute(f"PRAGMA rekey = \"x'{new.hex()}'\"")
    finally:
        connection.close()
    connection = _connect(copy, new)
    try:
        damaged = connection.execute("PRAGMA cipher_integrity_check").fetchall()
        answers = connection.execute("PRAGMA quick_check").fetchall()
    finally:
        connection.close()
    if damaged or answers != [("ok",)]:
        raise DatabaseDamagedError("the database is damaged, its key is left as it is")
    descriptor = os.open(copy, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _opens(database: Path, key: bytes) -> bool:
    connection = _connect(database, key)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master")
    except sqlcipher3.dbapi2.DatabaseError:
        return False
    finally:
        connection.close()
    return True


def _connect(database: Path, key: bytes) -> Any:
    connection = sqlcipher3.dbapi2.connect(str(database), isolation_level=None)
    connection.execute("PRAGMA cipher_log_level = NONE")
    connection.execute(f"PRAGMA key = \"x'{key.hex()}'\"")
    return connection
