"""Checks of URLs that tokens or keys travel over."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


def check_url(url: str) -> str:
    """Return a URL that tokens or keys may travel to or from.

    Raises
    ------
    ValueError
        It is neither ``https`` nor ``http`` on this machine (RFC 6750, section 5.3), or has a fragment or a password.
    """
    parts = urlsplit(url)
    local = parts.scheme == "http" and parts.hostname in _LOOPBACK
    if not (parts.hostname and (parts.scheme == "https" or local)):
        raise ValueError(f"{url!r} must be a URL that begins with https://, or with http:// and be on this machine")
    if parts.username is not None or parts.fragment:
        raise ValueError("a URL here must have neither a user nor a fragment")
    return url
