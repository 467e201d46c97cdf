"""Policies of a user or role: attached managed ones, inline ones, and a permissions boundary."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from hounsfield.iam.identities.errors import (
    EntityAlreadyExistsError,
    LimitExceededError,
    NoSuchEntityError,
)
from hounsfield.iam.identities.identities import get_identity
from hounsfield.iam.identities.managed_policies import policy_arn
from hounsfield.iam.identities.names import MOST_OF_POLICY_NAME, format_name, validate_name
from hounsfield.iam.identities.policy_documents import MOST_OF_INLINE, identity_policy
from hounsfield.iam.identities.records import IdentityKind, IdentityRecord
from hounsfield.iam.identities.repository import Repository, identity_row
from hounsfield.iam.policies.json_reader import size_of
from hounsfield.storage.db.iam_tables import identities, inline_policies, policy_attachments

MOST_ATTACHED: Final = 20
"""Managed policies of a user or role; AWS lets accounts ask for as many."""


def attach_policy(repository: Repository, kind: IdentityKind, name: str, policy: str) -> IdentityRecord:
    """Attach a managed policy, by its name or ARN (IAM AttachUserPolicy, AttachRolePolicy).

    Raises
    ------
    NoSuchEntityError
        There is no such user, role or policy.
    EntityAlreadyExistsError
        It is attached already.
    LimitExceededError
        There are as many as there may be.
    """
    with repository.change() as connection:
        row = identity_row(connection, kind, name)
        arn = policy_arn(repository, connection, policy)
        attached = policy_attachments.c.identity_id == row.id
        if connection.execute(
            select(policy_attachments).where(attached, policy_attachments.c.policy_arn == arn)
        ).first():
            raise EntityAlreadyExistsError(f"the {kind} {row.name} has the policy {arn} already")
        count = connection.execute(select(func.count()).select_from(policy_attachments).where(attached)).scalar_one()
        if count >= MOST_ATTACHED:
            raise LimitExceededError(f"the {kind} {row.name} has {count} managed policies, which is the most")
        connection.execute(insert(policy_attachments).values(identity_id=row.id, policy_arn=arn))
    return get_identity(repository, kind, name)


def detach_policy(repository: Repository, kind: IdentityKind, name: str, policy: str) -> IdentityRecord:
    """Take a managed policy off (IAM DetachUserPolicy, DetachRolePolicy); raises `NoSuchEntityError`."""
    with repository.change() as connection:
        row = identity_row(connection, kind, name)
        arn = policy_arn(repository, connection, policy)
        done = connection.execute(
            delete(policy_attachments).where(
                policy_attachments.c.identity_id == row.id, policy_attachments.c.policy_arn == arn
            )
        )
        if done.rowcount == 0:
            raise NoSuchEntityError(f"the {kind} {row.name} has no policy {arn}")
    return get_identity(repository, kind, name)


def put_inline_policy(
    repository: Repository, kind: IdentityKind, name: str, policy: str, document: str
) -> IdentityRecord:
    """Return a user or role a policy of its own, in the place of one of the same name (IAM PutUserPolicy, PutRolePolicy).

    Raises
    ------
    NoSuchEntityError
        There is no such user or role.
    InvalidInputError
        The name is not of its form, or the document is not a policy.
    LimitExceededError
        All inline policies together would be too long.
    """
    validate_name(policy, "policy", MOST_OF_POLICY_NAME)
    identity_policy(document, MOST_OF_INLINE[kind])
    with repository.change() as connection:
        row = identity_row(connection, kind, name)
        documents = _inline(connection, row)
        documents[policy] = document
        total = sum(map(size_of, documents.values()))
        if total > MOST_OF_INLINE[kind]:
            raise LimitExceededError(
                f"the inline policies of the {kind} {row.name} would have {total} characters besides white space, "
                f"they may have {MOST_OF_INLINE[kind]}"
            )
        connection.execute(_named(row, policy))
        connection.execute(insert(inline_policies).values(identity_id=row.id, name=policy, document=document))
    return get_identity(repository, kind, name)


def get_inline_policy(repository: Repository, kind: IdentityKind, name: str, policy: str) -> str:
    """Return an inline policy, JSON (IAM GetUserPolicy, GetRolePolicy); raises `NoSuchEntityError`."""
    record = get_identity(repository, kind, name)
    document = record.inline.get(policy)
    if document is None:
        raise NoSuchEntityError(f"the {kind} {record.name} has no inline policy {format_name(policy)}")
    return document


def remove_inline_policy(repository: Repository, kind: IdentityKind, name: str, policy: str) -> IdentityRecord:
    """Delete an inline policy (IAM DeleteUserPolicy, DeleteRolePolicy); raises `NoSuchEntityError`."""
    with repository.change() as connection:
        row = identity_row(connection, kind, name)
        if connection.execute(_named(row, policy)).rowcount == 0:
            raise NoSuchEntityError(f"the {kind} {row.name} has no inline policy {format_name(policy)}")
    return get_identity(repository, kind, name)


def set_boundary(repository: Repository, kind: IdentityKind, name: str, policy: str | None) -> IdentityRecord:
    """Bound what a user or role may do by a managed policy, None for no longer (IAM PutUserPermissionsBoundary).

    Raises
    ------
    NoSuchEntityError
        There is no such user, role or policy.
    """
    with repository.change() as connection:
        row = identity_row(connection, kind, name)
        arn = None if policy is None else policy_arn(repository, connection, policy)
        connection.execute(update(identities).where(identities.c.id == row.id).values(boundary_arn=arn))
    return get_identity(repository, kind, name)


def _inline(connection: Connection, row: Row[Any]) -> dict[str, str]:
    rows = connection.execute(select(inline_policies).where(inline_policies.c.identity_id == row.id))
    return {entry.name: entry.document for entry in rows}


def _named(row: Row[Any], policy: str) -> Any:
    return delete(inline_policies).where(inline_policies.c.identity_id == row.id, inline_policies.c.name == policy)
