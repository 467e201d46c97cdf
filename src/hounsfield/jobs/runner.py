"""The runner: takes work items from the queue and gives each to the handler of its kind.

slot threads ──claim──▶ handler.run(item) ──▶ done, or released for another try
     ▲ woken by a notification; one of the idle ones looks by itself again and again, the others now and then
heartbeat thread ──renew──▶ every item under way
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

import structlog
from cachetools import LRUCache

from hounsfield.jobs.queue import LeaseLostError, WorkItem, WorkQueue
from hounsfield.runtime.supervised_threads import SupervisedThread
from hounsfield.storage.db.errors import DatabaseTroubleError
from hounsfield.storage.identifiers import new_id
from hounsfield.storage.keys.data_key_cache import run_fetching_keys
from hounsfield.storage.outages import describe_outage

_log = structlog.get_logger(__name__)
_LONGEST_DELAY_SECONDS = 60.0
_LONGEST_OUTAGE_DELAY_SECONDS = 10.0
_MOST_OUTAGES = 1024
_RENEWED_SECONDS = 0.1
_OTHERS_LOOK = 5
"""How many times as long the other idle slots wait as the one that looks for all."""


class StoppedError(Exception):
    """Work was left because the runner stops; what is not committed is done again by the next one."""


class WorkHandler(Protocol):
    """Does one kind of work."""

    def run(self, item: WorkItem) -> None:
        """Do the work and finish the item in the transaction of its effects; an exception gives it back for another try."""
        ...

    def give_up(self, item: WorkItem) -> None:
        """Record that the work failed too often, and finish the item."""
        ...


class WakeupSignal:
    """Wakes the idle slots of a process; a notification that comes while a slot looks for work is not missed."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._count = 0

    @property
    def count(self) -> int:
        """How many notifications there were."""
        return self._count

    def notify(self) -> None:
        """Wake everybody who waits."""
        with self._changed:
            self._count += 1
            self._changed.notify_all()

    def wait(self, seen: int, seconds: float) -> None:
        """Wait until there were more than ``seen`` notifications, but not for longer than ``seconds``."""
        with self._changed:
            self._changed.wait_for(lambda: self._count != seen, seconds)


class Runner:
    """Runs work items in a few threads until it is stopped.

    Parameters
    ----------
    queue : WorkQueue
        Where the work comes from.
    stop : threading.Event
        Ends the runner; handlers that take long look at it too.
    handlers : Mapping[str, WorkHandler]
        A handler per kind of work.
    slots : int
        How many items are worked on at the same time.
    poll_seconds : float
        How often one of the idle slots asks for work that it was not told of.
    max_attempts : int
        How often an item is begun before its handler gives it up.
    signal : WakeupSignal or None
        Tells idle slots of new work.
    failed : callable or None
        Is given what ended work that will be tried again; tells whether that is in the log already.
    """

    def __init__(
        self,
        queue: WorkQueue,
        handlers: Mapping[str, WorkHandler],
        stop: threading.Event,
        *,
        slots: int = 2,
        poll_seconds: float = 0.5,
        max_attempts: int = 20,
        signal: WakeupSignal | None = None,
        failed: Callable[[Exception], bool] | None = None,
    ) -> None:
        self._signal = signal or WakeupSignal()
        self._failed = failed
        self._queue = queue
        self._handlers = handlers
        self._slots = slots
        self._poll_seconds = poll_seconds
        self._max_attempts = max_attempts
        self._name = f"{socket.gethostname()[:20]}-{os.getpid()}-{new_id()[:8]}"
        self._stop = stop
        self._active: set[WorkItem] = set()
        self._outages: LRUCache[str, int] = LRUCache(_MOST_OUTAGES)
        self._lock = threading.Lock()
        self._looking = threading.Lock()
        self._ended = threading.Event()

    def run(self) -> None:
        """Work until the event ``stop`` is set."""
        slots = [
            SupervisedThread(f"slot-{n}", partial(self._slot, n), self._stop, daemon=False) for n in range(self._slots)
        ]
        # It goes on after the others were asked to end, until they have.
        heartbeat = SupervisedThread("heartbeat", self._heartbeat, self._ended, daemon=False)
        for thread in (*slots, heartbeat):
            thread.start()
        for thread in slots:
            thread.join()
        self._ended.set()
        heartbeat.join()

    def _slot(self, number: int) -> None:
        owner = f"{self._name}-{number}"
        while not self._stop.is_set():
            item = None
            seen = self._signal.count
            try:
                item = self._queue.claim(self._handlers.keys(), owner)
                if item is not None:
                    self._work(item)
            except Exception:  # noqa: BLE001 - the last resort of a process that must go on
                # The database may be away; an item that could not be given back comes back when its lease runs out.
                _log.exception("taking work failed")
                self._stop.wait(1.0)
            if item is None and not self._stop.is_set():
                self._rest(seen)

    def _rest(self, seen: int) -> None:
        """Wait for a notification or until it is time to look: soon for one slot, which does so for all idle ones."""
        if self._looking.acquire(blocking=False):
            try:
                self._signal.wait(seen, self._poll_seconds)
            finally:
                self._looking.release()
        else:
            self._signal.wait(seen, _OTHERS_LOOK * self._poll_seconds)

    def _work(self, item: WorkItem) -> None:
        handler = self._handlers[item.kind]
        with self._lock:
            self._active.add(item)
        try:
            if item.attempts > self._max_attempts:
                run_fetching_keys(handler.give_up, item)
            else:
                run_fetching_keys(handler.run, item)
            self._outages.pop(item.id, None)
        except LeaseLostError:
            _log.warning("lease lost", kind=item.kind, subject=item.subject_id)
        except StoppedError:
            _log.info("work left for the next runner", kind=item.kind, subject=item.subject_id)
            self._queue.release_lease(item, 0.0, failed=False)
        except Exception as error:  # noqa: BLE001 - the last resort of a process that must go on
            outage = describe_outage(error)
            if outage is not None:
                self._put_off(item, outage, error)
                return
            delay = min(0.5 * 2**item.attempts, _LONGEST_DELAY_SECONDS)
            if self._failed is None or not self._failed(error):
                _log.exception(
                    "work failed",
                    kind=item.kind,
                    subject=item.subject_id,
                    retry_seconds=delay,
                    error=type(error).__name__,
                )
            self._queue.release_lease(item, delay)
        finally:
            with self._lock:
                self._active.discard(item)

    def _put_off(self, item: WorkItem, outage: str, error: Exception) -> None:
        """Try again for as long as something outside is to be mended, in growing steps: that is no failure of the work."""
        count = self._outages.get(item.id, 0) + 1
        self._outages[item.id] = count
        delay = min(0.5 * 2**count, _LONGEST_OUTAGE_DELAY_SECONDS)
        _log.warning(
            "work waits",
            kind=item.kind,
            subject=item.subject_id,
            reason=outage,
            error=type(error).__name__,
            retry_seconds=delay,
        )
        self._queue.release_lease(item, delay, failed=False)

    def _heartbeat(self) -> None:
        while not self._stop.wait(self._queue.lease_seconds / 3):
            self._renew_all()
        # Idle slots do not wait for the event.
        self._signal.notify()
        # One of them may just be taking an item.
        while not self._ended.wait(_RENEWED_SECONDS):
            self._renew_all()

    def _renew_all(self) -> None:
        with self._lock:
            items = list(self._active)
        for item in items:
            try:
                self._queue.renew(item)
            except LeaseLostError:
                # It was finished a moment ago, or is lost; whoever works on it is told by its own next transaction.
                continue
            except Exception:  # noqa: BLE001 - the last resort of a process that must go on
                _log.exception("renewing a lease failed", kind=item.kind, subject=item.subject_id)
        try:
            self._queue.clock.tick()
        except DatabaseTroubleError as error:
            _log.warning("time not written down", error=str(error))
