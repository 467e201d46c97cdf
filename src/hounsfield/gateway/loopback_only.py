"""Who may call a server without authentication: programs of the same machine, and pages of the same machine in its browser.

    request ─▶ Host names this machine? ─▶ Origin is of this machine, or allowed by name? ─▶ door
                  └─▶ AccessDeniedException ─▶ audit trail

Every page that a browser of the machine shows can send requests to loopback. One of another origin says so in ``Origin``; one
that had its own name lead here (DNS rebinding) says that name in ``Host``.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from hounsfield.aws.protocol.errors import AccessDeniedException, serialise_error
from hounsfield.gateway.audit_record import Recorder
from hounsfield.gateway.responses import send_answer

_AUTHORITY: Final = re.compile(r"(?:\[(?P<six>[0-9a-f:.]+)\]|(?P<name>[a-z0-9.\-]+))(?::[0-9]{1,5})?", re.IGNORECASE)
_SCHEMES: Final = ("http://", "https://")


def names_this_machine(authority: str) -> bool:
    """Tell whether a host, with or without a port, can only be this machine: loopback addresses, ``localhost`` (RFC 6761)."""
    found = _AUTHORITY.fullmatch(authority)
    if found is None:
        return False
    host = (found["six"] or found["name"]).lower()
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class LoopbackOnly:
    """The ASGI application before a door that lets everybody in.

    Attributes
    ----------
    door : callable
        ASGI application.
    origins : tuple of str
        Origins of other machines whose pages may call; ``*`` counts for none of them.
    recorder : Recorder
        Records calls of the door.
    """

    door: ASGIApp
    origins: tuple[str, ...]
    recorder: Recorder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        wrong = self._wrong(scope)
        if wrong is None:
            await self.door(scope, receive, send)
            return
        record = self.recorder.begin(scope)
        error = AccessDeniedException(wrong)
        answer = serialise_error(error, record.request_id)
        await record.kept(answer, error)
        await send_answer(send, answer, record.request_id, head=scope["method"] == "HEAD")

    def _wrong(self, scope: Scope) -> str | None:
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        if not hosts or not all(map(names_this_machine, hosts)):
            return "Without authentication the Host of a request must be this machine: localhost or a loopback address."
        origins = [value.decode("latin-1") for name, value in scope["headers"] if name == b"origin"]
        if not all(map(self._may_call, origins)):
            return (
                "Without authentication only pages of this machine may call, "
                "and those of origins that HOUNSFIELD_CORS_ORIGINS names."
            )
        return None

    def _may_call(self, origin: str) -> bool:
        if origin in self.origins:
            return True
        return any(origin.startswith(one) and names_this_machine(origin.removeprefix(one)) for one in _SCHEMES)
