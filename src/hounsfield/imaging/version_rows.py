"""Rows of image set versions and of their instances."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Label, Row, func, insert, or_, select

from hounsfield.dicom.healthimaging.document import Levels
from hounsfield.imaging.levels import seal_levels
from hounsfield.imaging.states import ImageSetState, WorkflowStatus
from hounsfield.storage.db.database import in_groups
from hounsfield.storage.db.image_set_tables import image_set_versions, instances
from hounsfield.storage.db.prepared import PreparedStatement
from hounsfield.storage.journal.changes import note_version
from hounsfield.storage.keys.data_key import DataKey


@dataclass(frozen=True, slots=True)
class VersionRow:
    """What the row of a new version of an image set holds beside its levels; the names are those of the columns."""

    image_set_id: str
    version: int
    state: ImageSetState
    workflow_status: WorkflowStatus
    is_primary: bool
    created_at: int
    updated_at: int | None
    forced: bool | None = None
    sealed_request: bytes | None = None


_VERSION_COLUMNS: Final = tuple(field.name for field in fields(VersionRow))


_INSERT_VERSION: Final = PreparedStatement(insert(image_set_versions), [*_VERSION_COLUMNS, "sealed_levels"])


def insert_version_row(connection: Connection, key: DataKey, row: VersionRow, levels: Levels) -> None:
    """Write the row of a new version; that of the image set itself is the caller's."""
    sealed = seal_levels(key, row.image_set_id, row.version, levels)
    values = {name: getattr(row, name) for name in _VERSION_COLUMNS}
    values |= {"state": row.state.value, "workflow_status": row.workflow_status.value, "sealed_levels": sealed}
    _INSERT_VERSION.run(connection, values)
    note_version(connection, values)


def instance_rows(
    connection: Connection, image_set_id: str, version: int, sop_uids: Collection[str] | None = None
) -> list[Row[Any]]:
    """Read the rows of the instances that a version has, all or those of some SOP Instance UIDs."""
    query = select(instances).where(*_in_version(image_set_id, version)).order_by(instances.c.sop_uid)
    if sop_uids is None:
        return list(connection.execute(query))
    groups = in_groups(sorted(sop_uids))
    return [row for some in groups for row in connection.execute(query.where(instances.c.sop_uid.in_(some)))]


def fragment_sizes(connection: Connection, image_set_id: str, version: int) -> dict[str, int]:
    """Read how many bytes of JSON each instance of a version has, by SOP Instance UID."""
    query = select(instances.c.sop_uid, instances.c.fragment_bytes).where(*_in_version(image_set_id, version))
    return {row.sop_uid: row.fragment_bytes for row in connection.execute(query)}


def fragment_total(
    connection: Connection, image_set_id: str, version: int, without: Collection[str] = ()
) -> tuple[int, int]:
    """Return how many instances a version has, and how many bytes their SOP Instance UIDs and their JSON have together."""
    columns = instances.c
    total = func.coalesce(func.sum(columns.fragment_bytes + func.length(columns.sop_uid)), 0)
    query = select(func.count(), total).where(*_in_version(image_set_id, version))
    if without:
        query = query.where(columns.sop_uid.not_in(sorted(without)))
    row = connection.execute(query).one()
    return int(row[0]), int(row[1])


def stored_bytes_of(columns: Any) -> Label[int]:
    """Return the size of all records of an instance, of the columns of its row."""
    size: ColumnElement[int] = columns.fragment_length + columns.dataset_length + columns.pixel_bytes
    return size.label("stored_bytes")


def current_totals(connection: Connection, image_set_id: str) -> dict[str, int]:
    """Return what the row of an image set has of the instances of its latest version, by the names of the columns."""
    columns = instances.c
    row = connection.execute(
        select(
            func.count(),
            func.coalesce(func.sum(columns.frame_count), 0),
            func.coalesce(func.sum(stored_bytes_of(columns)), 0),
        ).where(columns.image_set_id == image_set_id, columns.last_version.is_(None))
    ).one()
    return {"instance_count": int(row[0]), "frame_count": int(row[1]), "stored_bytes": int(row[2])}


def _in_version(image_set_id: str, version: int) -> tuple[ColumnElement[bool], ...]:
    columns = instances.c
    return (
        columns.image_set_id == image_set_id,
        columns.first_version <= version,
        or_(columns.last_version.is_(None), columns.last_version >= version),
    )
