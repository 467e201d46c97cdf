"""Lock of the backups of an installation: one at a time, so that none removes what another relies on.

embedded database ─▶ lock of a file beside it        PostgreSQL ─▶ advisory lock of a session

Both end with the process that holds them, even when it is killed.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import text

from hounsfield.imaging.backup.errors import BackupError
from hounsfield.storage.db.database import Database

_NAME: Final = 0x48_66_42_61_63_6B


@contextmanager
def lock_backups(database: Database, folder: Path) -> Iterator[None]:
    """Hold the lock for the length of a block.

    Parameters
    ----------
    database : Database
        The database of the installation.
    folder : Path
        Its data folder.

    Raises
    ------
    BackupError
        Another backup is under way.
    """
    taken = "another backup of this installation is under way; wait for its end"
    if database.log is not None:
        with (folder / "backup.lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise BackupError(taken) from error
            yield
        return
    with database.engine.connect() as connection:
        if not connection.execute(text("SELECT pg_try_advisory_lock(:name)"), {"name": _NAME}).scalar_one():
            raise BackupError(taken)
        # The lock is the session's; a transaction left open would keep old rows from being cleaned up.
        connection.commit()
        try:
            yield
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(:name)"), {"name": _NAME})
            connection.commit()
