"""Checkpoints of the journal: all that it would have told so far, in one object, so that older records are not needed.

    sequence so far ─▶ data stores ─▶ image sets, some at a time, each as it is then ─▶ tags, jobs ─▶ end
                       later changes may be in it already: made again, they change nothing

An installation that is older than the journal gets its first checkpoint from a runner, soon after the upgrade: from then on its
database can be made again. Others follow, so that a rebuild has no years of changes to make.
"""

from __future__ import annotations

import errno
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, Final

import structlog
from sqlalchemy import Connection, select

from hounsfield.imaging.datastores import fetch_key, get_datastore
from hounsfield.imaging.errors import NotFoundError
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.tiering.pack_references import fragment_extent
from hounsfield.jobs.queue import WorkItem
from hounsfield.storage.blobs.blobs import BlobMissingError, Blobs
from hounsfield.storage.blobs.packs import Label, PackDamagedError, RecordKind, read_record
from hounsfield.storage.clock import now_ms
from hounsfield.storage.db.database import in_groups
from hounsfield.storage.db.image_set_tables import datastores, image_set_versions, image_sets, instances, tags
from hounsfield.storage.db.job_tables import import_jobs
from hounsfield.storage.identifiers import new_id
from hounsfield.storage.journal.changes import (
    DATASTORE_FACTS,
    IMAGE_SET_FACTS,
    JOB_FACTS,
    VERSION_FACTS,
    Change,
    ChangeKind,
    fragment_digest,
    instance_values,
    pack_changes,
    version_values,
)
from hounsfield.storage.journal.checkpoint_files import CheckpointName, CheckpointReader, checkpoint_names
from hounsfield.storage.journal.journal_writer import settled_sequence
from hounsfield.storage.journal.segments import Ending, SegmentError, SegmentSealer
from hounsfield.storage.keys.data_key import DataKey, KeyUnavailableError

WRITE_CHECKPOINT: Final = "journal-checkpoint"
_EVERY_SECONDS: Final = 7 * 24 * 3600.0
_AGAIN_SECONDS: Final = 60.0
_WITHOUT_KEY_SECONDS: Final = 3600.0
_AT_ONCE: Final = 100
UNREADABLE: Final = "unreadable"
"""Stands for the digest of JSON that could not be read when the checkpoint was written."""
_log = structlog.get_logger(__name__)


def schedule_checkpoints(image_store: ImageStore) -> None:
    """Make sure that there is the one work item that writes checkpoints again and again."""
    image_store.queue.schedule(WRITE_CHECKPOINT)


class CheckpointWriter:
    """Writes checkpoints, once a week.

    Parameters
    ----------
    image_store : ImageStore
        Where everything is.
    secret : bytes
        The journal key.
    """

    def __init__(self, image_store: ImageStore, secret: bytes) -> None:
        self._image_store = image_store
        self._secret = secret

    def run(self, item: WorkItem) -> None:
        """Write one, and come again; sooner where the place could not be reached."""
        pause = _EVERY_SECONDS
        try:
            name = self.write(item)
            _log.info("checkpoint of the journal written", name=str(name))
        except (OSError, KeyUnavailableError) as error:
            _log.warning("no checkpoint of the journal could be written", error=type(error).__name__)
            pause = _AGAIN_SECONDS if isinstance(error, OSError) else _WITHOUT_KEY_SECONDS
        self._image_store.queue.release_lease(item, pause, failed=False)

    def give_up(self, item: WorkItem) -> None:
        """Try again later."""
        self._image_store.queue.release_lease(item, _EVERY_SECONDS, failed=False)

    def write(self, item: WorkItem | None = None) -> CheckpointName:
        """Write a checkpoint, and read it back. Those before the one before it are removed.

        Parameters
        ----------
        item : WorkItem or None
            Its lease is renewed meanwhile.

        Raises
        ------
        OSError
            The place cannot be reached, or what was written does not come back as it was; the older ones are all there.
        KeyUnavailableError
            The key of a data store is not to be had now, so that edits could not be told from imports, and an older
            checkpoint is there.
        """
        base = settled_sequence(self._image_store.database)
        name = CheckpointName(base, new_id())
        place = self._image_store.new_blobs
        sealer = SegmentSealer(self._secret, name.id, name.base, Ending())
        writer = place.create(str(name))
        try:
            writer.write(sealer.beginning)
            for changes in self._changes():
                writer.write(sealer.seal(base, pack_changes(changes, now_ms(), self._image_store.queue.clock.now())))
                if item is not None:
                    self._image_store.queue.renew(item)
            end: list[Change] = [[ChangeKind.CHECKPOINT_END]]
            writer.write(sealer.seal(base, pack_changes(end, now_ms(), self._image_store.queue.clock.now())))
            writer.publish()
        finally:
            writer.abort()
        if not _comes_back(place, self._secret, name):
            place.delete(str(name))
            raise OSError(errno.EIO, "a checkpoint did not come back as it was written")
        for old in checkpoint_names(place)[2:]:
            place.delete(str(old))
        return name

    def _changes(self) -> Iterator[list[Change]]:
        database = self._image_store.database
        with database.read_snapshot() as connection:
            query = select(*(datastores.c[name] for name in DATASTORE_FACTS)).order_by(datastores.c.id)
            stores = [list(row) for row in connection.execute(query)]
        if stores:
            yield [[ChangeKind.DATASTORE, values] for values in stores]
        for values in stores:
            yield from self._image_sets(values[DATASTORE_FACTS.index("id")])
        with database.read_snapshot() as connection:
            by_arn: defaultdict[str, dict[str, str]] = defaultdict(dict)
            for row in connection.execute(select(tags)):
                by_arn[row.resource_arn][row.tag_key] = row.tag_value
            query = select(*(import_jobs.c[name] for name in JOB_FACTS))
            jobs: list[Change] = [[ChangeKind.JOB, list(row)] for row in connection.execute(query)]
        others = [[ChangeKind.TAGS, arn, found] for arn, found in by_arn.items()] + jobs
        for some in in_groups(others):
            yield list(some)

    def _image_sets(self, datastore_id: str) -> Iterator[list[Change]]:
        key: DataKey | None
        try:
            key = fetch_key(self._image_store, get_datastore(self._image_store, datastore_id))
        except NotFoundError:
            key = None
        except KeyUnavailableError:
            # The first one is needed for all other data stores; what is edited in this one is lost until there is another.
            if checkpoint_names(self._image_store.new_blobs):
                raise
            key = None
        after = ""
        while True:
            columns = image_sets.c
            with self._image_store.database.read_snapshot() as connection:
                query = (
                    select(*(columns[name] for name in IMAGE_SET_FACTS))
                    .where(columns.datastore_id == datastore_id, columns.id > after)
                    .order_by(columns.id)
                    .limit(_AT_ONCE)
                )
                rows = [list(row) for row in connection.execute(query)]
                if not rows:
                    return
                ids = [row[0] for row in rows]
                versions = select(*(image_set_versions.c[name] for name in VERSION_FACTS)).where(
                    image_set_versions.c.image_set_id.in_(ids)
                )
                found: list[Change] = [[ChangeKind.IMAGE_SET, row] for row in rows]
                found += ([ChangeKind.VERSION, version_values(row)] for row in connection.execute(versions))
                members = connection.execute(select(instances).where(instances.c.image_set_id.in_(ids))).all()
                edited = _edited(connection, members)
            # Packs are read when no snapshot is held any more; one that is compacted meanwhile is looked for by others.
            found += self._members(key, members, edited)
            yield found
            after = ids[-1]

    def _members(
        self, key: DataKey | None, rows: Sequence[Any], edited: frozenset[tuple[str, int]]
    ) -> Iterator[Change]:
        groups: defaultdict[tuple[str, str, int, int | None], list[Any]] = defaultdict(list)
        for row in rows:
            digest = self._digest(key, row) if (row.key, row.first_version) in edited else None
            place = (row.image_set_id, row.datastore_id, row.first_version, row.last_version)
            groups[place].append(instance_values(row._mapping, digest))  # noqa: SLF001 - public in SQLAlchemy
        for place, values in groups.items():
            yield [ChangeKind.BEGUN, *place, values]

    def _digest(self, key: DataKey | None, row: Any) -> str:
        """Return the digest of the JSON of an instance; one that no JSON has where it cannot be read.

        A rebuild then names the instance as lost, and does not take the JSON of its import for the edited one.
        """
        if key is None:
            return UNREADABLE
        tried = None
        while (extent := fragment_extent(row)) != tried:
            try:
                label = Label(RecordKind.FRAGMENT, row.source_key)
                return fragment_digest(read_record(self._image_store.blobs, key, extent, label))
            except (PackDamagedError, BlobMissingError):
                # Compaction may have brought it elsewhere since the row was read.
                tried, row = extent, self._reread(row)
        return UNREADABLE

    def _reread(self, row: Any) -> Any:
        columns = instances.c
        same = (
            columns.key == row.key,
            columns.image_set_id == row.image_set_id,
            columns.first_version == row.first_version,
        )
        with self._image_store.database.read() as connection:
            return connection.execute(select(instances).where(*same)).first() or row


def _comes_back(place: Blobs, secret: bytes, name: CheckpointName) -> bool:
    try:
        return CheckpointReader(place, secret, name).check()
    except (SegmentError, BlobMissingError):
        return False


def _edited(connection: Connection, rows: Sequence[Any]) -> frozenset[tuple[str, int]]:
    """Return which instances may have other JSON than that of their import, because some row of their source key has."""
    columns = instances.c
    by_source: defaultdict[str, set[tuple[str, int]]] = defaultdict(set)
    sources = sorted({row.source_key for row in rows})
    copied = {row.source_key for row in rows if row.source_key != row.key}
    for some in in_groups(sources):
        query = select(columns.key, columns.source_key, columns.fragment_pack_id, columns.fragment_offset)
        for row in connection.execute(query.where(columns.key.in_(some))):
            by_source[row.key].add((row.fragment_pack_id, row.fragment_offset))
    for some in in_groups(sorted(copied)):
        copies = select(columns.source_key, columns.fragment_pack_id, columns.fragment_offset)
        for copy in connection.execute(copies.where(columns.source_key.in_(some), columns.source_key != columns.key)):
            by_source[copy.source_key].add((copy.fragment_pack_id, copy.fragment_offset))
    return frozenset(
        (row.key, row.first_version)
        for row in rows
        if len(by_source[row.source_key]) > 1 or row.fragment_pack_id != row.dataset_pack_id
    )
