"""The rows of image sets and instances as DICOMweb finds them: study, series, image set, version ─▶ rows.

Each statement is carried out in one place only, so that making them ready makes ready what requests use: SQLAlchemy compiles a
statement anew for parameters of other names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, and_, bindparam, or_, select

from hounsfield.imaging.states import WorkflowStatus
from hounsfield.storage.db.database import ONE
from hounsfield.storage.db.image_set_tables import image_set_versions, image_sets, instances

# Made once: SQLAlchemy takes longer to make statements than to carry them out.
_LATEST = image_set_versions.alias("latest")
_VERSIONS: Final = select(
    image_sets.c.id,
    image_sets.c.datastore_id,
    image_sets.c.is_primary,
    image_sets.c.latest_version,
    _LATEST.c.workflow_status,
    _LATEST.c.sealed_levels,
).join(_LATEST, and_(_LATEST.c.image_set_id == image_sets.c.id, _LATEST.c.version == image_sets.c.latest_version))
_VERSION: Final = _VERSIONS.where(image_sets.c.id == bindparam("image_set"))
_PRIMARY_OF_STUDY: Final = _VERSIONS.where(
    image_sets.c.datastore_id == bindparam("datastore"),
    image_sets.c.study_uid == bindparam("study"),
    image_sets.c.is_primary,
    image_sets.c.deleted_at.is_(None),
    _LATEST.c.workflow_status != WorkflowStatus.DELETING,
)
_IN_SERIES: Final = _VERSIONS.where(
    image_sets.c.datastore_id == bindparam("datastore"),
    image_sets.c.study_uid == bindparam("study"),
    image_sets.c.series_uid == bindparam("series"),
    image_sets.c.deleted_at.is_(None),
)
_PRIMARY_OF_SERIES: Final = _IN_SERIES.where(image_sets.c.is_primary)
_OF_SERIES: Final = _IN_SERIES.where(image_sets.c.id == bindparam("image_set"))
_FIRST_UID: Final = (
    select(instances.c.sop_uid)
    .where(instances.c.image_set_id == bindparam("image_set"), instances.c.last_version.is_(None))
    .order_by(instances.c.instance_order, instances.c.sop_uid, instances.c.key)
    .limit(ONE)
)
_OF_VERSION: Final = (
    select(
        instances.c.key,
        instances.c.source_key,
        instances.c.sop_uid,
        instances.c.sop_class_uid,
        instances.c.stored_transfer_syntax,
        instances.c.pixel_kind,
        instances.c.frame_count,
        instances.c.fragment_pack_id,
        instances.c.fragment_offset,
        instances.c.fragment_length,
        instances.c.dataset_pack_id,
        instances.c.dataset_offset,
        instances.c.dataset_length,
        instances.c.instance_order,
        instances.c.first_version,
    )
    .where(
        instances.c.image_set_id == bindparam("image_set"),
        instances.c.first_version <= bindparam("version"),
        or_(instances.c.last_version.is_(None), instances.c.last_version >= bindparam("version")),
    )
    .order_by(instances.c.sop_uid)
)
_NAMED_OF_VERSION: Final = _OF_VERSION.where(instances.c.sop_uid.in_(bindparam("sop_uids", expanding=True)))
_UPDATES: Final = (
    select(image_set_versions.c.version)
    .where(
        image_set_versions.c.image_set_id == bindparam("image_set"),
        image_set_versions.c.version <= bindparam("version"),
        image_set_versions.c.workflow_status == WorkflowStatus.UPDATED,
    )
    .order_by(image_set_versions.c.version)
)


def row_of_image_set(connection: Connection, image_set_id: str) -> Any | None:
    """Return an image set with its latest version; None when there is none."""
    return connection.execute(_VERSION, {"image_set": image_set_id}).first()


def row_of_series(
    connection: Connection, datastore_id: str, uids: tuple[str, str], image_set_id: str | None
) -> Any | None:
    """Return an image set of a series, by the UIDs of study and series, or its primary one for None."""
    statement = _PRIMARY_OF_SERIES if image_set_id is None else _OF_SERIES
    parameters = {"datastore": datastore_id, "study": uids[0], "series": uids[1], "image_set": image_set_id}
    return connection.execute(statement, parameters).first()


def rows_of_study(connection: Connection, datastore_id: str, study_uid: str) -> Sequence[Any]:
    """Return the primary image sets of a study."""
    return connection.execute(_PRIMARY_OF_STUDY, {"datastore": datastore_id, "study": study_uid}).all()


def versions_of_updates(connection: Connection, image_set_id: str, version: int) -> Sequence[int]:
    """List the versions of an image set, up to one of them, that updates made."""
    return connection.execute(_UPDATES, {"image_set": image_set_id, "version": version}).scalars().all()


def first_sop_uid(connection: Connection, image_set_id: str) -> str | None:
    """Return the SOP Instance UID of the first instance of an image set by Instance Number; None when it has none."""
    return connection.execute(_FIRST_UID, {"image_set": image_set_id}).scalar_one_or_none()


def rows_of_instances(
    connection: Connection, image_set_id: str, version: int, sop_uids: Sequence[str] | None
) -> Sequence[Any]:
    """Return the instances of a version of an image set: those of some SOP Instance UIDs, or all for None."""
    parameters: dict[str, object] = {"image_set": image_set_id, "version": version}
    if sop_uids is None:
        return connection.execute(_OF_VERSION, parameters).all()
    return connection.execute(_NAMED_OF_VERSION, {**parameters, "sop_uids": sop_uids}).all()
