"""Release of the storage of deleted image sets, after a grace period.

    instances of the set ─▶ packs they lie in ─▶ who else has records there (the packs tell)
                        └─▶ one transaction: rows forgotten, packs noted ─┬─ no row refers to them any more ─▶ blobs deleted
                                                                          └─ shared, with records to erase ─▶ compaction

Rows go before blobs, so that a row never names bytes that are gone. A crash in between leaves packs that are noted as old,
which `hounsfield.imaging.tiering.compaction` deletes. It also erases the records from packs shared with live image sets.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Final

import structlog
from sqlalchemy import Connection, delete, select, update

from hounsfield.dicom.healthimaging.document import Levels
from hounsfield.imaging.datastores import fetch_key, get_datastore, lock_datastore
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.levels import index_entry
from hounsfield.imaging.states import StorageTier
from hounsfield.imaging.study_rows import SeriesDetails
from hounsfield.imaging.tiering.damage_log import note_damage
from hounsfield.imaging.tiering.noted_packs import (
    forget_packs,
    note_dead_of_kept,
    note_unused,
)
from hounsfield.imaging.tiering.pack_mover import mark_misplaced
from hounsfield.imaging.tiering.pack_references import (
    ImageSetRecords,
    find_named_records,
    find_pack_use,
    read_image_set_records,
    read_references,
)
from hounsfield.jobs.queue import WorkItem
from hounsfield.storage.blobs.blobs import BlobMissingError
from hounsfield.storage.blobs.packs import (
    Extent,
    Label,
    PackDamagedError,
    delete_packs,
    read_contents,
)
from hounsfield.storage.db.database import in_groups
from hounsfield.storage.db.image_set_tables import frame_runs, image_set_versions, image_sets, instances
from hounsfield.storage.journal.changes import note_released
from hounsfield.storage.keys.data_key import DataKey

RELEASE_IMAGE_SET: Final = "release-image-set"
_LONGEST_WAIT_SECONDS = 3600.0
_log = structlog.get_logger(__name__)


class StorageReleaser:
    """Releases what a deleted image set holds.

    Parameters
    ----------
    image_store : ImageStore
        Where everything is.
    grace_seconds : float
        How long after its deletion an image set keeps its storage.
    """

    def __init__(self, image_store: ImageStore, grace_seconds: float) -> None:
        self._image_store = image_store
        self._grace_seconds = grace_seconds

    def run(self, item: WorkItem) -> None:
        """Release the storage, or wait until the grace period is over."""
        with self._image_store.database.read() as connection:
            query = select(image_sets.c.datastore_id).where(image_sets.c.id == item.subject_id)
            datastore_id = connection.execute(query).scalar_one()
        # By the time of the installation: no clock that is set ahead may shorten the grace period.
        left = self._grace_seconds - (self._image_store.queue.clock.now() - item.since) / 1000
        if left > 0:
            self._image_store.queue.release_lease(item, min(left, _LONGEST_WAIT_SECONDS), failed=False)
            return
        datastore = get_datastore(self._image_store, datastore_id)
        key = fetch_key(self._image_store, datastore)
        while (released := self._forget_rows(item, key)) is None:
            pass
        unused, kept = released
        delete_packs(self._image_store.blobs, datastore.id, unused)
        with self._image_store.database.write() as connection:
            forget_packs(connection, unused)
            self._image_store.queue.finish(connection, item)
        _log.info("storage released", image_set=item.subject_id, packs=len(unused), kept=kept)

    def _forget_rows(self, item: WorkItem, key: DataKey) -> tuple[list[str], int] | None:
        """Forget the rows; give the packs that no row names now, and how many others there are.

        Gives None where the records were brought to other packs meanwhile: then nothing is done.
        """
        with self._image_store.database.read() as connection:
            holding = read_image_set_records(connection, item.subject_id)
        contents = self._contents(key, holding.pack_ids)
        with self._image_store.database.write() as connection:
            self._image_store.queue.hold(connection, item)
            lock_datastore(connection, key.datastore_id)
            if read_image_set_records(connection, item.subject_id) != holding:
                return None
            _forget(connection, item.subject_id, holding)
            owners = {pack_id: {label.owner for label, _ in records} for pack_id, records in contents.items()}
            uses = {pack_id: find_pack_use(connection, pack_id, keys) for pack_id, keys in owners.items()}
            # What is left of a shared pack may be archived altogether now.
            mark_misplaced(connection, {name for use in uses.values() for name in use.image_set_ids})
            now = self._image_store.queue.clock.now()
            unused = [pack_id for pack_id, use in uses.items() if not use.named]
            note_unused(connection, key.datastore_id, unused, now)
            for pack_id, records in contents.items():
                if uses[pack_id].named:
                    _note_dead(connection, key.datastore_id, pack_id, records, holding, now)
        return unused, len(contents) - len(unused)

    def give_up(self, item: WorkItem) -> None:
        """Try once more: bytes that were to go have no other end."""
        self.run(item)

    def _contents(self, key: DataKey, pack_ids: Iterable[str]) -> dict[str, list[tuple[Label, Extent]]]:
        """Ask each pack for its records; one that cannot be read is left alone."""
        contents = {}
        for pack_id in sorted(pack_ids):
            try:
                contents[pack_id] = read_contents(self._image_store.blobs, key, pack_id)
            except BlobMissingError:
                continue
            except PackDamagedError as error:
                note_damage(self._image_store, error)
        return contents


def _note_dead(
    connection: Connection,
    datastore_id: str,
    pack_id: str,
    records: Sequence[tuple[Label, Extent]],
    holding: ImageSetRecords,
    now: int,
) -> None:
    """Note what of a pack that stays is to be erased: records of the image set that nobody shares."""
    own = [record for record in records if record[0].owner in holding.source_keys]
    named = find_named_records(connection, {pack_id}, {label.owner for label, _ in own})
    dead = sum(extent.length for label, extent in own if (label, extent) not in named)
    note_dead_of_kept(connection, datastore_id, pack_id, records, dead, now)


def _forget(connection: Connection, image_set_id: str, holding: ImageSetRecords) -> None:
    """Remove the rows of the instances, those of frames that nobody reads any more, and everything of the patient."""
    connection.execute(delete(instances).where(instances.c.image_set_id == image_set_id))
    for some in in_groups(sorted(holding.source_keys)):
        kept = {row.source_key for row in read_references(connection, some)}
        gone = [key for key in some if key not in kept]
        connection.execute(delete(frame_runs).where(frame_runs.c.source_key.in_(gone)))
    connection.execute(
        update(image_set_versions)
        .where(image_set_versions.c.image_set_id == image_set_id)
        .values(sealed_levels=b"", sealed_request=None, message=None)
    )
    connection.execute(
        update(image_sets)
        .where(image_sets.c.id == image_set_id)
        .values(
            **asdict(index_entry(Levels({}, {}, {}))),
            **asdict(SeriesDetails()),
            placed_tier=StorageTier.FREQUENT_ACCESS,
        )
    )
    note_released(connection, image_set_id)
