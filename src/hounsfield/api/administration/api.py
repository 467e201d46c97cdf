"""The administration API: its routes, one an operation, and its protocol, JSON in and out.

    POST /administration/CreateUser {"UserName": "ann"} ─▶ parameters ─▶ permissions ─▶ handler ─▶ {"User": {…}}

Which permissions a call needs is in its body, and in what is there already: they are asked for once the body is read.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import orjson

from hounsfield.api.administration.context import Call, Context
from hounsfield.api.administration.members import MOST_BODY_BYTES, read_members, shown_members
from hounsfield.api.administration.operation import Operation
from hounsfield.api.administration.operations import OPERATIONS
from hounsfield.audit.events import Json
from hounsfield.aws.protocol.response import WireResponse
from hounsfield.gateway.audit_record import CallRecord, Recorder, is_read_only
from hounsfield.gateway.audit_redaction import shown_json
from hounsfield.gateway.authentication import Authenticator
from hounsfield.gateway.exchange import Api, Exchange, Response
from hounsfield.gateway.responses import StreamedResponse
from hounsfield.gateway.route_table import Route
from hounsfield.gateway.threads import Threads

PATH: Final = "/administration/"
SIGNED_FOR: Final = "hounsfield"
"""Service name that clients sign for."""
_HEADERS: Final = (("Content-Type", "application/json"), ("Cache-Control", "no-store"))


def administration_routes(reading: Threads, writing: Threads) -> tuple[Route, ...]:
    """Return the routes of the operations.

    Parameters
    ----------
    reading, writing : Threads
        Where operations run that only read, and those that change something.
    """
    return tuple(
        Route(
            "POST",
            f"{PATH}{operation.name}",
            operation.name,
            action=operation.action.partition(":")[2],
            source=operation.source,
            threads=reading if is_read_only(operation.name) else writing,
            most_body_bytes=MOST_BODY_BYTES,
        )
        for operation in OPERATIONS.values()
    )


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class AdministrationApi(Api):
    """The administration API.

    Attributes
    ----------
    context : Context
        What the handlers work on.
    routes, recorder, authenticator
        See `hounsfield.gateway.exchange.Api`.
    parsing : Threads
        Where bodies are parsed, and where it is found out which permissions they need.
    """

    context: Context
    routes: Sequence[Route] = field(repr=False)
    recorder: Recorder
    authenticator: Authenticator
    parsing: Threads

    name = "Administration"
    most_unproven_bytes = MOST_BODY_BYTES

    def decode_labels(self, labels: dict[str, str]) -> dict[str, str]:
        """Return the labels, of which there are none."""
        return labels

    def shown_labels(self, _route: Route, _labels: Mapping[str, str], _query_string: bytes) -> Mapping[str, Json]:
        """Return nothing: the path names nothing but the operation."""
        return {}

    def permission_of(self, _exchange: Exchange) -> None:
        """Return nothing: what an operation is about is in its body."""

    def parse(self, exchange: Exchange) -> Awaitable[None]:
        """Read the body, and find out which permissions the call needs, in a thread: both may take long."""
        return self._parse(exchange, OPERATIONS[exchange.route.operation])

    async def _parse(self, exchange: Exchange, operation: Operation) -> None:
        threads = self.parsing.of(exchange.principal.id, exchange.room)
        parameters = await threads.run(partial(read_members, operation.members, exchange.body))
        exchange.record.set_request(lambda: shown_json(shown_members(operation.members, parameters)))
        call = Call(parameters, exchange.principal, exchange.condition_keys)
        exchange.further = await threads.run(partial(operation.permissions, self.context, call, operation.action))
        exchange.run = partial(_run, operation, self.context, call, exchange.record)


def _run(operation: Operation, context: Context, call: Call, record: CallRecord) -> Response:
    result = operation.handle(context, call)
    if isinstance(result, WireResponse | StreamedResponse):
        return result
    answer = _present(result)
    if not record.read_only:
        record.set_response(shown_json(answer))
    return WireResponse(200, list(_HEADERS), orjson.dumps(answer))


def _present(members: Mapping[str, Json]) -> dict[str, Json]:
    """Return the members that are there, with those of objects in them."""
    return {name: _value(value) for name, value in members.items() if value is not None}


def _value(value: Json) -> Json:
    if isinstance(value, Mapping):
        return _present(value)
    if isinstance(value, list | tuple):
        return [_value(entry) for entry in value]
    return value
