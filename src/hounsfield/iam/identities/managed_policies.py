"""Managed policies: the operator's, and the built-in ones, which nobody changes.

Source: IAM User Guide, "Managed policies and inline policies".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from hounsfield.iam.identities.errors import (
    DeleteConflictError,
    EntityAlreadyExistsError,
    InvalidInputError,
    NoSuchEntityError,
)
from hounsfield.iam.identities.names import (
    MOST_OF_POLICY_NAME,
    format_name,
    new_unique_id,
    validate_description,
    validate_name,
)
from hounsfield.iam.identities.policy_documents import built_in, identity_policy
from hounsfield.iam.identities.records import PolicyRecord
from hounsfield.iam.identities.repository import Repository
from hounsfield.storage.clock import now_ms, to_datetime
from hounsfield.storage.db.iam_tables import identities, managed_policies, policy_attachments


def create_policy(repository: Repository, name: str, document: str, description: str = "") -> PolicyRecord:
    """Make a managed policy (IAM CreatePolicy).

    Parameters
    ----------
    repository : Repository
        Where.
    name : str
        Its name, 1 to 128 characters.
    document : str
        The policy, JSON.
    description : str
        What it is for.

    Raises
    ------
    InvalidInputError
        One of them is not of its form.
    EntityAlreadyExistsError
        There is a policy of this name, whatever its case, or one that is built in.
    """
    validate_name(name, "policy", MOST_OF_POLICY_NAME)
    validate_description(description)
    identity_policy(document)
    if name.lower() in _built_in_names(repository):
        raise EntityAlreadyExistsError(f"the policy {name} is built in")
    with repository.change() as connection:
        known = connection.execute(_query(name)).first()
        if known is not None:
            raise EntityAlreadyExistsError(f"there is a policy {known.name} already")
        now = now_ms()
        connection.execute(
            insert(managed_policies).values(
                id=new_unique_id("ANPA"),
                name=name,
                name_key=name.lower(),
                description=description,
                document=document,
                created_at=now,
                updated_at=now,
            )
        )
        return _record(repository, connection, name)


def update_policy(repository: Repository, name: str, document: str) -> PolicyRecord:
    """Put another document in the place of that of a managed policy; it counts at once wherever it is attached.

    Raises
    ------
    NoSuchEntityError
        There is none.
    InvalidInputError
        The document is not a policy, or the policy is built in.
    """
    identity_policy(document)
    with repository.change() as connection:
        record = _own(repository, connection, name)
        connection.execute(
            update(managed_policies)
            .where(managed_policies.c.id == record.id)
            .values(document=document, updated_at=now_ms())
        )
        return _record(repository, connection, record.name)


def delete_policy(repository: Repository, name: str) -> PolicyRecord:
    """Delete a managed policy that nobody has (IAM DeletePolicy).

    Raises
    ------
    NoSuchEntityError
        There is none.
    InvalidInputError
        It is built in.
    DeleteConflictError
        A user or role has it, or has it for its boundary.
    """
    with repository.change() as connection:
        record = _own(repository, connection, name)
        if record.users_and_roles:
            raise DeleteConflictError(f"the policy {record.name} is that of {', '.join(record.users_and_roles)}")
        connection.execute(delete(managed_policies).where(managed_policies.c.id == record.id))
        return record


def get_policy(repository: Repository, name: str) -> PolicyRecord:
    """Return a managed policy by its name or ARN; raises `NoSuchEntityError`."""
    with repository.database.read() as connection:
        return _record(repository, connection, name)


def list_policies(repository: Repository) -> list[PolicyRecord]:
    """Return all managed policies: the operator's by name, then those that are built in."""
    with repository.database.read() as connection:
        holders = _holders(repository, connection)
        rows = connection.execute(select(managed_policies)).all()
        own = sorted((_of_row(repository, row, holders) for row in rows), key=lambda record: record.name.lower())
        return [*own, *(_built_in(repository, arn, holders) for arn in sorted(built_in(repository.partition)))]


def policy_arn(repository: Repository, connection: Connection, name: str) -> str:
    """Return the ARN of a managed policy that is there, by its name or ARN; raises `NoSuchEntityError`."""
    if name in built_in(repository.partition):
        return name
    own = repository.arn("policy", "")
    row = connection.execute(_query(name.removeprefix(own))).first()
    if row is not None:
        return repository.arn("policy", row.name)
    arn = _built_in_names(repository).get(name.lower())
    if arn is None:
        raise NoSuchEntityError(f"there is no policy {format_name(name)}")
    return arn


def _built_in_names(repository: Repository) -> Mapping[str, str]:
    return {arn.rsplit("/", 1)[1].lower(): arn for arn in built_in(repository.partition)}


def _own(repository: Repository, connection: Connection, name: str) -> PolicyRecord:
    record = _record(repository, connection, name)
    if not record.id:
        raise InvalidInputError(f"the policy {record.name} is built in and cannot be changed; make one of your own")
    return record


def _record(repository: Repository, connection: Connection, name: str) -> PolicyRecord:
    arn = policy_arn(repository, connection, name)
    holders = _holders(repository, connection, arn)
    if arn in built_in(repository.partition):
        return _built_in(repository, arn, holders)
    row = connection.execute(_query(arn.rsplit("/", 1)[1])).one()
    return _of_row(repository, row, holders)


def _query(name: str) -> Any:
    return select(managed_policies).where(managed_policies.c.name_key == name.lower())


def _holders(repository: Repository, connection: Connection, arn: str | None = None) -> Mapping[str, Sequence[str]]:
    """Return who has which policy, attached or as boundary: ARNs of users and roles by the ARN of the policy."""
    attached = select(identities.c.kind, identities.c.name, policy_attachments.c.policy_arn.label("arn")).join(
        policy_attachments, policy_attachments.c.identity_id == identities.c.id
    )
    bounded = select(identities.c.kind, identities.c.name, identities.c.boundary_arn.label("arn")).where(
        identities.c.boundary_arn.is_not(None)
    )
    if arn is not None:
        attached = attached.where(policy_attachments.c.policy_arn == arn)
        bounded = bounded.where(identities.c.boundary_arn == arn)
    found: dict[str, set[str]] = defaultdict(set)
    for query in (attached, bounded):
        for row in connection.execute(query):
            found[row.arn].add(repository.arn(row.kind, row.name))
    return {policy: sorted(holders) for policy, holders in found.items()}


def _of_row(repository: Repository, row: Row[Any], holders: Mapping[str, Sequence[str]]) -> PolicyRecord:
    arn = repository.arn("policy", row.name)
    return PolicyRecord(
        id=row.id,
        name=row.name,
        arn=arn,
        description=row.description or "",
        document=row.document,
        created_at=to_datetime(row.created_at),
        updated_at=to_datetime(row.updated_at),
        users_and_roles=tuple(holders.get(arn, ())),
    )


def _built_in(repository: Repository, arn: str, holders: Mapping[str, Sequence[str]]) -> PolicyRecord:
    document = built_in(repository.partition)[arn].text
    return PolicyRecord("", arn.rsplit("/", 1)[1], arn, "built in", document, None, None, tuple(holders.get(arn, ())))
