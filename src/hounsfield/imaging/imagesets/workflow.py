"""State machine of image sets (API shape ImageSetWorkflowStatus), as a table, and its transitions.

    claim ──▶ begin ────────────────▶ (work, from a work item) ──▶ succeed
    checks    LOCKED, new version       reads, computes, packs  └─▶ fail: the version keeps the content of the one before

Use, for an operation that changes an image set::

    with image_store.database.write() as connection:                       # the request
        datastore = active_datastore(connection, image_store, datastore_id, lock=True)
        key = data_key(image_store, datastore)
        found = claim(connection, key, image_set_id, latest_version)
        begun = begin(connection, key, found, Trigger.UPDATE, request=b"...", forced=True)
        image_store.queue.enqueue(connection, UPDATE_IMAGE_SET, image_set_id)

    with image_store.database.write() as connection:                       # the work item
        image_store.queue.hold(connection, item)
        active_datastore(connection, image_store, datastore_id, lock=True)
        begun = under_way(connection, key, item.subject_id)            # begun.request is what was asked for
        ...                                                            # rows of instances for begun.version
        succeed(connection, key, begun, Trigger.UPDATE, levels=new)    # or fail(connection, begun, Trigger.UPDATE, text)
        image_store.queue.finish(connection, item)

Order of locks: the row of the data store first, then image sets by ascending id; importing does the same. Rows of instances
need no touch when an operation begins or fails: those valid until now (``last_version`` None) are valid in the new version.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, Row, select, update

from hounsfield.dicom.healthimaging.document import Levels
from hounsfield.imaging.errors import ConflictError, NotFoundError
from hounsfield.imaging.levels import index_entry, open_levels, seal_levels
from hounsfield.imaging.states import ImageSetState, StorageTier, WorkflowStatus
from hounsfield.imaging.study_rows import refresh_series
from hounsfield.imaging.tag_index import follow_image_sets
from hounsfield.imaging.version_rows import VersionRow, current_totals, insert_version_row
from hounsfield.storage.clock import now_ms
from hounsfield.storage.db.database import lock_row
from hounsfield.storage.db.image_set_tables import image_set_versions, image_sets
from hounsfield.storage.journal.changes import note_image_set
from hounsfield.storage.keys.data_key import DataKey

NOT_THE_LATEST: Final = "Requested version(s) of ImageSet(s) is not the latest."
_UNSHOWABLE = re.compile(r"[^\w -:`]", re.ASCII)
_LONGEST_MESSAGE = 2048


class Trigger(StrEnum):
    """What sets an image set in motion."""

    UPDATE = "update"
    """UpdateImageSetMetadata, the image set it names."""
    UPDATE_SIBLING = "update-sibling"
    """UpdateImageSetMetadata with includeStudyImageSets, the other primary image sets of the study."""
    COPY_SOURCE = "copy-source"
    """CopyImageSet, where the instances come from."""
    COPY_NEW = "copy-new"
    """CopyImageSet into an image set that the operation makes."""
    COPY_INTO = "copy-into"
    """CopyImageSet into a given image set."""
    DELETE = "delete"
    """DeleteImageSet."""


@dataclass(frozen=True, slots=True)
class Transition:
    """One row of the table; a status of None means the one from before."""

    during: WorkflowStatus
    success: WorkflowStatus | None
    failure: WorkflowStatus | None
    new_version: bool
    readable: bool
    """Whether the metadata of the version can be read meanwhile."""
    ends_as: ImageSetState = ImageSetState.ACTIVE


_S = WorkflowStatus
TRANSITIONS: Final[Mapping[Trigger, Transition]] = {
    Trigger.UPDATE: Transition(_S.UPDATING, _S.UPDATED, _S.UPDATE_FAILED, new_version=True, readable=False),
    Trigger.UPDATE_SIBLING: Transition(
        _S.UPDATING_FOR_STUDY_CONSISTENCY, _S.UPDATED, _S.UPDATE_FAILED, new_version=True, readable=False
    ),
    Trigger.COPY_SOURCE: Transition(_S.COPYING_WITH_READ_ONLY_ACCESS, None, None, new_version=False, readable=True),
    Trigger.COPY_NEW: Transition(_S.COPYING, _S.COPIED, _S.COPY_FAILED, new_version=True, readable=False),
    Trigger.COPY_INTO: Transition(_S.COPYING, _S.COPIED, _S.COPY_FAILED, new_version=True, readable=False),
    Trigger.DELETE: Transition(
        _S.DELETING, _S.DELETED, None, new_version=False, readable=False, ends_as=ImageSetState.DELETED
    ),
}
"""During an operation the state is LOCKED; after it ACTIVE, or DELETED."""

_UNREADABLE = frozenset(entry.during for entry in TRANSITIONS.values() if not entry.readable)


@dataclass(frozen=True, slots=True)
class LockedImageSet:
    """An image set at its latest version, its row locked until the caller's transaction ends."""

    id: str
    datastore_id: str
    version: int
    state: ImageSetState
    status: WorkflowStatus
    is_primary: bool
    created_at: int
    updated_at: int | None
    levels: Levels
    request: bytes | None
    """What the operation under way was asked for, as it gave it to `begin`; None when there is none."""


def claim(connection: Connection, key: DataKey, image_set_id: str, latest_version: int | None = None) -> LockedImageSet:
    """Lock the row of an image set that an operation is about to change.

    Parameters
    ----------
    connection : Connection
        A write transaction that has the lock of the data store.
    key : DataKey
        Key of the data store.
    image_set_id : str
        Which image set.
    latest_version : int or None
        The version that the caller takes for the latest; None when the operation does not ask for one.

    Raises
    ------
    NotFoundError
        There is no such image set in the data store, it was deleted, or its latest version is another one.
    ConflictError
        Another operation on it is under way.
    """
    row = _row(connection, key.datastore_id, image_set_id)
    if row is None or row.deleted_at is not None or row.state == ImageSetState.DELETED:
        raise NotFoundError(f"image set {image_set_id} does not exist in data store {key.datastore_id}")
    if row.state != ImageSetState.ACTIVE:
        raise ConflictError(f"image set {image_set_id} is {row.state} ({row.workflow_status}), it must be ACTIVE")
    if latest_version is not None and row.version != latest_version:
        raise NotFoundError(NOT_THE_LATEST)
    return _held(key, row)


def under_way(connection: Connection, key: DataKey, image_set_id: str) -> LockedImageSet:
    """Lock the row of an image set whose operation was begun, to go on with it; raises `NotFoundError`."""
    row = _row(connection, key.datastore_id, image_set_id)
    if row is None:
        raise NotFoundError(f"image set {image_set_id} does not exist in data store {key.datastore_id}")
    return _held(key, row)


def begin(
    connection: Connection,
    key: DataKey,
    found: LockedImageSet,
    trigger: Trigger,
    *,
    request: bytes | None = None,
    forced: bool | None = None,
) -> LockedImageSet:
    """Lock an image set for an operation and open its new version, which begins with the content of the one before.

    Parameters
    ----------
    connection : Connection
        The transaction in which ``found`` was claimed.
    key : DataKey
        Key of the data store; seals ``request``.
    found : LockedImageSet
        The image set.
    trigger : Trigger
        What begins.
    request : bytes or None
        What the work item needs to know; `under_way` gives it back. Only kept when the trigger opens a new version.
    forced : bool or None
        ``overrides.forced`` of the new version.

    Returns
    -------
    LockedImageSet
        As the image set is now; ``status`` of ``found`` is the status from before.
    """
    now = now_ms()
    transition = TRANSITIONS[trigger]
    if not transition.new_version:
        _set_version(connection, found, state=ImageSetState.LOCKED, workflow_status=transition.during)
        _set_image_set(connection, found, state=ImageSetState.LOCKED)
        return replace(found, state=ImageSetState.LOCKED, status=transition.during)
    begun = replace(
        found,
        version=found.version + 1,
        state=ImageSetState.LOCKED,
        status=transition.during,
        updated_at=now,
        request=request,
    )
    insert_version(connection, key, begun, forced=forced)
    _set_image_set(
        connection,
        begun,
        state=ImageSetState.LOCKED,
        latest_version=begun.version,
        updated_at=now,
        last_accessed_at=now,
        storage_tier=StorageTier.FREQUENT_ACCESS,
    )
    return begun


def insert_version(
    connection: Connection, key: DataKey, version: LockedImageSet, *, forced: bool | None = None
) -> None:
    """Write the row of a version as it is described; the row of the image set itself is the caller's."""
    sealed_request = None
    if version.request is not None:
        sealed_request = key.seal(version.request, _request_context(version.id, version.version))
    row = VersionRow(
        image_set_id=version.id,
        version=version.version,
        state=version.state,
        workflow_status=version.status,
        is_primary=version.is_primary,
        created_at=version.created_at,
        updated_at=version.updated_at,
        forced=forced,
        sealed_request=sealed_request,
    )
    insert_version_row(connection, key, row, version.levels)
    note_image_set(connection, version.id)


def succeed(
    connection: Connection,
    key: DataKey,
    begun: LockedImageSet,
    trigger: Trigger,
    *,
    levels: Levels | None = None,
    same_instances: bool = False,
) -> None:
    """Close the new version of an operation as a success; the rows of its instances are written already.

    Parameters
    ----------
    connection : Connection
        A write transaction that holds the image set.
    key : DataKey
        Key of the data store.
    begun : LockedImageSet
        From `begin` or `under_way`.
    trigger : Trigger
        One that opens a new version.
    levels : Levels or None
        Patient, study and series values of the version; None leaves them as they were. The search index follows, but for
        the study (`hounsfield.imaging.study_rows.refresh_studies`): the caller brings it up to date once for all its
        image sets.
    same_instances : bool
        Whether the instances are those of the version before, unchanged: what the row tells of them holds, and a large series
        is not read.
    """
    now = now_ms()
    levels = begun.levels if levels is None else levels
    totals = {} if same_instances else current_totals(connection, begun.id)
    _set_version(
        connection,
        begun,
        state=ImageSetState.ACTIVE,
        workflow_status=TRANSITIONS[trigger].success,
        updated_at=now if begun.version > 1 else None,
        sealed_levels=seal_levels(key, begun.id, begun.version, levels),
        sealed_request=None,
    )
    _set_image_set(
        connection,
        begun,
        state=ImageSetState.ACTIVE,
        updated_at=now,
        last_accessed_at=now,
        storage_tier=StorageTier.FREQUENT_ACCESS,
        **totals,
        **asdict(index_entry(levels)),
    )
    if not same_instances:
        refresh_series(connection, [begun.id])


def fail(connection: Connection, begun: LockedImageSet, trigger: Trigger, message: str) -> None:
    """Close the new version of an operation as a failure that ``message`` explains; its content is that of the one before.

    The caller must not have written rows of instances for the version. As after `succeed` it brings the study up to date,
    whose row has the values of the image set that was changed last: a failure changes which one that is.
    """
    now = now_ms()
    _set_version(
        connection,
        begun,
        state=ImageSetState.ACTIVE,
        workflow_status=TRANSITIONS[trigger].failure,
        updated_at=now if begun.version > 1 else None,
        message=make_showable(message),
        sealed_request=None,
    )
    _set_image_set(connection, begun, state=ImageSetState.ACTIVE, updated_at=now)


def unlock(connection: Connection, held: LockedImageSet, status_before: WorkflowStatus) -> None:
    """End an operation that made no new version (the source of a copy): ACTIVE, with the status from before."""
    _set_version(connection, held, state=ImageSetState.ACTIVE, workflow_status=status_before)
    _set_image_set(connection, held, state=ImageSetState.ACTIVE)


def check_readable(image_set_id: str, status: str) -> None:
    """Refuse to read the metadata of a version that is still being made; raises `ConflictError`."""
    if status in _UNREADABLE:
        raise ConflictError(f"image set {image_set_id} is {status}, its metadata can be read when that has ended")


def make_showable(message: str) -> str:
    """Bring a message into the form that the service model allows for the message of a version."""
    return _UNSHOWABLE.sub("-", message)[:_LONGEST_MESSAGE]


def _row(connection: Connection, datastore_id: str, image_set_id: str) -> Row[Any] | None:
    """Lock the image set and read it together with its latest version, in this order so that both are of one moment."""
    image_set = select(image_sets.c.id).where(
        image_sets.c.id == image_set_id, image_sets.c.datastore_id == datastore_id
    )
    if connection.execute(lock_row(connection, image_set)).first() is None:
        return None
    return connection.execute(
        select(image_set_versions, image_sets.c.datastore_id, image_sets.c.deleted_at)
        .join(image_sets, image_sets.c.id == image_set_versions.c.image_set_id)
        .where(image_sets.c.id == image_set_id, image_set_versions.c.version == image_sets.c.latest_version)
    ).first()


def _held(key: DataKey, row: Row[Any]) -> LockedImageSet:
    request = None
    if row.sealed_request is not None:
        request = key.open(row.sealed_request, _request_context(row.image_set_id, row.version))
    return LockedImageSet(
        id=row.image_set_id,
        datastore_id=row.datastore_id,
        version=row.version,
        state=ImageSetState(row.state),
        status=WorkflowStatus(row.workflow_status),
        is_primary=row.is_primary,
        created_at=row.created_at,
        updated_at=row.updated_at,
        levels=open_levels(key, row.image_set_id, row.version, row.sealed_levels),
        request=request,
    )


def _request_context(image_set_id: str, version: int) -> str:
    return f"request:{image_set_id}:{version}"


def _set_version(connection: Connection, held: LockedImageSet, **values: object) -> None:
    connection.execute(
        update(image_set_versions)
        .where(image_set_versions.c.image_set_id == held.id, image_set_versions.c.version == held.version)
        .values(**values)
    )
    note_image_set(connection, held.id, held.version)


def _set_image_set(connection: Connection, held: LockedImageSet, **values: object) -> None:
    connection.execute(update(image_sets).where(image_sets.c.id == held.id).values(**values))
    note_image_set(connection, held.id)
    follow_image_sets(connection, [held.id])
