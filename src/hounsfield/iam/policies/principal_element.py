"""The Principal element of trust policies (IAM User Guide, "AWS JSON policy elements: Principal").

"Principal": {"AWS": "…:role/reader", "Service": "medical-imaging.amazonaws.com"} ─▶ Parties ─trust(party)─▶ Trust
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final

from hounsfield.iam.policies.errors import PolicyError

ANYBODY: Final = "*"
_ACCOUNT: Final = re.compile(r"[0-9]{12}|arn:[a-z0-9-]+:iam::[0-9]{12}:root")
_IDENTITY: Final = re.compile(
    r"arn:[a-z0-9-]+:iam::[0-9]{12}:(?:user|role)/[^*?\s]+"
    r"|arn:[a-z0-9-]+:sts::[0-9]{12}:(?:assumed-role/[^*?/\s]+/[^*?/\s]+|federated-user/[^*?\s]+)"
    r"|A(?:IDA|ROA)[A-Z0-9]{12,124}"
)
_SERVICE: Final = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+")
_PROVIDER: Final = re.compile(r"[^*?\s]{1,2048}")


class PartyKind(StrEnum):
    """Kinds of principals, by their names in the element Principal."""

    AWS = "AWS"
    SERVICE = "Service"
    FEDERATED = "Federated"


class Trust(IntEnum):
    """How far a statement names somebody, the most precise last."""

    NONE = 0
    ACCOUNT = 1
    """The account: its own policies decide who of it may."""
    NAMED = 2
    """The principal itself, or everybody: no further policy has to allow it."""


@dataclass(frozen=True, slots=True)
class Party:
    """Somebody who asks to get a role.

    Attributes
    ----------
    kind : PartyKind
        What it is.
    names : frozenset of str
        All that it can be named by: for a user its ARN and unique id; for the session of a role the ARN of the session, the
        ARN of the role and the role's unique id; for a service its name; for a web identity its provider (its URL without
        ``https://``, or ARN).
    account_id : str
        The account it belongs to; empty for services and providers.
    """

    kind: PartyKind
    names: frozenset[str]
    account_id: str = ""


@dataclass(frozen=True, slots=True)
class Parties:
    """The element Principal.

    Attributes
    ----------
    everybody : frozenset of PartyKind
        Kinds of which everybody is meant.
    accounts : frozenset of str
        Account ids.
    names : Mapping of PartyKind to frozenset of str
        Names of each kind.
    """

    everybody: frozenset[PartyKind]
    accounts: frozenset[str]
    names: Mapping[PartyKind, frozenset[str]]

    def trust(self, party: Party) -> Trust:
        """Return how far somebody is meant."""
        if party.kind in self.everybody or not self.names.get(party.kind, frozenset()).isdisjoint(party.names):
            return Trust.NAMED
        if party.kind is PartyKind.AWS and party.account_id in self.accounts:
            return Trust.ACCOUNT
        return Trust.NONE


EVERYBODY: Final = Parties(frozenset(PartyKind), frozenset(), {})
"""``"Principal": "*"``."""


def read_parties(principals: Mapping[str, tuple[str, ...]]) -> Parties:
    """Read the element Principal where it is an object.

    Raises
    ------
    PolicyError
        A kind or a name is not one.
    """
    everybody: set[PartyKind] = set()
    accounts: set[str] = set()
    names: dict[PartyKind, set[str]] = {kind: set() for kind in PartyKind}
    for key, values in principals.items():
        if key not in tuple(PartyKind):
            raise PolicyError(f"Principal has {key[:64]!r}; it must be one of {', '.join(PartyKind)}")
        kind = PartyKind(key)
        for value in values:
            if value == ANYBODY:
                everybody.add(kind)
            elif kind is PartyKind.AWS and _ACCOUNT.fullmatch(value):
                accounts.add(value if value.isdigit() else value.split(":")[4])
            else:
                names[kind].add(_checked(kind, value))
    return Parties(frozenset(everybody), frozenset(accounts), {kind: frozenset(found) for kind, found in names.items()})


def _checked(kind: PartyKind, value: str) -> str:
    forms = {
        PartyKind.AWS: (
            _IDENTITY,
            "an account id, the ARN of an account's root, a user, a role or a role session, or * alone",
        ),
        PartyKind.SERVICE: (_SERVICE, "the name of a service such as medical-imaging.amazonaws.com"),
        PartyKind.FEDERATED: (_PROVIDER, "the ARN or host name of an identity provider"),
    }
    form, words = forms[kind]
    if not form.fullmatch(value):
        raise PolicyError(f"Principal {kind} has {value[:128]!r}; it must be {words}")
    return value
