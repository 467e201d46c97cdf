"""The front doors, and which of them takes a request: by method and path alone, before anything else of it is looked at.

    request ─▶ Entrance ─▶ the first door that takes it ─▶ that door's own routes, signature, permission

Each door tells its routes, so that whoever wants to know what the server answers (the test that walks all of it, the threat
model) reads it here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send


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
class Entrance:
    """The ASGI application of an API process: sends each HTTP request to the first door that takes it.

    Paths are compared raw and not by patterns, so that no path, however odd, misses the door that checks signatures.

    Attributes
    ----------
    doors : tuple of FrontDoor
        In the order in which they are asked; the last must take everything.
    opened : callable
        Called before the first request.
    closed : callable
        Called in a thread after the last request.
    """

    doors: tuple[FrontDoor, ...]
    opened: Callable[[], None]
    closed: Callable[[], None]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or open and close the doors."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        method, raw_path = scope["method"], scope["raw_path"]
        door = next(door for door in self.doors if door.takes(method, raw_path))
        await door.app(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        self.opened()
        # The first use of a thread imports what it needs, which no request should wait for.
        await run_in_threadpool(int)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await run_in_threadpool(self.closed)
        await send({"type": "lifespan.shutdown.complete"})


def health_door(path: str) -> FrontDoor:
    """Give the door that tells whoever asks that the process answers, and nothing else; it is the only one without a lock."""
    raw = path.encode()
    return FrontDoor(
        "health", lambda _, raw_path: raw_path == raw, PlainTextResponse("ok\n"), (DoorRoute("GET", path, "Health"),)
    )
