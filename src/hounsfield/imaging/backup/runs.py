"""Runs of backups in the database, for whoever wants to know when the last one was and how it ended.

begin ─▶ running ─▶ save ─▶ … ─▶ complete, or complete without packs that are lost
                             └─▶ failed
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import delete, insert, select, update

from hounsfield.storage.clock import now_ms
from hounsfield.storage.db.backup_table import backup_runs
from hounsfield.storage.db.database import Database

_MOST_KEPT: Final = 20


class RunState(StrEnum):
    """How a run stands."""

    RUNNING = "running"
    """Under way, or ended with its process."""
    COMPLETE = "complete"
    LOST_PACKS = "lost-packs"
    """Its generation is complete but for packs that the installation itself has lost."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class BackupRun:
    """A run of a backup.

    Attributes
    ----------
    id : str
        The generation that it makes.
    target : str
        Folder or URL of the place, without credentials.
    state : RunState
        How it stands.
    began_at, updated_at : int
        In milliseconds since 1970-01-01 UTC.
    packs, bytes : int
        Packs of the generation, and their bytes.
    copied_bytes : int
        Bytes that were not there before.
    message : str
        Why it failed; empty otherwise.
    """

    id: str
    target: str
    state: RunState
    began_at: int
    updated_at: int
    packs: int = 0
    bytes: int = 0
    copied_bytes: int = 0
    message: str = ""


def begin_run(database: Database, generation: str, target: str) -> BackupRun:
    """Note that a backup begins, and forget the oldest runs."""
    now = now_ms()
    begun = BackupRun(generation, target, RunState.RUNNING, now, now)
    columns = backup_runs.c
    with database.write() as connection:
        newest = select(columns.id).order_by(columns.began_at.desc(), columns.id).limit(_MOST_KEPT - 1)
        kept = connection.execute(newest).scalars().all()
        connection.execute(delete(backup_runs).where(columns.id.not_in(kept)))
        connection.execute(insert(backup_runs).values(**asdict(begun)))
    return begun


def save_run(database: Database, run: BackupRun) -> BackupRun:
    """Write down how a run stands now."""
    saved = replace(run, updated_at=now_ms())
    with database.write() as connection:
        connection.execute(update(backup_runs).where(backup_runs.c.id == run.id).values(**asdict(saved)))
    return saved


def list_runs(database: Database) -> list[BackupRun]:
    """Return the runs that are kept, the newest first."""
    columns = backup_runs.c
    with database.read() as connection:
        rows = connection.execute(select(backup_runs).order_by(columns.began_at.desc(), columns.id.desc())).mappings()
        return [_read(dict(row)) for row in rows]


def _read(values: dict[str, Any]) -> BackupRun:
    return BackupRun(**{**values, "state": RunState(values["state"])})
