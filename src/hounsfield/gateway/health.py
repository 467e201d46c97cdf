"""Health and readiness: the two routes that answer everybody, unsigned and unrecorded.

They answer every method, because load balancers ask with the one they like: HAProxy with OPTIONS unless told otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from starlette.responses import JSONResponse, PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from hounsfield.aws.protocol.errors import AwsError, serialise_error
from hounsfield.gateway.header_limits import check_header_limits
from hounsfield.gateway.responses import send_response
from hounsfield.gateway.route_table import Route
from hounsfield.storage.identifiers import new_uuid


def health_route(most_header_bytes: int) -> Route:
    """Return the route that tells that the process answers, and nothing else."""
    app = _WithinLimits(PlainTextResponse("ok\n"), most_header_bytes)
    return Route("GET", "/healthz", "Health", app=app)


def ready_route(most_header_bytes: int, reasons: Callable[[], Sequence[str]]) -> Route:
    """Return the route that tells whether the process can do all that is asked of it.

    Parameters
    ----------
    most_header_bytes : int
        Largest number of bytes of all headers of a request.
    reasons : callable
        Returns why it cannot, each in a word, without waiting; none when it can.
    """

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        found = list(reasons())
        content = {"status": "not ready", "reasons": found} if found else {"status": "ready"}
        await JSONResponse(content, 503 if found else 200, {"Cache-Control": "no-store"})(scope, receive, send)

    return Route("GET", "/readyz", "Ready", app=_WithinLimits(answer, most_header_bytes))


@dataclass(frozen=True, slots=True)
class _WithinLimits:
    """An ASGI application for requests whose headers are within the limits."""

    app: ASGIApp
    most_header_bytes: int

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            check_header_limits(scope, self.most_header_bytes)
        except AwsError as error:
            request_id = new_uuid()
            head = scope["method"] == "HEAD"
            await send_response(send, serialise_error(error, request_id), request_id, head=head)
            return
        await self.app(scope, receive, send)
