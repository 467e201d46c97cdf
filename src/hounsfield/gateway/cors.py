"""Cross-origin requests: which web pages of other origins may call (WHATWG Fetch, section 3.2).

OPTIONS with Origin and Access-Control-Request-Method ─▶ answered here, unsigned: browsers sign no preflight
anything else                                         ─▶ door ─▶ Access-Control-Allow-Origin, on errors too
"""

from __future__ import annotations

from typing import Final

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

EXPOSED: Final = (
    "Content-Length",
    "Content-Location",
    "Content-Range",
    "Content-Type",
    "ETag",
    "Retry-After",
    "WWW-Authenticate",
    "Warning",
    "x-amzn-ErrorType",
    "x-amzn-RequestId",
)


def cross_origin(door: ASGIApp, origins: tuple[str, ...]) -> ASGIApp:
    """Let pages of some origins call a door; with no origins the door is as it was.

    Every header that a preflight names is allowed: what an SDK signs differs from one to the next, and only what the
    page itself sets is sent. Cookies are not, as no door takes them from another origin.
    """
    if not origins:
        return door
    return CORSMiddleware(
        door,
        allow_origins=origins,
        allow_methods=("DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT"),
        allow_headers=("*",),
        expose_headers=EXPOSED,
        max_age=3600,
    )
