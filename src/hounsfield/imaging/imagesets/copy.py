"""CopyImageSet: copies instances from one image set to another.

    request: source LOCKED/COPYING_WITH_READ_ONLY_ACCESS, destination LOCKED/COPYING
    work:    checks ─▶ rows of instances with keys of their own, records shared ─▶ COPIED
                   └─▶ COPY_FAILED with a message, the destination as it was        source as it was

No pixel data and no metadata is copied: a copied instance is a row that points to the records of its source.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import structlog
from sqlalchemy import Connection, insert, select, update

from hounsfield.dicom.healthimaging.document import Levels, document_size
from hounsfield.imaging.datastores import active_datastore, data_key
from hounsfield.imaging.errors import InvalidRequestError, NotFoundError, QuotaExceededError
from hounsfield.imaging.image_set_access import ImageSetAccess
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.imagesets.copy_request import CopyRequest, PendingCopy
from hounsfield.imaging.imagesets.copy_rules import refusal
from hounsfield.imaging.imagesets.operation_slots import require_slot
from hounsfield.imaging.imagesets.workflow import (
    LockedImageSet,
    Trigger,
    begin,
    claim,
    fail,
    insert_version,
    succeed,
    under_way,
    unlock,
)
from hounsfield.imaging.levels import index_entry, merge_levels
from hounsfield.imaging.quotas import exceeds, require_metadata_size
from hounsfield.imaging.states import ImageSetState, StorageTier, WorkflowStatus
from hounsfield.imaging.study_rows import INDEX_VERSION, refresh_studies
from hounsfield.imaging.tiering.pack_mover import mark_copy_misplaced
from hounsfield.imaging.version_rows import fragment_sizes
from hounsfield.jobs.queue import WorkItem
from hounsfield.storage.clock import now_ms
from hounsfield.storage.db.image_set_tables import image_set_versions, image_sets, instances
from hounsfield.storage.identifiers import new_id, new_instance_key
from hounsfield.storage.journal.changes import note_begun
from hounsfield.storage.keys.data_key import DataKey

COPY_IMAGE_SET: Final = "copy-image-set"
_GIVEN_UP = "INTERNAL_ERROR: The copy could not be made, see the log of the service."
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class StartedCopy:
    """Source and destination as a copy begins."""

    source: LockedImageSet
    destination: LockedImageSet


def copy_image_set(
    image_store: ImageStore, access: ImageSetAccess, datastore_id: str, request: CopyRequest
) -> StartedCopy:
    """Lock source and destination for a copy that is made soon after (CopyImageSet).

    Raises
    ------
    NotFoundError
        Data store, source or destination is not there, or a version given is not the latest.
    ConflictError
        Source or destination is LOCKED, or the data store is not ACTIVE.
    InvalidRequestError
        The request breaks a rule that can be seen without copying.
    QuotaExceededError
        The copy would have more frames than one may, the destination more metadata than an image set may, or the data
        store more copies under way than it may.
    AccessDeniedError
        The caller may not copy source or destination, also where that is the primary image set that a promotion finds, as
        ``access`` raises it.
    """
    if request.force and request.promote:
        raise InvalidRequestError("force and promoteToPrimary cannot be combined")
    with image_store.database.write() as connection:
        datastore = active_datastore(connection, image_store, datastore_id, lock=True)
        key = data_key(image_store, datastore)
        source, destination = _claim_both(connection, key, access, request)
        rows = _check(connection, request, source, destination)
        _check_quotas(connection, image_store, request, source, destination, rows)
        pending = PendingCopy(
            source_id=source.id,
            source_status=source.status,
            sop_uids=None if request.chosen is None else tuple(sorted(request.chosen.sop_uids)),
            force=request.force,
            promote=request.promote,
        ).to_bytes()
        forced = True if request.force else None
        if destination is None:
            into = _make_destination(connection, key, source, pending, forced=forced)
        else:
            into = begin(connection, key, destination, Trigger.COPY_INTO, request=pending, forced=forced)
        begun = StartedCopy(begin(connection, key, source, Trigger.COPY_SOURCE), into)
        image_store.queue.enqueue(connection, COPY_IMAGE_SET, into.id)
    return begun


def _claim_both(
    connection: Connection, key: DataKey, access: ImageSetAccess, request: CopyRequest
) -> tuple[LockedImageSet, LockedImageSet | None]:
    """Claim both image sets by ascending id; promotion without a destination goes into the primary set of the series."""
    versions: dict[str, int | None] = {request.source_id: request.source_version}
    destination_id = None
    if request.destination is not None:
        destination_id = request.destination.image_set_id
        if destination_id == request.source_id:
            raise InvalidRequestError("destinationImageSet is the source image set itself")
        versions[destination_id] = request.destination.version
    elif request.promote:
        destination_id = _primary_of_series(connection, key.datastore_id, request.source_id)
        if destination_id is not None:
            versions.setdefault(destination_id, None)
    access.require(connection, key.datastore_id, versions)
    claimed = {
        image_set_id: claim(connection, key, image_set_id, versions[image_set_id]) for image_set_id in sorted(versions)
    }
    return claimed[request.source_id], claimed[destination_id] if destination_id is not None else None


def _primary_of_series(connection: Connection, datastore_id: str, image_set_id: str) -> str | None:
    own = image_sets.alias()
    found = connection.execute(
        select(image_sets.c.id)
        .join(
            own,
            (own.c.datastore_id == image_sets.c.datastore_id)
            & (own.c.study_uid == image_sets.c.study_uid)
            & (own.c.series_uid == image_sets.c.series_uid),
        )
        .where(
            own.c.id == image_set_id,
            own.c.deleted_at.is_(None),
            image_sets.c.datastore_id == datastore_id,
            image_sets.c.is_primary,
            image_sets.c.deleted_at.is_(None),
        )
    ).scalar_one_or_none()
    return None if found is None else str(found)


def _check(
    connection: Connection, request: CopyRequest, source: LockedImageSet, into: LockedImageSet | None
) -> list[Any]:
    """Check all that can be seen without copying, and give the rows of the instances to copy."""
    if request.promote and source.is_primary:
        raise InvalidRequestError("promoteToPrimary: the source image set is primary already")
    if request.promote and into is not None and not into.is_primary:
        raise InvalidRequestError("promoteToPrimary: destinationImageSet must be a primary image set")
    if request.force and into is not None and into.is_primary:
        raise InvalidRequestError("force: a primary image set cannot be the destination of a forced copy")
    chosen = request.chosen
    if chosen is not None and chosen.series_uid != source.levels.series.get("SeriesInstanceUID"):
        raise InvalidRequestError("copiableAttributes: the key in Series must be the Series Instance UID of the source")
    rows = _chosen(connection, source, None if chosen is None else chosen.sop_uids)
    if chosen is not None and len(rows) != len(chosen.sop_uids):
        missing = len(chosen.sop_uids) - len(rows)
        raise InvalidRequestError(f"copiableAttributes: {missing} SOP instances are not in the source image set")
    if not rows:
        raise InvalidRequestError("the source image set holds no SOP instance")
    return rows


def _check_quotas(
    connection: Connection,
    image_store: ImageStore,
    request: CopyRequest,
    source: LockedImageSet,
    into: LockedImageSet | None,
    rows: Sequence[Any],
) -> None:
    """Check all quotas at once: what is copied, and into what, cannot change any more."""
    quotas = image_store.quotas
    frames = sum(row.frame_count for row in rows)
    if exceeds(frames, quotas.copy_frames):
        raise QuotaExceededError(f"the copy has {frames} image frames, the quota is {quotas.copy_frames}")
    require_slot(connection, COPY_IMAGE_SET, source.datastore_id, quotas.concurrent_copies, what="copies")
    sizes = {} if into is None else fragment_sizes(connection, into.id, into.version)
    sizes |= {row.sop_uid: row.fragment_bytes for row in rows}
    size = document_size(_levels_of_copy(request.promote, source, into or source), sizes.items())
    require_metadata_size(size, quotas.metadata_bytes)


def _make_destination(
    connection: Connection, key: DataKey, source: LockedImageSet, pending: bytes, *, forced: bool | None
) -> LockedImageSet:
    now = now_ms()
    made = LockedImageSet(
        id=new_id(),
        datastore_id=source.datastore_id,
        version=1,
        state=ImageSetState.LOCKED,
        status=WorkflowStatus.COPYING,
        is_primary=False,
        created_at=now,
        updated_at=None,
        levels=source.levels,
        request=pending,
    )
    connection.execute(
        insert(image_sets).values(
            id=made.id,
            datastore_id=made.datastore_id,
            is_primary=False,
            state=made.state,
            latest_version=made.version,
            created_at=now,
            updated_at=now,
            last_accessed_at=now,
            storage_tier=StorageTier.FREQUENT_ACCESS,
            instance_count=0,
            index_version=INDEX_VERSION,
            **asdict(index_entry(made.levels)),
        )
    )
    insert_version(connection, key, made, forced=forced)
    return made


def _chosen(
    connection: Connection, source: LockedImageSet, sop_uids: Sequence[str] | frozenset[str] | None
) -> list[Any]:
    """Read the rows of the instances to copy."""
    rows = connection.execute(
        select(instances).where(instances.c.image_set_id == source.id, instances.c.last_version.is_(None))
    ).all()
    wanted = None if sop_uids is None else frozenset(sop_uids)
    return [row for row in rows if wanted is None or row.sop_uid in wanted]


class ImageSetCopier:
    """Makes the copies that were asked for."""

    def __init__(self, image_store: ImageStore) -> None:
        self._image_store = image_store

    def run(self, item: WorkItem) -> None:
        """Copy the instances into the destination, or say in its new version why that cannot be."""
        self._end(item)

    def give_up(self, item: WorkItem) -> None:
        """Fail the copy."""
        self._end(item, _GIVEN_UP)

    def _end(self, item: WorkItem, message: str | None = None) -> None:
        with self._image_store.database.write() as connection:
            self._image_store.queue.hold(connection, item)
            key = self._key(connection, item.subject_id)
            into = under_way(connection, key, item.subject_id)
            if into.request is None:
                raise NotFoundError(f"image set {into.id} has no copy under way")
            pending = PendingCopy.from_bytes(into.request)
            source = under_way(connection, key, pending.source_id)
            rows = _chosen(connection, source, pending.sop_uids)
            message = message or refusal(connection, pending, source, into, [row.sop_uid for row in rows])
            trigger = Trigger.COPY_NEW if into.version == 1 else Trigger.COPY_INTO
            if message is None:
                _add(connection, into, rows)
                mark_copy_misplaced(connection, source.id, into.id)
                _succeed(connection, key, trigger, pending, source, into)
            else:
                fail(connection, into, trigger, message)
                if into.is_primary:
                    refresh_studies(connection, into.datastore_id, {index_entry(into.levels).study_uid})
            unlock(connection, source, pending.source_status)
            self._image_store.queue.finish(connection, item)
        _log.info("copy ended", source=source.id, destination=into.id, copied=message is None)

    def _key(self, connection: Connection, image_set_id: str) -> DataKey:
        query = select(image_sets.c.datastore_id).where(image_sets.c.id == image_set_id)
        datastore_id = connection.execute(query).scalar_one()
        return data_key(self._image_store, active_datastore(connection, self._image_store, datastore_id, lock=True))


def _add(connection: Connection, into: LockedImageSet, rows: Sequence[Any]) -> None:
    """Add rows to the destination that share the records of the source, under keys of their own."""
    copies = [
        {**row._mapping, "key": new_instance_key(), "image_set_id": into.id, "first_version": into.version}  # noqa: SLF001 - public in SQLAlchemy
        for row in rows
    ]
    connection.execute(insert(instances), copies)
    note_begun(connection, copies, into.version, None, [[row.key, row.first_version] for row in rows])
    if rows:
        _lower_index_version(connection, rows[0].image_set_id, into.id)


def _lower_index_version(connection: Connection, source_id: str, into_id: str) -> None:
    """Have the destination indexed anew when what came into it is not indexed in the newest form."""
    version = connection.execute(select(image_sets.c.index_version).where(image_sets.c.id == source_id)).scalar_one()
    connection.execute(
        update(image_sets)
        .where(image_sets.c.id == into_id, image_sets.c.index_version > version)
        .values(index_version=version)
    )


def _succeed(
    connection: Connection,
    key: DataKey,
    trigger: Trigger,
    pending: PendingCopy,
    source: LockedImageSet,
    into: LockedImageSet,
) -> None:
    if pending.promote:
        connection.execute(update(image_sets).where(image_sets.c.id == into.id).values(is_primary=True))
        connection.execute(
            update(image_set_versions)
            .where(image_set_versions.c.image_set_id == into.id, image_set_versions.c.version == into.version)
            .values(is_primary=True)
        )
    levels = _levels_of_copy(pending.promote, source, into)
    succeed(connection, key, into, trigger, levels=levels)
    if pending.promote or into.is_primary:
        refresh_studies(connection, into.datastore_id, {index_entry(levels).study_uid})


def _levels_of_copy(promote: bool, source: LockedImageSet, into: LockedImageSet) -> Levels:
    return merge_levels(source.levels, into.levels) if promote else into.levels
