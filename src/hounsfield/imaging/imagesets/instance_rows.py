"""Instance rows that a new version ends and begins, for edits and for a return to an older version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, update

from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.imagesets.edits import EditedInstance, Edits, edited_instance
from hounsfield.imaging.instance_columns import read_fragment_columns
from hounsfield.imaging.tiering.pack_references import fragment_extent
from hounsfield.storage.blobs.packs import Extent, Label, PackWriter, RecordKind, read_records
from hounsfield.storage.db.image_set_tables import instances
from hounsfield.storage.journal.changes import fragment_digest, note_begun, note_ended
from hounsfield.storage.keys.data_key import DataKey

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
    fragments : tuple
        Which JSON each of those has, as the journal keeps it (`hounsfield.storage.journal.changes.INSTANCE_FACTS`).
    """

    ended: tuple[tuple[str, int], ...] = ()
    entering: tuple[Mapping[str, Any], ...] = ()
    fragments: tuple[object, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether the version has the same instances as the one before, all unchanged."""
        return not self.ended and not self.entering


def edited_instances(
    image_store: ImageStore, key: DataKey, rows: Sequence[Row[Any]], edits: Edits
) -> dict[str, EditedInstance]:
    """Edit instances as they are stored; gives those that are edited, by their SOP Instance UID from before.

    Raises
    ------
    InvalidRequestError
        An edit does not fit the content of its instance.
    """
    changes = {uid: change for (_, uid), change in edits.instances.items()}
    changed = [row for row in rows if row.sop_uid in changes]
    wanted = [
        (
            fragment_extent(row),
            Label(RecordKind.FRAGMENT, row.source_key),
        )
        for row in changed
    ]
    texts = read_records(image_store.blobs, key, wanted)
    return {row.sop_uid: edited_instance(text, changes[row.sop_uid]) for row, text in zip(changed, texts, strict=True)}


def sizes_after(sizes: Mapping[str, int], edits: Edits, edited: Mapping[str, EditedInstance]) -> list[tuple[str, int]]:
    """Return SOP Instance UID and size of the JSON of each instance after edits, from those of all before."""
    removed = {uid for _, uid in edits.removed_instances}
    kept = [(uid, size) for uid, size in sizes.items() if uid not in removed and uid not in edited]
    return kept + [(instance.sop_uid, len(instance.fragment)) for instance in edited.values()]


def edited_rows(
    image_store: ImageStore, key: DataKey, rows: Sequence[Row[Any]], edits: Edits, edited: Mapping[str, EditedInstance]
) -> InstanceChanges:
    """Write the fragments of edited instances into a pack that is durable at the end, and give the rows that change.

    Parameters
    ----------
    image_store : ImageStore
        Where the pack goes.
    key : DataKey
        Key of the data store.
    rows : Sequence[Row]
        Of the version before the new one.
    edits : Edits
        The edits.
    edited : Mapping[str, EditedInstance]
        What `edited_instances` gave for them.
    """
    removed = {uid for _, uid in edits.removed_instances}
    changed = [row for row in rows if row.sop_uid in edited]
    ended = tuple((row.key, row.first_version) for row in rows if row.sop_uid in removed or row.sop_uid in edited)
    if not changed:
        return InstanceChanges(ended)
    writer = PackWriter(image_store.blobs, key)
    try:
        entering = []
        fragments = []
        for row in changed:
            instance = edited[row.sop_uid]
            extent = writer.add(Label(RecordKind.FRAGMENT, row.source_key), instance.fragment)
            entering.append(_entering(row, instance, extent))
            fragments.append(fragment_digest(instance.fragment))
        writer.close()
    finally:
        writer.abort()
    return InstanceChanges(ended, tuple(entering), tuple(fragments))


def _entering(row: Row[Any], instance: EditedInstance, extent: Extent) -> dict[str, Any]:
    return {
        **_content(row),
        "sop_uid": instance.sop_uid,
        "sop_class_uid": row.sop_class_uid if instance.sop_class_uid is None else instance.sop_class_uid,
        "fragment_pack_id": extent.pack_id,
        "fragment_offset": extent.offset,
        "fragment_length": extent.length,
        "fragment_bytes": len(instance.fragment),
        **asdict(read_fragment_columns(instance.fragment)),
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
    fragments = {row.key: [row.key, row.first_version] for row in wanted}
    ended = tuple((row.key, row.first_version) for row in rows if after.get(row.key) != before[row.key])
    entering = tuple(content for key, content in after.items() if before.get(key) != content)
    return InstanceChanges(ended, entering, tuple(fragments[content["key"]] for content in entering))


def write_rows(connection: Connection, version: int, changes: InstanceChanges) -> None:
    """End rows with the version before ``version``, and begin others with it."""
    for key, first_version in changes.ended:
        connection.execute(
            update(instances)
            .where(instances.c.key == key, instances.c.first_version == first_version)
            .values(last_version=version - 1)
        )
    note_ended(connection, version - 1, changes.ended)
    note_begun(connection, changes.entering, version, None, changes.fragments)
    if changes.entering:
        connection.execute(
            insert(instances),
            [{**content, "first_version": version, "last_version": None} for content in changes.entering],
        )


def _content(row: Row[Any]) -> dict[str, Any]:
    return {name: value for name, value in row._asdict().items() if name not in _VALIDITY}
