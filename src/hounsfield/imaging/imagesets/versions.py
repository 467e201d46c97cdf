"""The versions of an image set (ListImageSetVersions), and what instances a version has."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, or_, select

from hounsfield.imaging.datastores import active_datastore
from hounsfield.imaging.image_store import Archive
from hounsfield.imaging.imagesets.get import ImageSetVersion, not_found, shown
from hounsfield.imaging.pagination import Page, Position, page_of
from hounsfield.storage.db.database import in_groups
from hounsfield.storage.db.image_set_tables import image_set_versions, image_sets, instances


def list_image_set_versions(
    archive: Archive, datastore_id: str, image_set_id: str, *, after: Position | None = None, limit: int = 50
) -> Page[ImageSetVersion]:
    """List the versions of an image set, newest first (ListImageSetVersions).

    Parameters
    ----------
    archive : Archive
        The archive.
    datastore_id, image_set_id : str
        Which image set.
    after : Position or None
        Where the page before this one ended.
    limit : int
        At most so many.

    Raises
    ------
    NotFoundError
        The data store or the image set is not there.
    """
    query = (
        select(image_set_versions, image_sets.c.deleted_at, image_sets.c.last_accessed_at, image_sets.c.storage_tier)
        .join(image_sets, image_sets.c.id == image_set_versions.c.image_set_id)
        .where(image_sets.c.id == image_set_id, image_sets.c.datastore_id == datastore_id)
        .order_by(image_set_versions.c.version.desc())
        .limit(limit + 1)
    )
    if after is not None:
        query = query.where(image_set_versions.c.version < after.sort_value)
    with archive.database.read() as connection:
        active_datastore(connection, archive, datastore_id)
        rows = connection.execute(query).all()
        if not rows and after is None:
            raise not_found(connection, datastore_id, image_set_id)
    return page_of(
        rows, limit, lambda row: shown(archive, datastore_id, row), lambda row: Position(row.version, image_set_id)
    )


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
    """Give how many instances a version has, and how many bytes their SOP Instance UIDs and their JSON have together."""
    columns = instances.c
    total = func.coalesce(func.sum(columns.fragment_bytes + func.length(columns.sop_uid)), 0)
    query = select(func.count(), total).where(*_in_version(image_set_id, version))
    if without:
        query = query.where(columns.sop_uid.not_in(sorted(without)))
    row = connection.execute(query).one()
    return int(row[0]), int(row[1])


def _in_version(image_set_id: str, version: int) -> tuple[ColumnElement[bool], ...]:
    columns = instances.c
    return (
        columns.image_set_id == image_set_id,
        columns.first_version <= version,
        or_(columns.last_version.is_(None), columns.last_version >= version),
    )
