"""The address of the server itself: a browser that opens it is led to the console.

GET / with Accept: text/html, no query  ─▶ 303 /console/
anything else                           ─▶ the pipeline (``/`` is also where STS is)
"""

from __future__ import annotations

from dataclasses import dataclass

from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from hounsfield.console.security_headers import PAGE_HEADERS


@dataclass(frozen=True, slots=True)
class BrowserRedirect:
    """ASGI application that leads browsers to the console.

    Attributes
    ----------
    pipeline : callable
        ASGI application that answers everything else.
    """

    pipeline: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["path"] == "/" and scope["method"] == "GET" and not scope["query_string"] and _is_browser(scope):
            await RedirectResponse("/console/", 303, PAGE_HEADERS)(scope, receive, send)
            return
        await self.pipeline(scope, receive, send)


def _is_browser(scope: Scope) -> bool:
    """Return whether somebody wants a page; what is signed is a program's."""
    headers = dict(scope["headers"])
    return b"text/html" in headers.get(b"accept", b"") and b"authorization" not in headers
