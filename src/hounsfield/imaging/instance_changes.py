"""Which rows of instances a new version ends and which it begins, for edits and for going back to an older version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, update

from hounsfield.imaging.archive import Archive
from hounsfield.imaging.edits import Change, EditedInstance, Edits, edited_instance
from hounsfield.imaging.errors import InvalidRequestError
from hounsfield.storage.keys import DataKey
from hounsfield.storage.packs import Extent, Label, PackWriter, RecordKind, read_records
from hounsfield.storage.tables import instances

_VALIDITY: Final = frozenset({"first_version", "last_version"})


@dataclass(frozen=True, slots=True)
class InstanceChanges:
    """What a version changes in the rows of its instances.

    Attributes
    ----------
    ended : tuple of (str, int)
        Key and first version of rows that are valid up to the version before.
    entering : tuple of Mapping
        Columns, without the versions, of rows that begin with the version.
    """

    ended: tuple[tuple[str, int], ...] = ()
    entering: tuple[Mapping[str, Any], ...] = ()


def edited_rows(archive: Archive, key: DataKey, rows: Sequence[Row[Any]], edits: Edits) -> InstanceChanges:
    """Edit instances, and write their new fragments into a pack that is durable at the end.

    Raises
    ------
    InvalidRequestError
        An edit does not fit the content of its instance.
    """
    removed = {uid for _, uid in edits.removed_instances}
    changes = {uid: change for (_, uid), change in edits.instances.items()}
    changed = [row for row in rows if row.sop_uid in changes]
    ended = tuple((row.key, row.first_version) for row in rows if row.sop_uid in removed or row.sop_uid in changes)
    if not changed:
        return InstanceChanges(ended)
    edited = _edited(archive, key, changed, changes)
    writer = PackWriter(archive.blobs, key)
    try:
        entering = [
            _entering(row, instance, writer.add(Label(RecordKind.FRAGMENT, row.source_key), instance.fragment))
            for row, instance in zip(changed, edited, strict=True)
        ]
        writer.close()
    finally:
        writer.abort()
    return InstanceChanges(ended, tuple(entering))


def _edited(
    archive: Archive, key: DataKey, rows: Sequence[Row[Any]], changes: Mapping[str, Change]
) -> list[EditedInstance]:
    wanted = [
        (
            Extent(row.fragment_pack_id, row.fragment_offset, row.fragment_length),
            Label(RecordKind.FRAGMENT, row.source_key),
        )
        for row in rows
    ]
    edited = []
    for row, text in zip(rows, read_records(archive.blobs, key, wanted), strict=True):
        instance = edited_instance(text, changes[row.sop_uid])
        if len(instance.fragment) > archive.quotas.metadata_bytes:
            raise InvalidRequestError(
                f"The metadata of an instance has {len(instance.fragment)} bytes - the quota is "
                f"{archive.quotas.metadata_bytes}"
            )
        edited.append(instance)
    return edited


def _entering(row: Row[Any], instance: EditedInstance, extent: Extent) -> dict[str, Any]:
    return {
        **_content(row),
        "sop_uid": instance.sop_uid,
        "sop_class_uid": row.sop_class_uid if instance.sop_class_uid is None else instance.sop_class_uid,
        "fragment_pack_id": extent.pack_id,
        "fragment_offset": extent.offset,
        "fragment_length": extent.length,
        "fragment_bytes": len(instance.fragment),
    }


def reverted_rows(rows: Sequence[Row[Any]], wanted: Sequence[Row[Any]]) -> InstanceChanges:
    """Bring back the instances of an older version, ending only rows that differ from theirs.

    Parameters
    ----------
    rows : Sequence[Row]
        Of the version before the new one.
    wanted : Sequence[Row]
        Of the version to go back to.
    """
    before = {row.key: _content(row) for row in rows}
    after = {row.key: _content(row) for row in wanted}
    ended = tuple((row.key, row.first_version) for row in rows if after.get(row.key) != before[row.key])
    entering = tuple(content for key, content in after.items() if before.get(key) != content)
    return InstanceChanges(ended, entering)


def write_rows(connection: Connection, version: int, changes: InstanceChanges) -> None:
    """End rows with the version before ``version``, and begin others with it."""
    for key, first_version in changes.ended:
        connection.execute(
            update(instances)
            .where(instances.c.key == key, instances.c.first_version == first_version)
            .values(last_version=version - 1)
        )
    if changes.entering:
        connection.execute(
            insert(instances),
            [{**content, "first_version": version, "last_version": None} for content in changes.entering],
        )


def _content(row: Row[Any]) -> dict[str, Any]:
    return {name: value for name, value in row._asdict().items() if name not in _VALIDITY}
