"""Reindexing: the index that DICOMweb searches, made anew from what is stored.

    image sets of an older index version ─▶ levels (sealed), fragments (packs) ─▶ columns of image set and instances ─▶ study

A runner does it when it starts, image set by image set, while everything else goes on. What is not done when it stops the next
one does. To change what is indexed, change `index_entry` or `read_columns` and count `INDEX_VERSION` up.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

import structlog
from sqlalchemy import Connection, Row, bindparam, select, update

from hounsfield.imaging.datastores import fetch_key, get_datastore, lock_datastore
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.instance_columns import InstanceColumns, read_fragment_columns
from hounsfield.imaging.levels import index_entry, open_levels
from hounsfield.imaging.study_rows import INDEX_VERSION, refresh_series, refresh_studies
from hounsfield.imaging.tag_index import follow_image_sets
from hounsfield.imaging.tiering.damage_log import note_damage
from hounsfield.imaging.tiering.pack_references import fragment_extent
from hounsfield.jobs.queue import WorkItem
from hounsfield.jobs.runner import StoppedError
from hounsfield.storage.blobs.blobs import BlobMissingError
from hounsfield.storage.blobs.packs import Label, PackDamagedError, RecordKind, read_records
from hounsfield.storage.db.database import ONE
from hounsfield.storage.db.image_set_tables import image_set_versions, image_sets, instances
from hounsfield.storage.keys.data_key import DataKey, KeyUnavailableError

FILL_INDEX: Final = "fill-search-index"
_AT_ONCE: Final = 100
_FRAGMENTS_AT_ONCE: Final = 256
_AGAIN_SECONDS: Final = 30.0
_log = structlog.get_logger(__name__)


ONE_WAITING: Final = (
    select(image_sets.c.id)
    .where(image_sets.c.index_version < INDEX_VERSION, image_sets.c.deleted_at.is_(None))
    .limit(ONE)
    .with_hint(image_sets, "INDEXED BY ix_image_sets_to_index", "sqlite")
)
"""One of those that are not; without being told, SQLite would look at every image set before a runner begins to work."""


def schedule_indexing(image_store: ImageStore) -> None:
    """Make sure that what is not indexed in the newest form will be."""
    with image_store.database.read() as connection:
        if connection.execute(ONE_WAITING).first() is None:
            return
    image_store.queue.schedule(FILL_INDEX)


def _waiting(after: str) -> Any:
    columns = image_sets.c
    return (
        select(columns.id, columns.datastore_id)
        .where(columns.index_version < INDEX_VERSION, columns.deleted_at.is_(None), columns.id > after)
        .order_by(columns.id)
    )


class Reindexer:
    """Indexes the image sets that are not indexed in the newest form.

    Parameters
    ----------
    image_store : ImageStore
        Where everything is.
    stop : threading.Event
        Ends it between two image sets.
    """

    def __init__(self, image_store: ImageStore, stop: threading.Event) -> None:
        self._image_store = image_store
        self._stop = stop

    def run(self, item: WorkItem) -> None:
        """Index all there are, or come again when some could not be."""
        done = left = 0
        after = ""
        while group := self._group(after):
            for row in group:
                if self._stop.is_set():
                    raise StoppedError
                try:
                    filled = self._fill(item, row.id, row.datastore_id)
                    done, left = done + filled, left + (not filled)
                except KeyUnavailableError:
                    left += 1
            after = group[-1].id
        _log.info("search index filled", image_sets=done, left=left)
        if left:
            self._image_store.queue.release_lease(item, _AGAIN_SECONDS, failed=False)
            return
        with self._image_store.database.write() as connection:
            self._image_store.queue.finish(connection, item)

    def give_up(self, item: WorkItem) -> None:
        """Go on trying: what is not indexed is not found."""
        self.run(item)

    def _group(self, after: str) -> Sequence[Row[Any]]:
        with self._image_store.database.read() as connection:
            rows: Sequence[Row[Any]] = connection.execute(_waiting(after).limit(_AT_ONCE)).all()
        return rows

    def _fill(self, item: WorkItem, image_set_id: str, datastore_id: str) -> bool:
        """Index one image set: all its instances, those of older versions too, as these may be gone back to.

        Gives False when it was changed meanwhile.
        """
        key = fetch_key(self._image_store, get_datastore(self._image_store, datastore_id))
        columns = instances.c
        wanted = (columns.key, columns.first_version, columns.source_key)
        extent = (columns.fragment_pack_id, columns.fragment_offset, columns.fragment_length)
        with self._image_store.database.read() as connection:
            version = connection.execute(_latest(image_set_id)).first()
            if version is None:
                return True
            query = select(*wanted, *extent).where(columns.image_set_id == image_set_id)
            query = query.order_by(columns.key, columns.first_version)
            rows: Any = connection.execute(query).all()
        levels = open_levels(key, image_set_id, version.version, version.sealed_levels)
        indexes = self._indexes(key, rows)
        with self._image_store.database.write() as connection:
            self._image_store.queue.hold(connection, item)
            lock_datastore(connection, datastore_id)
            # Whatever changes instances seals the levels anew.
            if connection.execute(_latest(image_set_id)).first() != version:
                return False
            # Compaction may have brought fragments to other packs, and some may not have been found where they were.
            if connection.execute(query).all() != rows:
                return False
            values = {**asdict(index_entry(levels)), "index_version": INDEX_VERSION}
            connection.execute(update(image_sets).where(image_sets.c.id == image_set_id).values(**values))
            follow_image_sets(connection, [image_set_id])
            _write(connection, rows, indexes)
            refresh_series(connection, [image_set_id])
            place = select(image_sets.c.study_uid).where(image_sets.c.id == image_set_id)
            refresh_studies(connection, datastore_id, set(connection.execute(place).scalars()))
        return True

    def _indexes(self, key: DataKey, rows: Sequence[Row[Any]]) -> list[InstanceColumns]:
        """Read what is indexed of instances; nothing is known of one whose bytes are damaged or gone."""
        found = []
        for start in range(0, len(rows), _FRAGMENTS_AT_ONCE):
            group = rows[start : start + _FRAGMENTS_AT_ONCE]
            try:
                texts = self._fragments(key, group)
            except (PackDamagedError, BlobMissingError):
                texts = [self._fragment_or_empty(key, row) for row in group]
            found += [read_fragment_columns(text) for text in texts]
        return found

    def _fragments(self, key: DataKey, rows: Sequence[Row[Any]]) -> list[bytes]:
        wanted = [
            (
                fragment_extent(row),
                Label(RecordKind.FRAGMENT, row.source_key),
            )
            for row in rows
        ]
        return read_records(self._image_store.blobs, key, wanted)

    def _fragment_or_empty(self, key: DataKey, row: Row[Any]) -> bytes:
        try:
            return self._fragments(key, [row])[0]
        except (PackDamagedError, BlobMissingError) as error:
            note_damage(self._image_store, error)
            return b'{"DICOM":{}}'


def _latest(image_set_id: str) -> Any:
    versions = image_set_versions.c
    return (
        select(versions.version, versions.sealed_levels)
        .join(image_sets, image_sets.c.id == versions.image_set_id)
        .where(
            image_sets.c.id == image_set_id,
            image_sets.c.deleted_at.is_(None),
            versions.version == image_sets.c.latest_version,
        )
    )


def _write(connection: Connection, rows: Sequence[Row[Any]], indexes: Sequence[InstanceColumns]) -> None:
    statement = update(instances).where(
        instances.c.key == bindparam("of_key"), instances.c.first_version == bindparam("of_version")
    )
    values = [
        {"of_key": row.key, "of_version": row.first_version, **asdict(index)}
        for row, index in zip(rows, indexes, strict=True)
    ]
    if values:
        connection.execute(statement, values)
