"""Proxies before the server that are believed when they say for whom they call.

    client ─▶ proxy ─X-Forwarded-For, X-Forwarded-Proto─▶ Entrance ─▶ door that knows the address of the client

Of the addresses in ``X-Forwarded-For`` the last counts that is not one of a proxy: what is before it may have come from the
client itself. Whoever else sends these headers is not believed.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp


def proxies_of(text: str) -> tuple[str, ...]:
    """Read a list of addresses and networks with commas between them.

    Raises
    ------
    ValueError
        One is neither an IP address nor a network such as ``10.0.0.0/8``.
    """
    proxies = tuple(proxy.strip() for proxy in text.split(",") if proxy.strip())
    for proxy in proxies:
        try:
            ipaddress.ip_network(proxy)
        except ValueError:
            raise ValueError(f"{proxy!r} is not an IP address or a network such as 10.1.0.0/16 or fd00::/8") from None
    return proxies


def behind_proxies(app: ASGIApp, proxies: Sequence[str]) -> ASGIApp:
    """Let an application see the address and the scheme of the client behind a proxy.

    Parameters
    ----------
    app : callable
        ASGI application.
    proxies : sequence of str
        Addresses and networks of proxies that are believed.
    """
    if not proxies:
        return app
    # Of no use to commands, which read the settings too.
    from granian.utils.proxies import wrap_asgi_with_proxy_headers

    wrapped: ASGIApp = wrap_asgi_with_proxy_headers(app, list(proxies))
    return wrapped
