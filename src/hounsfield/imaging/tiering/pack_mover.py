"""The pack mover: brings packs to the location of the storage tier of their image sets.

    image set whose packs may be elsewhere ─▶ each pack of it:
        who uses it? ─▶ copy ─▶ open every record of the copy ─▶ one transaction: still so? ─▶ delete where it was

A pack is in the archive location only while every live image set with records in it is archived. ``image_sets.placed_tier``
is the pack tier: which location the packs of an image set were last brought to. It is emptied before the first of them moves
and set when the last is there, so whatever ends the process in between, the image set is taken up again.

Packs are moved under the lease of one work item, and deleted in a transaction that holds the row of that item: two runners
can never each delete the copy that the other one relies on.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog
from sqlalchemy import Connection, insert, select, update

from hounsfield.imaging.datastores import fetch_key, get_datastore
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.states import StorageTier
from hounsfield.imaging.tiering.damage_log import note_damage
from hounsfield.imaging.tiering.pack_references import PackUse, find_pack_use, read_image_set_records, read_owners
from hounsfield.jobs.queue import WorkItem
from hounsfield.jobs.runner import StoppedError
from hounsfield.storage.blobs.blobs import BlobMissingError, Blobs, has_blob, write_blob
from hounsfield.storage.blobs.packs import PackDamagedError, copy_pack, pack_name
from hounsfield.storage.blobs.tiered_blobs import TieredBlobs
from hounsfield.storage.db.database import Database, in_groups, lock_row
from hounsfield.storage.db.image_set_tables import IS_MISPLACED, blob_places, image_sets
from hounsfield.storage.identifiers import new_id
from hounsfield.storage.keys.data_key import DataKey, KeyUnavailableError
from hounsfield.storage.keys.pack_keys import write_pack_key

_UNCERTAIN: Final = ""
"""``placed_tier`` of an image set whose packs are being moved, or may have been."""
_ARCHIVE_LOCATION: Final = "archive"
_AT_ONCE = 20
_FREQUENT, _ARCHIVED = StorageTier.FREQUENT_ACCESS, StorageTier.ARCHIVE_INSTANT_ACCESS
_log = structlog.get_logger(__name__)


class ArchiveLocationError(RuntimeError):
    """The archive location is not the one that packs were moved to before, or is no archive location at all."""


def needs_archive_location(database: Database) -> bool:
    """Return whether packs may be in the archive location, which must then be known to every process."""
    used = select(blob_places.c.marker).where(blob_places.c.name == _ARCHIVE_LOCATION)
    moved = select(image_sets.c.id).where(image_sets.c.placed_tier != _FREQUENT).limit(1)
    with database.read() as connection:
        if connection.execute(used).first() is None:
            return False
        return connection.execute(moved).first() is not None


def mark_copy_misplaced(connection: Connection, source_id: str, into_id: str) -> None:
    """Have the packs of a copy looked at, in the transaction that makes it, when those of its source may be archived."""
    source = select(image_sets.c.id).where(image_sets.c.id == source_id, image_sets.c.placed_tier != _FREQUENT)
    connection.execute(
        update(image_sets).where(image_sets.c.id == into_id, source.exists()).values(placed_tier=_UNCERTAIN)
    )


def mark_misplaced(connection: Connection, image_set_ids: Collection[str]) -> None:
    """Have the packs of archived image sets looked at anew, because somebody else no longer uses them."""
    for some in in_groups(sorted(image_set_ids)):
        connection.execute(
            update(image_sets)
            .where(image_sets.c.id.in_(some), image_sets.c.placed_tier == _ARCHIVED)
            .values(placed_tier=_UNCERTAIN)
        )


@dataclass(frozen=True, slots=True)
class _MovingImageSet:
    """An image set whose packs are being brought to the place of its tier, as it was at the beginning."""

    id: str
    tier: StorageTier
    updated_at: int
    datastore_id: str
    pack_ids: Sequence[str]


class PackMover:
    """Brings packs to where they belong.

    Parameters
    ----------
    image_store : ImageStore
        Where everything is.
    tiers : TieredBlobs
        The two places.
    stop : threading.Event
        Set when the runner is to end; what is left is then done by the next one.
    """

    def __init__(self, image_store: ImageStore, tiers: TieredBlobs, stop: threading.Event) -> None:
        self._image_store = image_store
        self._tiers = tiers
        self._stop = stop
        self._with_key: set[str] = set()

    def run(self, item: WorkItem) -> None:
        """Look once at every image set whose packs may be elsewhere; those that were accessed come before all others.

        Raises
        ------
        ArchiveLocationError
            The archive location is not what it was.
        DiskTroubleError
            The disk that packs are moved to takes no more.
        StoppedError
            The runner ends.
        """
        if next(self._misplaced(_ARCHIVED), None) is None and next(self._misplaced(_FREQUENT), None) is None:
            return
        self._check_locations()
        seen: set[str] = set()
        for leaving in self._misplaced(_ARCHIVED):
            for image_set_id in leaving:
                self._return_packs(item, seen)
                self._move(item, image_set_id)
        self._return_packs(item, seen)

    def _return_packs(self, item: WorkItem, seen: set[str]) -> None:
        for returning in self._misplaced(_FREQUENT):
            for image_set_id in returning:
                if image_set_id not in seen:
                    seen.add(image_set_id)
                    self._move(item, image_set_id)

    def _misplaced(self, tier: StorageTier) -> Iterator[Sequence[str]]:
        """Yield image sets of a tier whose packs may be elsewhere, some at a time, each once."""
        after = ""
        while True:
            query = select(image_sets.c.id).where(
                IS_MISPLACED, image_sets.c.storage_tier == tier, image_sets.c.id > after
            )
            with self._image_store.database.read() as connection:
                found = connection.execute(query.order_by(image_sets.c.id).limit(_AT_ONCE)).scalars().all()
            if not found:
                return
            yield found
            after = found[-1]

    def _move(self, item: WorkItem, image_set_id: str) -> None:
        moving = self._begin(item, image_set_id)
        if moving is None:
            return
        try:
            key = fetch_key(self._image_store, get_datastore(self._image_store, moving.datastore_id))
        except KeyUnavailableError:
            _log.warning("packs of a data store without its key are left", datastore=moving.datastore_id)
            return
        if moving.datastore_id not in self._with_key:
            # It may have been made before there was an archive location.
            write_pack_key(self._image_store.database, self._tiers.archived, moving.datastore_id)
            self._with_key.add(moving.datastore_id)
        settled = True
        for pack_id in moving.pack_ids:
            if self._stop.is_set():
                raise StoppedError
            self._require_room(moving.tier)
            settled = self._move_pack(item, key, pack_id) and settled
        if settled:
            self._end(item, moving)

    def _require_room(self, tier: StorageTier) -> None:
        """Leave the rest for later where the disk takes no more; raises `DiskTroubleError`."""
        image_store = self._image_store
        space = image_store.archive_free_space if tier is _ARCHIVED else image_store.free_space
        space.require(anew=True)

    def _begin(self, item: WorkItem, image_set_id: str) -> _MovingImageSet | None:
        columns = image_sets.c
        with self._image_store.database.write() as connection:
            self._image_store.queue.hold(connection, item)
            row = connection.execute(
                update(image_sets)
                .where(columns.id == image_set_id, columns.deleted_at.is_(None))
                .values(placed_tier=_UNCERTAIN)
                .returning(columns.storage_tier, columns.updated_at, columns.datastore_id)
            ).first()
            if row is None:
                return None
            packs = sorted(read_image_set_records(connection, image_set_id).pack_ids)
        return _MovingImageSet(image_set_id, StorageTier(row.storage_tier), row.updated_at, row.datastore_id, packs)

    def _end(self, item: WorkItem, moving: _MovingImageSet) -> None:
        """Note that all packs are there, unless the image set was accessed or changed meanwhile and is to be seen again."""
        columns = image_sets.c
        with self._image_store.database.write() as connection:
            self._image_store.queue.hold(connection, item)
            connection.execute(
                update(image_sets)
                .where(
                    columns.id == moving.id,
                    columns.storage_tier == moving.tier,
                    columns.updated_at == moving.updated_at,
                )
                .values(placed_tier=moving.tier)
            )

    def _move_pack(self, item: WorkItem, key: DataKey, pack_id: str) -> bool:
        """Bring one pack to its place; False when somebody is at work on an image set of it, so that it must wait."""
        name = pack_name(key.datastore_id, pack_id)
        try:
            owners = read_owners(self._tiers, key, pack_id)
            with self._image_store.database.read() as connection:
                required = _required_tier(_read_users(connection, find_pack_use(connection, pack_id, owners)))
            if required is None:
                return True
            source, target = self._source_and_target(required)
            if not has_blob(source, name):
                return True
            if not self._announce(item, pack_id, owners, required):
                return False
            copy_pack(key, pack_id, source, target)
        except (BlobMissingError, PackDamagedError) as error:
            # It is left where it is. One that is nowhere is lost, or its image sets were released meanwhile.
            note_damage(self._image_store, error)
            return True
        return self._delete_source(item, pack_id, name, owners, required)

    def _source_and_target(self, required: StorageTier) -> tuple[Blobs, Blobs]:
        frequent, archived = self._tiers.frequent, self._tiers.archived
        return (frequent, archived) if required is _ARCHIVED else (archived, frequent)

    def _announce(self, item: WorkItem, pack_id: str, owners: Collection[str], required: StorageTier) -> bool:
        """Before a pack is archived, make every image set that uses it one whose packs are looked for when it comes back."""
        with self._image_store.database.write() as connection:
            self._image_store.queue.hold(connection, item)
            users = _lock_users(connection, pack_id, owners)
            if users is None or _required_tier(users) is not required:
                return False
            if required is _ARCHIVED:
                unaware = [row.id for row in users if row.placed_tier == _FREQUENT]
                for some in in_groups(unaware):
                    connection.execute(
                        update(image_sets).where(image_sets.c.id.in_(some)).values(placed_tier=_UNCERTAIN)
                    )
        return True

    def _delete_source(
        self, item: WorkItem, pack_id: str, name: str, owners: Collection[str], required: StorageTier
    ) -> bool:
        """Delete a pack where it was, now that it is whole where it belongs; False when it does not belong there any more."""
        source, target = self._source_and_target(required)
        # Nobody else can have the item, and so move this pack, before the transaction ends: that is why bytes go inside of it.
        with self._image_store.database.write() as connection:
            self._image_store.queue.hold(connection, item)
            if not find_pack_use(connection, pack_id, owners).named:
                # Released meanwhile, perhaps before the copy was there to be deleted.
                self._tiers.delete(name)
                return True
            users = _lock_users(connection, pack_id, owners)
            if users is None:
                return False
            if _required_tier(users) is not required:
                target.delete(name)
                return False
            if required is _ARCHIVED and any(row.placed_tier == _FREQUENT for row in users):
                return False
            source.delete(name)
        _log.info("pack moved", pack=pack_id, tier=required)
        return True

    def _check_locations(self) -> None:
        """Make sure that the archive location is the one that it was, and not the first one under another name."""
        with self._image_store.database.read() as connection:
            query = select(blob_places.c.marker).where(blob_places.c.name == _ARCHIVE_LOCATION)
            known = connection.execute(query).scalar()
        marker = known or new_id()
        name = f"places/{marker}"
        if known is None:
            write_blob(self._tiers.archived, name, b"packs of archived image sets\n")
        if not has_blob(self._tiers.archived, name):
            raise ArchiveLocationError(
                f"HOUNSFIELD_ARCHIVE_BLOBS_URL has no {name}: it is not the place that packs were moved to, or not mounted"
            )
        if has_blob(self._tiers.frequent, name):
            if known is None:
                self._tiers.archived.delete(name)
            raise ArchiveLocationError("HOUNSFIELD_ARCHIVE_BLOBS_URL is the place of all packs, it must be another one")
        if known is None:
            with self._image_store.database.write() as connection:
                connection.execute(insert(blob_places).values(name=_ARCHIVE_LOCATION, marker=marker))


def _read_users(connection: Connection, use: PackUse, *, lock: bool = False) -> list[Any]:
    columns = image_sets.c
    rows: list[Any] = []
    for some in in_groups(sorted(use.image_set_ids)):
        query = select(columns.id, columns.storage_tier, columns.placed_tier, columns.deleted_at).where(
            columns.id.in_(some)
        )
        rows.extend(connection.execute(lock_row(connection, query, skip_locked=True) if lock else query))
    return rows


def _lock_users(connection: Connection, pack_id: str, owners: Collection[str]) -> list[Any] | None:
    """Lock the image sets that use a pack; None when another transaction has one of them or adds one."""
    use = find_pack_use(connection, pack_id, owners)
    rows = _read_users(connection, use, lock=True)
    # A copy locks its source until its rows are there to be seen, so that a second look misses none.
    return rows if len(rows) == len(use.image_set_ids) and find_pack_use(connection, pack_id, owners) == use else None


def _required_tier(users: Collection[Any]) -> StorageTier | None:
    """Say where a pack belongs; None where only deleted image sets use it, whose release is near."""
    tiers = {StorageTier(row.storage_tier) for row in users if row.deleted_at is None}
    if not tiers:
        return None
    return _FREQUENT if _FREQUENT in tiers else _ARCHIVED
