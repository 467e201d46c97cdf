"""The look-up of stored instances by the UIDs that DICOMweb names them with.

    data store, study, series, SOP instance ─▶ the primary image set of the series, or a given one ─▶ its version now ─▶ rows

What is read holds together: while an update or a copy into an image set is under way, it is the version before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, exists, func, select

from hounsfield.dicom.healthimaging.document import Levels
from hounsfield.imaging.datastores import active_datastore, data_key
from hounsfield.imaging.errors import NotFoundError
from hounsfield.imaging.image_set_access import ImageSetAccess
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.imagesets.workflow import TRANSITIONS
from hounsfield.imaging.levels import open_levels
from hounsfield.imaging.retrieve.queries import (
    first_sop_uid,
    row_of_image_set,
    row_of_series,
    rows_of_instances,
    rows_of_study,
    versions_of_updates,
)
from hounsfield.imaging.staged_instance import PixelKind
from hounsfield.imaging.states import WorkflowStatus
from hounsfield.storage.blobs.packs import Extent
from hounsfield.storage.db.database import in_groups
from hounsfield.storage.db.image_set_tables import instances
from hounsfield.storage.keys.data_key import DataKey

_GONE: Final = frozenset({WorkflowStatus.DELETING, WorkflowStatus.DELETED})
_BEING_MADE: Final = frozenset(entry.during for entry in TRANSITIONS.values() if entry.new_version)


@dataclass(frozen=True, slots=True)
class ReadableImageSet:
    """An image set at the version that can be read now.

    Attributes
    ----------
    datastore_id, image_set_id : str
        Which one.
    version : int
        Its latest version; while an operation is making that, the one before.
    is_primary : bool
        Whether it is the primary image set of its series.
    study_uid, series_uid : str
        What it holds.
    levels : Levels
        Patient, study and series values of the version.
    key : DataKey
        What its records are sealed with.
    updates : tuple of int
        Versions up to this one that UpdateImageSetMetadata made.
    """

    datastore_id: str
    image_set_id: str
    version: int
    is_primary: bool
    study_uid: str
    series_uid: str
    levels: Levels
    key: DataKey = field(repr=False)
    updates: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class StoredInstance:
    """An instance as it is stored.

    Attributes
    ----------
    image_set : ReadableImageSet
        Where it is.
    key : str
        What its frame ids begin with.
    source_key : str
        What its records were written under.
    sop_uid, sop_class_uid : str
        Its UIDs in this version.
    stored_transfer_syntax : str or None
        How its pixel data is stored; None without pixel data.
    pixel_kind : PixelKind
        Whether its pixel data is stored in frames.
    frame_count : int
        Frames it is served in.
    fragment, dataset : Extent
        Where its JSON fragment and its data set are.
    order : int
        Its Instance Number, the largest there is where it has none.
    since : int
        Version in which it came into the image set.
    """

    image_set: ReadableImageSet
    key: str
    source_key: str
    sop_uid: str
    sop_class_uid: str
    stored_transfer_syntax: str | None
    pixel_kind: PixelKind
    frame_count: int
    fragment: Extent
    dataset: Extent
    order: int
    since: int

    @property
    def is_edited(self) -> bool:
        """Whether its own elements were edited: edits write a fragment apart from the data set, which stays."""
        return self.fragment.pack_id != self.dataset.pack_id

    @property
    def is_copy(self) -> bool:
        """Whether it came from another image set."""
        return self.key != self.source_key


def find_image_set(
    image_store: ImageStore,
    access: ImageSetAccess,
    datastore_id: str,
    study_uid: str,
    series_uid: str,
    image_set_id: str | None = None,
) -> ReadableImageSet:
    """Find the image set of a series.

    Parameters
    ----------
    image_store : ImageStore
        The image store.
    access : ImageSetAccess
        What the caller may do with it.
    datastore_id, study_uid, series_uid : str
        Which series.
    image_set_id : str or None
        An image set of that series; None for the primary one.

    Raises
    ------
    NotFoundError
        The data store or the series is not there, or the image set is not one of that series.
    AccessDeniedError
        The caller may not read it, as ``access`` raises it.
    """
    with image_store.database.read() as connection:
        return _image_set(connection, image_store, access, datastore_id, (study_uid, series_uid), image_set_id)


def find_instance(
    image_store: ImageStore,
    access: ImageSetAccess,
    datastore_id: str,
    study_uid: str,
    series_uid: str,
    sop_uid: str,
    image_set_id: str | None = None,
) -> StoredInstance:
    """Find an instance by its UIDs; parameters are those of `find_image_set`.

    Raises
    ------
    NotFoundError
        The data store, the series or the instance is not there.
    AccessDeniedError
        The caller may not read its image set, as ``access`` raises it.
    """
    with image_store.database.read() as connection:
        image_set = _image_set(connection, image_store, access, datastore_id, (study_uid, series_uid), image_set_id)
        found = _instances(connection, image_set, [sop_uid])
    if not found:
        raise NotFoundError(
            f"image set {image_set.image_set_id} of this series has no instance with this SOP Instance UID"
        )
    return found[0]


def find_current_instances(
    image_store: ImageStore, datastore_id: str, wanted: Sequence[tuple[str, str]]
) -> list[StoredInstance | None]:
    """Find instances by the ids of their image sets and their SOP Instance UIDs, in the order asked for.

    Returns
    -------
    list of StoredInstance or None
        None for what is not there any more.
    """
    uids: dict[str, list[str]] = {}
    for image_set_id, sop_uid in wanted:
        uids.setdefault(image_set_id, []).append(sop_uid)
    found: dict[tuple[str, str], StoredInstance] = {}
    with image_store.database.read() as connection:
        key = data_key(image_store, active_datastore(connection, image_store, datastore_id))
        for image_set_id, some in uids.items():
            row = row_of_image_set(connection, image_set_id)
            if row is None or row.workflow_status in _GONE:
                continue
            for group in in_groups(some):
                stored = _instances(connection, _readable(connection, key, row), group)
                found.update(((image_set_id, instance.sop_uid), instance) for instance in stored)
    return [found.get(entry) for entry in wanted]


def find_first_instances(
    image_store: ImageStore, datastore_id: str, image_set_ids: Sequence[str]
) -> list[StoredInstance | None]:
    """Find the first instance of each image set by Instance Number; None for image sets that are not there any more."""
    firsts: dict[str, tuple[str, str]] = {}
    with image_store.database.read() as connection:
        for image_set_id in set(image_set_ids):
            first = first_sop_uid(connection, image_set_id)
            if first is not None:
                firsts[image_set_id] = (image_set_id, first)
    found = dict(zip(firsts, find_current_instances(image_store, datastore_id, list(firsts.values())), strict=True))
    return [found.get(image_set_id) for image_set_id in image_set_ids]


def prepare_statements(image_store: ImageStore) -> None:
    """Have the statements of this module made ready for the database: the first time that takes longer than they do."""
    with image_store.database.read() as connection:
        for image_set_id in (None, ""):
            row_of_series(connection, "", ("", ""), image_set_id)
        rows_of_study(connection, "", "")
        versions_of_updates(connection, "", 0)
        for sop_uids in (None, [""]):
            rows_of_instances(connection, "", 0, sop_uids)
        with suppress(NotFoundError):
            active_datastore(connection, image_store, "")


def list_instances(image_store: ImageStore, image_set: ReadableImageSet) -> list[StoredInstance]:
    """List the instances of an image set, in no order that means anything."""
    with image_store.database.read() as connection:
        return _instances(connection, image_set)


def find_moved_instances(image_store: ImageStore, stored: Sequence[StoredInstance]) -> list[StoredInstance]:
    """Find instances anew, in the order given, because a pack is missing: their records may be in other packs now.

    Parameters
    ----------
    image_store : ImageStore
        The image store.
    stored : Sequence of StoredInstance
        The instances as they were found; those that are not there any more come back as they are.
    """
    uids: dict[tuple[str, int], list[StoredInstance]] = {}
    for instance in stored:
        uids.setdefault((instance.image_set.image_set_id, instance.image_set.version), []).append(instance)
    found: dict[tuple[str, int, str], StoredInstance] = {}
    with image_store.database.read() as connection:
        for place, some in uids.items():
            for group in in_groups(some):
                again = _instances(connection, group[0].image_set, [instance.sop_uid for instance in group])
                found.update(((*place, instance.key), instance) for instance in again)
    return [
        found.get((instance.image_set.image_set_id, instance.image_set.version, instance.key), instance)
        for instance in stored
    ]


def find_primary_image_sets(
    image_store: ImageStore, access: ImageSetAccess, datastore_id: str, study_uid: str
) -> list[ReadableImageSet]:
    """List the primary image sets of a study, without those that the caller may not read.

    Raises
    ------
    NotFoundError
        There is none.
    AccessDeniedError
        The caller may read none of them, as ``access`` raises it.
    """
    with image_store.database.read() as connection:
        key = data_key(image_store, active_datastore(connection, image_store, datastore_id))
        rows = rows_of_study(connection, datastore_id, study_uid)
        if not rows:
            raise NotFoundError(f"data store {datastore_id} has no study with this Study Instance UID")
        if access.is_limited:
            denied = access.denied(connection, datastore_id, [row.id for row in rows])
            if len(denied) == len(rows):
                access.require(connection, datastore_id, [row.id for row in rows])
            rows = [row for row in rows if row.id not in denied]
        return [_readable(connection, key, row) for row in rows]


def _image_set(
    connection: Connection,
    image_store: ImageStore,
    access: ImageSetAccess,
    datastore_id: str,
    uids: tuple[str, str],
    image_set_id: str | None,
) -> ReadableImageSet:
    key = data_key(image_store, active_datastore(connection, image_store, datastore_id))
    row = row_of_series(connection, datastore_id, uids, image_set_id)
    if row is None or row.workflow_status == WorkflowStatus.DELETING:
        what = "no primary image set" if image_set_id is None else f"no image set {image_set_id}"
        raise NotFoundError(f"data store {datastore_id} has {what} of this Study and Series Instance UID")
    if access.is_limited:
        access.require(connection, datastore_id, [row.id])
    return _readable(connection, key, row)


def _readable(connection: Connection, key: DataKey, row: Any) -> ReadableImageSet:
    """Step back from a version that is being made: its levels are those of the one before already, its rows are not."""
    levels = open_levels(key, row.id, row.latest_version, row.sealed_levels)
    status = WorkflowStatus(row.workflow_status)
    version = row.latest_version - (status in _BEING_MADE)
    return ReadableImageSet(
        datastore_id=row.datastore_id,
        image_set_id=row.id,
        version=version,
        is_primary=row.is_primary,
        study_uid=str(levels.study.get("StudyInstanceUID") or ""),
        series_uid=str(levels.series.get("SeriesInstanceUID") or ""),
        levels=levels,
        key=key,
        updates=_updates(connection, row.id, version, status),
    )


def _updates(connection: Connection, image_set_id: str, version: int, status: WorkflowStatus) -> tuple[int, ...]:
    """List the versions that updates made."""
    made = versions_of_updates(connection, image_set_id, version)
    if status is not WorkflowStatus.COPYING_WITH_READ_ONLY_ACCESS:
        return tuple(made)
    # While it is the source of a copy, a version does not tell what made it. All but updates bring new instances in.
    earlier = instances.alias()
    entered = select(instances.c.key).where(
        instances.c.image_set_id == image_set_id,
        instances.c.first_version == version,
        ~exists().where(earlier.c.key == instances.c.key, earlier.c.first_version < version),
    )
    updated = connection.execute(entered.limit(1)).first() is None
    return (*made, version) if updated else tuple(made)


def _instances(
    connection: Connection, image_set: ReadableImageSet, sop_uids: Sequence[str] | None = None
) -> list[StoredInstance]:
    rows = rows_of_instances(connection, image_set.image_set_id, image_set.version, sop_uids)
    since = _entries(connection, image_set, [row.key for row in rows]) if image_set.updates else {}
    return [_stored(image_set, row, since) for row in rows]


def _entries(connection: Connection, image_set: ReadableImageSet, keys: Sequence[str]) -> dict[str, int]:
    """Find in which version each instance came into the image set: editing it later has begun new rows."""
    found: dict[str, int] = {}
    for some in in_groups(keys):
        rows = connection.execute(
            select(instances.c.key, func.min(instances.c.first_version))
            .where(instances.c.image_set_id == image_set.image_set_id, instances.c.key.in_(some))
            .group_by(instances.c.key)
        )
        found.update((key, version) for key, version in rows)
    return found


def _stored(image_set: ReadableImageSet, row: Sequence[Any], since: Mapping[str, int]) -> StoredInstance:
    # A series has hundreds of these: columns by their place are found much faster than by their names.
    key, source_key, sop_uid, sop_class_uid, syntax, kind, frame_count, *extents, order, first_version = row
    return StoredInstance(
        image_set=image_set,
        key=key,
        source_key=source_key,
        sop_uid=sop_uid,
        sop_class_uid=sop_class_uid,
        stored_transfer_syntax=syntax,
        pixel_kind=PixelKind(kind),
        frame_count=frame_count,
        fragment=Extent(*extents[:3]),
        dataset=Extent(*extents[3:]),
        order=order,
        since=since.get(key, first_version),
    )
