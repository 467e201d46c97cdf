"""What is known of a request beside what it asks for, for the conditions of policies.

ASGI scope, clock, tags in the database ─▶ Facts ─▶ aws:SourceIp, aws:CurrentTime, aws:ResourceTag/… when a policy asks
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.types import Scope

from hounsfield.gateway.request_body import header
from hounsfield.iam.authorization import Permission, require
from hounsfield.iam.principals import Principal
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.tags import tags_of


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one request.

    Attributes
    ----------
    scope : dict
        ASGI scope of the request.
    image_store : ImageStore
        Where tags are, and in which region.
    at : float
        When it arrived, in seconds since 1970-01-01 UTC.
    """

    scope: Scope
    image_store: ImageStore
    at: float = field(default_factory=time.time)
    _tags: dict[str, Mapping[str, str]] = field(default_factory=dict, init=False, repr=False)

    def value(self, key: str) -> str | None:
        """Give a global condition key, in lower case; None when the request has none."""
        read = REQUEST_KEYS.get(key)
        return None if read is None else read(self)

    def resource_tags(self, resource: str) -> Mapping[str, str]:
        """Give the tags of a resource by its ARN, as they are now; read once for a request."""
        kept = self._tags.get(resource)
        if kept is None:
            kept = self._tags[resource] = tags_of(self.image_store, resource)
        return kept


def _source_ip(facts: Facts) -> str | None:
    client = facts.scope.get("client")
    return str(client[0]) if client else None


def _text(name: bytes) -> Callable[[Facts], str | None]:
    def read(facts: Facts) -> str | None:
        value = header(facts.scope, name)
        return None if value is None else value.decode("latin-1")

    return read


REQUEST_KEYS: Final[Mapping[str, Callable[[Facts], str | None]]] = {
    "aws:sourceip": _source_ip,
    "aws:useragent": _text(b"user-agent"),
    "aws:referer": _text(b"referer"),
    "aws:securetransport": lambda facts: "true" if facts.scope.get("scheme") == "https" else "false",
    "aws:currenttime": lambda facts: datetime.fromtimestamp(facts.at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    "aws:epochtime": lambda facts: str(int(facts.at)),
    "aws:requestedregion": lambda facts: facts.image_store.region,
    "aws:viaawsservice": lambda _: "false",
}
"""The keys that every request may have."""


async def permit(principal: Principal, permission: Permission, facts: Facts, *, local: bool) -> Permission:
    """Let the caller pass and give the permission that allowed it, or raise `AccessDeniedError`.

    Parameters
    ----------
    principal : Principal
        Who calls.
    permission : Permission
        What the request needs.
    facts : Facts
        What is known of the request.
    local : bool
        Whether the database is on this machine. If not, tags are not looked up in the event loop.
    """
    if local or not principal.rights.ask_for_resource_tags:
        return require(principal, permission, facts)
    return await run_in_threadpool(require, principal, permission, facts)
