"""The front doors, and which of them takes a request: by method and path alone, before anything else of it is looked at.

    request ─▶ Entrance ─▶ the first door that takes it ─▶ head small enough? ─▶ its own routes, signature, permission
                  └─▶ Patience: body and answer move on

Each door tells its routes, so that whoever wants to know what the server answers (the test that walks all of it, the threat
model) reads it here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from hounsfield.gateway.header_limits import CheckedHeads
from hounsfield.gateway.idle_connections import ConnectionWatch
from hounsfield.gateway.request_body import ClientGoneError
from hounsfield.gateway.timeouts import Patience, PatientReceive, PatientSend

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class DoorRoute:
    """One thing that a door answers.

    Attributes
    ----------
    method : str
        HTTP method.
    path : str
        Template of the path, its labels in braces: ``/datastore/{datastoreId}``.
    operation : str
        Name of the operation.
    """

    method: str
    path: str
    operation: str


@dataclass(frozen=True, slots=True)
class FrontDoor:
    """A way into the server.

    Attributes
    ----------
    name : str
        What it is called.
    takes : callable
        Tells by method and raw path whether a request is this door's.
    app : callable
        The ASGI application behind it.
    routes : sequence of DoorRoute
        Everything it answers.
    """

    name: str
    takes: Callable[[str, bytes], bool]
    app: ASGIApp
    routes: Sequence[DoorRoute]


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of what is done for a client before it is known who it is.

    Attributes
    ----------
    patience : Patience
        How long a client may take.
    connections : ConnectionWatch
        Closes connections on which nothing happens.
    """

    patience: Patience
    connections: ConnectionWatch


@dataclass(frozen=True, slots=True)
class Entrance:
    """The ASGI application of an API process: sends each HTTP request to the first door that takes it.

    Paths are compared raw and not by patterns, so that no path, however odd, misses the door that checks signatures.

    Attributes
    ----------
    doors : tuple of FrontDoor
        In the order in which they are asked; the last must take everything.
    limits : Limits
        Bounds of what is not yet known to be from anybody.
    opened : callable
        Called before the first request.
    closed : callable
        Called in a thread after the last request.
    """

    doors: tuple[FrontDoor, ...]
    limits: Limits
    opened: Callable[[], None]
    closed: Callable[[], None]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or open and close the doors."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        peer = self.limits.connections.begin(scope)
        sending = PatientSend(send, receive, self.limits.patience)
        try:
            await self._let_in(scope, PatientReceive(receive, self.limits.patience), sending)
        except ClientGoneError as error:
            _log.info("client gone", reason=str(error))
        finally:
            sending.end()
            self.limits.connections.end(peer)

    async def _let_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        method, raw_path = scope["method"], scope["raw_path"]
        for door in self.doors:
            if door.takes(method, raw_path):
                await door.app(scope, receive, send)
                return

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        self.limits.connections.start()
        self.opened()
        # The first use of a thread imports what it needs, which no request should wait for.
        await run_in_threadpool(int)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await run_in_threadpool(self.limits.connections.stop)
        await run_in_threadpool(self.closed)
        await send({"type": "lifespan.shutdown.complete"})


def health_door(path: str, most_header_bytes: int) -> FrontDoor:
    """Give the door that tells whoever asks that the process answers, and nothing else; like `ready_door` it has no lock."""
    raw = path.encode()
    return FrontDoor(
        "health",
        lambda _, raw_path: raw_path == raw,
        CheckedHeads(PlainTextResponse("ok\n"), most_header_bytes),
        (DoorRoute("GET", path, "Health"),),
    )


def ready_door(path: str, most_header_bytes: int, reasons: Callable[[], Sequence[str]]) -> FrontDoor:
    """Give the door that tells whoever asks whether the process can do all that is asked of it.

    Parameters
    ----------
    path : str
        Its path.
    most_header_bytes : int
        Largest number of bytes of all headers of a request.
    reasons : callable
        Gives why it cannot, each in a word, without waiting; none when it can.
    """
    raw = path.encode()

    async def tell(scope: Scope, receive: Receive, send: Send) -> None:
        found = list(reasons())
        content = {"status": "not ready", "reasons": found} if found else {"status": "ready"}
        answer = JSONResponse(content, 503 if found else 200, {"Cache-Control": "no-store"})
        await answer(scope, receive, send)

    return FrontDoor(
        "ready",
        lambda _, raw_path: raw_path == raw,
        CheckedHeads(tell, most_header_bytes),
        (DoorRoute("GET", path, "Ready"),),
    )
