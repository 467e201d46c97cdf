"""The group commit of STOW-RS: what requests have stored while a commit was under way is committed together in the next.

    request ─▶ submit ─▶ waiting ─┐                             ┌─▶ its outcome
    request ─▶ submit ─▶ waiting ─┼─▶ one thread: choose_group ─┼─▶ its outcome
    request ─▶ submit ─▶ waiting ─┘   ONE transaction           └─▶ its error, alone

A commit costs nearly the same for one instance and for many: a version, its index rows, an fsync. While the workers have more
to do than they can begin with, a group therefore waits a moment for others of its caller (`GATHER_COMMITS`). What becomes of
requests that are committed together is what would have become of them one after another in the order in which they came, but
that their image set has one new version of them all. From `submit` on the packs of a request are cared for here: those of one
that is not committed are removed.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import structlog

from hounsfield.imaging.errors import BusyError, ImagingError
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.receive.store_transaction import GroupSplitError, StoreOutcome, StoreRequest, StoreTransaction
from hounsfield.runtime.supervised_threads import SupervisedThread
from hounsfield.storage.db.errors import (
    CommitUnknownError,
    DatabaseDownError,
    DatabaseTroubleError,
    TransactionLostError,
)
from hounsfield.storage.keys.data_key_cache import run_fetching_keys

_log = structlog.get_logger(__name__)
MOST_INSTANCES = 2_000
"""Instances of a group of several requests; the transaction of a group must not keep others waiting for long."""
MOST_GATHER_SECONDS = 0.1
GATHER_COMMITS = 3.0
"""How long the first request of a group may wait for others, in durations of the last commit."""
BUSY_TRIES = 20
BUSY_SECONDS = 0.25


@dataclass(slots=True, eq=False)
class WaitingRequest:
    """A request that waits for its commit; the moments are those of `time.monotonic`."""

    request: StoreRequest
    future: Future[StoreOutcome] = field(default_factory=Future)
    since: float = field(default_factory=time.monotonic)
    begun: bool = False
    tries: int = 0
    not_before: float = 0.0
    sop_uids: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        self.sop_uids = frozenset(instance.sop_uid for instance in self.request.staged.values())


def choose_group(waiting: Sequence[WaitingRequest], now: float) -> tuple[list[WaitingRequest], list[WaitingRequest]]:
    """Choose the requests that are committed together next; give them and the rest, both in the order in which they came.

    They are of one data store. A request that has a SOP Instance UID in common with one that came before it waits until that
    is done, so that the later one replaces the earlier one as it would have without groups. One of somebody whom policies may
    deny image sets goes alone, so that all that it is decided about is there already.
    """
    chosen: list[WaitingRequest] = []
    rest: list[WaitingRequest] = []
    before: set[tuple[str, str]] = set()
    count = 0
    for entry in waiting:
        datastore_id = entry.request.key.datastore_id
        uids = {(datastore_id, uid) for uid in entry.sop_uids}
        fits = entry.not_before <= now and before.isdisjoint(uids)
        if chosen:
            fits = fits and chosen[0].request.key.datastore_id == datastore_id
            fits = fits and count + len(entry.request.staged) <= MOST_INSTANCES
            fits = fits and not (chosen[0].request.access.is_limited or entry.request.access.is_limited)
        (chosen if fits else rest).append(entry)
        count += len(entry.request.staged) if fits else 0
        before |= uids
    return chosen, rest


class GroupCommitter:
    """Commits the requests of one process, group by group, in a thread of its own.

    Parameters
    ----------
    image_store : ImageStore
        Where everything is.
    workers : int
        How many requests the workers have at the same time; when more are on their way, a commit can wait without any of them
        being idle.
    """

    def __init__(self, image_store: ImageStore, workers: int) -> None:
        self._image_store = image_store
        self._workers = workers
        self._expected: Counter[str] = Counter()
        self._gather_seconds = 0.0
        self._transaction = StoreTransaction(image_store)
        self._changed = threading.Condition()
        self._waiting: list[WaitingRequest] = []
        self._thread: SupervisedThread | None = None
        self._closed = False

    def submit(self, request: StoreRequest) -> Future[StoreOutcome]:
        """Hand in a request.

        The future raises `BusyError` when an image set that the instances belong to stayed locked, `ConflictError` when the
        data store is not ACTIVE any more. One that is cancelled before its commit began is not committed.
        """
        entry = WaitingRequest(request)
        with self._changed:
            if not self._closed:
                self._waiting.append(entry)
                if self._thread is None:
                    self._thread = SupervisedThread("group-commit", self._run)
                    self._thread.start()
                self._changed.notify()
                return entry.future
        self._transaction.discard(request)
        raise BusyError("The server is being stopped. Store the instances again in a moment.")

    @contextmanager
    def expecting(self, caller: str = "") -> Iterator[None]:
        """Announce, as a block, that a whole request is with the workers and will be handed in soon."""
        with self._changed:
            self._expected[caller] += 1
        try:
            yield
        finally:
            with self._changed:
                self._expected[caller] -= 1
                if not self._expected[caller]:
                    del self._expected[caller]
                self._changed.notify()

    def close(self) -> None:
        """Commit what waits, and end."""
        with self._changed:
            self._closed = True
            self._changed.notify()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        for group in self._groups():
            wanted = []
            for entry in group:
                if entry.begun or entry.future.set_running_or_notify_cancel():
                    entry.begun = True
                    wanted.append(entry)
                else:
                    self._transaction.discard(entry.request)
            if wanted:
                begin = time.monotonic()
                self._commit_or_fail(wanted)
                self._gather_seconds = min(MOST_GATHER_SECONDS, GATHER_COMMITS * (time.monotonic() - begin))

    def _groups(self) -> Iterator[list[WaitingRequest]]:
        while True:
            with self._changed:
                now = time.monotonic()
                group, self._waiting = choose_group(self._waiting, now)
                if not group:
                    if self._closed and not self._waiting:
                        return
                    # Whoever waits behind another waits for as long as that one.
                    later = [entry.not_before - now for entry in self._waiting if entry.not_before > now]
                    self._changed.wait(min(later, default=None))
                    continue
                gather = group[0].since + self._gather_seconds - now
                expected = self._expected[group[0].request.caller]
                if gather > 0 and expected > self._workers and not self._closed:
                    self._waiting = sorted([*group, *self._waiting], key=lambda entry: entry.since)
                    self._changed.wait(gather)
                    continue
            yield group

    def _commit_or_fail(self, group: list[WaitingRequest]) -> None:
        """Commit a group; whoever waits is told also of what nobody foresaw."""
        try:
            self._commit(group)
        except Exception as error:
            for entry in group:
                with suppress(InvalidStateError):
                    entry.future.set_exception(error)
            raise

    def _commit(self, group: list[WaitingRequest]) -> None:
        """Commit a group; requests that cannot be committed with the others are committed without them, or wait."""
        try:
            outcomes = self._carry_out([entry.request for entry in group])
        except GroupSplitError as error:
            self._hold([entry for at, entry in enumerate(group) if at in error.locked])
            free = [entry for at, entry in enumerate(group) if at not in error.locked]
            if error.locked and free:
                self._commit(free)
            for entry in group if not error.locked else ():
                self._commit([entry])
        except (ImagingError, DatabaseTroubleError) as error:
            # The data store or the database as a whole: it is the same for each of them.
            self._fail(group, error)
        except Exception as error:  # noqa: BLE001 - whoever waits must be told, whatever it is
            if len(group) == 1:
                self._fail(group, error)
                return
            _log.warning("group apart", requests=len(group), error=type(error).__name__)
            for entry in group:
                self._commit([entry])
        else:
            for entry, outcome in zip(group, outcomes, strict=True):
                self._transaction.discard(entry.request, list(outcome.refused))
                entry.future.set_result(outcome)

    def _carry_out(self, requests: Sequence[StoreRequest]) -> list[StoreOutcome]:
        # The key was at hand when the request began; only one that has reached its age since is waited for.
        try:
            return run_fetching_keys(self._transaction.commit, requests)
        except TransactionLostError:
            # Nothing of it was carried out, and another server may have taken over.
            return run_fetching_keys(self._transaction.commit, requests)

    def _hold(self, locked: Sequence[WaitingRequest]) -> None:
        """Let requests wait for image sets that are being changed, or fail when they have waited long enough."""
        message = "An image set that the instances belong to is being changed. Store them again in a moment."
        held = []
        for entry in locked:
            entry.tries += 1
            entry.not_before = time.monotonic() + BUSY_SECONDS
            if entry.tries < BUSY_TRIES:
                held.append(entry)
            else:
                self._fail([entry], BusyError(message))
        with self._changed:
            self._waiting[:0] = held

    def _overdue(self) -> list[WaitingRequest]:
        """Take those that have waited for the database as long as anybody should: each would wait for a try of its own."""
        latest = time.monotonic() - self._image_store.database.wait_seconds
        with self._changed:
            late = [entry for entry in self._waiting if entry.since <= latest]
            self._waiting = [entry for entry in self._waiting if entry.since > latest]
        wanted = [entry for entry in late if entry.begun or entry.future.set_running_or_notify_cancel()]
        for entry in late:
            if entry not in wanted:
                self._transaction.discard(entry.request)
        return wanted

    def _fail(self, group: Sequence[WaitingRequest], error: Exception) -> None:
        unknown = isinstance(error, CommitUnknownError)
        overdue = self._overdue() if isinstance(error, DatabaseTroubleError) else []
        for entry in group:
            # What may be committed keeps its packs; those that nothing names are found by the daily sweep.
            if not unknown:
                self._transaction.discard(entry.request)
            entry.future.set_exception(error)
        for entry in overdue:
            self._transaction.discard(entry.request)
            entry.future.set_exception(DatabaseDownError("it was lost before the commit began") if unknown else error)
