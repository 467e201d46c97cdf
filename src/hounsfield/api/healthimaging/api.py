"""The AWS HealthImaging API: its routes, which are those of the service model, and its protocol, REST-JSON.

    labels, query, headers, body ─▶ parse_request ─▶ parameters ─▶ handler of the operation ─▶ result ─▶ serialise

Where the permission depends on what only the body or the query names (a further resource that is written, tags, a role that is
passed), it is asked for again as soon as that is parsed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final
from urllib.parse import unquote

from hounsfield.api.healthimaging.context import Context
from hounsfield.api.healthimaging.operations import HANDLERS, Handler
from hounsfield.api.healthimaging.permissions import (
    NEED_MORE,
    names_image_set,
    permission_of,
    permissions_of_parameters,
)
from hounsfield.audit.events import Category, Json
from hounsfield.aws.protocol.errors import NotImplementedException
from hounsfield.aws.protocol.model import Location, Operation, Parameters, Service
from hounsfield.aws.protocol.parser import parse_request
from hounsfield.aws.protocol.serializer import serialise
from hounsfield.gateway.audit_record import CallRecord, Recorder, is_read_only
from hounsfield.gateway.audit_redaction import shown_labels, shown_members
from hounsfield.gateway.authentication import Authenticator
from hounsfield.gateway.exchange import Api, Exchange, Response
from hounsfield.gateway.image_set_access import CallerAccess
from hounsfield.gateway.request_body import header
from hounsfield.gateway.responses import StreamedResponse
from hounsfield.gateway.route_table import Route
from hounsfield.gateway.threads import Threads
from hounsfield.iam.authorization import Permission

_LARGE_BODY_BYTES: Final = 64 * 1024
_SMALL_BODY_BYTES: Final = 1024
_STORING: Final = frozenset({"CopyImageSet", "StartDICOMImportJob", "UpdateImageSetMetadata"})
_DATA_EVENTS: Final = frozenset({"GetImageFrame"})


def healthimaging_routes(
    service: Service, most_body_bytes: int, reading: Threads, writing: Threads
) -> tuple[Route, ...]:
    """Return the routes of the operations of the service model.

    Parameters
    ----------
    service : Service
        The service model.
    most_body_bytes : int
        Largest request body.
    reading, writing : Threads
        Where operations run that only read, and those that change something.
    """
    return tuple(
        Route(
            operation.method,
            operation.uri,
            operation.name,
            action=operation.name,
            category=Category.DATA if operation.name in _DATA_EVENTS else Category.MANAGEMENT,
            threads=reading if is_read_only(operation.name) else writing,
            quick=operation.name in HANDLERS and HANDLERS[operation.name].quick,
            most_body_bytes=most_body_bytes,
            stores=operation.name in _STORING,
            rest_is_label=_ends_in_arn(operation),
        )
        for operation in service.operations.values()
    )


def _ends_in_arn(operation: Operation) -> bool:
    """Return whether the path ends in a label whose values have slashes: clients encode those of an ARN, people do not."""
    label = operation.uri.rpartition("/")[2].strip("{}")
    member = operation.input.located(Location.PATH).get(label)
    return member is not None and "/" in (member.shape.pattern or "")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class HealthImagingApi(Api):
    """The AWS HealthImaging API.

    Attributes
    ----------
    context : Context
        What the handlers work on.
    service : Service
        The service model.
    routes, recorder, authenticator
        See `hounsfield.gateway.exchange.Api`.
    most_unproven_bytes : int
        Largest request body.
    parsing : Threads
        Where large bodies are parsed.
    """

    context: Context
    service: Service = field(repr=False)
    routes: Sequence[Route] = field(repr=False)
    recorder: Recorder
    authenticator: Authenticator
    most_unproven_bytes: int
    parsing: Threads

    name = "HealthImaging"

    def decode_labels(self, labels: dict[str, str]) -> dict[str, str]:
        """Decode the labels of a path; their constraints are checked with all parameters."""
        return {name: unquote(value) for name, value in labels.items()}

    def shown_labels(self, route: Route, labels: Mapping[str, str], _query_string: bytes) -> Mapping[str, Json]:
        """Return the labels that have the form of their members."""
        return shown_labels(self.service.operations[route.operation].input, labels)

    def permission_of(self, exchange: Exchange) -> Permission:
        """Return the permission of the operation on the resources that its path names."""
        return permission_of(exchange.route.operation, exchange.labels, self.context.image_store)

    def parse(self, exchange: Exchange) -> Awaitable[None] | None:
        """Parse the parameters, and find the handler of the operation; a large body in a thread."""
        operation = self.service.operations[exchange.route.operation]
        if len(exchange.body) >= _LARGE_BODY_BYTES:
            return self._parse_in_thread(exchange, operation)
        self._prepare(exchange, operation, _parameters(exchange, operation))
        return None

    async def _parse_in_thread(self, exchange: Exchange, operation: Operation) -> None:
        # What takes long must not keep other requests from being answered.
        threads = self.parsing.of(exchange.principal.id, exchange.room)
        self._prepare(exchange, operation, await threads.run(lambda: _parameters(exchange, operation)))

    def _prepare(self, exchange: Exchange, operation: Operation, parameters: Parameters) -> None:
        exchange.record.set_request(
            lambda: shown_members(operation.input, parameters), later=len(exchange.body) < _SMALL_BODY_BYTES
        )
        handler = HANDLERS.get(operation.name)
        if handler is None:
            raise NotImplementedException.of(operation.name)
        if operation.name in NEED_MORE:
            exchange.further = permissions_of_parameters(exchange.permission, parameters, self.context.image_store)
        context = self._context_of(exchange) if handler.asks_caller else self.context
        accept = header(exchange.scope, b"accept") if handler.asks_accept else None
        text = accept.decode("latin-1") if accept else None
        exchange.run = partial(_run, operation, handler, context, parameters, text, exchange.record)

    def _context_of(self, exchange: Exchange) -> Context:
        """Return what the handlers of this caller's request work on."""
        principal, image_store = exchange.principal, self.context.image_store
        explicit = self.authenticator.must_be_allowed_image_sets(principal, exchange.labels.get("datastoreId"))
        on_image_sets = explicit or names_image_set(exchange.labels)
        keys, add_resources = exchange.condition_keys, exchange.record.add_resources
        access = CallerAccess(principal, exchange.allowed, on_image_sets, keys, image_store, add_resources)
        return self.context.of(principal, access)


def _parameters(exchange: Exchange, operation: Operation) -> Parameters:
    scope = exchange.scope
    return parse_request(operation, exchange.labels, scope["query_string"], scope["headers"], exchange.body)


def _run(
    operation: Operation,
    handler: Handler,
    context: Context,
    parameters: Parameters,
    accept: str | None,
    record: CallRecord,
) -> Response:
    result = handler.run(context, parameters, accept)
    if isinstance(result, StreamedResponse):
        return result
    if not record.read_only:
        record.set_response(shown_members(operation.output, result))
    return serialise(operation, result)
