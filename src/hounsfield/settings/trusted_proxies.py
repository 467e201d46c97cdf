"""Trusted proxies, and the client address behind them.

    client ─▶ proxy ─X-Forwarded-For, X-Forwarded-Proto─▶ BehindProxies ─▶ Entrance, which knows the address of the client
              or     Forwarded (RFC 7239)

Each proxy adds the address it was called from at the end of the list. Of these the last counts that is not one of a proxy: what
is before it may have come from the client itself. The scheme is the one of the same place in its list; where there are not as
many schemes as addresses, the first, which the proxy that the client called has put there. Whoever else sends these headers is
not believed.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_SCHEMES: Final = frozenset({"http", "https"})
_WITH_PORT: Final = re.compile(r"\[([^\]]*)\](?::\d{1,5})?|([0-9.]+):\d{1,5}")
_PAIR: Final = re.compile(r'\s*(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;,"\s]*))\s*([;,]|\Z)')


def parse_proxies(text: str) -> tuple[str, ...]:
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
    return BehindProxies(app, tuple(ipaddress.ip_network(proxy) for proxy in proxies)) if proxies else app


class _Hop(NamedTuple):
    """From where a proxy was called, and with which scheme; None where it does not say, or nothing that can be read."""

    address: Address | None
    scheme: str | None


@dataclass(frozen=True, slots=True)
class BehindProxies:
    """The ASGI application before the pipeline that tells them who is behind a proxy.

    Attributes
    ----------
    app : callable
        ASGI application.
    proxies : tuple of networks
        Who is believed.
    """

    app: ASGIApp
    proxies: tuple[Network, ...]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        client = scope.get("client")
        if client and self._is_proxy(_address(client[0])):
            hop = self._client(_hops(scope))
            if hop.address is not None:
                scope["client"] = (str(hop.address), 0)
            if hop.scheme is not None:
                scope["scheme"] = hop.scheme
        await self.app(scope, receive, send)

    def _client(self, hops: Sequence[_Hop]) -> _Hop:
        """Return the hop of the client: the last that is not of a proxy, else the first."""
        outside = [hop for hop in hops if not self._is_proxy(hop.address)]
        return outside[-1] if outside else hops[0] if hops else _Hop(None, None)

    def _is_proxy(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self.proxies)


def _hops(scope: Scope) -> list[_Hop]:
    """Read through whom a request came, the client first."""
    addresses = _listed(scope, b"x-forwarded-for")
    schemes = [_scheme(text) for text in _listed(scope, b"x-forwarded-proto")]
    if not addresses and not schemes:
        return _forwarded(",".join(_listed(scope, b"forwarded")))
    if not addresses:
        return [_Hop(None, schemes[0])]
    paired = schemes if len(schemes) == len(addresses) else (schemes[:1] or [None]) * len(addresses)
    return [_Hop(_address(text), scheme) for text, scheme in zip(addresses, paired, strict=True)]


def _listed(scope: Scope, name: bytes) -> list[str]:
    values = [value.decode("latin-1") for key, value in scope["headers"] if key == name]
    return [part.strip() for value in values for part in value.split(",") if part.strip()]


def _forwarded(text: str) -> list[_Hop]:
    """Read the header Forwarded (RFC 7239 section 4); nothing where it is not of its form."""
    hops = []
    said: dict[str, str] = {}
    at = 0
    while at < len(text):
        found = _PAIR.match(text, at)
        if found is None:
            return []
        said[found[1].lower()] = found[2] if found[2] is not None else found[3]
        at = found.end()
        if found[4] != ";":
            hops.append(_Hop(_address(said.get("for", "")), _scheme(said.get("proto", ""))))
            said = {}
    return hops


def _address(text: str) -> Address | None:
    """Read an address, with a port or without."""
    found = _WITH_PORT.fullmatch(text)
    try:
        address = ipaddress.ip_address((found[1] or found[2] or "") if found else text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _scheme(text: str) -> str | None:
    return text.lower() if text.lower() in _SCHEMES else None
