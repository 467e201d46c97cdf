"""Output of commands: lines for people, or one JSON document with ``--json``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias

import click

from hounsfield.iam.identities.records import AccessKeyRecord, IdentityRecord, PolicyRecord

Json: TypeAlias = "str | int | bool | Sequence[Json] | Mapping[str, Json] | None"


@dataclass(frozen=True, slots=True)
class Output:
    """Where answers go.

    Attributes
    ----------
    as_json : bool
        Whether JSON is wanted.
    """

    as_json: bool

    def say(self, document: Json, lines: Sequence[str]) -> None:
        """Print the document as JSON, or the lines."""
        if self.as_json:
            click.echo(json.dumps(document, indent=2, ensure_ascii=False))
        elif lines:
            click.echo("\n".join(lines))

    def identity(self, record: IdentityRecord) -> None:
        """Print a user or role."""
        self.say(identity_json(record), identity_lines(record))

    def identities(self, records: Sequence[IdentityRecord]) -> None:
        """Print a list of users or roles."""
        rows = [(record.name, record.arn, day(record.created_at), _held(record)) for record in records]
        self.say([identity_json(record) for record in records], columns(rows))

    def policy(self, record: PolicyRecord) -> None:
        """Print a managed policy with its document."""
        pairs = [("Policy", record.name), ("ARN", record.arn), ("Description", record.description)]
        if record.updated_at is not None:
            pairs.append(("Changed", moment(record.updated_at)))
        pairs += [("Of", arn) for arn in record.users_and_roles]
        self.say(policy_json(record), [*columns(pairs), record.document.rstrip()])

    def policies(self, records: Sequence[PolicyRecord]) -> None:
        """Print a list of managed policies."""
        rows = [(record.name, record.arn, f"{len(record.users_and_roles)} users and roles") for record in records]
        self.say([policy_json(record) for record in records], columns(rows))

    def key(self, record: AccessKeyRecord) -> None:
        """Print an access key."""
        self.say(key_json(record), [f"{record.id} of {record.user}: {key_line(record)}"])

    def keys(self, records: Sequence[AccessKeyRecord]) -> None:
        """Print a list of access keys."""
        rows = [(record.id, record.user, key_line(record)) for record in records]
        self.say([key_json(record) for record in records], columns(rows))


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lay rows of cells out below each other."""
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def day(value: datetime) -> str:
    """Return the date of a moment, in UTC."""
    return f"{value.astimezone(UTC):%Y-%m-%d}"


def moment(value: datetime) -> str:
    """Return a moment to the second, in UTC."""
    return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _when(value: datetime | None) -> str | None:
    return None if value is None else moment(value)


def key_line(record: AccessKeyRecord) -> str:
    """Return the state of a key in a few words."""
    used = "never used" if record.last_used_at is None else f"last used {moment(record.last_used_at)}"
    parts = [record.status.value, f"created {moment(record.created_at)}", used]
    if record.expires_at is not None:
        past = record.expires_at <= datetime.now(UTC)
        parts.append(f"{'expired' if past else 'expires'} {moment(record.expires_at)}")
    return ", ".join(parts)


def identity_lines(record: IdentityRecord) -> list[str]:
    """Return all that is known of a user or role."""
    pairs = [(record.kind.capitalize(), record.name), ("ARN", record.arn), ("Id", record.id)]
    pairs += [("Created", moment(record.created_at))]
    if record.description:
        pairs.append(("Description", record.description))
    if record.max_session_seconds is not None:
        pairs.append(("Longest session", f"{record.max_session_seconds} s"))
    pairs += [("Tag", f"{key}={value}") for key, value in record.tags.items()]
    pairs += [("Policy", arn) for arn in record.attached]
    pairs += [("Inline policy", name) for name in record.inline]
    pairs += [("Boundary", record.boundary)] if record.boundary else []
    pairs += [("Key", f"{key.id} {key_line(key)}") for key in record.keys]
    return [*columns(pairs), *(["Trust policy", record.trust.rstrip()] if record.trust else [])]


def _held(record: IdentityRecord) -> str:
    parts = [f"{len(record.attached) + len(record.inline)} policies"]
    if record.trust is None:
        parts.append(f"{len(record.keys)} keys")
    return ", ".join(parts)


def key_json(record: AccessKeyRecord) -> dict[str, Json]:
    """Return an access key, without its secret."""
    return {
        "access_key_id": record.id,
        "user": record.user,
        "status": record.status.value,
        "created_at": moment(record.created_at),
        "expires_at": _when(record.expires_at),
        "last_used_at": _when(record.last_used_at),
    }


def identity_json(record: IdentityRecord) -> dict[str, Json]:
    """Return a user or role with all that hangs on it."""
    document: dict[str, Json] = {
        "name": record.name,
        "arn": record.arn,
        "id": record.id,
        "created_at": moment(record.created_at),
        "tags": dict(record.tags),
        "policies": list(record.attached),
        "inline_policies": {name: json.loads(text) for name, text in record.inline.items()},
        "boundary": record.boundary,
    }
    if record.trust is None:
        return {**document, "keys": [key_json(key) for key in record.keys]}
    return {
        **document,
        "description": record.description,
        "max_session_seconds": record.max_session_seconds,
        "trust_policy": json.loads(record.trust),
    }


def policy_json(record: PolicyRecord) -> dict[str, Json]:
    """Return a managed policy with its document."""
    return {
        "name": record.name,
        "arn": record.arn,
        "id": record.id or None,
        "description": record.description,
        "created_at": _when(record.created_at),
        "updated_at": _when(record.updated_at),
        "users_and_roles": list(record.users_and_roles),
        "document": json.loads(record.document),
    }
