"""Data stores: CreateDatastore, GetDatastore, ListDatastores, DeleteDatastore.

    CREATING ─▶ ACTIVE ─▶ DELETING ─▶ DELETED
        └─────▶ CREATE_FAILED

The steps that follow a request are work items, so that a data store never stays in between when a process dies.
`DATASTORE_TRANSITIONS` is the table of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, bindparam, func, insert, select, update

from hounsfield.imaging.client_tokens import find_resource, record_resource
from hounsfield.imaging.errors import ConflictError, InvalidRequestError, NotFoundError, QuotaExceededError
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.pagination import Page, Position, newest_first, page_of
from hounsfield.imaging.quotas import exceeds
from hounsfield.imaging.tag_keys import check_distinct
from hounsfield.jobs.queue import WorkItem
from hounsfield.pixels.transfer_syntaxes import LosslessFormat
from hounsfield.storage.clock import now_ms, to_datetime
from hounsfield.storage.db.database import lock_name, lock_row
from hounsfield.storage.db.image_set_tables import datastores, image_sets, tags
from hounsfield.storage.db.job_tables import import_jobs
from hounsfield.storage.db.prepared import PreparedStatement
from hounsfield.storage.identifiers import new_id
from hounsfield.storage.journal.changes import note_datastore, note_tags
from hounsfield.storage.keys.data_key import DataKey
from hounsfield.storage.keys.kms import UnusableKeyError
from hounsfield.storage.keys.pack_keys import write_pack_key

SETTLE_DATASTORE = "settle-datastore"
_FIND: Final = select(datastores).where(
    datastores.c.id == bindparam("datastore"), datastores.c.account_id == bindparam("account")
)
_ONE: Final = PreparedStatement(_FIND)
_ONE_LOCKED: Final = PreparedStatement(_FIND.with_for_update())
"""SQLite, which has no row locks, leaves the lock out."""


class DatastoreStatus(StrEnum):
    """States of a data store (API shape DatastoreStatus)."""

    CREATING = "CREATING"
    CREATE_FAILED = "CREATE_FAILED"
    ACTIVE = "ACTIVE"
    DELETING = "DELETING"
    DELETED = "DELETED"


class DatastoreEvent(StrEnum):
    """What moves a data store from one state to the next."""

    SETTLE = "settle"
    """The work item that follows a request is carried out."""
    GIVE_UP = "give-up"
    """The work item was tried too often."""
    DELETE = "delete"
    """DeleteDatastore."""


DATASTORE_TRANSITIONS: Final[Mapping[tuple[DatastoreStatus, DatastoreEvent], DatastoreStatus]] = {
    (DatastoreStatus.CREATING, DatastoreEvent.SETTLE): DatastoreStatus.ACTIVE,
    (DatastoreStatus.CREATING, DatastoreEvent.GIVE_UP): DatastoreStatus.CREATE_FAILED,
    (DatastoreStatus.ACTIVE, DatastoreEvent.DELETE): DatastoreStatus.DELETING,
    (DatastoreStatus.DELETING, DatastoreEvent.SETTLE): DatastoreStatus.DELETED,
    # A deletion that was promised has no other end.
    (DatastoreStatus.DELETING, DatastoreEvent.GIVE_UP): DatastoreStatus.DELETED,
}
"""The states of a data store (API shape DatastoreStatus); what is not here changes nothing."""


@dataclass(frozen=True, slots=True)
class Datastore:
    """Properties of a data store (API shape DatastoreProperties)."""

    id: str
    name: str
    status: DatastoreStatus
    lossless_format: LosslessFormat
    kms_key_arn: str | None
    lambda_authorizer_arn: str | None
    arn: str
    created_at: datetime
    updated_at: datetime
    wrapped_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class NewDatastore:
    """What a caller says of a data store to be made (API shape CreateDatastoreRequest)."""

    client_token: str
    name: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    kms_key_arn: str | None = None
    lambda_authorizer_arn: str | None = None
    lossless_format: LosslessFormat = LosslessFormat.HTJ2K


def create_datastore(image_store: ImageStore, new: NewDatastore) -> Datastore:
    """Make a data store with a data key of its own; it becomes ACTIVE soon after (CreateDatastore).

    Raises
    ------
    InvalidRequestError
        The key cannot be that of a data store, or there are more tags than the quota allows, or keys of tags differ only in
        upper and lower case.
    KeyUnavailableError
        The key must not be used by this installation, or the key service does not answer.
    ConflictError
        The client token was used with other parameters.
    QuotaExceededError
        There are as many data stores as the quota allows.
    """
    if exceeds(len(new.tags), image_store.quotas.tags):
        raise InvalidRequestError(f"tags has {len(new.tags)} entries, a resource can have {image_store.quotas.tags}")
    check_distinct(new.tags)
    parameters = [new.name, dict(new.tags), new.kms_key_arn, new.lambda_authorizer_arn, new.lossless_format]
    with image_store.database.read() as connection:
        known = find_resource(connection, image_store.account_id, "CreateDatastore", new.client_token, parameters)
        if known is not None:
            return _datastore(image_store, _row(connection, image_store, known))
    identifier = new_id()
    wrapped_key = _new_key(image_store, identifier, new.kms_key_arn)
    with image_store.database.write() as connection:
        lock_name(connection, f"datastores:{image_store.account_id}")
        known = find_resource(connection, image_store.account_id, "CreateDatastore", new.client_token, parameters)
        if known is not None:
            return _datastore(image_store, _row(connection, image_store, known))
        _check_quota(connection, image_store)
        now = now_ms()
        connection.execute(
            insert(datastores).values(
                id=identifier,
                account_id=image_store.account_id,
                name=new.name or identifier,
                status=DatastoreStatus.CREATING,
                lossless_format=new.lossless_format,
                kms_key_arn=new.kms_key_arn,
                lambda_authorizer_arn=new.lambda_authorizer_arn,
                wrapped_key=wrapped_key,
                created_at=now,
                updated_at=now,
            )
        )
        if new.tags:
            arn = image_store.datastore_arn(identifier)
            rows = [{"resource_arn": arn, "tag_key": key, "tag_value": value} for key, value in new.tags.items()]
            connection.execute(insert(tags), rows)
            note_tags(connection, arn)
        note_datastore(connection, identifier)
        record_resource(connection, image_store.account_id, "CreateDatastore", new.client_token, parameters, identifier)
        image_store.queue.enqueue(connection, SETTLE_DATASTORE, identifier)
        return _datastore(image_store, _row(connection, image_store, identifier))


def _new_key(image_store: ImageStore, datastore_id: str, kms_key_arn: str | None) -> bytes:
    try:
        return image_store.keys.make(datastore_id, kms_key_arn)
    except UnusableKeyError as error:
        raise InvalidRequestError(f"kmsKeyArn cannot be used: {error}") from error


def _check_quota(connection: Connection, image_store: ImageStore) -> None:
    gone = (DatastoreStatus.DELETED, DatastoreStatus.CREATE_FAILED)
    count = connection.execute(
        select(func.count()).where(datastores.c.account_id == image_store.account_id, datastores.c.status.not_in(gone))
    ).scalar_one()
    if exceeds(count + 1, image_store.quotas.datastores):
        raise QuotaExceededError(f"the account has {count} data stores, its quota is {image_store.quotas.datastores}")


def get_datastore(image_store: ImageStore, datastore_id: str) -> Datastore:
    """Return the properties of a data store, also of a deleted one; raises `NotFoundError` (GetDatastore)."""
    with image_store.database.read() as connection:
        return _datastore(image_store, _row(connection, image_store, datastore_id))


def active_datastore(
    connection: Connection, image_store: ImageStore, datastore_id: str, *, lock: bool = False
) -> Datastore:
    """Return a data store that can be worked with, in the caller's transaction.

    Parameters
    ----------
    connection : Connection
        The transaction to read in.
    image_store : ImageStore
        The image store.
    datastore_id : str
        Which data store.
    lock : bool
        Also keep every other writer that asks for the lock out until the transaction ends.

    Raises
    ------
    NotFoundError
        There is no such data store, or it was deleted.
    ConflictError
        It is not ACTIVE yet or no longer.
    KeyUnavailableError
        Its key cannot be had: whoever may not use the key learns nothing of what is in the data store.
    KeyNotAtHandError
        Its key must be fetched first, see `hounsfield.storage.keys.data_key_cache.run_fetching_keys`.
    """
    datastore = startable_datastore(connection, image_store, datastore_id, lock=lock)
    data_key(image_store, datastore)
    return datastore


def startable_datastore(
    connection: Connection, image_store: ImageStore, datastore_id: str, *, lock: bool = False
) -> Datastore:
    """Return a data store as `active_datastore` does, also when its key cannot be had."""
    datastore = _datastore(image_store, _row(connection, image_store, datastore_id, lock=lock))
    if datastore.status is DatastoreStatus.DELETED:
        raise NotFoundError(f"data store {datastore_id} was deleted")
    if datastore.status is not DatastoreStatus.ACTIVE:
        raise ConflictError(f"data store {datastore_id} is {datastore.status}, it must be ACTIVE")
    return datastore


def data_key(image_store: ImageStore, datastore: Datastore) -> DataKey:
    """Return the key that seals everything of a data store; raises `KeyUnavailableError` and `KeyNotCachedError`."""
    return image_store.keys.open(datastore.id, datastore.wrapped_key)


def fetch_key(image_store: ImageStore, datastore: Datastore) -> DataKey:
    """Return the key as `data_key` does, and wait for it where that must be; not within a transaction."""
    return image_store.keys.fetch(datastore.id, datastore.wrapped_key)


def list_datastores(
    image_store: ImageStore, *, status: DatastoreStatus | None = None, after: Position | None = None, limit: int = 50
) -> Page[Datastore]:
    """List data stores, newest first (ListDatastores).

    Parameters
    ----------
    image_store : ImageStore
        The image store.
    status : DatastoreStatus | None
        Only data stores in this state.
    after : Position | None
        Where the page before this one ended.
    limit : int
        At most so many.
    """
    query = select(datastores).where(datastores.c.account_id == image_store.account_id)
    if status is not None:
        query = query.where(datastores.c.status == status)
    query = newest_first(query, datastores.c.created_at, datastores.c.id, after, limit)
    with image_store.database.read() as connection:
        rows = connection.execute(query).all()
    return page_of(rows, limit, lambda row: _datastore(image_store, row), lambda row: Position(row.created_at, row.id))


def delete_datastore(image_store: ImageStore, datastore_id: str) -> Datastore:
    """Delete an empty data store (DeleteDatastore).

    Raises
    ------
    NotFoundError
        There is no such data store, or it was deleted before.
    ConflictError
        It holds image sets, or an import job is not finished.
    """
    with image_store.database.write() as connection:
        datastore = _datastore(image_store, _row(connection, image_store, datastore_id, lock=True))
        if datastore.status is DatastoreStatus.DELETING:
            return datastore
        startable_datastore(connection, image_store, datastore_id)
        _check_empty(connection, datastore_id)
        _move(connection, datastore, DatastoreEvent.DELETE)
        image_store.queue.enqueue(connection, SETTLE_DATASTORE, datastore_id)
        return _datastore(image_store, _row(connection, image_store, datastore_id))


def _check_empty(connection: Connection, datastore_id: str) -> None:
    holds = select(image_sets.c.id).where(image_sets.c.datastore_id == datastore_id, image_sets.c.deleted_at.is_(None))
    if connection.execute(holds.limit(1)).first() is not None:
        raise ConflictError(f"data store {datastore_id} contains image sets; delete them first")
    running = select(import_jobs.c.id).where(
        import_jobs.c.datastore_id == datastore_id, import_jobs.c.status.in_(["SUBMITTED", "IN_PROGRESS"])
    )
    if connection.execute(running.limit(1)).first() is not None:
        raise ConflictError(f"data store {datastore_id} has an import job that is not finished")


class DatastoreSettler:
    """Takes a data store from CREATING to ACTIVE and from DELETING to DELETED."""

    def __init__(self, image_store: ImageStore) -> None:
        self._image_store = image_store

    def run(self, item: WorkItem) -> None:
        """Take the one step that the state of the data store asks for.

        Raises
        ------
        OSError
            A place of the packs cannot be reached: the data store becomes ACTIVE when its key is durable beside them.
        """
        if get_datastore(self._image_store, item.subject_id).status is DatastoreStatus.CREATING:
            for place in self._image_store.pack_locations:
                write_pack_key(self._image_store.database, place, item.subject_id)
        self._take(item, DatastoreEvent.SETTLE)

    def give_up(self, item: WorkItem) -> None:
        """Leave a data store that cannot be made as CREATE_FAILED."""
        self._take(item, DatastoreEvent.GIVE_UP)

    def _take(self, item: WorkItem, event: DatastoreEvent) -> None:
        with self._image_store.database.write() as connection:
            row = _row(connection, self._image_store, item.subject_id, lock=True)
            _move(connection, _datastore(self._image_store, row), event)
            self._image_store.queue.finish(connection, item)


def _move(connection: Connection, datastore: Datastore, event: DatastoreEvent) -> None:
    """Bring a data store, whose row is locked, into its next state; an event its state does not know changes nothing."""
    following = DATASTORE_TRANSITIONS.get((datastore.status, event))
    if following is not None:
        connection.execute(
            update(datastores).where(datastores.c.id == datastore.id).values(status=following, updated_at=now_ms())
        )
        note_datastore(connection, datastore.id)


def _row(connection: Connection, image_store: ImageStore, datastore_id: str, *, lock: bool = False) -> Any:
    prepared = _ONE_LOCKED if lock else _ONE
    row = prepared.first(connection, {"datastore": datastore_id, "account": image_store.account_id})
    if row is None:
        raise NotFoundError(f"data store {datastore_id} does not exist")
    return row


def _datastore(image_store: ImageStore, row: Any) -> Datastore:
    return Datastore(
        id=row.id,
        name=row.name,
        status=DatastoreStatus(row.status),
        lossless_format=LosslessFormat(row.lossless_format),
        kms_key_arn=row.kms_key_arn,
        lambda_authorizer_arn=row.lambda_authorizer_arn,
        arn=image_store.datastore_arn(row.id),
        created_at=to_datetime(row.created_at),
        updated_at=to_datetime(row.updated_at),
        wrapped_key=row.wrapped_key,
    )


def lock_datastore(connection: Connection, datastore_id: str) -> None:
    """Keep other commits to the data store out until the transaction ends."""
    connection.execute(lock_row(connection, select(datastores.c.id).where(datastores.c.id == datastore_id))).one()
