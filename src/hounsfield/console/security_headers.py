"""Security headers: what a browser may do with what the console answers.

Pages run our own scripts and styles only, load nothing from elsewhere and cannot be framed. They are kept by no cache, since
they show patients. What comes from the API over the bridge is data: were it a document with scripts, none would run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

VIEWER_POLICY: Final = POLICY.replace(
    "script-src 'self'", "script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; media-src 'self'"
)
"""Of the viewer, whose decoder is WebAssembly, and which plays video."""

PAGE_HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
"""Of every page."""

BRIDGE_HEADERS: Final = (
    (b"content-security-policy", b"default-src 'none'; sandbox; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
)
"""Of every answer of the bridge; none but small pictures is kept by a browser."""


def ohif_headers(host: str, base: str, *paths: str) -> Mapping[str, str]:
    """Return the headers of a page of OHIF, which is not our code and is held to what it needs.

    Styles may be inline and workers made from text, but no script may be inline or from elsewhere than OHIF's own files. It may
    ask for what is below some paths only: no script in it gets at the token of the session, at other pages or at other data
    stores. It opens no windows or frames, and sends no forms. Its opener policy is not that of our pages, so it cannot reach
    into them.

    Parameters
    ----------
    host : str
        Host and port that the browser asked.
    base : str
        Path below which OHIF's files are; it ends with a slash.
    *paths : str
        What it may ask for besides, each with all that is below it where it ends with a slash.
    """
    own = _sources(host, base)
    policy = (
        "default-src 'none'",
        f"script-src {own} 'wasm-unsafe-eval'",
        f"worker-src {own} blob:",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' blob: data:",
        "font-src 'self' data:",
        "media-src 'self' blob:",
        f"connect-src {_sources(host, *paths, base)} blob: data:",
        "form-action 'none'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "sandbox allow-scripts allow-same-origin allow-downloads allow-modals",
    )
    return {"Content-Security-Policy": "; ".join(policy), "Cross-Origin-Opener-Policy": "same-origin-allow-popups"}


def ohif_file_policy(host: str, base: str) -> str:
    """Return the policy of a file of OHIF, which a worker has of its own script and not of the page.

    The decoders in workers make functions from text, which the page itself may not. They ask for OHIF's own files only: what
    the page may not reach, it reaches by no worker either.

    Parameters
    ----------
    host : str
        Host and port that the browser asked.
    base : str
        Path below which OHIF's files are; it ends with a slash.
    """
    own = _sources(host, base)
    return (
        f"default-src 'none'; script-src {own} 'unsafe-eval' 'wasm-unsafe-eval'; connect-src {own}; "
        "frame-ancestors 'none'"
    )


def _sources(host: str, *paths: str) -> str:
    # A policy cannot name an address of IPv6 (CSP3, "host-source").
    return "'self'" if not host or host.startswith("[") else " ".join(f"{host}{path}" for path in paths)
