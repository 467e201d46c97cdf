"""Snapshot of the directory at one moment, as dicts that a request is looked up in.

tables ─read at one generation─▶ rows ─▶ policies read once each ─▶ Snapshot(keys by id, roles by ARN, policies by ARN)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from sqlalchemy import Connection, Row, Table, select

from hounsfield.iam.identities.errors import InvalidInputError
from hounsfield.iam.identities.policy_documents import built_in, identity_policy, trust_policy
from hounsfield.iam.identities.records import IdentityKind, KeyStatus
from hounsfield.iam.identities.repository import Repository
from hounsfield.iam.policies.document import Policy
from hounsfield.iam.policies.policy_set import NO_RIGHTS, PolicySet
from hounsfield.iam.principals import Principal, PrincipalKind
from hounsfield.storage.db.iam_tables import (
    access_keys,
    explicit_datastores,
    identities,
    identity_generation,
    identity_tags,
    inline_policies,
    managed_policies,
    policy_attachments,
)
from hounsfield.storage.keys.data_key import KeyUnavailableError

_log = structlog.get_logger(__name__)
_TRIES: Final = 10


@dataclass(frozen=True, slots=True)
class KnownKey:
    """An access key of a user.

    Attributes
    ----------
    id : str
        ``AKIA…``.
    secret : str
        The secret access key.
    principal : Principal
        Whose it is.
    active : bool
        Whether it is not disabled.
    expires_at : int or None
        From when on it is refused, in milliseconds since 1970-01-01 UTC; None for never.
    """

    id: str
    secret: str = field(repr=False)
    principal: Principal
    active: bool
    expires_at: int | None

    def usable_at(self, moment: int) -> bool:
        """Return whether it is accepted at a moment, in milliseconds since 1970-01-01 UTC."""
        return self.active and (self.expires_at is None or moment < self.expires_at)


@dataclass(frozen=True, slots=True)
class Role:
    """A role that can be assumed.

    Attributes
    ----------
    id : str
        ``AROA…``.
    name, arn : str
        Its name, and the ARN made of that.
    trust : Policy
        Who may assume it.
    rights : PolicySet
        What its sessions may do.
    max_session_seconds : int
        Longest session.
    tags : Mapping of str to str
        Its tags.
    """

    id: str
    name: str
    arn: str
    trust: Policy = field(repr=False)
    rights: PolicySet = field(repr=False)
    max_session_seconds: int
    tags: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The directory at one generation.

    Attributes
    ----------
    generation : int
        Which one.
    keys : Mapping of str to KnownKey
        All access keys by id, disabled and expired ones too.
    roles : Mapping of str to Role
        All roles by ARN.
    policies : Mapping of str to Policy
        All managed policies by ARN, those built in too.
    restricted_datastores : frozenset of str
        Data stores in which each image set must be allowed.
    """

    generation: int
    keys: Mapping[str, KnownKey] = field(repr=False)
    roles: Mapping[str, Role] = field(repr=False)
    policies: Mapping[str, Policy] = field(repr=False)
    restricted_datastores: frozenset[str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows of all tables, read at one generation."""

    generation: int
    of: Mapping[str, list[Row[Any]]]

    def by_identity(self, table: Table) -> Mapping[str, list[Row[Any]]]:
        found: dict[str, list[Row[Any]]] = defaultdict(list)
        for row in self.of[table.name]:
            found[row.identity_id].append(row)
        return found


_TABLES: Final = (
    identities,
    access_keys,
    identity_tags,
    inline_policies,
    managed_policies,
    policy_attachments,
    explicit_datastores,
)


def take_snapshot(repository: Repository) -> Snapshot:
    """Read the whole directory.

    An identity with a policy that cannot be read gets no rights at all, because the policy could be one that denies; a role
    whose trust policy cannot be read is left out, and so is a key whose secret does not open. Each is logged.
    """
    rows = _read(repository)
    policies = dict(built_in(repository.partition))
    for row in rows.of[managed_policies.name]:
        arn = repository.arn("policy", row.name)
        read = _readable(row.document, arn)
        if read is not None:
            policies[arn] = read
    rights = _rights(rows, policies)
    tags = {
        identity: {row.tag_key: row.tag_value for row in tag_rows}
        for identity, tag_rows in rows.by_identity(identity_tags).items()
    }
    keys_of = rows.by_identity(access_keys)
    keys: dict[str, KnownKey] = {}
    roles: dict[str, Role] = {}
    for row in rows.of[identities.name]:
        arn = repository.arn(row.kind, row.name)
        if row.kind == IdentityKind.USER:
            user = Principal(arn, PrincipalKind.USER, row.id, row.name, rights[row.id], tags.get(row.id, {}))
            keys.update((key.id, key) for key in _keys(repository, user, keys_of.get(row.id, [])))
            continue
        role = _role(row, arn, rights[row.id], tags.get(row.id, {}))
        if role is not None:
            roles[arn] = role
    explicit = frozenset(row.datastore_id for row in rows.of[explicit_datastores.name])
    return Snapshot(rows.generation, keys, roles, policies, explicit)


def _read(repository: Repository) -> _Rows:
    """Read all tables; a change in between, which increases the generation, makes it begin again."""
    for _ in range(_TRIES):
        with repository.database.read() as connection:
            generation = _generation(connection)
            rows = {table.name: list(connection.execute(select(table))) for table in _TABLES}
            if _generation(connection) == generation:
                return _Rows(generation, rows)
    raise TimeoutError("the directory changes too often to be read")


def _generation(connection: Connection) -> int:
    return int(connection.execute(select(identity_generation.c.generation)).scalar_one())


def _rights(rows: _Rows, policies: Mapping[str, Policy]) -> Mapping[str, PolicySet]:
    attached, inline = rows.by_identity(policy_attachments), rows.by_identity(inline_policies)
    found: dict[str, PolicySet] = {}
    for row in rows.of[identities.name]:
        wanted = [policies.get(entry.policy_arn) for entry in attached.get(row.id, [])]
        wanted += [_readable(entry.document, f"{row.id}/{entry.name}") for entry in inline.get(row.id, [])]
        boundary = policies.get(row.boundary_arn) if row.boundary_arn else None
        identity = tuple(policy for policy in wanted if policy is not None)
        whole = len(identity) == len(wanted) and (boundary is not None or not row.boundary_arn)
        if not whole:
            _log.error("identity without rights: a policy of it cannot be read", identity=row.id)
        found[row.id] = PolicySet(identity, boundary) if whole else NO_RIGHTS
    return found


def _readable(document: str, where: str) -> Policy | None:
    try:
        return identity_policy(document, len(document))
    except InvalidInputError as error:
        _log.error("policy cannot be read", policy=where, reason=str(error))
        return None


def _role(row: Row[Any], arn: str, rights: PolicySet, tags: Mapping[str, str]) -> Role | None:
    try:
        trust = trust_policy(row.trust_policy)
    except InvalidInputError as error:
        _log.error("role left out: its trust policy cannot be read", role=arn, reason=str(error))
        return None
    return Role(row.id, row.name, arn, trust, rights, row.max_session_seconds, tags)


def _keys(repository: Repository, user: Principal, rows: list[Row[Any]]) -> list[KnownKey]:
    found = []
    for row in rows:
        try:
            secret = repository.unseal(row.id, row.sealed_secret)
        except KeyUnavailableError:
            _log.error("access key left out: its secret does not open", access_key_id=row.id)
            continue
        holder = Principal(user.arn, user.kind, user.id, user.name, user.rights, user.tags, row.id)
        found.append(KnownKey(row.id, secret, holder, row.status == KeyStatus.ACTIVE, row.expires_at))
    return found
