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
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

import structlog
from sqlalchemy import Connection, select

from hounsfield.imaging.datastores import active_datastore
from hounsfield.imaging.errors import BusyError, ImagingError
from hounsfield.imaging.image_set_access import ImageSetAccess
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.ingest.content import KnownSizes
from hounsfield.imaging.ingest.files import Failure, FailureReason
from hounsfield.imaging.ingest.grouping import Assignment, group_requests
from hounsfield.imaging.ingest.image_set_writer import (
    PlannedVersion,
    find_denied,
    find_oversized,
    plan_versions,
    read_existing_image_sets,
    write_versions,
)
from hounsfield.imaging.staged_instance import StagedInstance
from hounsfield.runtime.supervised_threads import SupervisedThread
from hounsfield.storage.blobs.packs import pack_name
from hounsfield.storage.db.database import in_groups
from hounsfield.storage.db.errors import DatabaseTroubleError
from hounsfield.storage.db.image_set_tables import instances
from hounsfield.storage.keys.data_key import DataKey
from hounsfield.storage.keys.data_key_cache import run_fetching_keys

_log = structlog.get_logger(__name__)
MOST_INSTANCES = 2_000
"""Instances of a group of several requests; the transaction of a group must not keep others waiting for long."""
MOST_GATHER_SECONDS = 0.1
GATHER_COMMITS = 3.0
"""How long the first request of a group may wait for others, in durations of the last commit."""
_NOT_AUTHORIZED: Final = Failure(
    FailureReason.NOT_AUTHORIZED, "A policy denies the caller the image set that the instance belongs to"
)
BUSY_TRIES = 20
BUSY_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class StoreRequest:
    """What a request has staged.

    Attributes
    ----------
    id : str
        What is particular to the request; ids of new image sets follow from it.
    key : DataKey
        The key of its data store.
    staged : Mapping of int to StagedInstance
        The instances by their place in the request, at least one.
    access : ImageSetAccess
        What the caller may do with image sets that the instances go into.
    caller : str
        Unique id of the caller: only for more of the same caller a commit waits.
    """

    id: str
    key: DataKey
    staged: Mapping[int, StagedInstance]
    access: ImageSetAccess
    caller: str = ""


@dataclass(frozen=True, slots=True)
class StoreOutcome:
    """What became of the instances of a request that was committed.

    Attributes
    ----------
    primary : Mapping of int to bool
        Those that are stored, and whether their image set is primary.
    refused : Mapping of int to Failure
        Those that are not, and why.
    """

    primary: Mapping[int, bool]
    refused: Mapping[int, Failure]


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


class _GroupSplitError(Exception):
    """Some requests of a group cannot be committed with the others: those at these places of it."""

    def __init__(self, locked: frozenset[int]) -> None:
        super().__init__()
        self.locked = locked


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
        self._sizes = KnownSizes()
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
        self._discard(request)
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
                    self._discard(entry.request)
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
            # The key was at hand when the request began; only one that has reached its age since is waited for.
            outcomes = run_fetching_keys(self._committed, [entry.request for entry in group])
        except _GroupSplitError as error:
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
                self._discard(entry.request, list(outcome.refused))
                entry.future.set_result(outcome)

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
                self._discard(entry.request)
        return wanted

    def _fail(self, group: Sequence[WaitingRequest], error: Exception) -> None:
        overdue = self._overdue() if isinstance(error, DatabaseTroubleError) else []
        for entry in (*group, *overdue):
            self._discard(entry.request)
            entry.future.set_exception(error)

    def _committed(self, requests: Sequence[StoreRequest]) -> list[StoreOutcome]:
        """Make the instances of requests visible, all in one transaction, grouped as those of an import job."""
        key = requests[0].key
        with self._image_store.database.write() as connection:
            active_datastore(connection, self._image_store, key.datastore_id, lock=True)
            numbered = _numbered(requests)
            staged = {ordinal: instance for request in numbered for ordinal, instance in request}
            refused: dict[int, Failure] = {}
            while True:
                versions = self._planned(connection, requests, numbered, refused)
                too_large = find_oversized(versions, self._image_store.quotas.metadata_bytes)
                if not too_large:
                    break
                if len(requests) > 1:
                    # Each is then asked whether the quota has room for it, in turn.
                    raise _GroupSplitError(frozenset())
                for ordinal, reason in too_large.items():
                    refused[ordinal] = Failure(FailureReason.OUT_OF_RESOURCES, reason)
            write_versions(connection, key, versions, staged)
        for planned in versions:
            self._sizes.note(planned.destination.image_set_id, planned.destination.version, planned.content)
        return _outcomes(requests, numbered, versions, refused)

    def _planned(
        self,
        connection: Connection,
        requests: Sequence[StoreRequest],
        numbered: Sequence[Sequence[tuple[int, StagedInstance]]],
        refused: dict[int, Failure],
    ) -> list[PlannedVersion]:
        """Plan where instances go; those that may not go where they belong are refused, besides those that are already."""
        key = requests[0].key
        while True:
            kept = [[(ordinal, instance) for ordinal, instance in some if ordinal not in refused] for some in numbered]
            staged = {ordinal: instance for some in kept for ordinal, instance in some}
            plan = group_requests(kept, read_existing_image_sets(connection, key.datastore_id, list(staged.values())))
            denied = [
                ordinal
                for request, some in zip(requests, kept, strict=True)
                for ordinal in find_denied(connection, request.access, key.datastore_id, plan)
                if ordinal in dict(some)
            ]
            if not denied:
                break
            # Without them others may come to stand first, so that the plan is made anew.
            refused.update(dict.fromkeys(denied, _NOT_AUTHORIZED))
        locked = _locked(plan, numbered)
        if locked:
            raise _GroupSplitError(locked)
        return plan_versions(connection, key, plan, staged, requests[0].id, self._sizes)

    def _discard(self, request: StoreRequest, ordinals: Sequence[int] | None = None) -> None:
        """Remove the packs of instances that are not committed; all of a request where ``ordinals`` does not say which."""
        going = set(request.staged if ordinals is None else ordinals)
        gone = [instance for ordinal, instance in request.staged.items() if ordinal in going]
        stays = [instance for ordinal, instance in request.staged.items() if ordinal not in going]
        try:
            # Whoever lost the database at the end of a commit does not know whether that was carried out.
            if gone and (stays or not self._are_named(gone)):
                kept = frozenset[str]().union(*(instance.pack_ids for instance in stays))
                discard_packs(self._image_store, request.key.datastore_id, gone, kept)
        except Exception as error:  # noqa: BLE001 - packs that nothing names are found by the daily sweep
            _log.warning("packs of a request are left", error=type(error).__name__)

    def _are_named(self, staged: Sequence[StagedInstance]) -> bool:
        with self._image_store.database.read() as connection:
            return any(
                connection.execute(select(instances.c.key).where(instances.c.key.in_(some)).limit(1)).first()
                for some in in_groups([instance.key for instance in staged])
            )


def discard_packs(
    image_store: ImageStore, datastore_id: str, staged: Sequence[StagedInstance], kept: frozenset[str] = frozenset()
) -> None:
    """Remove the packs of instances that are not committed, but for those that others use too."""
    for pack_id in sorted(frozenset[str]().union(*(instance.pack_ids for instance in staged)) - kept):
        image_store.blobs.delete(pack_name(datastore_id, pack_id))


def _numbered(requests: Sequence[StoreRequest]) -> list[list[tuple[int, StagedInstance]]]:
    """Return the instances of each request in their order, numbered through all requests."""
    numbered = []
    first = 0
    for request in requests:
        ordered = [request.staged[ordinal] for ordinal in sorted(request.staged)]
        numbered.append(list(enumerate(ordered, first)))
        first += len(ordered)
    return numbered


def _locked(plan: Sequence[Assignment], numbered: Sequence[Sequence[tuple[int, StagedInstance]]]) -> frozenset[int]:
    """Return the places of the requests that have instances for image sets which are being changed."""
    wanted = {
        ordinal
        for assignment in plan
        if assignment.extends is not None and assignment.extends.locked
        for ordinal in (*assignment.ordinals, *assignment.superseded)
    }
    return frozenset(at for at, some in enumerate(numbered) if any(ordinal in wanted for ordinal, _ in some))


def _outcomes(
    requests: Sequence[StoreRequest],
    numbered: Sequence[Sequence[tuple[int, StagedInstance]]],
    versions: Sequence[PlannedVersion],
    refused: Mapping[int, Failure],
) -> list[StoreOutcome]:
    """Return what became of the instances of each request, by their places in it."""
    primary = {
        ordinal: planned.destination.is_primary
        for planned in versions
        for ordinal in (*planned.destination.ordinals, *planned.destination.superseded)
    }
    outcomes = []
    for request, some in zip(requests, numbered, strict=True):
        own = dict(zip((number for number, _ in some), sorted(request.staged), strict=True))
        outcomes.append(
            StoreOutcome(
                {place: primary[number] for number, place in own.items() if number in primary},
                {place: refused[number] for number, place in own.items() if number in refused},
            )
        )
    return outcomes
