"""The door: one ASGI application in front of the Security Token Service.

    body ─▶ signature ─▶ form ─▶ operation ─▶ parse and validate ─▶ handler: trust policy and permission ─▶ serialise
      └─────────┴─────────┴─────────┴─────────────────┴──────────────────────┴──▶ AwsError ─▶ error of the query protocol

All operations have the same path, ``/``; which one is meant is in the form, and so is all else. Requests whose signature does
not fit are refused before their form is read; those without one are read, because operations that bring a web identity token
are not signed.
"""

from __future__ import annotations

from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from hounsfield.api.sts.context import Call, Context
from hounsfield.api.sts.operations import HANDLERS
from hounsfield.audit.events import Category
from hounsfield.aws.protocol.errors import (
    AwsError,
    MethodNotAllowedException,
    MissingAuthenticationTokenException,
    NotImplementedException,
    UnrecognizedClientException,
)
from hounsfield.aws.protocol.model import Service
from hounsfield.aws.protocol.query_parser import MAX_FORM_BYTES, operation_of, parse_form, read_form
from hounsfield.aws.protocol.query_serializer import serialise_query, serialise_query_error
from hounsfield.aws.protocol.response import WireResponse
from hounsfield.gateway.audit_record import CallRecord, Recorder
from hounsfield.gateway.audit_redaction import shown_members
from hounsfield.gateway.authentication import Callers
from hounsfield.gateway.condition_keys import Facts
from hounsfield.gateway.dispatch import DoorRoute
from hounsfield.gateway.errors import translated
from hounsfield.gateway.request_body import BodyMemory, BodyShare, ClientGoneError, header, whole_body
from hounsfield.gateway.responses import send_answer
from hounsfield.iam.principals import Principal
from hounsfield.imaging.image_store import ImageStore

METHODS = ("GET", "POST")


def is_sts(method: str, raw_path: bytes) -> bool:
    """Tell whether a request is for this door."""
    return raw_path == b"/" and method in (*METHODS, "OPTIONS")


@dataclass(frozen=True, slots=True)
class StsDoor:
    """The ASGI application of the Security Token Service.

    Attributes
    ----------
    context : Context
        What the handlers work on.
    service : Service
        The service model.
    callers : Callers
        Tells who is calling, by signatures for this service.
    image_store : ImageStore
        For what is known of requests.
    bodies : BodyMemory
        Bounds what the forms of all requests take.
    recorder : Recorder
        Records calls in the audit trail.
    """

    context: Context
    service: Service
    callers: Callers
    image_store: ImageStore
    bodies: BodyMemory
    recorder: Recorder

    @property
    def routes(self) -> tuple[DoorRoute, ...]:
        """What this door answers; which operation is meant, the form says."""
        return tuple(DoorRoute(method, "/", name) for name in HANDLERS for method in METHODS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        record = self.recorder.begin(scope)
        failure: AwsError | None = None
        try:
            with self.bodies.share() as share:
                response = await self._answer(record, scope, receive, share)
        except ClientGoneError:
            record.left()
            return
        except AwsError as error:
            failure = error
        except Exception as error:  # noqa: BLE001 - the last resort of a process that must go on
            failure = translated(error, record.request_id)
        if failure is not None:
            response = serialise_query_error(self.service, failure, record.request_id)
        unrecorded = await record.kept(response, failure)
        if unrecorded is not None:
            response = serialise_query_error(self.service, unrecorded, record.request_id)
        await send_answer(send, response, record.request_id)

    async def _answer(self, record: CallRecord, scope: Scope, receive: Receive, share: BodyShare) -> WireResponse:
        if scope["method"] not in METHODS:
            allowed = ", ".join(METHODS)
            raise MethodNotAllowedException(f"The path of the request takes {allowed} only.", [("Allow", allowed)])
        body = await whole_body(scope, receive, MAX_FORM_BYTES, share)
        principal, body = self._proven(scope, body)
        form = read_form(scope["query_string"], body)
        operation = operation_of(self.service, form)
        record.found(operation.name, Category.MANAGEMENT, dict)
        if principal is None and not operation.unsigned:
            raise MissingAuthenticationTokenException("Request is missing Authentication Token")
        if principal is not None:
            record.proven(principal)
            self.callers.note(principal, operation.name)
        handler = HANDLERS.get(operation.name)
        if handler is None:
            raise NotImplementedException.of(operation.name)
        parameters = parse_form(operation, form)
        record.asked(lambda: shown_members(operation.input, parameters))
        role = parameters.get("RoleArn")
        if isinstance(role, str):
            record.touches([role])
        record.allow()
        call = Call(parameters, principal, Facts(scope, self.image_store))
        result = await run_in_threadpool(handler, self.context, call)
        if role is not None:
            record.did(shown_members(operation.output, result))
        return serialise_query(self.service, operation, result, record.request_id)

    def _proven(self, scope: Scope, body: bytes) -> tuple[Principal | None, bytes]:
        """Give who signed the request, and its body; nobody where it is not signed."""
        signed = header(scope, b"authorization") is not None or b"X-Amz-Signature=" in scope["query_string"]
        if not signed and self.callers.verifier is not None:
            return None, body
        caller = self.callers.meet(scope)
        reader = caller.reader()
        body = reader.feed(body) + reader.finish()
        if not caller.principal.id:
            raise UnrecognizedClientException("The security token included in the request is invalid.")
        return caller.principal, body
