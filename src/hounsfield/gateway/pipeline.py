"""The pipeline that every request goes through, whichever API it is for: one list of named handlers.

    RouteTable.find ─▶ loopback ─▶ cross_origin ─▶ limits ─▶ route ─▶ authenticate ─▶ prove ─▶ authorize ─▶ throttle
        ─▶ require_room ─▶ read_body ─▶ parse ─▶ authorize_parameters ─▶ require_audit ─▶ handle ─▶ buffer
                 │ what any of them raises
                 └─▶ serialise_failure ─▶ audit ─▶ send

The permission is asked for before the body is read, unless it needs the body to know for certain who calls. What a handler
does is in `hounsfield.gateway.handlers`; where APIs differ, the handler asks the `hounsfield.gateway.exchange.Api`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from starlette.types import Receive, Scope, Send

from hounsfield.aws.protocol.errors import AwsError
from hounsfield.gateway.audit_record import CallRecord
from hounsfield.gateway.cors import PreflightError
from hounsfield.gateway.errors import translate_error
from hounsfield.gateway.exchange import Exchange
from hounsfield.gateway.handlers import Handlers
from hounsfield.gateway.request_body import ClientDisconnectedError
from hounsfield.gateway.response_memory import ResponseMemory, ResponseRoom
from hounsfield.gateway.route_table import RouteTable

Handler: TypeAlias = Callable[[Exchange], "Awaitable[None] | None"]

REQUEST_HANDLERS: Final = (
    Handlers.loopback,
    Handlers.cross_origin,
    Handlers.limits,
    Handlers.route,
    Handlers.authenticate,
    Handlers.prove,
    Handlers.authorize,
    Handlers.throttle,
    Handlers.require_room,
    Handlers.read_body,
    Handlers.parse,
    Handlers.authorize_parameters,
    Handlers.require_audit,
    Handlers.handle,
    Handlers.buffer,
)
"""What is done to a request, in this order; the first that raises is the last."""

RESPONSE_HANDLERS: Final = (Handlers.serialise_failure, Handlers.audit, Handlers.send)
"""What is done to every response, in this order."""


def handler_summaries() -> Mapping[str, str]:
    """Return what each handler does, in one sentence, by its name and in the order of the pipeline."""
    handlers = (*REQUEST_HANDLERS, *RESPONSE_HANDLERS)
    return {handler.__name__: (handler.__doc__ or "").strip().partition("\n")[0] for handler in handlers}


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The ASGI application that answers the requests of all APIs.

    Attributes
    ----------
    routes : RouteTable
        Everything the server answers.
    handlers : Handlers
        The handlers.
    responses : ResponseMemory
        Bounds what large responses take.
    """

    routes: RouteTable
    handlers: Handlers
    responses: ResponseMemory
    _on_request: tuple[Handler, ...] = field(init=False, repr=False)
    _on_response: tuple[Handler, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        idle = set()
        if self.handlers.loopback_origins is None:
            idle.add(Handlers.loopback.__name__)
        if self.handlers.cross_origins is None:
            idle.add(Handlers.cross_origin.__name__)
        for name, listed in (("_on_request", REQUEST_HANDLERS), ("_on_response", RESPONSE_HANDLERS)):
            bound = tuple(getattr(self.handlers, one.__name__) for one in listed if one.__name__ not in idle)
            object.__setattr__(self, name, bound)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        match = self.routes.find(scope["method"], scope["raw_path"])
        if match.route is not None and match.route.app is not None:
            await match.route.app(scope, receive, send)
            return
        with ResponseRoom(self.responses) as room:
            exchange = Exchange(
                scope, receive, send, match, self.routes.apis[0], CallRecord(match.api.recorder, scope), room
            )
            await self._answer(exchange)

    async def _answer(self, exchange: Exchange) -> None:
        try:
            for handle in self._on_request:
                waiting = handle(exchange)
                if waiting is not None:
                    await waiting
        except ClientDisconnectedError:
            exchange.record.client_disconnected()
            return
        except PreflightError as preflight:
            await preflight.response(exchange.scope, exchange.receive, exchange.send)
            return
        except AwsError as error:
            exchange.failure = error
            # A traceback would keep the exchange, with body and response, until the garbage collector comes.
            error.__traceback__ = None
        except Exception as error:  # noqa: BLE001 - the last resort of a process that must go on
            request_id, no_room = exchange.record.request_id, exchange.api.no_room
            exchange.failure = translate_error(error, request_id, self.handlers.image_store, no_room=no_room)
            error.__traceback__ = None
        finally:
            if exchange.share is not None:
                exchange.share.release()
        for handle in self._on_response:
            waiting = handle(exchange)
            if waiting is not None:
                await waiting
