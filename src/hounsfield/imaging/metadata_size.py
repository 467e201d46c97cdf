"""How large the metadata of an image set becomes by a plan, before anything is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, select

from hounsfield.dicom.document import Levels, document_size
from hounsfield.imaging.commit import entering_levels, open_levels
from hounsfield.imaging.levels import merge_levels
from hounsfield.imaging.organise import Placement
from hounsfield.imaging.quotas import exceeds
from hounsfield.imaging.staging import StagedInstance
from hounsfield.storage.keys import DataKey
from hounsfield.storage.tables import image_set_versions, instances


def oversized(
    connection: Connection, key: DataKey, plan: Sequence[Placement], staged: Mapping[int, StagedInstance], quota: int
) -> dict[int, str]:
    """Find the files that would make the metadata of their image set too large; nothing of them is taken in.

    Parameters
    ----------
    connection : Connection
        Sees what the plan was made from.
    key : DataKey
        The key of the data store.
    plan : Sequence of Placement
        Where the instances are to go.
    staged : Mapping of int to StagedInstance
        The instances by file ordinal.
    quota : int
        Bytes that the metadata document of an image set may have, before compression.

    Returns
    -------
    dict of int to str
        The reason by file ordinal.
    """
    reasons: dict[int, str] = {}
    for placement in plan:
        size = _size(connection, key, placement, staged)
        if exceeds(size, quota):
            reason = f"The metadata of the image set would have {size} bytes, the quota is {quota}"
            reasons.update(dict.fromkeys((*placement.ordinals, *placement.superseded), reason))
    return reasons


def _size(connection: Connection, key: DataKey, placement: Placement, staged: Mapping[int, StagedInstance]) -> int:
    entering = [staged[ordinal] for ordinal in placement.ordinals]
    levels = entering_levels(entering)
    sizes: dict[str, int] = {}
    if placement.extends is not None:
        image_set_id, version = placement.extends.image_set_id, placement.extends.version
        levels = merge_levels(_levels(connection, key, image_set_id, version), levels)
        kept = select(instances.c.sop_uid, instances.c.fragment_bytes).where(
            instances.c.image_set_id == image_set_id, instances.c.last_version.is_(None)
        )
        sizes = {row.sop_uid: row.fragment_bytes for row in connection.execute(kept)}
    sizes.update({instance.sop_uid: instance.fragment_bytes for instance in entering})
    return document_size(levels, sizes.items())


def _levels(connection: Connection, key: DataKey, image_set_id: str, version: int) -> Levels:
    sealed = connection.execute(
        select(image_set_versions.c.sealed_levels).where(
            image_set_versions.c.image_set_id == image_set_id, image_set_versions.c.version == version
        )
    ).scalar_one()
    return open_levels(key, image_set_id, version, sealed)
