"""The walk of a verification, in units: each is checked on one state of the database and looked at again where it is wrong.

data store ─▶ keys ─▶ image sets, some at a time ─▶ studies ─▶ folders of packs ─▶ next data store
│ snapshot of the rows ─▶ rules
└ records, cut into tasks ─▶ processes ─▶ findings ─▶ again, on a new snapshot ─▶ those that stay
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from itertools import chain
from typing import Any, Final

from sqlalchemy import select

from hounsfield.imaging.datastores import Datastore, DatastoreStatus, fetch_key, get_datastore
from hounsfield.imaging.errors import NotFoundError
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.instance_columns import InstanceColumns
from hounsfield.imaging.staged_instance import FrameRun, PixelKind
from hounsfield.imaging.study_rows import INDEX_VERSION
from hounsfield.imaging.tiering.pack_references import dataset_extent, fragment_extent
from hounsfield.imaging.verify.check_processes import CheckProcesses, PendingCheck
from hounsfield.imaging.verify.findings import Finding, FindingKind
from hounsfield.imaging.verify.image_set_rules import PIXEL_KINDS, check_image_set
from hounsfield.imaging.verify.index_check import check_studies, is_indexed, list_studies
from hounsfield.imaging.verify.pack_walk import SHARDS, PackWalker
from hounsfield.imaging.verify.passes import Pass, Position, Step
from hounsfield.imaging.verify.record_check import InstanceRecords, RecordCheck, RecordCheckResult
from hounsfield.imaging.verify.scopes import Scope, draw
from hounsfield.imaging.verify.snapshots import ImageSetSnapshot, read_snapshots
from hounsfield.jobs.runner import StoppedError
from hounsfield.storage.blobs.blobs import BlobMissingError, Blobs, BlobsUnreachableError
from hounsfield.storage.blobs.packs import Extent
from hounsfield.storage.blobs.tiered_blobs import PackLocations
from hounsfield.storage.db.image_set_tables import datastores, image_sets
from hounsfield.storage.keys.data_key import DataKey, KeyUnavailableError
from hounsfield.storage.keys.key_files import KeyFileError
from hounsfield.storage.keys.kms import is_of_service
from hounsfield.storage.keys.pack_keys import read_pack_key

_STEPS: Final = tuple(Step)
_NOT_MADE: Final = (DatastoreStatus.CREATING.value, DatastoreStatus.CREATE_FAILED.value)
_IMAGE_SETS_AT_ONCE: Final = 64
_INSTANCES_AT_ONCE: Final = 2000
_TASK_BYTES: Final = 16 << 20
_TASK_INSTANCES: Final = 256
_STUDIES_AT_ONCE: Final = 200
_LOOKS: Final = 5
_COLUMNS: Final = tuple(field.name for field in fields(InstanceColumns))

Pace = Callable[[int], None]
"""Called before so many bytes are read; waits where that is too fast."""


@dataclass(frozen=True, slots=True)
class Unit:
    """What one step of the walk found; after it the walk is at ``position``."""

    position: Position
    findings: Sequence[Finding] = ()
    counts: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class _Batch:
    """Image sets whose records are being checked."""

    position: Position
    counts: Counter[str]
    findings: tuple[Finding, ...]
    pending: tuple[PendingCheck, ...]

    @property
    def is_done(self) -> bool:
        return all(check.future.done() for check in self.pending)


class Verifier:
    """Walks over everything that a pass looks at.

    Parameters
    ----------
    image_store : ImageStore
        Where everything is.
    processes : CheckProcesses
        Check records.
    pace : callable
        Bounds the bytes a second.
    stop : threading.Event
        Ends the walk between two units.
    """

    def __init__(
        self, image_store: ImageStore, processes: CheckProcesses, *, pace: Pace, stop: threading.Event
    ) -> None:
        self._image_store = image_store
        self._processes = processes
        self._pace = pace
        self._stop = stop
        self._locations = PackLocations(image_store.blob_location, image_store.archive_location)

    def walk(self, current: Pass) -> Iterator[Unit]:
        """Walk on from where a pass is.

        Raises
        ------
        NotFoundError
            The data store or the image set that the pass is about is not there.
        StoppedError
            The walk was ended before its end.
        BlobsUnreachableError
            An object store does not answer; the walk can go on from where it was once it does.
        """
        for datastore_id in self._datastore_ids(current.scope):
            position = current.position
            if datastore_id < position.datastore_id:
                continue
            if datastore_id != position.datastore_id:
                position = Position(datastore_id)
            try:
                yield from self._walk_datastore(current, position)
            except KeyUnavailableError as error:
                yield Unit(
                    Position(datastore_id, Step.PACKS, SHARDS[-1]), [_without_key(self._datastore(datastore_id), error)]
                )

    def _datastore_ids(self, scope: Scope) -> list[str]:
        columns = datastores.c
        query = select(columns.id).where(
            columns.account_id == self._image_store.account_id, columns.status.not_in(_NOT_MADE)
        )
        if scope.datastore_id:
            query = query.where(columns.id == scope.datastore_id)
        if scope.image_set_id:
            own = select(image_sets.c.datastore_id).where(image_sets.c.id == scope.image_set_id)
            query = query.where(columns.id.in_(own))
        with self._image_store.database.read() as connection:
            found = list(connection.execute(query.order_by(columns.id)).scalars())
        if not found and not scope.has_all_image_sets and scope.image_set_id:
            raise NotFoundError(f"image set {scope.image_set_id} does not exist")
        if not found and scope.datastore_id:
            raise NotFoundError(f"data store {scope.datastore_id} does not exist")
        # By code points, as positions are compared, whatever the database sorts by.
        return sorted(found)

    def _datastore(self, datastore_id: str) -> Datastore:
        return get_datastore(self._image_store, datastore_id)

    def _walk_datastore(self, current: Pass, position: Position) -> Iterator[Unit]:
        datastore = self._datastore(position.datastore_id)
        key = fetch_key(self._image_store, datastore)
        steps: dict[Step, Callable[[str], Iterator[Unit]]] = {
            Step.KEYS: lambda _: self._check_keys(datastore, key),
            Step.IMAGE_SETS: lambda after: self._check_image_sets(current, key, after),
        }
        if current.scope.has_all_image_sets:
            steps[Step.STUDIES] = lambda after: self._check_studies(datastore.id, after)
            steps[Step.PACKS] = lambda after: self._check_packs(key, after)
        for step in _STEPS[_STEPS.index(position.step) :]:
            if step in steps:
                for unit in steps[step](position.after if step is position.step else ""):
                    yield unit
                    if self._stop.is_set():
                        raise StoppedError

    # Keys

    def _check_keys(self, datastore: Datastore, key: DataKey) -> Iterator[Unit]:
        found = []
        for place in self._image_store.pack_locations:
            try:
                wrong = self._find_wrong_key(place, datastore, key)
            except BlobsUnreachableError:
                raise
            except OSError as error:
                what = f"the data key beside the packs cannot be read: {error.strerror or type(error).__name__}"
                found.append(Finding(datastore.id, kind=FindingKind.NOT_CHECKED, what=what))
                continue
            if wrong:
                what = f"the data key beside the packs {wrong}"
                found.append(Finding(datastore.id, kind=FindingKind.KEY_WRONG, what=what))
        yield Unit(Position(datastore.id, Step.IMAGE_SETS), found, Counter(datastores=1))

    def _find_wrong_key(self, place: Blobs, datastore: Datastore, key: DataKey) -> str:
        """Return what is wrong with the key beside the packs; nothing where it opens to that of the data store.

        What wraps it may be an earlier master key: a rotation writes the row first and the places then, and a runner writes
        what was left out.
        """
        try:
            wrapped = read_pack_key(place, datastore.id)
        except BlobMissingError:
            return "is missing"
        except KeyFileError:
            return "is damaged"
        if wrapped == datastore.wrapped_key:
            return ""
        try:
            return "" if self._image_store.keys.fetch(datastore.id, wrapped) == key else "is another one"
        except KeyUnavailableError:
            return "does not open"

    # Image sets

    def _check_image_sets(self, current: Pass, key: DataKey, after: str) -> Iterator[Unit]:
        waiting: deque[_Batch] = deque()
        for ids in self._batches(current, key.datastore_id, after):
            while waiting and (waiting[0].is_done or self._is_busy(waiting)):
                yield self._end(key, waiting.popleft())
            waiting.append(self._begin(key, ids))
        while waiting:
            yield self._end(key, waiting.popleft())

    def _is_busy(self, waiting: Iterable[_Batch]) -> bool:
        """Return whether enough tasks wait to keep all processes at work."""
        open_tasks = sum(not check.future.done() for batch in waiting for check in batch.pending)
        return open_tasks > 2 * self._processes.processes

    def _batches(self, current: Pass, datastore_id: str, after: str) -> Iterator[list[str]]:
        """Yield ids of image sets, so many at a time that their rows are held in memory easily."""
        batch: list[str] = []
        count = 0
        for row in self._image_set_ids(current.scope, datastore_id, after):
            if current.largest_lot is not None and draw(current.id, row.id) > current.largest_lot:
                continue
            if batch and (count + row.instance_count > _INSTANCES_AT_ONCE or len(batch) == _IMAGE_SETS_AT_ONCE):
                yield batch
                batch, count = [], 0
            batch.append(row.id)
            count += row.instance_count
        if batch:
            yield batch

    def _image_set_ids(self, scope: Scope, datastore_id: str, after: str) -> Iterator[Any]:
        columns = image_sets.c
        query = (
            select(columns.id, columns.instance_count).where(columns.datastore_id == datastore_id).order_by(columns.id)
        )
        if scope.image_set_id:
            query = query.where(columns.id == scope.image_set_id)
        while True:
            with self._image_store.database.read() as connection:
                rows = connection.execute(query.where(columns.id > after).limit(1000)).all()
            yield from rows
            if not rows:
                return
            after = rows[-1].id

    def _begin(self, key: DataKey, image_set_ids: Sequence[str]) -> _Batch:
        """Check the rows of image sets, and hand in their records."""
        with self._image_store.database.read_snapshot() as connection:
            snapshots = read_snapshots(connection, self._image_store, key.datastore_id, image_set_ids)
        counts: Counter[str] = Counter(image_sets=len(snapshots))
        findings: list[Finding] = []
        records: list[InstanceRecords] = []
        for snapshot in snapshots:
            counts["instances"] += len({row.key for row in snapshot.instances})
            findings += check_image_set(snapshot, key)
            records += _records_of(snapshot)
        pending = []
        for task in self._tasks(key, records):
            self._pace(task.size)
            pending.append(self._processes.submit(task))
        return _Batch(
            Position(key.datastore_id, Step.IMAGE_SETS, image_set_ids[-1]), counts, tuple(findings), tuple(pending)
        )

    def _end(self, key: DataKey, batch: _Batch) -> Unit:
        findings = set(batch.findings)
        counts = batch.counts
        for pending in batch.pending:
            result = self._processes.result(pending)
            findings.update(result.findings)
            counts += _counts_of(result)
        by_image_set: dict[str, set[Finding]] = {}
        for finding in findings:
            by_image_set.setdefault(finding.image_set_id, set()).add(finding)
        stay = chain.from_iterable(self._confirm(key, name, found) for name, found in by_image_set.items())
        return Unit(batch.position, sorted(stay), counts)

    def _confirm(self, key: DataKey, image_set_id: str, found: set[Finding]) -> set[Finding]:
        """Look again until two looks find the same: what was found may have been changed, moved or deleted meanwhile."""
        for _ in range(_LOOKS):
            again = self._look_again(key, image_set_id, found)
            if again == found:
                break
            found = again
        return found

    def _look_again(self, key: DataKey, image_set_id: str, found: set[Finding]) -> set[Finding]:
        """Check the rows of an image set again, and those of its records that findings are about."""
        with self._image_store.database.read_snapshot() as connection:
            snapshots = read_snapshots(connection, self._image_store, key.datastore_id, [image_set_id])
        keys = {finding.instance for finding in found if finding.instance}
        packs = {finding.pack_id for finding in found if finding.pack_id and not finding.instance}
        again: set[Finding] = set()
        for snapshot in snapshots:
            again.update(check_image_set(snapshot, key))
            concerned = [
                records
                for records in _records_of(snapshot)
                if records.key in keys or not packs.isdisjoint(_packs_of(records))
            ]
            for task in self._tasks(key, concerned):
                again.update(self._processes.check(task).findings)
        return again

    def _tasks(self, key: DataKey, records: Iterable[InstanceRecords]) -> Iterator[RecordCheck]:
        """Cut the records of instances into tasks of some size; those of a large instance into several."""
        task: list[InstanceRecords] = []
        size = 0
        for part in chain.from_iterable(map(_parts, records)):
            if task and (size + part.size > _TASK_BYTES or len(task) == _TASK_INSTANCES):
                yield RecordCheck(self._locations, key, tuple(task))
                task, size = [], 0
            task.append(part)
            size += part.size
        if task:
            yield RecordCheck(self._locations, key, tuple(task))

    # Studies and packs

    def _check_studies(self, datastore_id: str, after: str) -> Iterator[Unit]:
        database = self._image_store.database
        while True:
            with database.read_snapshot() as connection:
                # While an index of an older form is made anew, it lacks studies.
                indexed = is_indexed(connection, datastore_id)
                uids = list_studies(connection, datastore_id, after, _STUDIES_AT_ONCE) if indexed else []
                found = check_studies(connection, datastore_id, uids)
            if found:
                with database.read_snapshot() as connection:
                    again = check_studies(connection, datastore_id, uids)
                found = [finding for finding in found if finding in again]
            if not uids:
                yield Unit(Position(datastore_id, Step.PACKS))
                return
            after = uids[-1]
            yield Unit(Position(datastore_id, Step.STUDIES, after), found, Counter(studies=len(uids)))

    def _check_packs(self, key: DataKey, after: str) -> Iterator[Unit]:
        walker = PackWalker(self._image_store, key)
        parts: dict[str, Callable[[], list[str]]] = {
            shard: partial(walker.list_shard, shard) for shard in SHARDS if shard > after
        }
        few = walker.list_few() if not after else None
        if few is not None:
            parts = {SHARDS[-1]: partial(list, few)}
        for shard, names in parts.items():
            position = Position(key.datastore_id, Step.PACKS, shard)
            try:
                walk = walker.walk(names())
            except BlobsUnreachableError:
                raise
            except OSError as error:
                what = f"packs whose ids begin with {shard} cannot be read: {type(error).__name__}"
                yield Unit(position, [Finding(key.datastore_id, kind=FindingKind.NOT_CHECKED, what=what)])
                continue
            yield Unit(position, walk.findings, walk.counts)


def _without_key(datastore: Datastore, error: KeyUnavailableError) -> Finding:
    # Whoever manages the key service may have disabled the key on purpose.
    kind = FindingKind.NOT_CHECKED if is_of_service(datastore.wrapped_key) else FindingKind.KEY_WRONG
    return Finding(datastore.id, kind=kind, what=f"the key of the data store cannot be had: {error}")


def _counts_of(result: RecordCheckResult) -> Counter[str]:
    return Counter(frames=result.frames, records=result.records, bytes=result.bytes)


def _records_of(snapshot: ImageSetSnapshot) -> Iterator[InstanceRecords]:
    """Yield the records of the instances of an image set, by where they are; those of several versions once."""
    seen: set[tuple[str, Extent]] = set()
    with_pixels: set[str] = set()
    indexed = snapshot.row.index_version >= INDEX_VERSION
    # A row with the JSON as it came before those that were edited; frames are the same.
    rows = sorted(snapshot.instances, key=lambda row: (row.dataset_pack_id, row.dataset_offset, row.first_version))
    for row in rows:
        fragment = fragment_extent(row)
        if (row.key, fragment) in seen or row.pixel_kind not in PIXEL_KINDS:
            continue
        seen.add((row.key, fragment))
        runs: tuple[FrameRun, ...] = ()
        if row.source_key not in with_pixels and row.source_key not in snapshot.foreign_keys:
            with_pixels.add(row.source_key)
            runs = snapshot.runs.get(row.source_key, ())
        yield InstanceRecords(
            image_set_id=row.image_set_id,
            key=row.key,
            source_key=row.source_key,
            sop_uid=row.sop_uid,
            sop_class_uid=row.sop_class_uid,
            stored_transfer_syntax=row.stored_transfer_syntax,
            pixel_kind=PixelKind(row.pixel_kind),
            frame_count=row.frame_count,
            fragment=fragment,
            dataset=dataset_extent(row),
            fragment_bytes=row.fragment_bytes,
            columns=InstanceColumns(**{name: getattr(row, name) for name in _COLUMNS}) if indexed else None,
            runs=runs,
        )


def _packs_of(records: InstanceRecords) -> set[str]:
    return {records.fragment.pack_id, records.dataset.pack_id, *(run.pack_id for run in records.runs)}


def _parts(records: InstanceRecords) -> Iterator[InstanceRecords]:
    """Cut the frames of a large instance into parts; an object has one checksum over all of it, and stays whole."""
    if records.size <= _TASK_BYTES or not records.pixel_kind.in_frames:
        yield records
        return
    part: list[FrameRun] = []
    size = 0
    for run in records.runs:
        if part and size + sum(run.lengths) > _TASK_BYTES:
            yield records.with_runs(part)
            part, size = [], 0
        part.append(run)
        size += sum(run.lengths)
    yield records.with_runs(part)
