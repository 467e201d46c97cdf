"""Users and roles: create, show, tag and delete them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from hounsfield.iam.identities.errors import DeleteConflictError, EntityAlreadyExistsError, NoSuchEntityError
from hounsfield.iam.identities.managed_policies import policy_arn
from hounsfield.iam.identities.names import (
    format_name,
    new_unique_id,
    validate_description,
    validate_name,
    validate_session_seconds,
    validate_tags,
)
from hounsfield.iam.identities.policy_documents import trust_policy
from hounsfield.iam.identities.records import AccessKeyRecord, IdentityKind, IdentityRecord, KeyStatus
from hounsfield.iam.identities.repository import Repository, identity_row
from hounsfield.storage.clock import now_ms, to_datetime
from hounsfield.storage.db.iam_tables import (
    access_keys,
    identities,
    identity_tags,
    inline_policies,
    policy_attachments,
)

DEFAULT_SESSION_SECONDS = 3600


def create_user(
    repository: Repository, name: str, tags: Mapping[str, str] | None = None, *, boundary: str | None = None
) -> IdentityRecord:
    """Make a user, who may do nothing yet (IAM CreateUser).

    Parameters
    ----------
    repository : Repository
        Where.
    name : str
        Its name.
    tags : Mapping of str to str
        Its tags.
    boundary : str or None
        Managed policy, by its name or ARN, that bounds what it may do.

    Raises
    ------
    InvalidInputError
        The name or a tag is not of its form.
    EntityAlreadyExistsError
        There is a user of this name, whatever its case.
    NoSuchEntityError
        There is no such policy.
    """
    return _create(repository, IdentityKind.USER, name, tags or {}, boundary, {})


def create_role(
    repository: Repository,
    name: str,
    trust: str,
    *,
    max_session_seconds: int = DEFAULT_SESSION_SECONDS,
    description: str = "",
    tags: Mapping[str, str] | None = None,
    boundary: str | None = None,
) -> IdentityRecord:
    """Make a role, which may do nothing yet (IAM CreateRole).

    Parameters
    ----------
    repository : Repository
        Where.
    name : str
        Its name.
    trust : str
        Trust policy: who may assume it, JSON.
    max_session_seconds : int
        Longest session, 3600 to 43200.
    description : str
        What it is for.
    tags : Mapping of str to str
        Its tags.
    boundary : str or None
        Managed policy, by its name or ARN, that bounds what it may do.

    Raises
    ------
    InvalidInputError
        One of them is not of its form.
    EntityAlreadyExistsError
        There is a role of this name, whatever its case.
    NoSuchEntityError
        There is no such policy.
    """
    values: dict[str, str | int] = {
        "trust_policy": trust_policy(trust).text,
        "max_session_seconds": validate_session_seconds(max_session_seconds),
        "description": validate_description(description),
    }
    return _create(repository, IdentityKind.ROLE, name, tags or {}, boundary, values)


def _create(
    repository: Repository,
    kind: IdentityKind,
    name: str,
    tags: Mapping[str, str],
    boundary: str | None,
    values: Mapping[str, str | int],
) -> IdentityRecord:
    validate_name(name, kind)
    validate_tags(tags)
    with repository.change() as connection:
        taken = select(identities.c.name).where(identities.c.kind == kind, identities.c.name_key == name.lower())
        known = connection.execute(taken).scalar()
        if known is not None:
            raise EntityAlreadyExistsError(f"there is a {kind} {known} already")
        identifier = new_unique_id(kind.id_prefix)
        connection.execute(
            insert(identities).values(
                id=identifier,
                kind=kind,
                name=name,
                name_key=name.lower(),
                created_at=now_ms(),
                boundary_arn=None if boundary is None else policy_arn(repository, connection, boundary),
                **values,
            )
        )
        _put_tags(connection, identifier, tags)
        return _record(repository, connection, identity_row(connection, kind, name))


def get_identity(repository: Repository, kind: IdentityKind, name: str) -> IdentityRecord:
    """Return a user or role with all that hangs on it; raises `NoSuchEntityError`."""
    with repository.database.read() as connection:
        return _record(repository, connection, identity_row(connection, kind, name))


def list_identities(repository: Repository, kind: IdentityKind) -> list[IdentityRecord]:
    """Return all users or all roles, by name."""
    with repository.database.read() as connection:
        rows = connection.execute(select(identities).where(identities.c.kind == kind)).all()
        return _records(repository, connection, sorted(rows, key=lambda row: str(row.name_key)))


def tag_identity(
    repository: Repository, kind: IdentityKind, name: str, tags: Mapping[str, str], remove: Collection[str] = ()
) -> IdentityRecord:
    """Set tags of a user or role, and take others off; keys are the same whatever their case.

    Raises
    ------
    NoSuchEntityError
        There is no such user or role, or it has no tag that is to be taken off.
    InvalidInputError
        A tag is not of its form.
    LimitExceededError
        There would be too many.
    """
    validate_tags(tags)
    with repository.change() as connection:
        row = identity_row(connection, kind, name)
        kept = {key.lower(): (key, value) for key, value in _record(repository, connection, row).tags.items()}
        for key in remove:
            if kept.pop(key.lower(), None) is None:
                raise NoSuchEntityError(f"the {kind} {row.name} has no tag {format_name(key)}")
        kept |= {key.lower(): (key, value) for key, value in tags.items()}
        connection.execute(delete(identity_tags).where(identity_tags.c.identity_id == row.id))
        _put_tags(connection, row.id, validate_tags(dict(kept.values())))
        return _record(repository, connection, row)


def update_role(
    repository: Repository,
    name: str,
    *,
    trust: str | None = None,
    max_session_seconds: int | None = None,
    description: str | None = None,
) -> IdentityRecord:
    """Change what is given of a role (IAM UpdateAssumeRolePolicy, UpdateRole).

    Raises
    ------
    NoSuchEntityError
        There is no such role.
    InvalidInputError
        One of the values is not of its form.
    """
    values: dict[str, str | int] = {}
    if trust is not None:
        values["trust_policy"] = trust_policy(trust).text
    if max_session_seconds is not None:
        values["max_session_seconds"] = validate_session_seconds(max_session_seconds)
    if description is not None:
        values["description"] = validate_description(description)
    with repository.change() as connection:
        row = identity_row(connection, IdentityKind.ROLE, name)
        if values:
            connection.execute(update(identities).where(identities.c.id == row.id).values(**values))
        return _record(repository, connection, identity_row(connection, IdentityKind.ROLE, name))


def delete_identity(repository: Repository, kind: IdentityKind, name: str, *, force: bool = False) -> IdentityRecord:
    """Delete a user or role (IAM DeleteUser, DeleteRole).

    Parameters
    ----------
    repository : Repository
        Where.
    kind : IdentityKind
        User or role.
    name : str
        Its name.
    force : bool
        Also with the keys and policies it has, all in one transaction.

    Raises
    ------
    NoSuchEntityError
        There is none.
    DeleteConflictError
        It has keys or policies, and ``force`` is not given.
    """
    with repository.change() as connection:
        record = _record(repository, connection, identity_row(connection, kind, name))
        held = [
            *(f"access key {key.id}" for key in record.keys),
            *(f"policy {arn}" for arn in record.attached),
            *(f"inline policy {inline}" for inline in record.inline),
        ]
        if held and not force:
            raise DeleteConflictError(f"the {kind} {record.name} still has {', '.join(held)}")
        # What hangs on it goes with it (ON DELETE CASCADE).
        connection.execute(delete(identities).where(identities.c.id == record.id))
        return record


def _put_tags(connection: Connection, identity_id: str, tags: Mapping[str, str]) -> None:
    if tags:
        rows = [{"identity_id": identity_id, "tag_key": key, "tag_value": value} for key, value in tags.items()]
        connection.execute(insert(identity_tags), rows)


def _record(repository: Repository, connection: Connection, row: Row[Any]) -> IdentityRecord:
    return _records(repository, connection, [row])[0]


def _records(repository: Repository, connection: Connection, rows: Sequence[Row[Any]]) -> list[IdentityRecord]:
    one = rows[0].id if len(rows) == 1 else None
    tags: dict[str, dict[str, str]] = defaultdict(dict)
    for row in connection.execute(_of(select(identity_tags), identity_tags, one)):
        tags[row.identity_id][row.tag_key] = row.tag_value
    attached: dict[str, list[str]] = defaultdict(list)
    for row in connection.execute(_of(select(policy_attachments), policy_attachments, one)):
        attached[row.identity_id].append(row.policy_arn)
    inline: dict[str, dict[str, str]] = defaultdict(dict)
    for row in connection.execute(_of(select(inline_policies), inline_policies, one)):
        inline[row.identity_id][row.name] = row.document
    keys: dict[str, list[Row[Any]]] = defaultdict(list)
    for row in connection.execute(_of(select(access_keys), access_keys, one)):
        keys[row.identity_id].append(row)
    return [
        IdentityRecord(
            kind=IdentityKind(row.kind),
            id=row.id,
            name=row.name,
            arn=repository.arn(row.kind, row.name),
            created_at=to_datetime(row.created_at),
            tags=dict(sorted(tags[row.id].items())),
            attached=tuple(sorted(attached[row.id])),
            inline=dict(sorted(inline[row.id].items())),
            boundary=row.boundary_arn,
            keys=tuple(key_record(key, row.name) for key in sorted(keys[row.id], key=_age)),
            trust=row.trust_policy,
            max_session_seconds=row.max_session_seconds,
            description=row.description or "",
        )
        for row in rows
    ]


def _of(query: Any, table: Any, identity_id: str | None) -> Any:
    return query if identity_id is None else query.where(table.c.identity_id == identity_id)


def _age(row: Row[Any]) -> tuple[int, str]:
    return row.created_at, row.id


def key_record(row: Row[Any], user: str) -> AccessKeyRecord:
    """Return the record of an access key from its row."""
    return AccessKeyRecord(
        id=row.id,
        user=user,
        status=KeyStatus(row.status),
        created_at=to_datetime(row.created_at),
        expires_at=None if row.expires_at is None else to_datetime(row.expires_at),
        last_used_at=None if row.last_used_at is None else to_datetime(row.last_used_at),
    )
