"""The door: one ASGI application in front of the native API.

    route ─▶ body ─▶ signature ─▶ permission ─▶ parse and validate ─▶ handler ─▶ serialise
      └─────────┴─────────┴────────────┴──────────────┴────────────────┴──▶ AwsError ─▶ error in AWS's form

Each step is one call into the part that knows how; nothing of the body is looked at before the permission was given, except
that the signature of most clients covers it.
"""

from __future__ import annotations

import uuid
from contextlib import suppress
from dataclasses import dataclass

import structlog
from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.types import Receive, Scope, Send

from hounsfield.access.permissions import require
from hounsfield.access.principals import Principal
from hounsfield.aws.errors import (
    AwsError,
    NotImplementedException,
    RequestEntityTooLargeException,
    UnrecognizedClientException,
    serialise_error,
)
from hounsfield.aws.model import Operation
from hounsfield.aws.parameters import Parameters
from hounsfield.aws.parsing import parse_request
from hounsfield.aws.request import Request
from hounsfield.aws.response import WireResponse
from hounsfield.aws.routing import Match, Router
from hounsfield.aws.serialising import serialise
from hounsfield.aws.sigv4 import Verifier
from hounsfield.native.context import Context
from hounsfield.native.errors import translated
from hounsfield.native.operations import HANDLERS, Handler
from hounsfield.native.permissions import permission_of
from hounsfield.native.results import StreamedResult
from hounsfield.storage.tiered_blobs import BlobFarError

_log = structlog.get_logger(__name__)


class ClientGoneError(Exception):
    """The client closed the connection before its request was whole."""


@dataclass(frozen=True, slots=True)
class NativeDoor:
    """The ASGI application of the native API.

    Attributes
    ----------
    context : Context
        What the handlers work on.
    router : Router
        Finds the operation of a request.
    verifier : Verifier or None
        Checks signatures; None lets everybody in as ``principal``.
    principal : Principal
        Who the holder of the root key is.
    max_body_bytes : int
        Largest request body.
    """

    context: Context
    router: Router
    verifier: Verifier | None
    principal: Principal
    max_body_bytes: int

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request_id = str(uuid.uuid4())
        try:
            match = self.router.match(scope["method"], scope["raw_path"])
            body = await self._body(scope, receive)
            response = await self._answer(match, scope, body)
        except ClientGoneError:
            return
        except AwsError as error:
            response = serialise_error(error, request_id)
        except Exception as error:  # noqa: BLE001 - the last resort of a process that must go on
            response = serialise_error(translated(error, request_id), request_id)
        try:
            await _send(send, response, request_id)
        except Exception as error:
            # The answer has begun; all that is left is to break it off, and to say why where somebody looks.
            _log.error("answer broken off", request_id=request_id, error=type(error).__name__)
            raise

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        declared = _header(scope, b"content-length")
        if declared is not None and declared.isdigit() and int(declared) > self.max_body_bytes:
            raise RequestEntityTooLargeException(f"The request body is larger than {self.max_body_bytes} bytes.")
        chunks = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > self.max_body_bytes:
                raise RequestEntityTooLargeException(f"The request body is larger than {self.max_body_bytes} bytes.")
            chunks.append(chunk)
            if not message.get("more_body", False):
                return b"".join(chunks)

    async def _answer(self, match: Match, scope: Scope, body: bytes) -> WireResponse | StreamedResult:
        operation = match.operation
        principal, body = self._caller(scope, body)
        require(principal, permission_of(operation.name, match.path_parameters, self.context.archive))
        parameters = parse_request(match, scope["query_string"], scope["headers"], body)
        handler = HANDLERS.get(operation.name)
        if handler is None:
            raise NotImplementedException.of(operation.name)
        accept = _header(scope, b"accept")
        arguments = (operation, handler, self.context, parameters, accept.decode("latin-1") if accept else None)
        if handler.quick and self.context.local:
            # What is in the archive store is not waited for here.
            with suppress(BlobFarError):
                return _run(*arguments)
        return await run_in_threadpool(_run, *arguments)

    def _caller(self, scope: Scope, body: bytes) -> tuple[Principal, bytes]:
        if self.verifier is None:
            return self.principal, body
        request = Request(scope["method"], scope["raw_path"], scope["query_string"], scope["headers"])
        verified = self.verifier.verify(request, body)
        if verified.session_token is not None:
            # Only temporary credentials come with a session token, and none are given out.
            raise UnrecognizedClientException("The security token included in the request is invalid.")
        return self.principal, verified.body


def _run(
    operation: Operation, handler: Handler, context: Context, parameters: Parameters, accept: str | None
) -> WireResponse | StreamedResult:
    result = handler.run(context, parameters, accept)
    return result if isinstance(result, StreamedResult) else serialise(operation, result)


async def _send(send: Send, response: WireResponse | StreamedResult, request_id: str) -> None:
    names = {name.lower() for name, _ in response.headers}
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in response.headers]
    if "x-amzn-requestid" not in names:
        headers.append((b"x-amzn-requestid", request_id.encode()))
    if isinstance(response, WireResponse):
        headers.append((b"content-length", str(len(response.body)).encode()))
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": response.body})
        return
    headers.append((b"content-length", str(response.size).encode()))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    async for chunk in iterate_in_threadpool(response.chunks):
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def _header(scope: Scope, name: bytes) -> bytes | None:
    return next((value for key, value in scope["headers"] if key == name), None)
