"""The door: one ASGI application in front of DICOMweb.

    route ─▶ signature of the headers, or bearer token ─▶ permission ─▶ handler ─▶ answer
      └──────────────┴───────────────────────────────────────┴─────────────┴──▶ AwsError ─▶ error in AWS's form

A body is read only when the permission was given, and as it arrives; what proves it is known at its end, before anything of
it becomes visible.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

import structlog
from starlette.types import Receive, Scope, Send

from hounsfield.api.dicomweb.context import Context
from hounsfield.api.dicomweb.operations import Operation
from hounsfield.api.dicomweb.permissions import ON_IMAGE_SETS, permission_of
from hounsfield.api.dicomweb.query_parameters import warning
from hounsfield.api.dicomweb.request import Call, parse_query
from hounsfield.api.dicomweb.resources import routes
from hounsfield.api.dicomweb.routes import Found, find
from hounsfield.audit.events import Category
from hounsfield.aws.protocol.errors import AwsError, InsufficientStorageException, ValidationException, serialise_error
from hounsfield.aws.protocol.response import WireResponse
from hounsfield.gateway.audit_record import CallRecord, Recorder
from hounsfield.gateway.audit_redaction import shown_dicomweb_labels
from hounsfield.gateway.authentication import Caller, Callers
from hounsfield.gateway.bearer_authentication import Bearers, bearer_token
from hounsfield.gateway.condition_keys import Facts, permit
from hounsfield.gateway.dispatch import DoorRoute
from hounsfield.gateway.errors import translated
from hounsfield.gateway.image_set_access import CallerAccess
from hounsfield.gateway.request_body import (
    BodyMemory,
    BodyShare,
    ClientGoneError,
    body_chunks,
    header,
    may_have_body,
    whole_body,
)
from hounsfield.gateway.response_memory import AnswerMemory, AnswerRoom
from hounsfield.gateway.responses import StreamedResult, send_answer, with_its_end_seen
from hounsfield.gateway.threads import CallerThreads, Threads
from hounsfield.iam.throttling import Throttle
from hounsfield.imaging.image_set_access import ImageSetAccess
from hounsfield.imaging.tiering.damage_log import note_damage

_log = structlog.get_logger(__name__)
_HOST = re.compile(r"[A-Za-z0-9.\-_:\[\]]{1,255}")
_PORT = re.compile(r":[0-9]*\Z")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_SIGNS_OF_PROXIES = frozenset({"forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"})
_MOST_OF_NO_BODY = 64 * 1024
_MANAGEMENT_ACTIONS = frozenset({"GetDatastore", "DeleteImageSet"})
"""Actions of operations that are no data events, like their namesakes of the native API."""


@dataclass(frozen=True, slots=True)
class DicomwebDoor:
    """The ASGI application of DICOMweb.

    Attributes
    ----------
    context : Context
        What the handlers work on.
    callers : Callers
        Tells who is calling.
    bearers : Bearers
        Tells who sends a bearer token.
    throttle : Throttle
        Counts requests.
    recorder : Recorder
        Records calls in the audit trail.
    max_unproven_bytes : int
        Largest body of a request that does not state its hash, and so cannot be checked before it is whole.
    max_store_bytes : int
        Largest body of a request that stores.
    bodies : BodyMemory
        Bounds what the bodies of all requests take that must be held to be proven.
    answers : AnswerMemory
        Bounds what large answers take.
    threads : Threads
        Carry out requests.
    writing : Threads
        Carry out those that change something.
    rendering : Threads
        Carry out those that render, so that others do not wait for them.
    public_url : str
        What URLs in answers begin with; empty for what the client called.
    """

    context: Context
    callers: Callers
    bearers: Bearers
    throttle: Throttle
    recorder: Recorder
    max_unproven_bytes: int
    max_store_bytes: int
    bodies: BodyMemory
    answers: AnswerMemory
    threads: Threads
    writing: Threads
    rendering: Threads
    public_url: str = ""

    @property
    def routes(self) -> tuple[DoorRoute, ...]:
        """What this door answers; each needs the permission of its operation."""
        return tuple(
            DoorRoute(method, f"/datastore/{{datastoreId}}/{path}".rstrip("/"), name)
            for method, path, name in routes(deletes=self.context.deletes)
        )

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
            found = self._find(record, scope)
            caller = await self._caller(found, scope)
            room.caller = caller.principal.id
            threads = self._threads(found.operation, record).of(room.caller, room)
            with self.bodies.share() as share:
                answer = await self._answer(record, found, caller, threads, scope, receive, share)
            answer = await with_its_end_seen(scope, answer, threads)
        except ClientGoneError:
            record.left()
            return
        except AwsError as error:
            failure = error
        except Exception as error:  # noqa: BLE001 - the last resort of a process that must go on
            image_store = self.context.image_store
            failure = translated(error, record.request_id, image_store, full=InsufficientStorageException)
        if failure is not None:
            answer = serialise_error(failure, record.request_id)
        unrecorded = await record.kept(answer, failure)
        if unrecorded is not None:
            answer = serialise_error(unrecorded, record.request_id)
        try:
            await send_answer(send, answer, record.request_id, threads, head=scope["method"] == "HEAD")
        except ClientGoneError:
            raise
        except Exception as error:
            # The answer has begun; all that is left is to break it off, and to say why where somebody looks.
            if not note_damage(self.context.image_store, error):
                _log.error("answer broken off", request_id=record.request_id, error=type(error).__name__)
            raise

    def _threads(self, operation: Operation, record: CallRecord) -> Threads:
        if operation.renders:
            return self.rendering
        # What is stored is committed by a thread of its own.
        return self.threads if record.read_only or operation.take is not None else self.writing

    def _find(self, record: CallRecord, scope: Scope) -> Found:
        found = find(scope["method"], scope["raw_path"], deletes=self.context.deletes)
        operation = found.operation
        category = Category.MANAGEMENT if operation.action in _MANAGEMENT_ACTIONS else Category.DATA
        query = scope["query_string"]
        record.found(operation.name, category, lambda: shown_dicomweb_labels(found.datastore_id, found.labels, query))
        return found

    async def _caller(self, found: Found, scope: Scope) -> Caller:
        token = bearer_token(scope)
        if token is None or self.callers.verifier is None:
            return self.callers.meet(scope)
        return await self.bearers.meet(token, found.datastore_id, found.operation.action or found.operation.name)

    async def _answer(
        self,
        record: CallRecord,
        found: Found,
        caller: Caller,
        threads: CallerThreads,
        scope: Scope,
        receive: Receive,
        share: BodyShare,
    ) -> WireResponse | StreamedResult:
        operation = found.operation
        body = self._body(caller, scope, receive, self.max_store_bytes if operation.take else _MOST_OF_NO_BODY)
        if not caller.proven:
            # Whoever it is, it is not known before the body was read, so no more is read than can be held.
            limit = min(self.max_unproven_bytes, self.max_store_bytes if operation.take else _MOST_OF_NO_BODY)
            body = await self._proven_body(caller, scope, receive, limit, share)
        record.proven(caller.principal)
        self.callers.note(caller.principal, operation.action or operation.name)
        image_store = self.context.image_store
        facts = Facts(scope, image_store)
        permission = permission_of(found, image_store, by_classic=self.context.classic_searches)
        allowed = await permit(caller.principal, permission, facts, local=self.context.local)
        self.throttle.take(caller.principal.account_id, operation.action or operation.name)
        record.allow()
        explicit = self.callers.must_be_allowed_image_sets(caller.principal, found.datastore_id)
        on_image_sets = explicit or permission.action in ON_IMAGE_SETS
        access = CallerAccess(caller.principal, allowed, on_image_sets, facts, image_store, record.touches, permission)
        call = self._call(found, scope, threads, access)
        answer = await self._carried_out(call, operation, caller, scope, body)
        if call.query and (ignored := warning(call.query)) is not None:
            answer.headers.append(ignored)
        return answer

    async def _carried_out(
        self, call: Call, operation: Operation, caller: Caller, scope: Scope, body: AsyncIterator[bytes]
    ) -> WireResponse | StreamedResult:
        if operation.take is not None:
            return await operation.take(call, body)
        if caller.proven and not may_have_body(scope):
            caller.reader().finish()
        else:
            async for _ in body:
                pass
        read = operation.read
        if read is None:
            raise TypeError(f"operation {operation.name} has no handler")
        if operation.quick and self.context.local:
            return await call.threads.run_quickly(lambda: read(call))
        return await call.threads.run(lambda: read(call))

    async def _body(self, caller: Caller, scope: Scope, receive: Receive, most: int) -> AsyncIterator[bytes]:
        reader = caller.reader()
        async for chunk in body_chunks(scope, receive, most):
            decoded = reader.feed(chunk)
            if decoded:
                yield decoded
        rest = reader.finish()
        if rest:
            yield rest

    async def _proven_body(
        self, caller: Caller, scope: Scope, receive: Receive, most: int, share: BodyShare
    ) -> AsyncIterator[bytes]:
        declared = header(scope, b"content-length")
        if declared is not None and declared.isdigit() and int(declared) > most:
            raise ValidationException(
                f"A body of more than {most} bytes must state its SHA-256, or UNSIGNED-PAYLOAD, in the header "
                f"x-amz-content-sha256, so that the signature can be checked before the body arrives."
            )
        reader = caller.reader()
        body = reader.feed(await whole_body(scope, receive, most, share)) + reader.finish()

        async def again() -> AsyncIterator[bytes]:
            if body:
                yield body

        return again()

    def _call(self, found: Found, scope: Scope, threads: CallerThreads, access: ImageSetAccess) -> Call:
        headers: dict[str, str] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.decode("latin-1"), value.decode("latin-1"))
        return Call(
            context=self.context,
            datastore_id=found.datastore_id,
            labels=found.labels,
            query=parse_query(scope["query_string"]),
            headers=headers,
            base=f"{self._origin(scope, headers)}/datastore/{found.datastore_id}",
            access=access,
            threads=threads,
        )

    def _origin(self, scope: Scope, headers: dict[str, str]) -> str:
        if self.public_url:
            return self.public_url.rstrip("/")
        host = headers.get("host", "")
        if not _HOST.fullmatch(host):
            raise ValidationException("The Host header must be a host name or address, with a port or without.")
        return f"{scope['scheme']}://{host}{_missing_port(scope, host, headers)}"


def _missing_port(scope: Scope, host: str, headers: dict[str, str]) -> str:
    """Give the port that a client leaves out of its Host header although it is none that goes without saying.

    dicomweb-client does. Where a proxy says that it stands in between, the port of the connection is not that of the client.
    """
    server = scope.get("server")
    if _PORT.search(host) or not server or server[1] in {None, _DEFAULT_PORTS.get(scope["scheme"])}:
        return ""
    return "" if _SIGNS_OF_PROXIES & headers.keys() else f":{server[1]}"
