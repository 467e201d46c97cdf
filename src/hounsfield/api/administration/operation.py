"""An operation of administration: its name, the permission it needs, its members, and what carries it out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from hounsfield.api.administration.context import Call, Context
from hounsfield.api.administration.members import Member
from hounsfield.audit.events import Json
from hounsfield.aws.protocol.members import text
from hounsfield.gateway.exchange import Response
from hounsfield.iam.authorization import Permission

Answer: TypeAlias = Mapping[str, Json]
"""Members of an answer: what JSON is made of. Those that are None are left out."""
Permissions: TypeAlias = Callable[[Context, Call, str], Sequence[Permission]]
"""Gives the permissions that a call needs, all of them; its last argument is the action of the operation."""


Handle: TypeAlias = Callable[[Context, Call], "Answer | Response"]
"""Carries an operation out."""


class Source(StrEnum):
    """Services of AWS that operations are named after; the audit trail names them so (``eventSource``)."""

    IAM = "iam.amazonaws.com"
    S3 = "s3.amazonaws.com"
    MEDICAL_IMAGING = "medical-imaging.amazonaws.com"
    CLOUDTRAIL = "cloudtrail.amazonaws.com"


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation.

    Attributes
    ----------
    name : str
        Its name, as AWS has it.
    source : Source
        Service of AWS that has it; the audit trail names it.
    action : str
        IAM action with its prefix, such as ``iam:CreateUser``.
    permissions : callable
        Gives the permissions that a call needs; in a thread, so it may read the database.
    members : tuple of Member
        What a request has.
    handle : callable
        Carries it out, in a thread; gives the members of the answer, or a response of its own.
    """

    name: str
    source: Source
    action: str
    permissions: Permissions
    members: tuple[Member, ...]
    handle: Handle


def on_everything(_context: Context, _call: Call, action: str) -> Sequence[Permission]:
    """Return the permission for an action that names no resource, as lists do."""
    return (Permission(action, ("*",)),)


def on_datastore(context: Context, call: Call, action: str) -> Sequence[Permission]:
    """Return the permission for an action on the data store that a call names, ``DatastoreId``."""
    return (Permission(action, (context.image_store.datastore_arn(text(call.parameters, "DatastoreId")),)),)
