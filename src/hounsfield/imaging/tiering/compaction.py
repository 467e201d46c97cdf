"""Compaction: small packs become large ones, and the bytes of released records go.

    settle what a dead process left ─▶ delete old packs ─▶ look for small packs ─▶ choose some ─▶ rewrite ─▶ choose again

    rewrite:  noted as WRITTEN ─▶ new pack: written, durable, read back ─▶ rows re-pointed, some instances at a time
              ─▶ old packs noted as OLD ─▶ grace time ─▶ no row names them? ─▶ deleted

Every step leaves a state that all readers can work with, and that the next pass goes on from. Until rows are re-pointed they
name the old pack, which stays; a reader that found a place before and comes to read it after the grace time looks the place up
again (`hounsfield.imaging.retrieve`). One runner at a time has the work item, and every transaction holds its
lease: a process that only seemed dead changes nothing.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

import structlog
from sqlalchemy import Connection, delete, select, update

from hounsfield.imaging.datastores import fetch_key, get_datastore, lock_datastore
from hounsfield.imaging.errors import NotFoundError
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.tiering.compaction_choice import choose_packs
from hounsfield.imaging.tiering.damage_log import note_damage
from hounsfield.imaging.tiering.noted_packs import (
    SMALL_BYTES,
    NotedPack,
    NotedState,
    find_noted,
    forget_if_settled,
    forget_packs,
    list_noted,
    note_begun,
    note_dead_records,
    note_packs,
    note_unused,
    set_again,
    set_state,
)
from hounsfield.imaging.tiering.pack_mover import mark_misplaced
from hounsfield.imaging.tiering.pack_references import find_named_records
from hounsfield.imaging.tiering.repointing import repoint
from hounsfield.imaging.tiering.rewrite_plan import Contents, RewritePlan, owners_of, plan_rewrite
from hounsfield.jobs.queue import WorkItem
from hounsfield.jobs.runner import StoppedError
from hounsfield.storage.blobs.blobs import BlobMissingError
from hounsfield.storage.blobs.pack_rewrite import PackRewrite, RewrittenPack
from hounsfield.storage.blobs.packs import (
    PackDamagedError,
    PackMissingError,
    RecordKind,
    pack_name,
    read_contents,
)
from hounsfield.storage.clock import now_ms
from hounsfield.storage.db.compaction_tables import compactions, noted_packs
from hounsfield.storage.db.database import in_groups
from hounsfield.storage.db.image_set_tables import datastores, image_sets, instances
from hounsfield.storage.db.insert_missing import insert_missing
from hounsfield.storage.disk_reservation import is_full
from hounsfield.storage.free_space import DiskTroubleError
from hounsfield.storage.identifiers import new_id
from hounsfield.storage.keys.data_key import DataKey, KeyUnavailableError

COMPACT: Final = "compact"
_DAY_MS: Final = 24 * 3600 * 1000
_AGAIN_MS: Final = 10 * 60 * 1000
_OVERLAP_MS: Final = 10 * 60 * 1000
"""Image sets that changed so long before the last look are looked at again: their transactions may have ended after it."""
_IMAGE_SETS_AT_ONCE: Final = 200
_KEYS_AT_ONCE: Final = 50
"""Instances that one transaction re-points: some milliseconds, in which others that write wait."""
_DELETED_AT_ONCE: Final = 50
_MOST_KNOWN: Final = 100_000
_TRIES: Final = 20
_TRY_SECONDS: Final = 0.25
_BREATH_SECONDS: Final = 0.005
"""Between two small steps of many, so that others come to the processor and the disk."""
_SHORTEST_PAUSE_SECONDS: Final = 0.5
_LONGEST_PAUSE_SECONDS: Final = 300.0
_log = structlog.get_logger(__name__)

WritePack = Callable[[PackRewrite], RewrittenPack]
"""Writes a pack durably, such as `hounsfield.imaging.tiering.rewriting_process.RewritingProcess.write`."""


@dataclass(frozen=True, slots=True)
class CompactionTimes:
    """How long packs wait, in seconds.

    Attributes
    ----------
    after : float
        A small pack, until it is merged; 0 for never, nor is anything erased.
    grace : float
        An old pack, until it is deleted.
    erase : float
        Records to erase, for others in their pack.
    """

    after: float
    grace: float
    erase: float

    @property
    def pause(self) -> float:
        """Seconds between two passes."""
        if self.after <= 0:
            return _LONGEST_PAUSE_SECONDS
        return min(max(self.after / 2, _SHORTEST_PAUSE_SECONDS), _LONGEST_PAUSE_SECONDS)


@dataclass(frozen=True, slots=True)
class _Tools:
    """What a pass is made with, see `Compactor`; ``large`` are packs that were found to be large."""

    image_store: ImageStore
    times: CompactionTimes
    write: WritePack
    stop: threading.Event
    large: set[str] = field(default_factory=set)


def schedule_compaction(image_store: ImageStore) -> None:
    """Make sure that there is the one work item that compacts again and again."""
    image_store.queue.schedule(COMPACT)


class CompactionHandler:
    """Compacts again and again, as the work of a runner.

    Parameters
    ----------
    image_store : ImageStore
        Where everything is.
    times : CompactionTimes
        How long packs wait.
    write : callable
        Opens what writes packs, for one pass.
    stop : threading.Event
        Ends a pass between two steps.
    """

    def __init__(
        self,
        image_store: ImageStore,
        times: CompactionTimes,
        write: Callable[[], Any],
        stop: threading.Event,
    ) -> None:
        self._image_store = image_store
        self._times = times
        self._open_writer = write
        self._stop = stop

    def run(self, item: WorkItem) -> None:
        """Make one pass, and come again."""
        writer = self._open_writer()
        try:
            Compactor(self._image_store, self._times, writer.write, self._stop).run_pass(item)
        except OSError as error:
            _log.warning(
                "packs cannot be compacted now", error=type(error).__name__, reason=error.strerror or str(error)
            )
        finally:
            writer.close()
        self._image_store.queue.release_lease(item, self._times.pause, failed=False)

    def give_up(self, item: WorkItem) -> None:
        """Go on trying: the work is never over."""
        self.run(item)


class Compactor:
    """Makes passes of compaction.

    Parameters
    ----------
    image_store : ImageStore
        Where everything is.
    times : CompactionTimes
        How long packs wait.
    write : callable
        Writes packs.
    stop : threading.Event
        Ends a pass between two steps.
    """

    def __init__(
        self, image_store: ImageStore, times: CompactionTimes, write: WritePack, stop: threading.Event
    ) -> None:
        self._image_store = image_store
        self._tools = _Tools(image_store, times, write, stop)

    def run_pass(self, item: WorkItem, *, at_once: bool = False) -> Counter[str]:
        """Do all that is due in all data stores.

        Parameters
        ----------
        item : WorkItem
            The work item whose lease is held.
        at_once : bool
            Look at all packs, and let none of them wait, but old ones for their grace time.

        Returns
        -------
        Counter of str
            What was done, as the columns of ``compactions``; and ``packs_left``: those that could not be read.

        Raises
        ------
        StoppedError
            The work is to end.
        LeaseLostError
            Somebody else has the item.
        OSError
            A place of packs does not answer.
        """
        counts: Counter[str] = Counter()
        for datastore_id in self._datastore_ids():
            try:
                key = fetch_key(self._image_store, get_datastore(self._image_store, datastore_id))
            except (KeyUnavailableError, NotFoundError):
                _log.warning("packs of a data store without its key are not compacted", datastore=datastore_id)
                counts["packs_left"] += 1
                continue
            counts += _DatastorePass(self._tools, item, key, at_once=at_once).run()
        return counts

    def _datastore_ids(self) -> list[str]:
        own = select(datastores.c.id).where(datastores.c.account_id == self._image_store.account_id)
        with self._image_store.database.read() as connection:
            return sorted(connection.execute(own).scalars())


class _DatastorePass:
    """A pass over one data store."""

    def __init__(self, tools: _Tools, item: WorkItem, key: DataKey, *, at_once: bool) -> None:
        self._image_store = tools.image_store
        self._times = tools.times
        self._write_pack = tools.write
        self._stop = tools.stop
        self._large = tools.large
        self._blobs = tools.image_store.blobs
        self._item = item
        self._key = key
        self._datastore_id = key.datastore_id
        self._at_once = at_once
        self._counts: Counter[str] = Counter()
        self._unreadable: set[str] = set()

    def run(self) -> Counter[str]:
        """Make the pass; return what was done."""
        self._settle()
        self._delete_old()
        if self._times.after <= 0 and not self._at_once:
            self._forget_small()
            return self._counts
        self._note_small()
        try:
            while self._rewrite_some():
                self._delete_old()
                self._check_stop()
        except (OSError, DiskTroubleError) as error:
            if isinstance(error, OSError) and not is_full(error):
                raise
            _log.warning("packs are not compacted: no room for a new one", datastore=self._datastore_id)
            self._counts["packs_left"] += 1
            self._settle()
        self._count(ran_at=now_ms())
        self._counts["packs_left"] += len(self._unreadable)
        return self._counts

    def _check_stop(self) -> None:
        if self._stop.is_set():
            raise StoppedError

    @contextmanager
    def _held(self) -> Iterator[Connection]:
        """Open a write transaction in which the lease is ours."""
        with self._image_store.database.write() as connection:
            self._image_store.queue.hold(connection, self._item)
            yield connection

    def _now(self) -> int:
        return self._image_store.queue.clock.now()

    def _listed(self, *states: NotedState) -> list[NotedPack]:
        with self._image_store.database.read() as connection:
            return list_noted(connection, self._datastore_id, states)

    def _name(self, pack_id: str) -> str:
        return pack_name(self._datastore_id, pack_id)

    # What is there

    def _settle(self) -> None:
        """Deal with packs that a process was writing when it died."""
        for pack in self._listed(NotedState.WRITTEN):
            if pack.again_at > self._now():
                continue
            try:
                contents = read_contents(self._blobs, self._key, pack.pack_id)
            except BlobMissingError:
                with self._held() as connection:
                    forget_packs(connection, [pack.pack_id])
                continue
            except PackDamagedError as error:
                self._leave_damaged(error)
                continue
            self._end_written(pack, contents, self._blobs.size(self._name(pack.pack_id)), {}, ())

    def _delete_old(self) -> None:
        """Delete old packs whose grace time is over and that no row names."""
        due = self._now() - int(self._times.grace * 1000)
        old = [pack for pack in self._listed(NotedState.OLD) if pack.noted_at <= due and pack.again_at <= self._now()]
        for start in range(0, len(old), _DELETED_AT_ONCE):
            self._check_stop()
            some = old[start : start + _DELETED_AT_ONCE]
            contents, unknown = self._read_old(some)
            with self._image_store.database.read_snapshot() as connection:
                records = find_named_records(connection, set(contents), owners_of(contents))
            named_ids = {extent.pack_id for _, extent in records}
            named = [pack for pack in some if pack.pack_id in named_ids]
            gone = [pack for pack in some if pack not in named and pack not in unknown]
            for pack in gone:
                self._blobs.delete(self._name(pack.pack_id))
                # Each waits for the disk, which those wait for too who store images.
                self._stop.wait(_BREATH_SECONDS)
            with self._held() as connection:
                forget_packs(connection, [pack.pack_id for pack in gone])
                # Nothing is known that leads here; but a pack that is named is not deleted, whatever else was wrong.
                set_state(connection, [pack.pack_id for pack in named], NotedState.KEPT, self._now())
                set_again(connection, [pack.pack_id for pack in unknown], self._now() + _DAY_MS)
                self._count_in(connection, packs_deleted=len(gone), bytes_deleted=sum(pack.bytes for pack in gone))

    def _read_old(self, packs: Sequence[NotedPack]) -> tuple[dict[str, Contents], list[NotedPack]]:
        """Read the contents of packs that are there, and tell which cannot be read."""
        contents: dict[str, Contents] = {}
        unknown = []
        for pack in packs:
            try:
                contents[pack.pack_id] = read_contents(self._blobs, self._key, pack.pack_id)
            except BlobMissingError:
                continue
            except PackDamagedError as error:
                note_damage(self._image_store, error)
                unknown.append(pack)
        return contents, unknown

    def _forget_small(self) -> None:
        """Forget small packs, as nothing is merged; they are found anew when that changes."""
        columns = noted_packs.c
        small = (columns.datastore_id == self._datastore_id, columns.state == NotedState.KEPT.value)
        with self._image_store.database.read() as connection:
            there = connection.execute(select(columns.pack_id).where(*small, columns.dead_since.is_(None)).limit(1))
            if there.first() is None:
                return
        with self._held() as connection:
            connection.execute(delete(noted_packs).where(*small, columns.dead_since.is_(None)))
            own = compactions.c.datastore_id == self._datastore_id
            connection.execute(update(compactions).where(own).values(seen_until=0))

    # Looking for small packs

    def _note_small(self) -> None:
        """Note the small packs of image sets that changed since the last look."""
        seen_until = self._seen_until()
        columns = image_sets.c
        last = (0 if self._at_once else seen_until - _OVERLAP_MS, "")
        # A clock that was set ahead must not hide what is stored until its time comes.
        limit = now_ms()
        while True:
            self._check_stop()
            query = (
                select(columns.updated_at, columns.id)
                .where(
                    columns.datastore_id == self._datastore_id,
                    columns.deleted_at.is_(None),
                    (columns.updated_at > last[0]) | ((columns.updated_at == last[0]) & (columns.id > last[1])),
                )
                .order_by(columns.updated_at, columns.id)
            )
            with self._image_store.database.read() as connection:
                rows = connection.execute(query.limit(_IMAGE_SETS_AT_ONCE)).all()
            if not rows:
                break
            self._note_packs_of([row.id for row in rows])
            last = (rows[-1].updated_at, rows[-1].id)
        reached = min(last[0], limit)
        if reached > seen_until:
            self._count(seen_until=reached)

    def _seen_until(self) -> int:
        query = select(compactions.c.seen_until).where(compactions.c.datastore_id == self._datastore_id)
        with self._image_store.database.read() as connection:
            return int(connection.execute(query).scalar() or 0)

    def _note_packs_of(self, image_set_ids: Sequence[str]) -> None:
        columns = instances.c
        found: dict[str, tuple[str, bool]] = {}
        with self._image_store.database.read() as connection:
            for some in in_groups(image_set_ids):
                query = (
                    select(columns.image_set_id, columns.fragment_pack_id, columns.dataset_pack_id)
                    .where(columns.image_set_id.in_(some))
                    .distinct()
                )
                for image_set_id, fragment, dataset in connection.execute(query):
                    if fragment != dataset:
                        found.setdefault(fragment, (image_set_id, True))
                    found[dataset] = (image_set_id, False)
            new = [name for name in found.keys() - find_noted(connection, found) if name not in self._large]
        now = self._now()
        noted = []
        for pack_id in sorted(new):
            try:
                size = self._blobs.size(self._name(pack_id))
            except BlobMissingError:
                # Released meanwhile, or lost, which is not for compaction to tell.
                continue
            if size >= SMALL_BYTES:
                self._remember_large(pack_id)
                continue
            image_set_id, only_edits = found[pack_id]
            noted.append(
                NotedPack(pack_id, self._datastore_id, image_set_id, NotedState.KEPT, only_edits, size, 0, None, now)
            )
        if noted:
            with self._held() as connection:
                if note_packs(connection, noted):
                    self._count_in(connection, bytes_taken_in=sum(pack.bytes for pack in noted))

    def _remember_large(self, pack_id: str) -> None:
        if len(self._large) >= _MOST_KNOWN:
            self._large.clear()
        self._large.add(pack_id)

    # Rewriting

    def _rewrite_some(self) -> bool:
        """Rewrite some packs into one; False when there is nothing to do."""
        chosen = choose_packs(
            self._listed(NotedState.KEPT),
            now=self._now(),
            after_ms=0 if self._at_once else int(self._times.after * 1000),
            erase_after_ms=0 if self._at_once else int(self._times.erase * 1000),
        )
        if not chosen:
            return False
        plan = self._plan(chosen)
        if plan is None:
            # Some of them are left alone now; others may be chosen without them.
            return True
        if not plan.records:
            self._retire(chosen)
            return True
        # The new pack is not to take the room that those need who store images.
        self._image_store.free_space.require(sum(extent.length for extent, _ in plan.records), anew=True)
        new = NotedPack(
            new_id(),
            self._datastore_id,
            chosen[0].image_set_id,
            NotedState.WRITTEN,
            chosen[0].only_edits,
            0,
            0,
            None,
            self._now(),
        )
        with self._held() as connection:
            note_packs(connection, [new])
        try:
            rewritten = self._write_pack(PackRewrite(self._key, new.pack_id, plan.records))
        except PackMissingError as error:
            # Its image sets were released since its contents were read.
            with self._held() as connection:
                set_again(connection, [error.damage.pack_id], self._now() + _AGAIN_MS)
            self._settle()
            return True
        except PackDamagedError as error:
            self._leave_damaged(error)
            self._settle()
            return True
        self._repoint(plan, rewritten)
        contents = [(label, extent) for (_, label), extent in zip(plan.records, rewritten.extents, strict=True)]
        self._end_written(new, contents, rewritten.size, plan.contents, chosen)
        return True

    def _plan(self, chosen: Sequence[NotedPack]) -> RewritePlan | None:
        """Read what lies in packs; None when some of them must be left alone for now."""
        contents: dict[str, Contents] = {}
        missing, left = [], []
        for pack in chosen:
            self._stop.wait(_BREATH_SECONDS)
            try:
                contents[pack.pack_id] = read_contents(self._blobs, self._key, pack.pack_id)
            except BlobMissingError:
                missing.append(pack.pack_id)
            except PackDamagedError as error:
                self._leave_damaged(error)
                left.append(pack.pack_id)
                continue
            else:
                if any(label.kind is not RecordKind.FRAGMENT for label, _ in contents[pack.pack_id]) is pack.only_edits:
                    left.append(pack.pack_id)
        if missing:
            with self._held() as connection:
                forget_packs(connection, missing)
        plan = plan_rewrite(self._image_store, chosen, contents)
        left += plan.left
        if missing or left:
            with self._held() as connection:
                set_again(connection, left, self._now() + _DAY_MS)
            return None
        return plan

    def _leave_damaged(self, error: PackDamagedError) -> None:
        """Name a damaged pack, and leave it alone for a day."""
        note_damage(self._image_store, error)
        self._unreadable.add(error.damage.pack_id)
        with self._held() as connection:
            set_again(connection, [error.damage.pack_id], self._now() + _DAY_MS)

    def _repoint(self, plan: RewritePlan, rewritten: RewrittenPack) -> None:
        """Re-point all rows, but for those of image sets that stay locked."""
        moves = {before: after for (before, _), after in zip(plan.records, rewritten.extents, strict=True)}
        waiting = plan.source_keys
        for attempt in range(_TRIES):
            left: list[str] = []
            for start in range(0, len(waiting), _KEYS_AT_ONCE):
                with self._held() as connection:
                    lock_datastore(connection, self._datastore_id)
                    note_begun(connection, plan.contents, self._now())
                    done = repoint(connection, waiting[start : start + _KEYS_AT_ONCE], moves)
                    # The new pack is in the first location, wherever the old ones were.
                    mark_misplaced(connection, done.image_set_ids)
                left += sorted(done.left)
                self._stop.wait(_BREATH_SECONDS)
            if not left or attempt + 1 == _TRIES:
                return
            waiting = left
            if self._stop.wait(_TRY_SECONDS):
                return

    def _end_written(
        self,
        new: NotedPack,
        contents: Contents,
        size: int,
        sources: Mapping[str, Contents],
        chosen: Sequence[NotedPack],
    ) -> None:
        """Note what a new pack is now, and what those are that it was written from."""
        keys = {label.owner for label, _ in contents}
        with self._image_store.database.read_snapshot() as connection:
            named = find_named_records(connection, {new.pack_id}, keys)
            in_sources = find_named_records(connection, set(sources), owners_of(sources))
        unnamed = sum(extent.length for label, extent in contents if (label, extent) not in named)
        still = {extent.pack_id for _, extent in in_sources}
        now = self._now()
        with self._held() as connection:
            if named:
                own = noted_packs.c.pack_id == new.pack_id
                connection.execute(update(noted_packs).where(own).values(bytes=size))
                set_state(connection, [new.pack_id], NotedState.KEPT, now)
                if unnamed:
                    note_dead_records(connection, replace(new, dead_bytes=unnamed, dead_since=now))
                forget_if_settled(connection, new.pack_id)
            else:
                # All was released meanwhile, or nothing could be re-pointed.
                note_unused(connection, self._datastore_id, [new.pack_id], now)
            set_state(connection, [name for name in sources if name not in still], NotedState.OLD, now)
            set_again(connection, still, now + _AGAIN_MS)
            self._count_in(connection, packs_rewritten=len(sources) - len(still), packs_written=1, bytes_written=size)
        _log.info(
            "packs compacted",
            datastore=self._datastore_id,
            pack=new.pack_id,
            packs=len(sources) - len(still),
            left=len(still),
            bytes=size,
            erased_bytes=sum(pack.dead_bytes for pack in chosen),
        )

    def _retire(self, packs: Sequence[NotedPack]) -> None:
        """Note packs that no row names any more as old."""
        with self._held() as connection:
            set_state(connection, [pack.pack_id for pack in packs], NotedState.OLD, self._now())

    # Counters

    def _count(self, **values: int) -> None:
        with self._held() as connection:
            self._count_in(connection, **values)

    def _count_in(self, connection: Connection, **values: int) -> None:
        """Add to the counters of the data store; times are set."""
        columns = compactions.c
        counters = {column.name: 0 for column in columns if column.name != "datastore_id"}
        insert_missing(connection, compactions, [{"datastore_id": self._datastore_id, **counters}])
        added = {name: columns[name] + value for name, value in values.items() if name not in _TIMES}
        times = {name: value for name, value in values.items() if name in _TIMES}
        own = columns.datastore_id == self._datastore_id
        connection.execute(update(compactions).where(own).values(**added, **times))
        self._counts.update({name: value for name, value in values.items() if name not in _TIMES})


_TIMES: Final = frozenset({"seen_until", "ran_at"})
