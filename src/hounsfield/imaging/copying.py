"""Copying instances from one image set to another (CopyImageSet).

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
from sqlalchemy import Connection, func, insert, select, update

from hounsfield.imaging.archive import Archive
from hounsfield.imaging.copy_request import CopyRequest, PendingCopy
from hounsfield.imaging.copy_rules import refusal
from hounsfield.imaging.datastores import active_datastore, data_key
from hounsfield.imaging.errors import InvalidRequestError, NotFoundError, QuotaExceededError
from hounsfield.imaging.levels import index_entry, merge_levels
from hounsfield.imaging.placing import share_place
from hounsfield.imaging.states import ImageSetState, StorageTier, WorkflowStatus
from hounsfield.imaging.transitions import (
    HeldImageSet,
    Trigger,
    begin,
    claim,
    fail,
    insert_version,
    release,
    succeed,
    under_way,
)
from hounsfield.jobs.queue import WorkItem
from hounsfield.storage.clock import now_ms
from hounsfield.storage.identifiers import new_id, new_instance_key
from hounsfield.storage.keys import DataKey
from hounsfield.storage.tables import image_set_versions, image_sets, instances, work_items

COPY_IMAGE_SET: Final = "copy-image-set"
MOST_FRAMES: Final = 1_000
"""Quota of image frames for one copy (spec 16)."""
MOST_COPIES: Final = 100
"""Quota of copies under way in one data store (spec 16)."""
_GIVEN_UP = "INTERNAL_ERROR: The copy could not be made, see the log of the service."
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class CopyBegun:
    """Source and destination as a copy begins."""

    source: HeldImageSet
    destination: HeldImageSet


def copy_image_set(archive: Archive, datastore_id: str, request: CopyRequest) -> CopyBegun:
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
        More frames than one copy may have, or more copies under way than a data store may have.
    """
    if request.force and request.promote:
        raise InvalidRequestError("force and promoteToPrimary cannot be combined")
    with archive.database.write() as connection:
        datastore = active_datastore(connection, archive, datastore_id, lock=True)
        key = data_key(archive, datastore)
        source, destination = _claim_both(connection, key, request)
        _check(connection, request, source, destination)
        pending = PendingCopy(
            source_id=source.id,
            source_status=source.status,
            sop_uids=None if request.sop_uids is None else tuple(sorted(request.sop_uids)),
            force=request.force,
            promote=request.promote,
        ).to_bytes()
        forced = True if request.force else None
        if destination is None:
            into = _make_destination(connection, key, source, pending, forced=forced)
        else:
            into = begin(connection, key, destination, Trigger.COPY_INTO, request=pending, forced=forced)
        begun = CopyBegun(begin(connection, key, source, Trigger.COPY_SOURCE), into)
        archive.queue.enqueue(connection, COPY_IMAGE_SET, into.id)
    return begun


def _claim_both(connection: Connection, key: DataKey, request: CopyRequest) -> tuple[HeldImageSet, HeldImageSet | None]:
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
            image_sets.c.datastore_id == datastore_id,
            image_sets.c.is_primary,
            image_sets.c.deleted_at.is_(None),
        )
    ).scalar_one_or_none()
    return None if found is None else str(found)


def _check(connection: Connection, request: CopyRequest, source: HeldImageSet, into: HeldImageSet | None) -> None:
    if request.promote and source.is_primary:
        raise InvalidRequestError("promoteToPrimary: the source image set is primary already")
    if request.promote and into is not None and not into.is_primary:
        raise InvalidRequestError("promoteToPrimary: destinationImageSet must be a primary image set")
    if request.force and into is not None and into.is_primary:
        raise InvalidRequestError("force: a primary image set cannot be the destination of a forced copy")
    rows = _chosen(connection, source, request.sop_uids)
    if request.sop_uids is not None and len(rows) != len(request.sop_uids):
        missing = len(request.sop_uids) - len(rows)
        raise InvalidRequestError(f"copiableAttributes: {missing} SOP instances are not in the source image set")
    if not rows:
        raise InvalidRequestError("the source image set holds no SOP instance")
    frames = sum(row.frame_count for row in rows)
    if frames > MOST_FRAMES:
        raise QuotaExceededError(f"the copy has {frames} image frames, the quota is {MOST_FRAMES}")
    under_way_now = connection.execute(
        select(func.count())
        .select_from(work_items)
        .join(image_sets, image_sets.c.id == work_items.c.subject_id)
        .where(work_items.c.kind == COPY_IMAGE_SET, image_sets.c.datastore_id == source.datastore_id)
    ).scalar_one()
    if under_way_now >= MOST_COPIES:
        raise QuotaExceededError(f"the data store has {under_way_now} copies under way, the quota is {MOST_COPIES}")


def _make_destination(
    connection: Connection, key: DataKey, source: HeldImageSet, pending: bytes, *, forced: bool | None
) -> HeldImageSet:
    now = now_ms()
    made = HeldImageSet(
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
            **asdict(index_entry(made.levels)),
        )
    )
    insert_version(connection, key, made, forced=forced)
    return made


def _chosen(connection: Connection, source: HeldImageSet, sop_uids: Sequence[str] | frozenset[str] | None) -> list[Any]:
    """Read the rows of the instances to copy."""
    rows = connection.execute(
        select(instances).where(instances.c.image_set_id == source.id, instances.c.last_version.is_(None))
    ).all()
    wanted = None if sop_uids is None else frozenset(sop_uids)
    return [row for row in rows if wanted is None or row.sop_uid in wanted]


class ImageSetCopier:
    """Makes the copies that were asked for."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    def run(self, item: WorkItem) -> None:
        """Copy the instances into the destination, or say in its new version why that cannot be."""
        self._end(item)

    def give_up(self, item: WorkItem) -> None:
        """Fail the copy."""
        self._end(item, _GIVEN_UP)

    def _end(self, item: WorkItem, message: str | None = None) -> None:
        with self._archive.database.write() as connection:
            self._archive.queue.hold(connection, item)
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
                share_place(connection, source.id, into.id)
                _succeed(connection, key, trigger, pending, source, into)
            else:
                fail(connection, into, trigger, message)
            release(connection, source, pending.source_status)
            self._archive.queue.finish(connection, item)
        _log.info("copy ended", source=source.id, destination=into.id, copied=message is None)

    def _key(self, connection: Connection, image_set_id: str) -> DataKey:
        query = select(image_sets.c.datastore_id).where(image_sets.c.id == image_set_id)
        datastore_id = connection.execute(query).scalar_one()
        return data_key(self._archive, active_datastore(connection, self._archive, datastore_id, lock=True))


def _add(connection: Connection, into: HeldImageSet, rows: Sequence[Any]) -> None:
    """Give the destination rows that share the records of the source, under keys of their own."""
    copies = [
        {**row._mapping, "key": new_instance_key(), "image_set_id": into.id, "first_version": into.version}  # noqa: SLF001 - public in SQLAlchemy
        for row in rows
    ]
    connection.execute(insert(instances), copies)


def _succeed(
    connection: Connection,
    key: DataKey,
    trigger: Trigger,
    pending: PendingCopy,
    source: HeldImageSet,
    into: HeldImageSet,
) -> None:
    levels = into.levels
    if pending.promote:
        levels = merge_levels(source.levels, into.levels)
        connection.execute(update(image_sets).where(image_sets.c.id == into.id).values(is_primary=True))
        connection.execute(
            update(image_set_versions)
            .where(image_set_versions.c.image_set_id == into.id, image_set_versions.c.version == into.version)
            .values(is_primary=True)
        )
    succeed(connection, key, into, trigger, levels=levels)
