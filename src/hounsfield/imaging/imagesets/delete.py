"""DeleteImageSet.

    ACTIVE ─▶ LOCKED/DELETING ─▶ DELETED/DELETED ─▶ (grace period) ─▶ storage released

The request locks the image set; a work item then deletes it with all its versions. Where the answer says that it is gone
(DELETE of DICOMweb), both are done in one transaction. What it holds is released later, see
`hounsfield.imaging.imagesets.release_storage`; until then nothing but its properties can be read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, select, update

from hounsfield.imaging.datastores import active_datastore, data_key
from hounsfield.imaging.errors import TooManyUnderWayError
from hounsfield.imaging.image_set_access import ImageSetAccess
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.imagesets.operation_slots import require_slot
from hounsfield.imaging.imagesets.release_storage import RELEASE_IMAGE_SET
from hounsfield.imaging.imagesets.workflow import LockedImageSet, Trigger, begin, claim
from hounsfield.imaging.states import ImageSetState, WorkflowStatus
from hounsfield.imaging.study_rows import refresh_studies
from hounsfield.imaging.tags import TaggedResource, forget_tags
from hounsfield.jobs.queue import WorkItem
from hounsfield.storage.clock import now_ms
from hounsfield.storage.db.database import lock_row
from hounsfield.storage.db.image_set_tables import image_set_versions, image_sets
from hounsfield.storage.journal.changes import note_all_versions

DELETE_IMAGE_SET: Final = "delete-image-set"


def delete_image_set(
    image_store: ImageStore, access: ImageSetAccess, datastore_id: str, image_set_id: str
) -> LockedImageSet:
    """Lock an image set, to be deleted soon after (DeleteImageSet).

    Raises
    ------
    NotFoundError
        The data store or the image set is not there, or the image set was deleted before.
    ConflictError
        Another operation on the image set is under way, or the data store is not ACTIVE.
    TooManyUnderWayError
        As many deletions as a data store may have are under way; DeleteImageSet models no error for a quota.
    AccessDeniedError
        The caller may not delete the image set, as ``access`` raises it.
    """
    with image_store.database.write() as connection:
        key = data_key(image_store, active_datastore(connection, image_store, datastore_id, lock=True))
        access.require(connection, datastore_id, [image_set_id])
        found = claim(connection, key, image_set_id)
        most = image_store.quotas.concurrent_deletes
        require_slot(connection, DELETE_IMAGE_SET, datastore_id, most, what="deletions", error=TooManyUnderWayError)
        begun = begin(connection, key, found, Trigger.DELETE)
        image_store.queue.enqueue(connection, DELETE_IMAGE_SET, image_set_id)
        return begun


def delete_image_sets_at_once(
    image_store: ImageStore, access: ImageSetAccess, datastore_id: str, image_set_ids: Sequence[str]
) -> None:
    """Delete image sets, all of them or none when one cannot be (DELETE of DICOMweb).

    When this returns no reader finds them any more, nor their study when they were all it had. Nothing is under way then, so no
    quota counts it.

    Raises
    ------
    NotFoundError
        The data store or an image set is not there, or an image set was deleted before.
    ConflictError
        Another operation on an image set is under way, or the data store is not ACTIVE.
    AccessDeniedError
        The caller may not delete one of them, as ``access`` raises it.
    """
    with image_store.database.write() as connection:
        key = data_key(image_store, active_datastore(connection, image_store, datastore_id, lock=True))
        access.require(connection, datastore_id, image_set_ids)
        # In one order whoever asks, so that two requests for the same image sets do not wait for each other.
        for image_set_id in sorted(image_set_ids):
            begin(connection, key, claim(connection, key, image_set_id), Trigger.DELETE)
        # Studies are written when all rows of image sets are.
        studies = [_mark_deleted(connection, image_store, image_set_id) for image_set_id in sorted(image_set_ids)]
        refresh_studies(connection, datastore_id, {study for study in studies if study is not None})


class ImageSetDeleter:
    """Takes an image set from DELETING to DELETED."""

    def __init__(self, image_store: ImageStore) -> None:
        self._image_store = image_store

    def run(self, item: WorkItem) -> None:
        """Delete the image set with all its versions, and ask for the release of its storage."""
        with self._image_store.database.write() as connection:
            query = select(image_sets.c.datastore_id).where(image_sets.c.id == item.subject_id)
            datastore_id = connection.execute(query).scalar_one()
            study = _mark_deleted(connection, self._image_store, item.subject_id)
            refresh_studies(connection, datastore_id, set() if study is None else {study})
            self._image_store.queue.finish(connection, item)

    def give_up(self, item: WorkItem) -> None:
        """Try once more: a deletion that was promised has no other end."""
        self.run(item)


def _mark_deleted(connection: Connection, image_store: ImageStore, image_set_id: str) -> str | None:
    """Write that an image set is deleted, if it is not yet; give the study that is to be refreshed, None where none is."""
    columns = (image_sets.c.datastore_id, image_sets.c.study_uid, image_sets.c.is_primary, image_sets.c.deleted_at)
    query = select(*columns).where(image_sets.c.id == image_set_id)
    row = connection.execute(lock_row(connection, query)).one()
    if row.deleted_at is not None:
        return None
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
    note_all_versions(connection, image_set_id)
    forget_tags(connection, image_store, TaggedResource(row.datastore_id, image_set_id))
    image_store.queue.enqueue(connection, RELEASE_IMAGE_SET, image_set_id)
    return str(row.study_uid) if row.is_primary else None
