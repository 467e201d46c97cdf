"""The gateway: the ASGI application of an API process, with the timeouts of its clients around the pipeline.

request ─▶ Gateway ─▶ trusted proxies ─▶ Pipeline: route table, handlers
              └─▶ Timeouts: body and response move on
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Receive, Scope, Send

from hounsfield.gateway.idle_connections import ConnectionWatch
from hounsfield.gateway.request_body import ClientDisconnectedError
from hounsfield.gateway.route_table import RouteTable
from hounsfield.gateway.timeouts import TimeoutReceive, Timeouts, TimeoutSend

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Gateway:
    """The ASGI application of an API process.

    Attributes
    ----------
    routes : RouteTable
        Everything it answers.
    pipeline : callable
        ASGI application that answers.
    timeouts : Timeouts
        How long a client may take.
    connections : ConnectionWatch
        Closes connections on which nothing happens.
    start : callable
        Called before the first request.
    stop : callable
        Called in a thread after the last request.
    """

    routes: RouteTable
    pipeline: ASGIApp
    timeouts: Timeouts
    connections: ConnectionWatch
    start: Callable[[], None]
    stop: Callable[[], None]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or start and stop with the process."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        peer = self.connections.begin(scope)
        sending = TimeoutSend(send, receive, self.timeouts)
        try:
            await self.pipeline(scope, TimeoutReceive(receive, self.timeouts), sending)
        except ClientDisconnectedError as error:
            _log.info("client gone", reason=str(error))
        finally:
            sending.end()
            self.connections.end(peer)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        self.connections.start()
        self.start()
        # The first use of a thread imports what it needs, which no request should wait for.
        await run_in_threadpool(int)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await run_in_threadpool(self.connections.stop)
        await run_in_threadpool(self.stop)
        await send({"type": "lifespan.shutdown.complete"})
