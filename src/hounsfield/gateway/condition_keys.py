"""The condition keys of a request: what policies may ask about it beside what it asks for.

ASGI scope, clock, tags in the database ─▶ ConditionKeys ─▶ aws:SourceIp, aws:CurrentTime, aws:ResourceTag/… when a policy asks
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from starlette.types import Scope

from hounsfield.gateway.request_body import header
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.tags import tags_of


@dataclass(frozen=True, slots=True)
class ConditionKeys:
    """The condition keys of one request, by name.

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
        """Return a global condition key, in lower case; None when the request has none."""
        read = REQUEST_KEYS.get(key)
        return None if read is None else read(self)

    def resource_tags(self, resource: str) -> Mapping[str, str]:
        """Return the tags of a resource by its ARN, as they are now; read once for a request."""
        kept = self._tags.get(resource)
        if kept is None:
            kept = self._tags[resource] = tags_of(self.image_store, resource)
        return kept


def _source_ip(keys: ConditionKeys) -> str | None:
    client = keys.scope.get("client")
    return str(client[0]) if client else None


def _text(name: bytes) -> Callable[[ConditionKeys], str | None]:
    def read(keys: ConditionKeys) -> str | None:
        value = header(keys.scope, name)
        return None if value is None else value.decode("latin-1")

    return read


REQUEST_KEYS: Final[Mapping[str, Callable[[ConditionKeys], str | None]]] = {
    "aws:sourceip": _source_ip,
    "aws:useragent": _text(b"user-agent"),
    "aws:referer": _text(b"referer"),
    "aws:securetransport": lambda keys: "true" if keys.scope.get("scheme") == "https" else "false",
    "aws:currenttime": lambda keys: datetime.fromtimestamp(keys.at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    "aws:epochtime": lambda keys: str(int(keys.at)),
    "aws:requestedregion": lambda keys: keys.image_store.region,
    "aws:viaawsservice": lambda _: "false",
}
"""The keys that every request may have."""
