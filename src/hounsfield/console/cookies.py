"""Cookies of the console: no script reads them, and no other site sends them with what changes something."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

PATH: Final = "/console"
"""What all pages of the console are below."""


def set_cookie(
    request: Request, response: Response, name: str, value: str, *, path: str = PATH, seconds: int | None = None
) -> None:
    """Let the browser keep a cookie, over TLS only where it asked over TLS.

    Parameters
    ----------
    request : Request
        What is answered.
    response : Response
        The answer.
    name, value : str
        Of the cookie.
    path : str
        Below which it is sent.
    seconds : int or None
        How long it is kept; None for as long as the browser is open.
    """
    response.set_cookie(
        name,
        value,
        max_age=seconds,
        path=path,
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )
