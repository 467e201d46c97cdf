"""The ASGI application in front of everything.

    path ─┬─▶ /healthz
          ├─▶ Security Token Service
          ├─▶ DICOMweb
          └─▶ native API: all that is no other's

Beside the doors work a few threads, for as long as the doors are open.
"""

from __future__ import annotations

from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from hounsfield.access.audit.trail import Trail
from hounsfield.access.directory.directory import Directory
from hounsfield.access.oidc.authorizing import Authorizing
from hounsfield.dicomweb.routes import is_dicomweb
from hounsfield.imaging.accesses import AccessWriter
from hounsfield.imaging.receiving import Receiver
from hounsfield.sts.door import is_sts


@dataclass(frozen=True, slots=True)
class Beside:
    """What works beside the doors for as long as they are open.

    Attributes
    ----------
    accesses : AccessWriter
        Writes down which image sets were accessed.
    receiver : Receiver
        Transcodes what is stored by DICOMweb.
    directory : Directory
        Follows changes of users and policies.
    authorizing : Authorizing
        Asks who vouches for bearer tokens.
    trail : Trail
        Writes down who called.
    """

    accesses: AccessWriter
    receiver: Receiver
    directory: Directory
    authorizing: Authorizing
    trail: Trail

    def start(self) -> None:
        """Begin with the first request."""
        self.trail.start()
        self.accesses.start()
        self.directory.start()

    def stop(self) -> None:
        """Finish what is under way."""
        self.receiver.close()
        self.accesses.stop()
        self.directory.stop()
        self.authorizing.close()
        self.trail.stop()


def front_doors(native: ASGIApp, dicomweb: ASGIApp, sts: ASGIApp, beside: Beside) -> ASGIApp:
    """Send each request to its door, by path alone; what is no other's is the native API's.

    Paths are compared here and not by patterns, so that no path, however odd, misses the door that checks signatures.
    """

    async def doors(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send, beside)
        elif scope["path"] == "/healthz":
            await PlainTextResponse("ok\n")(scope, receive, send)
        elif is_sts(scope["method"], scope["raw_path"]):
            await sts(scope, receive, send)
        elif is_dicomweb(scope["method"], scope["raw_path"]):
            await dicomweb(scope, receive, send)
        else:
            await native(scope, receive, send)

    return doors


async def _lifespan(receive: Receive, send: Send, beside: Beside) -> None:
    await receive()
    beside.start()
    # The first use of a thread imports what it needs, which no request should wait for.
    await run_in_threadpool(int)
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await run_in_threadpool(beside.stop)
    await send({"type": "lifespan.shutdown.complete"})
