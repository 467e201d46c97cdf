"""UpdateImageSetMetadata: changes the metadata of image sets.

    request: checks ─▶ new version LOCKED/UPDATING, the other primary sets of the study too when asked for
    work:    fragments of the edited instances ─▶ a small pack, durable ─▶ ONE transaction: rows, levels, search index
             └─▶ what only the content shows to be wrong: UPDATE_FAILED with a message, nothing changed

Pixel data is never touched: a row of a changed instance points to its new fragment and to the records it had.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import structlog
from sqlalchemy import Connection, select

from hounsfield.dicom.healthimaging.document import Levels, document_size, document_size_of_totals
from hounsfield.imaging.datastores import active_datastore, data_key, fetch_key, get_datastore
from hounsfield.imaging.errors import InvalidRequestError, NotFoundError, QuotaExceededError
from hounsfield.imaging.image_set_access import ImageSetAccess
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.imagesets.edits import EditedContent, Edits, check_edits, edited_levels, parse_edits
from hounsfield.imaging.imagesets.instance_rows import (
    InstanceChanges,
    edited_instances,
    edited_rows,
    reverted_rows,
    sizes_after,
    write_rows,
)
from hounsfield.imaging.imagesets.operation_slots import require_slot
from hounsfield.imaging.imagesets.update_request import PendingUpdate, UpdateRequest
from hounsfield.imaging.imagesets.workflow import LockedImageSet, Trigger, begin, claim, fail, succeed, under_way
from hounsfield.imaging.levels import index_entry, open_levels
from hounsfield.imaging.quotas import exceeds, require_metadata_size
from hounsfield.imaging.study_rows import refresh_studies
from hounsfield.imaging.version_rows import fragment_sizes, fragment_total, instance_rows
from hounsfield.jobs.queue import WorkItem
from hounsfield.storage.db.database import in_groups
from hounsfield.storage.db.image_set_tables import image_set_versions, image_sets, instances
from hounsfield.storage.keys.data_key import DataKey

UPDATE_IMAGE_SET: Final = "update-image-set"
_GIVEN_UP = "INTERNAL_ERROR: The update could not be made, see the log of the service."
_log = structlog.get_logger(__name__)


def update_image_set_metadata(
    image_store: ImageStore, access: ImageSetAccess, datastore_id: str, image_set_id: str, request: UpdateRequest
) -> LockedImageSet:
    """Lock an image set for a change of its metadata that is made soon after (UpdateImageSetMetadata).

    Returns
    -------
    LockedImageSet
        The image set with its new version under way.

    Raises
    ------
    NotFoundError
        The data store, the image set or the version to go back to is not there, or the version given is not the latest.
    ConflictError
        The image set, or one of its study that is to change with it, is LOCKED; or the data store is not ACTIVE.
    InvalidRequestError
        The request breaks a rule.
    QuotaExceededError
        The blobs are too large, a new version would have more metadata than an image set may, or too many updates are under
        way in the data store.
    AccessDeniedError
        The caller may not update the image set, or one of its study that is to change with it, as ``access`` raises it.
    """
    if exceeds(request.size, image_store.quotas.update_bytes):
        raise QuotaExceededError(f"the update has {request.size} bytes, the quota is {image_store.quotas.update_bytes}")
    if request.revert_to is not None and request.whole_study:
        raise InvalidRequestError("includeStudyImageSets cannot be combined with revertToVersionId")
    with image_store.database.write() as connection:
        key = data_key(image_store, active_datastore(connection, image_store, datastore_id, lock=True))
        claimed = _claim(connection, key, access, image_set_id, request)
        found = claimed.pop(image_set_id)
        _check(connection, request, found)
        require_slot(connection, UPDATE_IMAGE_SET, datastore_id, image_store.quotas.concurrent_updates, what="updates")
        _check_sizes(connection, image_store, key, request, [found, *claimed.values()])
        pending = PendingUpdate(request, tuple(claimed)).to_bytes()
        forced = True if request.force else None
        begun = begin(connection, key, found, Trigger.UPDATE, request=pending, forced=forced)
        for sibling in claimed.values():
            begin(connection, key, sibling, Trigger.UPDATE_SIBLING, forced=forced)
        image_store.queue.enqueue(connection, UPDATE_IMAGE_SET, image_set_id)
    return begun


def _claim(
    connection: Connection, key: DataKey, access: ImageSetAccess, image_set_id: str, request: UpdateRequest
) -> dict[str, LockedImageSet]:
    """Claim the image set, and the other primary ones of its study when they are meant too, by ascending id.

    What is claimed here is locked, and is all that the work item changes: the access is decided once, for the whole update.
    """
    versions: dict[str, int | None] = {image_set_id: request.latest_version}
    if request.whole_study:
        study = select(image_sets.c.study_uid).where(
            image_sets.c.id == image_set_id, image_sets.c.datastore_id == key.datastore_id, image_sets.c.is_primary
        )
        others = connection.execute(
            select(image_sets.c.id).where(
                image_sets.c.datastore_id == key.datastore_id,
                image_sets.c.study_uid.in_(study),
                image_sets.c.is_primary,
                image_sets.c.deleted_at.is_(None),
            )
        ).scalars()
        versions = {**dict.fromkeys(others), **versions}
    access.require(connection, key.datastore_id, versions)
    return {name: claim(connection, key, name, versions[name]) for name in sorted(versions)}


def _check(connection: Connection, request: UpdateRequest, found: LockedImageSet) -> None:
    """Check all that can be seen without reading the instances."""
    if request.revert_to is not None:
        _version_levels(connection, found.id, request.revert_to)
        return
    edits = parse_edits(request.updatable, request.removable)
    check_edits(edits, _content(connection, found, edits), forced=request.force, whole_study=request.whole_study)


def _content(connection: Connection, found: LockedImageSet, edits: Edits) -> EditedContent:
    current = (instances.c.image_set_id == found.id, instances.c.last_version.is_(None))
    kept = select(image_sets.c.instance_count).where(image_sets.c.id == found.id)
    count = connection.execute(kept).scalar_one()
    there: set[str] = set()
    for some in in_groups(sorted(edits.mentioned_instances)):
        query = select(instances.c.sop_uid).where(*current, instances.c.sop_uid.in_(some))
        there.update(connection.execute(query).scalars())
    return EditedContent(found.is_primary, found.levels, there, count)


def _version_levels(connection: Connection, image_set_id: str, version: int) -> bytes:
    query = select(image_set_versions.c.sealed_levels).where(
        image_set_versions.c.image_set_id == image_set_id, image_set_versions.c.version == version
    )
    sealed: bytes | None = connection.execute(query).scalar_one_or_none()
    if sealed is None:
        raise NotFoundError(f"revertToVersionId: image set {image_set_id} has no version {version}")
    return sealed


def _check_sizes(
    connection: Connection,
    image_store: ImageStore,
    key: DataKey,
    request: UpdateRequest,
    held: Sequence[LockedImageSet],
) -> None:
    """Check the metadata of all new versions where it is known already: only edits of instances need their content."""
    quota = image_store.quotas.metadata_bytes
    named = held[0]
    if request.revert_to is not None:
        sealed = _version_levels(connection, named.id, request.revert_to)
        levels = open_levels(key, named.id, request.revert_to, sealed)
        totals = fragment_total(connection, named.id, request.revert_to)
        require_metadata_size(document_size_of_totals(levels, *totals), quota)
        return
    edits = parse_edits(request.updatable, request.removable)
    if edits.instances:
        return
    removed = {uid for _, uid in edits.removed_instances}
    for image_set in held:
        levels = edited_levels(image_set.levels, edits, missing_allowed=image_set is not named)
        totals = fragment_total(connection, image_set.id, image_set.version, removed)
        require_metadata_size(document_size_of_totals(levels, *totals), quota)


class ImageSetUpdater:
    """Makes the changes that were asked for."""

    def __init__(self, image_store: ImageStore) -> None:
        self._image_store = image_store

    def run(self, item: WorkItem) -> None:
        """Make the new version, or say in it why that cannot be."""
        key, begun = self._read(item.subject_id)
        try:
            pending = _pending(begun)
            levels, changes = self._prepare(key, begun, pending.request)
        except InvalidRequestError as error:
            self._fail(item, f"INVALID_REQUEST: {error}")
            return
        except QuotaExceededError as error:
            self._fail(item, f"SERVICE_QUOTA_EXCEEDED: {error}")
            return
        with self._image_store.database.write() as connection:
            begun = self._hold(connection, item, key)
            message = _collision(connection, begun, levels, changes)
            if message is not None:
                _fail_all(connection, key, begun, pending, message)
            else:
                write_rows(connection, begun.version, changes)
                succeed(connection, key, begun, Trigger.UPDATE, levels=levels, same_instances=changes.is_empty)
                _update_siblings(connection, key, pending)
                if begun.is_primary:
                    refresh_studies(connection, begun.datastore_id, {index_entry(levels).study_uid})
            self._image_store.queue.finish(connection, item)
        _log.info("update ended", image_set=begun.id, version=begun.version, updated=message is None)

    def give_up(self, item: WorkItem) -> None:
        """Fail the update."""
        self._fail(item, _GIVEN_UP)

    def _read(self, image_set_id: str) -> tuple[DataKey, LockedImageSet]:
        with self._image_store.database.read() as connection:
            query = select(image_sets.c.datastore_id).where(image_sets.c.id == image_set_id)
            datastore_id = connection.execute(query).scalar_one()
        key = fetch_key(self._image_store, get_datastore(self._image_store, datastore_id))
        with self._image_store.database.read() as connection:
            return key, under_way(connection, key, image_set_id)

    def _prepare(self, key: DataKey, begun: LockedImageSet, request: UpdateRequest) -> tuple[Levels, InstanceChanges]:
        """Compute the new version; raises `InvalidRequestError` and `QuotaExceededError` when its content does not allow it.

        No other operation can change a locked image set, so that what is read here still holds at the end.
        """
        if request.revert_to is not None:
            with self._image_store.database.read() as connection:
                sealed = _version_levels(connection, begun.id, request.revert_to)
                rows = instance_rows(connection, begun.id, begun.version)
                wanted = instance_rows(connection, begun.id, request.revert_to)
            return open_levels(key, begun.id, request.revert_to, sealed), reverted_rows(rows, wanted)
        edits = parse_edits(request.updatable, request.removable)
        with self._image_store.database.read() as connection:
            rows = instance_rows(connection, begun.id, begun.version, edits.named_instances)
            sizes = fragment_sizes(connection, begun.id, begun.version) if edits.instances else {}
        levels = edited_levels(begun.levels, edits)
        edited = edited_instances(self._image_store, key, rows, edits)
        if edited:
            size = document_size(levels, sizes_after(sizes, edits, edited))
            require_metadata_size(size, self._image_store.quotas.metadata_bytes)
        return levels, edited_rows(self._image_store, key, rows, edits, edited)

    def _hold(self, connection: Connection, item: WorkItem, key: DataKey) -> LockedImageSet:
        self._image_store.queue.hold(connection, item)
        active_datastore(connection, self._image_store, key.datastore_id, lock=True)
        return under_way(connection, key, item.subject_id)

    def _fail(self, item: WorkItem, message: str) -> None:
        key, _ = self._read(item.subject_id)
        with self._image_store.database.write() as connection:
            begun = self._hold(connection, item, key)
            _fail_all(connection, key, begun, _pending(begun), message)
            self._image_store.queue.finish(connection, item)
        _log.info("update ended", image_set=begun.id, version=begun.version, updated=False)


def _pending(begun: LockedImageSet) -> PendingUpdate:
    if begun.request is None:
        raise NotFoundError(f"image set {begun.id} has no update under way")
    return PendingUpdate.from_bytes(begun.request)


def _update_siblings(connection: Connection, key: DataKey, pending: PendingUpdate) -> None:
    if not pending.siblings:
        return
    edits = parse_edits(pending.request.updatable, pending.request.removable)
    for name in sorted(pending.siblings):
        sibling = under_way(connection, key, name)
        levels = edited_levels(sibling.levels, edits, missing_allowed=True)
        succeed(connection, key, sibling, Trigger.UPDATE_SIBLING, levels=levels, same_instances=True)


def _fail_all(
    connection: Connection, key: DataKey, begun: LockedImageSet, pending: PendingUpdate, message: str
) -> None:
    fail(connection, begun, Trigger.UPDATE, message)
    for name in sorted(pending.siblings):
        fail(connection, under_way(connection, key, name), Trigger.UPDATE_SIBLING, message)
    if begun.is_primary:
        refresh_studies(connection, begun.datastore_id, {index_entry(begun.levels).study_uid})


def _collision(connection: Connection, begun: LockedImageSet, levels: Levels, changes: InstanceChanges) -> str | None:
    """Say what of a primary image set would be in another primary image set too."""
    if not begun.is_primary:
        return None
    entry = index_entry(levels)
    others = (
        image_sets.c.datastore_id == begun.datastore_id,
        image_sets.c.id != begun.id,
        image_sets.c.is_primary,
        image_sets.c.deleted_at.is_(None),
    )
    series = (image_sets.c.study_uid == entry.study_uid, image_sets.c.series_uid == entry.series_uid)
    if connection.execute(select(image_sets.c.id).where(*others, *series)).first() is not None:
        return "INVALID_REQUEST: Another primary image set holds the series already."
    entering = sorted({row["sop_uid"] for row in changes.entering})
    for some in in_groups(entering):
        owned = (
            select(instances.c.sop_uid)
            .join(image_sets, image_sets.c.id == instances.c.image_set_id)
            .where(
                instances.c.datastore_id == begun.datastore_id,
                instances.c.sop_uid.in_(some),
                instances.c.last_version.is_(None),
                *others,
            )
        )
        if connection.execute(owned).first() is not None:
            return "INVALID_REQUEST: Another primary image set holds a SOP instance of the version already."
    return None
