"""Events of the audit trail, before they become records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from hounsfield.iam.principals import Principal

Json: TypeAlias = str | int | float | bool | Sequence["Json"] | Mapping[str, "Json"] | None
"""What a record is made of."""


class Category(StrEnum):
    """Categories of CloudTrail (``eventCategory``)."""

    MANAGEMENT = "Management"
    DATA = "Data"


class EventType(StrEnum):
    """Types of CloudTrail (``eventType``)."""

    CALL = "AwsApiCall"
    SERVICE = "AwsServiceEvent"
    SIGN_IN = "AwsConsoleSignIn"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a call was not answered as asked: the code of the error and its message, which names no patient."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a call came from.

    Attributes
    ----------
    address : str
        IP address of the client; ``medical-imaging.amazonaws.com`` for what the service did itself.
    user_agent : str
        What the client calls itself.
    host : str
        The Host header.
    tls : bool
        Whether the connection was encrypted when it arrived here.
    """

    address: str
    user_agent: str = ""
    host: str = ""
    tls: bool = False


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One call, or one thing that the service did itself.

    Attributes
    ----------
    name : str
        Operation, or what was done.
    source : str
        Service that the operation is of, such as ``medical-imaging.amazonaws.com``.
    time : float
        When it was asked for, in seconds since 1970-01-01 UTC.
    origin : Origin
        Where it came from.
    category : Category
        Whether it is about resources or about what is in them.
    read_only : bool
        Whether it changes nothing.
    principal : Principal or None
        Who was proven to call; None when nobody was, or the service did it itself.
    claimed_key : str
        Access key id that a caller named who was not proven to have it; empty when there was none.
    request_id : str
        Identifier of the request, as it was answered.
    parameters : Mapping or None
        Parameters of the request, without sensitive members.
    response : Mapping or None
        Members of the answer to what changes something.
    failure : Failure or None
        Why it was not done.
    resources : sequence of str
        ARNs of the resources it is about.
    additional : Mapping
        What else is known, such as bytes transferred.
    type : EventType
        Whether somebody called, or the service did it itself.
    details : Mapping or None
        What the service did.
    """

    name: str
    source: str
    time: float
    origin: Origin
    category: Category
    read_only: bool
    principal: Principal | None = None
    claimed_key: str = ""
    request_id: str = ""
    parameters: Mapping[str, Json] | None = None
    response: Mapping[str, Json] | None = None
    failure: Failure | None = None
    resources: Sequence[str] = ()
    additional: Mapping[str, Json] = field(default_factory=dict)
    type: EventType = EventType.CALL
    details: Mapping[str, Json] | None = None
