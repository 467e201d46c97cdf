"""Index of tags of image sets, updated with the tables it is made of.

    TagResource, UntagResource, deletion ─▶ index_tags        the rows of the image set, anew
    a row of an image set changed        ─▶ follow_image_sets what they repeat of it
    a row of a study changed             ─▶ follow_study      when it was changed

All of it in the transaction that makes the change.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from hounsfield.storage.db.image_set_tables import image_sets
from hounsfield.storage.db.prepared import PreparedStatement
from hounsfield.storage.db.study_tables import studies
from hounsfield.storage.db.tag_table import image_set_tags

REPEATED: Final = ("datastore_id", "study_uid", "is_primary", "updated_at", "created_at", "study_date", "study_time")
"""Columns of an image set that the rows of its tags repeat."""
_TAGGED: Final = PreparedStatement(
    select(image_set_tags.c.tag_key).where(image_set_tags.c.image_set_id == bindparam("image_set")).limit(1)
)
_FOLLOW_STUDY: Final = PreparedStatement(
    update(image_set_tags).where(
        image_set_tags.c.datastore_id == bindparam("datastore"), image_set_tags.c.study_uid == bindparam("uid")
    ),
    ["study_updated_at"],
)


def index_tags(connection: Connection, image_set_id: str, tags: Mapping[str, str]) -> None:
    """Write the rows of an image set, whose row the caller has locked, with all tags it has now."""
    connection.execute(delete(image_set_tags).where(image_set_tags.c.image_set_id == image_set_id))
    by_key = indexed_tags(tags)
    if by_key:
        repeated = _repeated(connection, image_set_id)
        rows = [{**repeated, "tag_key": key, "tag_value": value} for key, value in by_key.items()]
        connection.execute(insert(image_set_tags), rows)


def indexed_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Return tags as they are indexed: their keys in lower case."""
    by_key: dict[str, str] = {}
    for key in sorted(tags):
        # Of keys that differ only in case, which there are from before these were refused, conditions read the first.
        by_key.setdefault(key.lower(), tags[key])
    return by_key


def follow_image_sets(connection: Connection, image_set_ids: Iterable[str]) -> None:
    """Repeat what was changed in the rows of image sets."""
    for image_set_id in image_set_ids:
        if _TAGGED.first(connection, {"image_set": image_set_id}) is not None:
            own = image_set_tags.c.image_set_id == image_set_id
            connection.execute(update(image_set_tags).where(own).values(**_repeated(connection, image_set_id)))


def follow_studies(connection: Connection, datastore_id: str, changed_at: Mapping[str, int]) -> None:
    """Repeat when studies were changed, by their UIDs."""
    for uid, moment in changed_at.items():
        _FOLLOW_STUDY.run(connection, {"study_updated_at": moment, "datastore": datastore_id, "uid": uid})


def distinct_values(connection: Connection, datastore_id: str, key: str, most: int) -> Collection[str] | None:
    """Return all values that a tag has in a data store, each found by one step in the index; None for more than ``most``."""
    columns = image_set_tags.c
    found: list[str] = []
    while len(found) <= most:
        own = [columns.datastore_id == datastore_id, columns.tag_key == key]
        if found:
            own.append(columns.tag_value > found[-1])
        following = connection.execute(
            select(columns.tag_value).where(*own).order_by(columns.tag_value).limit(1)
        ).scalar()
        if following is None:
            return found
        found.append(following)
    return None


def _repeated(connection: Connection, image_set_id: str) -> dict[str, object]:
    columns = [image_sets.c[name] for name in REPEATED]
    row = connection.execute(select(*columns).where(image_sets.c.id == image_set_id)).one()
    query = select(studies.c.updated_at).where(
        studies.c.datastore_id == row.datastore_id, studies.c.study_uid == row.study_uid
    )
    changed_at = connection.execute(query).scalar()
    return {"image_set_id": image_set_id, **row._asdict(), "study_updated_at": changed_at or 0}
