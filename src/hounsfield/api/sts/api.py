"""The Security Token Service API: its operations, which share one path, and its protocol, AWS's query protocol.

    form ─▶ operation ─▶ parameters ─▶ handler: trust policy and permission ─▶ result ─▶ XML

All operations have the path ``/``; which one is meant is in the form, and so is all else. A request whose signature does not
fit is refused before its form is read. One without a signature is read, because operations that bring a web identity token
are not signed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from hounsfield.api.sts.context import Call, Context
from hounsfield.api.sts.operations import HANDLERS
from hounsfield.audit.events import Category, Json
from hounsfield.aws.protocol.errors import AwsError, MissingAuthenticationTokenException, NotImplementedException
from hounsfield.aws.protocol.model import Operation, Service
from hounsfield.aws.protocol.query_parser import MAX_FORM_BYTES, operation_of, parse_form, read_form
from hounsfield.aws.protocol.query_serializer import serialise_query, serialise_query_error
from hounsfield.aws.protocol.response import WireResponse
from hounsfield.gateway.audit_record import CallRecord, Recorder
from hounsfield.gateway.audit_redaction import shown_members
from hounsfield.gateway.authentication import Authenticator
from hounsfield.gateway.exchange import Api, Exchange, Response
from hounsfield.gateway.route_table import Route
from hounsfield.gateway.threads import Threads

METHODS: Final = ("GET", "POST")


def sts_routes(threads: Threads) -> tuple[Route, ...]:
    """Return the routes of the operations, all of which have the same path.

    Parameters
    ----------
    threads : Threads
        Where operations run.
    """
    return tuple(
        Route(method, "/", name, threads=threads, most_body_bytes=MAX_FORM_BYTES, is_chosen_by_body=True)
        for name in HANDLERS
        for method in METHODS
    )


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class StsApi(Api):
    """The Security Token Service API.

    Attributes
    ----------
    context : Context
        What the handlers work on.
    service : Service
        The service model.
    routes, recorder, authenticator
        See `hounsfield.gateway.exchange.Api`.
    """

    context: Context
    service: Service = field(repr=False)
    routes: Sequence[Route] = field(repr=False)
    recorder: Recorder
    authenticator: Authenticator

    name = "STS"
    allows_unsigned = True
    most_unproven_bytes = MAX_FORM_BYTES

    def decode_labels(self, labels: dict[str, str]) -> dict[str, str]:
        """Return the labels, of which there are none."""
        return labels

    def shown_labels(self, _route: Route, _labels: Mapping[str, str], _query_string: bytes) -> Mapping[str, Json]:
        """Return nothing: the path names nothing."""
        return {}

    def permission_of(self, _exchange: Exchange) -> None:
        """Return nothing: the operation asks policies itself, and those of the role too."""

    def parse(self, exchange: Exchange) -> None:
        """Read the form, and find the operation that it names."""
        form = read_form(exchange.scope["query_string"], exchange.body)
        operation = operation_of(self.service, form)
        exchange.record.set_operation(operation.name, Category.MANAGEMENT, dict)
        if exchange.caller is None and not operation.unsigned:
            raise MissingAuthenticationTokenException("Request is missing Authentication Token")
        if operation.name not in HANDLERS:
            raise NotImplementedException.of(operation.name)
        parameters = parse_form(operation, form)
        exchange.record.set_request(lambda: shown_members(operation.input, parameters))
        role = parameters.get("RoleArn")
        if isinstance(role, str):
            exchange.record.add_resources([role])
        principal = None if exchange.caller is None else exchange.caller.principal
        call = Call(parameters, principal, exchange.condition_keys)
        exchange.run = partial(self._run, operation, call, exchange.record)

    def _run(self, operation: Operation, call: Call, record: CallRecord) -> Response:
        result = HANDLERS[operation.name](self.context, call)
        if "RoleArn" in call.parameters:
            record.set_response(shown_members(operation.output, result))
        return serialise_query(self.service, operation, result, record.request_id)

    def serialise_error(self, error: AwsError, request_id: str) -> WireResponse:
        """Return the error in XML, with the code that the query protocol has for it."""
        return serialise_query_error(self.service, error, request_id)
