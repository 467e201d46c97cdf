"""The loopback check of a server without authentication: only programs and pages of the same machine may call.

    request ─▶ Host names this machine? ─▶ Origin is of this machine, or allowed by name? ─▶ next handler
                  └─────────────────────────┴─▶ AccessDeniedException

Every page that a browser of the machine shows can send requests to loopback. One of another origin says so in ``Origin``; one
that had its own name lead here (DNS rebinding) says that name in ``Host``.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from typing import Final

from starlette.types import Scope

from hounsfield.aws.protocol.errors import AccessDeniedException

_AUTHORITY: Final = re.compile(r"(?:\[(?P<six>[0-9a-f:.]+)\]|(?P<name>[a-z0-9.\-]+))(?::[0-9]{1,5})?", re.IGNORECASE)
_SCHEMES: Final = ("http://", "https://")


def names_this_machine(authority: str) -> bool:
    """Return whether a host, with or without a port, can only be this machine: loopback addresses, ``localhost`` (RFC 6761)."""
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


def check_loopback_only(scope: Scope, origins: Collection[str]) -> None:
    """Check that a request is from this machine.

    Parameters
    ----------
    scope : dict
        ASGI scope of the request.
    origins : collection of str
        Origins of other machines whose pages may call; ``*`` counts for none of them.

    Raises
    ------
    AccessDeniedException
        It names another machine as its host, or is from a page of another machine.
    """
    hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
    if not hosts or not all(map(names_this_machine, hosts)):
        raise AccessDeniedException(
            "Without authentication the Host of a request must be this machine: localhost or a loopback address."
        )
    for name, value in scope["headers"]:
        if name == b"origin" and not _may_call(value.decode("latin-1"), origins):
            raise AccessDeniedException(
                "Without authentication only pages of this machine may call, "
                "and those of origins that HOUNSFIELD_CORS_ORIGINS names."
            )


def _may_call(origin: str, origins: Collection[str]) -> bool:
    if origin in origins:
        return True
    return any(origin.startswith(one) and names_this_machine(origin.removeprefix(one)) for one in _SCHEMES)
