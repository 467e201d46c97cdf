"""Deleting image sets (DeleteImageSet).

    ACTIVE ─▶ LOCKED/DELETING ─▶ DELETED/DELETED ─▶ (grace period) ─▶ storage released

The request locks the image set; a work item then deletes it with all its versions. What it holds is released later, see
`hounsfield.imaging.release`; until then nothing but its properties can be read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, select, update

from hounsfield.imaging.archive import Archive
from hounsfield.imaging.datastores import active_datastore, data_key
from hounsfield.imaging.errors import TooManyUnderWayError
from hounsfield.imaging.quotas import require_slot
from hounsfield.imaging.release import RELEASE_IMAGE_SET
from hounsfield.imaging.states import ImageSetState, WorkflowStatus
from hounsfield.imaging.studies import refresh_studies
from hounsfield.imaging.tagging import TaggedResource, forget_tags
from hounsfield.imaging.transitions import HeldImageSet, Trigger, begin, claim
from hounsfield.jobs.queue import WorkItem
from hounsfield.storage.clock import now_ms
from hounsfield.storage.database import lock_row
from hounsfield.storage.keys import DataKey
from hounsfield.storage.tables import image_set_versions, image_sets

DELETE_IMAGE_SET: Final = "delete-image-set"


def delete_image_set(archive: Archive, datastore_id: str, image_set_id: str) -> HeldImageSet:
    """Lock an image set, to be deleted soon after (DeleteImageSet).

    Raises
    ------
    NotFoundError
        The data store or the image set is not there, or the image set was deleted before.
    ConflictError
        Another operation on the image set is under way, or the data store is not ACTIVE.
    TooManyUnderWayError
        As many deletions as a data store may have are under way; DeleteImageSet models no error for a quota.
    """
    return delete_image_sets(archive, datastore_id, [image_set_id])[0]


def delete_image_sets(archive: Archive, datastore_id: str, image_set_ids: Sequence[str]) -> list[HeldImageSet]:
    """Lock image sets, to be deleted soon after: all of them, or none when one cannot be; raises as `delete_image_set`."""
    with archive.database.write() as connection:
        key = data_key(archive, active_datastore(connection, archive, datastore_id, lock=True))
        # In one order whoever asks, so that two requests for the same image sets do not wait for each other.
        return [_delete_soon(connection, archive, key, image_set_id) for image_set_id in sorted(image_set_ids)]


def _delete_soon(connection: Connection, archive: Archive, key: DataKey, image_set_id: str) -> HeldImageSet:
    found = claim(connection, key, image_set_id)
    most = archive.quotas.concurrent_deletes
    require_slot(connection, DELETE_IMAGE_SET, key.datastore_id, most, what="deletions", error=TooManyUnderWayError)
    begun = begin(connection, key, found, Trigger.DELETE)
    archive.queue.enqueue(connection, DELETE_IMAGE_SET, image_set_id)
    return begun


class ImageSetDeleter:
    """Takes an image set from DELETING to DELETED."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    def run(self, item: WorkItem) -> None:
        """Delete the image set with all its versions, and ask for the release of its storage."""
        with self._archive.database.write() as connection:
            self._delete(connection, item.subject_id)
            self._archive.queue.finish(connection, item)

    def give_up(self, item: WorkItem) -> None:
        """Try once more: a deletion that was promised has no other end."""
        self.run(item)

    def _delete(self, connection: Connection, image_set_id: str) -> None:
        columns = (image_sets.c.datastore_id, image_sets.c.study_uid, image_sets.c.is_primary, image_sets.c.deleted_at)
        query = select(*columns).where(image_sets.c.id == image_set_id)
        row = connection.execute(lock_row(connection, query)).one()
        if row.deleted_at is not None:
            return
        connection.execute(
            update(image_sets)
            .where(image_sets.c.id == image_set_id)
            .values(state=ImageSetState.DELETED, deleted_at=now_ms())
        )
        connection.execute(
            update(image_set_versions)
            .where(image_set_versions.c.image_set_id == image_set_id)
            .values(state=ImageSetState.DELETED, workflow_status=WorkflowStatus.DELETED)
        )
        forget_tags(connection, self._archive, TaggedResource(row.datastore_id, image_set_id))
        self._archive.queue.enqueue(connection, RELEASE_IMAGE_SET, image_set_id)
        if row.is_primary:
            refresh_studies(connection, row.datastore_id, {row.study_uid})
