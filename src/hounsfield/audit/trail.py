"""The audit trail of one process: takes events without blocking, and writes them in a thread.

    put ─────────▶ queue ─every 50 ms, or at once─▶ events ─▶ records ─▶ file ─at least every second─▶ fsync
    put_durably ─▶ queue ─at once──────────────────────────────────────────────────────────▶ fsync ─▶ the future is done

While the disk fails, events wait in memory; beyond a number they are lost, counted, and the number is recorded as soon as
the disk is back. On a disk that is nearly full only changes are recorded, in room that was taken for them; the rest is counted.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import replace
from typing import Final, TypeAlias

import structlog

from hounsfield.audit.chain_writer import ChainWriter
from hounsfield.audit.cloudtrail_record import HIDDEN, RecordBuilder
from hounsfield.audit.events import AuditEvent, Category, EventType, Failure, Json, Origin
from hounsfield.audit.unknown_callers import UnknownCallers
from hounsfield.runtime.supervised_threads import SupervisedThread

CAPACITY: Final = 20_000
"""Events that wait in memory at most."""

GATHER_SECONDS: Final = 0.05
"""How long events are gathered before they are written: what is lost at most when a process is killed."""

SYNC_SECONDS: Final = 1.0
"""How long what is written waits at most for its fsync: what is lost at most at a power cut."""

_RETRY_SECONDS: Final = 1.0
_log = structlog.get_logger(__name__)


Told: TypeAlias = AuditEvent | Callable[[], AuditEvent]
"""An event, or what makes it in the thread of the trail: something that holds little and waits for nothing."""


class NotRecordedError(Exception):
    """An event could not be made durable."""


class Trail:
    """The audit trail of one process.

    Parameters
    ----------
    chain : ChainWriter
        Where records go.
    maker : RecordBuilder
        Makes them.
    source : str
        Name of the service for what the trail has to say itself.
    unknown_callers : UnknownCallers
        Says which calls of those whom nobody knows get a record of their own.
    capacity : int
        Events that wait in memory at most.
    """

    def __init__(
        self,
        chain: ChainWriter,
        maker: RecordBuilder,
        source: str,
        unknown_callers: UnknownCallers,
        capacity: int = CAPACITY,
    ) -> None:
        self._chain = chain
        self._maker = maker
        self._source = source
        self._unknown_callers = unknown_callers
        self._capacity = capacity
        self._queue: deque[tuple[Told, Future[None] | None]] = deque()
        self._wakeup = threading.Event()
        self._urgent = threading.Event()
        self._stop = threading.Event()
        self._failing = False
        self._counting = False
        self._lost = 0
        self._losing = threading.Lock()
        self._thread = SupervisedThread("audit", self._run, self._stop)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self) -> None:
        """Write what waits and end the chain."""
        self._stop.set()
        self._urgent.set()
        self._wakeup.set()
        self._thread.join()

    @property
    def is_ready(self) -> bool:
        """Whether an event that happens now can be recorded, as far as that is known."""
        return self._thread.is_alive() and not self._failing and self._waiting < self._capacity

    @property
    def _waiting(self) -> int:
        return len(self._queue) + self._chain.unsynced

    def put(self, event: Told) -> None:
        """Take an event, or what makes it; it is durable soon."""
        if self._waiting >= self._capacity:
            with self._losing:
                self._lost += 1
            return
        self._queue.append((event, None))
        if not self._wakeup.is_set():
            self._wakeup.set()

    def put_unauthenticated(self, address: str, told: Callable[[], AuditEvent]) -> None:
        """Take what makes the event of a call whose caller is not known, or count it, so that there are few from an address."""
        if self._unknown_callers.admit(address):
            self.put(told)
        elif not self._counting:
            self._counting = True
            self._wakeup.set()

    def put_durably(self, event: AuditEvent) -> Future[None]:
        """Take an event; the future is done when it is durable, and raises `NotRecordedError` when that failed for now."""
        future: Future[None] = Future()
        if self._waiting >= self._capacity:
            with self._losing:
                self._lost += 1
            future.set_exception(NotRecordedError())
            return future
        self._queue.append((event, future))
        self._urgent.set()
        self._wakeup.set()
        return future

    def _run(self) -> None:
        synced_at = time.monotonic()
        while not self._stop.is_set():
            if self._failing:
                # Whoever puts events in must not make the failing disk be tried more often.
                self._stop.wait(_RETRY_SECONDS)
            else:
                self._wakeup.wait(self._pause(synced_at))
            self._wakeup.clear()
            if not self._failing and self._queue:
                self._urgent.wait(GATHER_SECONDS)
            self._urgent.clear()
            due = time.monotonic() - synced_at >= SYNC_SECONDS
            if self._write(sync=due or self._failing):
                synced_at = time.monotonic()
        self._record_counted(0.0)
        self._write(sync=True)
        with suppress(OSError):
            self._chain.close()

    def _pause(self, synced_at: float) -> float | None:
        """Return for how long the thread may sleep when nobody wakes it; None for ever."""
        if self._chain.is_short:
            return SYNC_SECONDS
        told_in = self._unknown_callers.due_in
        if self._chain.is_settled:
            return told_in
        synced_in = max(0.0, SYNC_SECONDS - (time.monotonic() - synced_at))
        return synced_in if told_in is None else min(synced_in, told_in)

    def _write(self, *, sync: bool) -> bool:
        """Write what waits; tells whether all that was written is durable."""
        records, waiters = self._take()
        self._chain.add(records)
        try:
            if waiters or sync:
                self._chain.sync()
            else:
                self._chain.write()
        except Exception as error:  # noqa: BLE001 - whoever waits must be told, whatever it is
            if not self._failing:
                reason = error.strerror if isinstance(error, OSError) else type(error).__name__
                _log.error("audit trail cannot be written", reason=reason)
            self._failing = True
            for waiter in waiters:
                with suppress(InvalidStateError):
                    waiter.set_exception(NotRecordedError())
            return False
        if self._failing:
            _log.warning("audit trail can be written again")
            self._failing = False
        for waiter in waiters:
            with suppress(InvalidStateError):
                waiter.set_result(None)
        if not self._chain.is_short:
            self._record_lost()
            self._record_counted()
        return not self._chain.unsynced

    def _take(self) -> tuple[list[bytes], list[Future[None]]]:
        records = []
        waiters = []
        while self._queue:
            told, waiter = self._queue.popleft()
            if self._chain.is_short and waiter is None and not _is_change(told):
                with self._losing:
                    self._lost += 1
                continue
            try:
                records.append(self._made(told if isinstance(told, AuditEvent) else told()))
            except Exception as error:  # noqa: BLE001 - a record that cannot be made must not end the trail; it is told of
                _log.error("audit record cannot be made", error=type(error).__name__)
                with self._losing:
                    self._lost += 1
                if waiter is not None:
                    with suppress(InvalidStateError):
                        waiter.set_exception(NotRecordedError())
            else:
                if waiter is not None:
                    waiters.append(waiter)
        return records, waiters

    def _made(self, event: AuditEvent) -> bytes:
        """Make a record; one whose details cannot be written down is made without them, so that the call itself is not lost."""
        try:
            return self._maker.record(event)
        except Exception as error:  # noqa: BLE001 - whatever it is, who called what is still to be told
            _log.error("audit record made without details", error=type(error).__name__)
            failure = event.failure and Failure(event.failure.code, HIDDEN)
            return self._maker.record(
                replace(event, parameters=None, response=None, additional={}, details=None, failure=failure)
            )

    def _record_lost(self) -> None:
        if not self._lost:
            return
        with self._losing:
            lost, self._lost = self._lost, 0
        _log.error("audit records were lost", count=lost)
        self._record("AuditRecordsLost", {"count": lost})

    def _record_counted(self, due_in: float | None = None) -> None:
        """Record how many calls were only counted, when that is due."""
        due_in = self._unknown_callers.due_in if due_in is None else due_in
        if due_in != 0:
            return
        self._counting = False
        counted = self._unknown_callers.take()
        if counted is not None:
            self._record("UnprovenCallsCounted", {"count": counted.count, "sourceIPAddresses": counted.networks})

    def _record(self, name: str, details: Mapping[str, Json]) -> None:
        """Record something that the trail has to say itself."""
        event = AuditEvent(
            name=name,
            source=self._source,
            time=time.time(),
            origin=Origin(self._source),
            category=Category.MANAGEMENT,
            read_only=True,
            type=EventType.SERVICE,
            details=details,
        )
        self._queue.append((event, None))
        self._wakeup.set()


def _is_change(told: Told) -> bool:
    """Return whether an event is of something that was changed; what is made later is of what was read or refused."""
    return isinstance(told, AuditEvent) and not told.read_only
