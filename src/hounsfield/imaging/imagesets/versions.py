"""ListImageSetVersions: the versions of an image set."""

from __future__ import annotations

from sqlalchemy import select

from hounsfield.imaging.datastores import active_datastore
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.imagesets.get import ImageSetVersion, make_image_set_version, not_found
from hounsfield.imaging.pagination import Page, Position, page_of
from hounsfield.storage.db.image_set_tables import image_set_versions, image_sets


def list_image_set_versions(
    image_store: ImageStore, datastore_id: str, image_set_id: str, *, after: Position | None = None, limit: int = 50
) -> Page[ImageSetVersion]:
    """List the versions of an image set, newest first (ListImageSetVersions).

    Parameters
    ----------
    image_store : ImageStore
        The image store.
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
    with image_store.database.read() as connection:
        active_datastore(connection, image_store, datastore_id)
        rows = connection.execute(query).all()
        if not rows and after is None:
            raise not_found(connection, datastore_id, image_set_id)
    return page_of(
        rows,
        limit,
        lambda row: make_image_set_version(image_store, datastore_id, row),
        lambda row: Position(row.version, image_set_id),
    )
