"""The work queue: rows that are added with the change that needs them, leased, and removed with their effects.

    enqueue ──▶ waiting ──claim──▶ leased ──finish──▶ gone
                   ▲                  │
                   └── release, or the lease runs out

Leases and pauses go by the time of the installation, which no clock of a machine moves (`hounsfield.storage.db.steady_clock`).

A runner that is killed loses nothing: its lease runs out and another runner claims the item. A runner that only seemed dead
cannot do harm: `hold` and `finish` fail inside its transaction when the lease is no longer its own.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from hounsfield.jobs.wakeup import Wakeup
from hounsfield.storage.db.database import Database
from hounsfield.storage.db.errors import DatabaseTroubleError
from hounsfield.storage.db.job_tables import work_items
from hounsfield.storage.db.steady_clock import SteadyClock, steady_ms
from hounsfield.storage.identifiers import new_id


class LeaseLostError(Exception):
    """The lease of a work item ran out and somebody else may have it."""


@dataclass(frozen=True, slots=True)
class WorkItem:
    """A leased piece of work: what kind, about which subject, how often it was begun, and since when it is there."""

    id: str
    kind: str
    subject_id: str
    owner: str
    attempts: int
    since: int


class WorkQueue:
    """The queue of work items in the database.

    Parameters
    ----------
    database : Database
        Where the rows are.
    lease_seconds : float
        How long a claim holds without being renewed.
    wakeup : Wakeup or None
        Rung for every item put in; None leaves it to runners to look.

    Attributes
    ----------
    clock : SteadyClock
        The time of the installation.
    """

    def __init__(self, database: Database, lease_seconds: float = 15.0, wakeup: Wakeup | None = None) -> None:
        self._database = database
        self._wakeup = wakeup
        self.clock = SteadyClock(database)
        self.lease_seconds = lease_seconds

    def enqueue(self, connection: Connection, kind: str, subject_id: str) -> None:
        """Add an item in the caller's transaction."""
        # The time of this process may be ahead of a runner's that begins later; what the database has is not.
        since, available_at = self.clock.follow(connection), steady_ms(connection)
        connection.execute(
            insert(work_items).values(
                id=new_id(), kind=kind, subject_id=subject_id, available_at=available_at, since=since, attempts=0
            )
        )
        if self._wakeup is not None:
            self._wakeup.notify(connection)

    def listen(self, woken: Callable[[], None], stop: threading.Event) -> None:
        """Call ``woken`` soon after items were put in, as far as that is heard, until ``stop`` is set."""
        if self._wakeup is not None:
            self._wakeup.listen(woken, stop)

    def schedule(self, kind: str, subject_id: str = "all") -> None:
        """Make sure that there is the one item of work that comes again and again: its handler releases it, never ends it."""
        there = select(work_items.c.id).where(work_items.c.kind == kind, work_items.c.subject_id == subject_id)
        # Of two runners that start at the same time, one finds the item there only when it commits.
        with contextlib.suppress(IntegrityError), self._database.write() as connection:
            if connection.execute(there).first() is None:
                self.enqueue(connection, kind, subject_id)

    def claim(self, kinds: Collection[str], owner: str) -> WorkItem | None:
        """Take the item that has waited longest, or None when there is none."""
        available = (
            select(work_items.c.id)
            .where(work_items.c.kind.in_(list(kinds)), work_items.c.available_at <= bindparam("now"))
            .order_by(work_items.c.available_at, work_items.c.since)
            .limit(1)
        )
        with self._database.read() as connection:
            if connection.execute(available, {"now": self.clock.follow(connection)}).first() is None:
                return None
        with self._database.write() as connection:
            if connection.dialect.name == "postgresql":
                available = available.with_for_update(skip_locked=True)
            row = connection.execute(available, {"now": self.clock.now()}).first()
            if row is None:
                return None
            self.clock.advance(connection)
            taken = connection.execute(
                update(work_items)
                .where(work_items.c.id == row.id)
                .values(lease_owner=owner, available_at=self._lease_end(), attempts=work_items.c.attempts + 1)
                .returning(work_items)
            ).one()
        return WorkItem(taken.id, taken.kind, taken.subject_id, owner, taken.attempts, taken.since)

    def take(self, kind: str, owner: str, subject_id: str = "all") -> WorkItem | None:
        """Take the one item of work that comes again and again, also before its time; None while somebody has its lease."""
        free = (work_items.c.lease_owner.is_(None)) | (work_items.c.available_at <= bindparam("now"))
        with self._database.write() as connection:
            now = self.clock.advance(connection)
            taken = connection.execute(
                update(work_items)
                .where(work_items.c.kind == kind, work_items.c.subject_id == subject_id, free)
                .values(lease_owner=owner, available_at=self._lease_end())
                .returning(work_items),
                {"now": now},
            ).one_or_none()
        if taken is None:
            return None
        return WorkItem(taken.id, taken.kind, taken.subject_id, owner, taken.attempts, taken.since)

    @contextlib.contextmanager
    def renewed(self, item: WorkItem) -> Iterator[None]:
        """Keep the lease for the time of a block, outside of a runner, as far as the database can be reached."""
        ended = threading.Event()

        def renew() -> None:
            while not ended.wait(self.lease_seconds / 3):
                with contextlib.suppress(LeaseLostError, DatabaseTroubleError):
                    self.renew(item)

        thread = threading.Thread(target=renew, name="lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def renew(self, item: WorkItem) -> None:
        """Extend the lease; raises `LeaseLostError`."""
        with self._database.write() as connection:
            self.hold(connection, item)
            self.clock.advance(connection)

    def hold(self, connection: Connection, item: WorkItem) -> None:
        """Make sure, inside the caller's transaction, that the lease is still ours until it commits, and extend it.

        Raises
        ------
        LeaseLostError
            Somebody else has the item, or it is done.
        """
        changed = connection.execute(
            update(work_items)
            .where(work_items.c.id == item.id, work_items.c.lease_owner == item.owner)
            .values(available_at=self._lease_end())
        )
        if changed.rowcount != 1:
            raise LeaseLostError(f"lease of {item.kind} {item.subject_id} was lost")

    def finish(self, connection: Connection, item: WorkItem) -> None:
        """Remove the item in the transaction that writes its effects; raises `LeaseLostError`."""
        removed = connection.execute(
            delete(work_items).where(work_items.c.id == item.id, work_items.c.lease_owner == item.owner)
        )
        if removed.rowcount != 1:
            raise LeaseLostError(f"lease of {item.kind} {item.subject_id} was lost")

    def release_lease(self, item: WorkItem, delay_seconds: float, *, failed: bool = True) -> None:
        """Free the item, to be taken again after a delay; an attempt that did not fail does not count as one."""
        attempts = item.attempts if failed else item.attempts - 1
        with self._database.write() as connection:
            connection.execute(
                update(work_items)
                .where(work_items.c.id == item.id, work_items.c.lease_owner == item.owner)
                .values(lease_owner=None, attempts=attempts, available_at=self.clock.now() + int(delay_seconds * 1000))
            )

    def _lease_end(self) -> int:
        return self.clock.now() + int(self.lease_seconds * 1000)
