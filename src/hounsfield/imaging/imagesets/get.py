"""GetImageSet, and the look-up of an image set version."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from hounsfield.imaging.datastores import active_datastore
from hounsfield.imaging.errors import NotFoundError
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.states import ImageSetState, StorageTier, WorkflowStatus
from hounsfield.storage.clock import to_datetime
from hounsfield.storage.db.image_set_tables import image_set_versions, image_sets


@dataclass(frozen=True, slots=True)
class ImageSetVersion:
    """Properties of one version of an image set (API shapes GetImageSetResponse, ImageSetProperties)."""

    datastore_id: str
    image_set_id: str
    arn: str
    version: int
    state: ImageSetState
    workflow_status: WorkflowStatus
    is_primary: bool
    created_at: datetime
    updated_at: datetime | None
    deleted_at: datetime | None
    last_accessed_at: datetime
    storage_tier: StorageTier
    message: str | None
    forced: bool | None


def get_image_set(
    image_store: ImageStore, datastore_id: str, image_set_id: str, version: int | None = None
) -> ImageSetVersion:
    """Return the properties of an image set, of its latest version when none is named (GetImageSet).

    Raises
    ------
    NotFoundError
        The data store, the image set or the version is not there.
    """
    with image_store.database.read() as connection:
        active_datastore(connection, image_store, datastore_id)
        row = version_row(connection, datastore_id, image_set_id, version)
    return make_image_set_version(image_store, datastore_id, row)


def make_image_set_version(image_store: ImageStore, datastore_id: str, row: Row[Any]) -> ImageSetVersion:
    """Return a version as the API shows it, from what `version_row` reads."""
    return ImageSetVersion(
        datastore_id=datastore_id,
        image_set_id=row.image_set_id,
        arn=image_store.image_set_arn(datastore_id, row.image_set_id),
        version=row.version,
        state=ImageSetState(row.state),
        workflow_status=WorkflowStatus(row.workflow_status),
        is_primary=row.is_primary,
        created_at=to_datetime(row.created_at),
        updated_at=to_datetime(row.updated_at) if row.updated_at is not None else None,
        deleted_at=to_datetime(row.deleted_at) if row.deleted_at is not None else None,
        last_accessed_at=to_datetime(row.last_accessed_at),
        storage_tier=StorageTier(row.storage_tier),
        message=row.message,
        forced=row.forced,
    )


def version_row(connection: Connection, datastore_id: str, image_set_id: str, version: int | None) -> Row[Any]:
    """Read a version together with its image set; raises `NotFoundError`."""
    versions = image_set_versions.c
    query = (
        select(image_set_versions, image_sets.c.deleted_at, image_sets.c.last_accessed_at, image_sets.c.storage_tier)
        .join(image_sets, image_sets.c.id == versions.image_set_id)
        .where(image_sets.c.id == image_set_id, image_sets.c.datastore_id == datastore_id)
        .where(versions.version == (image_sets.c.latest_version if version is None else version))
    )
    row = connection.execute(query).first()
    if row is None:
        raise not_found(connection, datastore_id, image_set_id, version)
    return row


def not_found(
    connection: Connection, datastore_id: str, image_set_id: str, version: int | None = None
) -> NotFoundError:
    """Say what is missing: the image set, or the version of it."""
    query = select(image_sets.c.id).where(image_sets.c.id == image_set_id, image_sets.c.datastore_id == datastore_id)
    if connection.execute(query).first() is None or version is None:
        return NotFoundError(f"image set {image_set_id} does not exist in data store {datastore_id}")
    return NotFoundError(f"image set {image_set_id} has no version {version}")
