"""Access keys of users: at most two each, so that one can replace the other.

Source: IAM User Guide, "Manage access keys for IAM users".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, insert, select, update

from hounsfield.iam.identities.errors import InvalidInputError, LimitExceededError, NoSuchEntityError
from hounsfield.iam.identities.identities import key_record
from hounsfield.iam.identities.names import format_name, new_access_key_id, new_secret
from hounsfield.iam.identities.records import AccessKeyRecord, IdentityKind, KeyStatus
from hounsfield.iam.identities.repository import Repository, identity_row
from hounsfield.iam.root_credentials import AccessKey
from hounsfield.storage.clock import now_ms, to_datetime, to_ms
from hounsfield.storage.db.iam_tables import access_keys, identities

MOST_KEYS: Final = 2


@dataclass(frozen=True, slots=True)
class NewKey:
    """An access key that was just made: the only time that its secret is given.

    Attributes
    ----------
    record : AccessKeyRecord
        The key.
    secret : str
        Its secret.
    replaces : AccessKeyRecord or None
        The key whose place it is to take.
    """

    record: AccessKeyRecord
    secret: str = field(repr=False)
    replaces: AccessKeyRecord | None = None

    @property
    def pair(self) -> AccessKey:
        """The key as a client needs it."""
        return AccessKey(self.record.id, self.secret)


Delivery = Callable[[NewKey], None]
"""Hands a secret over before its key counts; when it raises, there is no key."""


def create_key(
    repository: Repository, user: str, *, expires_at: datetime | None = None, deliver: Delivery | None = None
) -> NewKey:
    """Make an access key (IAM CreateAccessKey).

    Parameters
    ----------
    repository : Repository
        Where.
    user : str
        Name of the user.
    expires_at : datetime or None
        From when on it is refused.
    deliver : callable or None
        See `Delivery`.

    Raises
    ------
    NoSuchEntityError
        There is no such user.
    LimitExceededError
        The user has two keys.
    InvalidInputError
        The key would be expired already.
    """
    _check_future(expires_at)
    with repository.change() as connection:
        owner = identity_row(connection, IdentityKind.USER, user)
        made = _make(repository, connection, owner, expires_at)
        if deliver is not None:
            deliver(made)
        return made


def _make(
    repository: Repository,
    connection: Connection,
    owner: Row[Any],
    expires_at: datetime | None,
) -> NewKey:
    known = _of_user(connection, owner)
    if len(known) >= MOST_KEYS:
        raise LimitExceededError(
            f"the user {owner.name} has {MOST_KEYS} access keys, {' and '.join(key.id for key in known)}; delete one first"
        )
    key = AccessKey(new_access_key_id(), new_secret())
    # Of two keys the newer one must be told from the older one.
    created_at = max([now_ms(), *(to_ms(other.created_at) + 1 for other in known)])
    connection.execute(
        insert(access_keys).values(
            id=key.id,
            identity_id=owner.id,
            sealed_secret=repository.seal(key.id, key.secret),
            status=KeyStatus.ACTIVE,
            created_at=created_at,
            expires_at=None if expires_at is None else to_ms(expires_at),
        )
    )
    return NewKey(_key(connection, key.id), key.secret)


def list_keys(repository: Repository, user: str | None = None) -> list[AccessKeyRecord]:
    """Return the access keys of a user, or of all users, by user and age; raises `NoSuchEntityError`."""
    with repository.database.read() as connection:
        if user is not None:
            return _of_user(connection, identity_row(connection, IdentityKind.USER, user))
        rows = connection.execute(_query()).all()
        return _sorted(rows)


def set_key_status(repository: Repository, access_key_id: str, status: KeyStatus) -> AccessKeyRecord:
    """Enable or disable a key (IAM UpdateAccessKey); raises `NoSuchEntityError`."""
    return update_key(repository, access_key_id, status=status)


def set_key_expiry(repository: Repository, access_key_id: str, expires_at: datetime | None) -> AccessKeyRecord:
    """Say from when on a key is refused, None for never.

    Raises
    ------
    NoSuchEntityError
        There is no such key.
    InvalidInputError
        That moment is past; disabling is for that.
    """
    return update_key(repository, access_key_id, expires_at=expires_at, never_expires=expires_at is None)


def update_key(
    repository: Repository,
    access_key_id: str,
    user: str | None = None,
    *,
    status: KeyStatus | None = None,
    expires_at: datetime | None = None,
    never_expires: bool = False,
) -> AccessKeyRecord:
    """Change what is given of a key (IAM UpdateAccessKey).

    Parameters
    ----------
    repository : Repository
        Where.
    access_key_id : str
        Which key.
    user : str or None
        Name of the user whose key it must be; None for anybody's.
    status : KeyStatus or None
        Whether it may be used.
    expires_at : datetime or None
        From when on it is refused.
    never_expires : bool
        Whether it never is.

    Raises
    ------
    NoSuchEntityError
        There is no such key, or not one of the user.
    InvalidInputError
        The expiry is past; disabling is for that.
    """
    _check_future(expires_at)
    values: dict[str, object] = {} if status is None else {"status": status}
    if expires_at is not None or never_expires:
        values["expires_at"] = None if expires_at is None else to_ms(expires_at)
    with repository.change() as connection:
        record = _key(connection, access_key_id, user)
        connection.execute(update(access_keys).where(access_keys.c.id == record.id).values(**values))
        return _key(connection, record.id)


def delete_key(repository: Repository, access_key_id: str, user: str | None = None) -> AccessKeyRecord:
    """Delete a key (IAM DeleteAccessKey), of a user where one is named; raises `NoSuchEntityError`."""
    with repository.change() as connection:
        record = _key(connection, access_key_id, user)
        connection.execute(delete(access_keys).where(access_keys.c.id == record.id))
        return record


def begin_rotation(
    repository: Repository, user: str, *, expires_at: datetime | None = None, deliver: Delivery | None = None
) -> NewKey:
    """Make the key that is to replace the only one of a user; both count until `finish_rotation`.

    Raises
    ------
    NoSuchEntityError
        There is no such user, or it has no key to be replaced.
    LimitExceededError
        The user has two keys already.
    """
    _check_future(expires_at)
    with repository.change() as connection:
        owner = identity_row(connection, IdentityKind.USER, user)
        known = _of_user(connection, owner)
        if not known:
            raise NoSuchEntityError(f"the user {owner.name} has no access key to replace; create one")
        made = replace(_make(repository, connection, owner, expires_at), replaces=known[0])
        if deliver is not None:
            deliver(made)
        return made


def finish_rotation(repository: Repository, user: str) -> tuple[AccessKeyRecord, AccessKeyRecord]:
    """Disable the older of the two keys of a user; give both, the older first.

    Raises
    ------
    NoSuchEntityError
        There is no such user, or it has not two keys.
    InvalidInputError
        The newer one could not be used: nobody could call any more.
    """
    with repository.change() as connection:
        owner = identity_row(connection, IdentityKind.USER, user)
        known = _of_user(connection, owner)
        if len(known) != MOST_KEYS:
            raise NoSuchEntityError(f"the user {owner.name} has {len(known)} access key, not an old and a new one")
        old, new = known
        if not new.usable_at(to_datetime(now_ms())):
            raise InvalidInputError(
                f"the newer access key {new.id} is disabled or expired; the older one stays as it is"
            )
        connection.execute(update(access_keys).where(access_keys.c.id == old.id).values(status=KeyStatus.INACTIVE))
        return _key(connection, old.id), new


def _query() -> Any:
    return select(access_keys, identities.c.name).join(identities, identities.c.id == access_keys.c.identity_id)


def _key(connection: Connection, access_key_id: str, user: str | None = None) -> AccessKeyRecord:
    row = connection.execute(_query().where(access_keys.c.id == access_key_id)).first()
    if row is None or (user is not None and row.name.lower() != user.lower()):
        raise NoSuchEntityError(f"there is no access key {format_name(access_key_id)}")
    return key_record(row, row.name)


def _of_user(connection: Connection, owner: Row[Any]) -> list[AccessKeyRecord]:
    return _sorted(connection.execute(_query().where(access_keys.c.identity_id == owner.id)).all())


def _sorted(rows: Any) -> list[AccessKeyRecord]:
    records = [key_record(row, row.name) for row in rows]
    return sorted(records, key=lambda record: (record.user.lower(), record.created_at, record.id))


def _check_future(expires_at: datetime | None) -> None:
    if expires_at is not None and to_ms(expires_at) <= now_ms():
        raise InvalidInputError("the expiry must be in the future; to refuse a key from now on, disable it")
