"""Tags of data stores and image sets (TagResource, UntagResource, ListTagsForResource).

Tags are rows by ARN. Changing them makes no version and counts as no access.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Select, delete, insert, select

from hounsfield.imaging.datastores import DatastoreStatus
from hounsfield.imaging.errors import InvalidRequestError, NotFoundError
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.quotas import exceeds
from hounsfield.imaging.tag_index import index_tags
from hounsfield.imaging.tag_keys import check_distinct
from hounsfield.storage.db.database import in_groups, lock_row
from hounsfield.storage.db.image_set_tables import datastores, image_sets, tags
from hounsfield.storage.db.prepared import PreparedValueStatement
from hounsfield.storage.journal.changes import note_tags

_TAGS: Final = PreparedValueStatement(
    lambda arns: select(tags.c.resource_arn, tags.c.tag_key, tags.c.tag_value).where(tags.c.resource_arn.in_(arns))
)


@dataclass(frozen=True, slots=True)
class TaggedResource:
    """What bears tags: a data store, or an image set in it."""

    datastore_id: str
    image_set_id: str | None = None

    def arn(self, image_store: ImageStore) -> str:
        """Return the ARN under which the tags are kept."""
        if self.image_set_id is None:
            return image_store.datastore_arn(self.datastore_id)
        return image_store.image_set_arn(self.datastore_id, self.image_set_id)


def list_tags(image_store: ImageStore, resource: TaggedResource) -> dict[str, str]:
    """Return the tags of a resource by key; raises `NotFoundError` (ListTagsForResource)."""
    with image_store.database.read() as connection:
        _check_there(connection, image_store, resource, lock=False)
        rows = connection.execute(
            select(tags.c.tag_key, tags.c.tag_value)
            .where(tags.c.resource_arn == resource.arn(image_store))
            .order_by(tags.c.tag_key)
        )
        return {row.tag_key: row.tag_value for row in rows}


def tags_of(image_store: ImageStore, arn: str) -> dict[str, str]:
    """Return the tags that are kept under an ARN, whatever it names; empty when there are none."""
    if not (arn.isascii() and arn.isprintable()):
        return {}
    with image_store.database.read() as connection:
        rows = connection.execute(select(tags.c.tag_key, tags.c.tag_value).where(tags.c.resource_arn == arn))
        return {row.tag_key: row.tag_value for row in rows}


def tags_of_image_sets(
    connection: Connection, image_store: ImageStore, datastore_id: str, image_set_ids: Collection[str]
) -> dict[str, dict[str, str]]:
    """Return the tags of image sets by ARN and key, as a transaction sees them; those without tags are left out."""
    found: dict[str, dict[str, str]] = {}
    for some in in_groups([image_store.image_set_arn(datastore_id, image_set_id) for image_set_id in image_set_ids]):
        for row in _TAGS.rows(connection, some, {}):
            found.setdefault(row.resource_arn, {})[row.tag_key] = row.tag_value
    return found


def tag_resource(image_store: ImageStore, resource: TaggedResource, wanted: Mapping[str, str]) -> None:
    """Add tags, overwriting those with the same keys (TagResource).

    Raises
    ------
    NotFoundError
        There is no such resource, or it was deleted.
    InvalidRequestError
        The resource would have more tags than the quota allows, or keys that differ only in upper and lower case; it keeps
        the tags it had.
    """
    arn = resource.arn(image_store)
    with image_store.database.write() as connection:
        _check_there(connection, image_store, resource, lock=True)
        _remove(connection, arn, wanted.keys())
        kept = connection.execute(select(tags.c.tag_key).where(tags.c.resource_arn == arn)).scalars().all()
        # Of keys that were kept when this was not refused yet, only those that the request names are looked at.
        named = {key.lower() for key in wanted}
        check_distinct([*wanted, *(key for key in kept if key.lower() in named)])
        count = len(kept) + len(wanted)
        if exceeds(count, image_store.quotas.tags):
            raise InvalidRequestError(
                f"the resource would have {count} tags, a resource can have {image_store.quotas.tags}"
            )
        if wanted:
            rows = [{"resource_arn": arn, "tag_key": key, "tag_value": value} for key, value in wanted.items()]
            connection.execute(insert(tags), rows)
        note_tags(connection, arn)
        _index(connection, resource, arn)


def untag_resource(image_store: ImageStore, resource: TaggedResource, keys: Collection[str]) -> None:
    """Remove tags by key; a key that is not there is no error. Raises `NotFoundError` (UntagResource)."""
    with image_store.database.write() as connection:
        _check_there(connection, image_store, resource, lock=True)
        arn = resource.arn(image_store)
        _remove(connection, arn, keys)
        note_tags(connection, arn)
        _index(connection, resource, arn)


def forget_tags(connection: Connection, image_store: ImageStore, resource: TaggedResource) -> None:
    """Remove all tags of a resource that is being deleted."""
    arn = resource.arn(image_store)
    connection.execute(delete(tags).where(tags.c.resource_arn == arn))
    note_tags(connection, arn)
    _index(connection, resource, arn)


def _index(connection: Connection, resource: TaggedResource, arn: str) -> None:
    """Bring the index of the tags of image sets up to date with the tags of a resource, whose row is locked."""
    if resource.image_set_id is not None:
        query = select(tags.c.tag_key, tags.c.tag_value).where(tags.c.resource_arn == arn)
        index_tags(connection, resource.image_set_id, {row.tag_key: row.tag_value for row in connection.execute(query)})


def _remove(connection: Connection, arn: str, keys: Collection[str]) -> None:
    connection.execute(delete(tags).where(tags.c.resource_arn == arn, tags.c.tag_key.in_(list(keys))))


def _check_there(connection: Connection, image_store: ImageStore, resource: TaggedResource, *, lock: bool) -> None:
    """Find the resource, and with ``lock`` keep other changes of its tags out until the transaction ends."""
    store = select(datastores.c.id).where(
        datastores.c.id == resource.datastore_id,
        datastores.c.account_id == image_store.account_id,
        datastores.c.status != DatastoreStatus.DELETED,
    )
    if resource.image_set_id is None:
        if _first(connection, store, lock=lock) is None:
            raise NotFoundError(f"data store {resource.datastore_id} does not exist")
        return
    image_set = select(image_sets.c.id).where(
        image_sets.c.id == resource.image_set_id,
        image_sets.c.datastore_id == resource.datastore_id,
        image_sets.c.deleted_at.is_(None),
    )
    if connection.execute(store).first() is None or _first(connection, image_set, lock=lock) is None:
        raise NotFoundError(f"image set {resource.image_set_id} does not exist in data store {resource.datastore_id}")


def _first(connection: Connection, query: Select[Any], *, lock: bool) -> object:
    return connection.execute(lock_row(connection, query) if lock else query).first()
