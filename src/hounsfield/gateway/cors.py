"""Cross-origin requests: which web pages of other origins may call (WHATWG Fetch, section 3.2).

OPTIONS with Origin and Access-Control-Request-Method ─▶ answered here, unsigned: browsers sign no preflight
anything else                                         ─▶ handlers ─▶ Access-Control-Allow-Origin, on errors too
"""

from __future__ import annotations

from functools import partial
from typing import Final

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse, Response
from starlette.types import Scope, Send

from hounsfield.runtime.picklable_error import PicklableError

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


class PreflightError(PicklableError):
    """A request that is a preflight: it ends with this response, and no operation is run.

    Parameters
    ----------
    response : Response
        The response to it.
    """

    def __init__(self, response: Response) -> None:
        super().__init__("preflight")
        self.response = response


class CrossOrigin:
    """Lets pages of some origins call.

    Every header that a preflight names is allowed: what an SDK signs differs from one to the next, and only what the
    page itself sets is sent. Cookies are not, as no API takes them from another origin.

    Parameters
    ----------
    origins : tuple of str
        The origins.
    """

    def __init__(self, origins: tuple[str, ...]) -> None:
        self._rules = CORSMiddleware(
            PlainTextResponse(),
            allow_origins=origins,
            allow_methods=("DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT"),
            allow_headers=("*",),
            expose_headers=EXPOSED,
            max_age=3600,
        )

    def sending(self, scope: Scope, send: Send) -> Send:
        """Return what sends a response that pages of the origins may read.

        Raises
        ------
        PreflightError
            The request is a preflight.
        """
        headers = Headers(scope=scope)
        if scope["method"] == "OPTIONS" and "origin" in headers and "access-control-request-method" in headers:
            raise PreflightError(self._rules.preflight_response(request_headers=headers))
        return partial(self._rules.send, send=send, request_headers=headers)
