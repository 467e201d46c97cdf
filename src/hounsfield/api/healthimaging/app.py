"""The door: one ASGI application in front of the native API.

    route ─▶ signature of the headers ─▶ body ─▶ permission ─▶ throttle ─▶ parse and validate ─▶ handler ─▶ serialise
      └─────────┴─────────┴────────────┴────────────┴──────────────┴────────────────┴──▶ AwsError ─▶ error in AWS's form

Each step is one call into the part that knows how; nothing of the body is looked at before the permission was given, except
that the signature of most clients covers it. Where the permission depends on what only the body or the query names (a further
resource that is written, tags, a role that is passed), it is asked for again as soon as that is parsed.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog
from starlette.types import Receive, Scope, Send

from hounsfield.api.healthimaging.context import Context
from hounsfield.api.healthimaging.operations import HANDLERS, Handler
from hounsfield.api.healthimaging.permissions import names_image_set, permission_of, permissions_of_parameters
from hounsfield.audit.events import Category
from hounsfield.aws.protocol.errors import AwsError, NotImplementedException, serialise_error
from hounsfield.aws.protocol.model import Operation, Parameters
from hounsfield.aws.protocol.parser import parse_request
from hounsfield.aws.protocol.response import WireResponse
from hounsfield.aws.protocol.routing import Match, Router
from hounsfield.aws.protocol.serializer import serialise
from hounsfield.gateway.audit_record import CallRecord, Recorder
from hounsfield.gateway.audit_redaction import shown_labels, shown_members
from hounsfield.gateway.authentication import Caller, Callers
from hounsfield.gateway.condition_keys import Facts, permit
from hounsfield.gateway.dispatch import DoorRoute
from hounsfield.gateway.errors import translated
from hounsfield.gateway.image_set_access import CallerAccess
from hounsfield.gateway.request_body import BodyMemory, ClientGoneError, header, whole_body
from hounsfield.gateway.response_memory import AnswerMemory, AnswerRoom
from hounsfield.gateway.responses import StreamedResult, send_answer, with_its_end_seen
from hounsfield.gateway.threads import CallerThreads, Threads
from hounsfield.iam.throttling import Throttle
from hounsfield.imaging.tiering.damage_log import note_damage

_log = structlog.get_logger(__name__)
_LARGE_BODY_BYTES = 64 * 1024
_SMALL_BODY_BYTES = 1024
_DATA_EVENTS = frozenset({"GetImageFrame"})


@dataclass(frozen=True, slots=True)
class NativeDoor:
    """The ASGI application of the native API.

    Attributes
    ----------
    context : Context
        What the handlers work on.
    router : Router
        Finds the operation of a request.
    callers : Callers
        Tells who is calling.
    throttle : Throttle
        Counts requests.
    recorder : Recorder
        Records calls in the audit trail.
    max_body_bytes : int
        Largest request body.
    bodies : BodyMemory
        Bounds what the bodies of all requests take.
    answers : AnswerMemory
        Bounds what large answers take.
    threads : Threads
        Carry out requests.
    writing : Threads
        Carry out those that change something.
    """

    context: Context
    router: Router
    callers: Callers
    throttle: Throttle
    recorder: Recorder
    max_body_bytes: int
    bodies: BodyMemory
    answers: AnswerMemory
    threads: Threads
    writing: Threads

    @property
    def routes(self) -> tuple[DoorRoute, ...]:
        """What this door answers; each needs the permission of its operation."""
        return tuple(DoorRoute(operation.method, operation.uri, operation.name) for operation in self.router.operations)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        record = self.recorder.begin(scope)
        with self.answers.room() as room:
            await self._answered(record, scope, receive, send, room)

    async def _answered(self, record: CallRecord, scope: Scope, receive: Receive, send: Send, room: AnswerRoom) -> None:
        """Answer one request; what its answer holds is in ``room``."""
        failure: AwsError | None = None
        threads: CallerThreads | None = None
        try:
            match = self._match(record, scope)
            caller = self.callers.meet(scope)
            room.caller = caller.principal.id
            threads = self.threads.of(room.caller, room)
            with self.bodies.share() as share:
                body = await whole_body(scope, receive, self.max_body_bytes, share)
                response = await self._answer(record, match, caller, threads, scope, body)
            response = await with_its_end_seen(scope, response, threads)
        except ClientGoneError:
            record.left()
            return
        except AwsError as error:
            failure = error
        except Exception as error:  # noqa: BLE001 - the last resort of a process that must go on
            failure = translated(error, record.request_id, self.context.image_store)
        if failure is not None:
            response = serialise_error(failure, record.request_id)
        unrecorded = await record.kept(response, failure)
        if unrecorded is not None:
            response = serialise_error(unrecorded, record.request_id)
        try:
            await send_answer(send, response, record.request_id, threads)
        except ClientGoneError:
            raise
        except Exception as error:
            # The answer has begun; all that is left is to break it off, and to say why where somebody looks.
            if not note_damage(self.context.image_store, error):
                _log.error("answer broken off", request_id=record.request_id, error=type(error).__name__)
            raise

    def _match(self, record: CallRecord, scope: Scope) -> Match:
        match = self.router.match(scope["method"], scope["raw_path"])
        operation = match.operation
        category = Category.DATA if operation.name in _DATA_EVENTS else Category.MANAGEMENT
        record.found(operation.name, category, lambda: shown_labels(operation.input, match.path_parameters))
        return match

    async def _answer(
        self, record: CallRecord, match: Match, caller: Caller, threads: CallerThreads, scope: Scope, body: bytes
    ) -> WireResponse | StreamedResult:
        operation = match.operation
        reader = caller.reader()
        body = reader.feed(body) + reader.finish()
        principal = caller.principal
        record.proven(principal)
        self.callers.note(principal, operation.name)
        image_store, local = self.context.image_store, self.context.local
        facts = Facts(scope, image_store)
        needed = permission_of(operation.name, match.path_parameters, image_store)
        allowed = await permit(principal, needed, facts, local=local)
        self.throttle.take(principal.account_id, operation.name)
        arguments = (match, scope["query_string"], scope["headers"], body)
        if len(body) < _LARGE_BODY_BYTES:
            parameters = parse_request(*arguments)
        else:
            # What takes long must not keep other requests from being answered.
            parameters = await threads.run(lambda: parse_request(*arguments))
        record.asked(lambda: shown_members(operation.input, parameters), later=len(body) < _SMALL_BODY_BYTES)
        for further in permissions_of_parameters(needed, parameters, image_store):
            record.touches(further.resources)
            await permit(principal, further, facts, local=local)
        handler = HANDLERS.get(operation.name)
        if handler is None:
            raise NotImplementedException.of(operation.name)
        record.allow()
        accept = header(scope, b"accept")
        context = self.context
        if handler.asks_caller:
            path = match.path_parameters
            explicit = self.callers.must_be_allowed_image_sets(principal, path.get("datastoreId"))
            on_image_sets = explicit or names_image_set(path)
            context = context.of(
                principal, CallerAccess(principal, allowed, on_image_sets, facts, image_store, record.touches)
            )
        run = (record, operation, handler, context, parameters, accept.decode("latin-1") if accept else None)
        if handler.quick and local:
            return await threads.run_quickly(lambda: _run(*run))
        if not record.read_only:
            threads = self.writing.of(principal.id, threads.room)
        return await threads.run(lambda: _run(*run))


def _run(
    record: CallRecord,
    operation: Operation,
    handler: Handler,
    context: Context,
    parameters: Parameters,
    accept: str | None,
) -> WireResponse | StreamedResult:
    result = handler.run(context, parameters, accept)
    if isinstance(result, StreamedResult):
        return result
    if not record.read_only:
        record.did(shown_members(operation.output, result))
    return serialise(operation, result)
