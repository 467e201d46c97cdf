"""Calls: API operations that the console asks for, in this process, as the principal of a session.

    page ─▶ Calls.get("/datastore/…") ─▶ ASGI scope with the principal in place of a signature ─▶ pipeline ─▶ Answer

The scope is that of the browser's request but for method, path, query and headers. So address and user agent in the audit
record are the browser's, and policies that ask for the address have it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, urlencode

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hounsfield.aws.sigv4.payload_hash import PlainPayload
from hounsfield.gateway.authentication import IN_PROCESS_CALLER, AuthenticatedCaller
from hounsfield.iam.principals import Principal
from hounsfield.runtime.picklable_error import PicklableError

Query = Mapping[str, object] | Sequence[tuple[str, object]]

_KEPT_HEADERS: Final = frozenset({b"host", b"user-agent", b"referer"})
_BRIDGED_AWAY: Final = frozenset({b"cookie", b"authorization", b"x-csrf-token", b"x-amz-security-token", b"x-amz-date"})


class ApiError(PicklableError):
    """The API refused an operation, or could not carry it out.

    Attributes
    ----------
    status : int
        HTTP status of its answer.
    code : str
        Name of the error, such as ``ConflictException``.
    message : str
        What is wrong, in words for the one who asked.
    request_id : str
        Identifier of the request, as the audit trail has it.
    """

    def __init__(self, status: int, code: str, message: str, request_id: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.request_id = request_id

    def after(self, done: str) -> ApiError:
        """Return the error with what was done before, in words: one step of several failed."""
        return ApiError(self.status, self.code, f"{done} Then this failed: {self.message}", self.request_id)


class FormRefusedError(ApiError):
    """A page leads to what is not allowed, such as a form, and so is not shown; nothing was asked of the API.

    Attributes
    ----------
    action : str
        IAM action that is not allowed.
    """

    def __init__(self, action: str, message: str) -> None:
        super().__init__(403, "AccessDeniedException", message, "")
        self.action = action


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of an operation that was carried out.

    Attributes
    ----------
    status : int
        HTTP status.
    headers : Mapping of str to str
        By their names in lower case; of several the values with commas between.
    body : bytes
        The whole body.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def request_id(self) -> str:
        """Identifier of the request."""
        return self.headers.get("x-amzn-requestid", "")

    def json(self) -> Any:
        """Return the body read as JSON; an empty one is an empty object."""
        return orjson.loads(self.body) if self.body else {}


@dataclass(frozen=True, slots=True)
class Calls:
    """Makes calls for one visit.

    Attributes
    ----------
    pipeline : callable
        ASGI application that answers the requests of all APIs.
    scope : dict
        ASGI scope of the browser's request.
    principal : Principal
        Who is signed in.
    """

    pipeline: ASGIApp = field(repr=False)
    scope: Scope = field(repr=False)
    principal: Principal

    async def get(self, path: str, query: Query | None = None, headers: Mapping[str, str] | None = None) -> Answer:
        """Call an operation by GET; see `call`."""
        return await self.call("GET", path, query=query, headers=headers)

    async def post(self, path: str, json: object = None, query: Query | None = None) -> Answer:
        """Call an operation by POST with a JSON body; see `call`."""
        return await self.call("POST", path, query=query, json=json)

    async def administration(self, operation: str, **members: object) -> Any:
        """Call an operation of the administration API; gives its result. Members that are None are left out."""
        return (await self.post(f"/administration/{operation}", json=members)).json()

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        json: object = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Call an operation and wait for its whole answer.

        Parameters
        ----------
        method, path : str
            HTTP method; the path, whose labels are encoded with `label` where they may hold anything.
        query : mapping or sequence of pairs
            Query parameters; those that are None or empty are left out.
        json : object
            Body, sent as JSON; members of an object that are None are left out.
        body : bytes
            Body, sent as it is.
        headers : Mapping of str to str
            Further headers.

        Raises
        ------
        ApiError
            The answer says no.
        """
        scope, body = self._request(method, path, query, json, body, headers)
        collected = _Collected()
        await self.pipeline(scope, _Body(body).receive, collected.send)
        answer = collected.answer()
        if answer.status >= 400:
            raise _api_error(answer)
        return answer

    async def open(
        self,
        method: str,
        path: str,
        receive: Receive,
        *,
        query: Query | None = None,
        json: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> OpenedAnswer:
        """Call an operation and wait for the beginning of its answer only; parameters and errors are those of `call`.

        Parameters
        ----------
        receive : callable
            Receives what the browser sends, which is by now that it has left.
        """
        scope, body = self._request(method, path, query, json, None, headers)
        opened = OpenedAnswer(self.pipeline, scope, _Body(body, receive).receive)
        await opened.begin()
        return opened

    def _request(
        self,
        method: str,
        path: str,
        query: Query | None,
        json: object,
        body: bytes | None,
        headers: Mapping[str, str] | None,
    ) -> tuple[Scope, bytes]:
        if isinstance(json, dict):
            json = {name: value for name, value in json.items() if value is not None}
        content = orjson.dumps(json) if json is not None else body or b""
        sent = [(name, value) for name, value in self.scope["headers"] if name in _KEPT_HEADERS]
        sent += [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
        if json is not None:
            sent.append((b"content-type", b"application/json"))
        if content or method not in ("GET", "HEAD", "DELETE"):
            sent.append((b"content-length", str(len(content)).encode()))
        pairs = query.items() if isinstance(query, Mapping) else query or ()
        text = urlencode([(name, str(value)) for name, value in pairs if value is not None and value != ""])
        return _scope(self.scope, self.principal, method, path.encode("ascii"), text.encode("ascii"), sent), content

    async def stream(self, raw_path: bytes, receive: Receive, send: Send) -> None:
        """Hand the browser's own request on to the API, under another path, and its answer back, both as they come."""
        headers = [(name, value) for name, value in self.scope["headers"] if name not in _BRIDGED_AWAY]
        scope = _scope(self.scope, self.principal, self.scope["method"], raw_path, self.scope["query_string"], headers)
        await self.pipeline(scope, receive, send)


def label(value: str) -> str:
    """Return a value as a segment of a path."""
    return quote(value, safe="")


def _scope(
    base: Scope,
    principal: Principal,
    method: str,
    raw_path: bytes,
    query_string: bytes,
    headers: list[tuple[bytes, bytes]],
) -> Scope:
    return {
        **base,
        "method": method,
        "path": raw_path.decode("latin-1"),
        "raw_path": raw_path,
        "query_string": query_string,
        "headers": headers,
        "root_path": "",
        IN_PROCESS_CALLER: AuthenticatedCaller(principal, proven=True, reader=PlainPayload),
    }


class _Body:
    """The body of a call, as ASGI receives it."""

    __slots__ = ("_content", "_receive")

    def __init__(self, content: bytes, receive: Receive | None = None) -> None:
        self._content: bytes | None = content
        self._receive = receive

    async def receive(self) -> Message:
        if self._content is None and self._receive is not None:
            return await self._receive()
        if self._content is None:
            # A call does not leave before it is answered; who waits for that is cancelled at the end.
            await asyncio.Event().wait()
        content, self._content = self._content, None
        return {"type": "http.request", "body": content, "more_body": False}


class OpenedAnswer:
    """The answer of an operation that is carried out while what it says is sent on.

    Whoever opened it reads all of it, or closes it.

    Attributes
    ----------
    status : int
        HTTP status.
    headers : Mapping of str to str
        By their names in lower case.
    """

    def __init__(self, pipeline: ASGIApp, scope: Scope, receive: Receive) -> None:
        self.status = 500
        self.headers: Mapping[str, str] = {}
        # No more is made than is taken.
        self._messages: asyncio.Queue[Message | None] = asyncio.Queue(1)
        self._task = asyncio.create_task(self._run(pipeline, scope, receive))

    async def begin(self) -> None:
        """Wait for status and headers; raises `ApiError` where the answer says no."""
        collected = _Collected()
        try:
            while (message := await self._messages.get()) is not None:
                await collected.send(message)
                self.status, self.headers = collected.status, collected.headers
                if self.status < 400:
                    return
            await self._task
        except BaseException:
            self.close()
            raise
        raise _api_error(collected.answer())

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes; raises `ConnectionError` where it ends before it is whole."""
        whole = False
        try:
            while (message := await self._messages.get()) is not None:
                if message["type"] == "http.response.body":
                    whole = not message.get("more_body", False)
                    yield bytes(message.get("body", b""))
            await self._task
        finally:
            self.close()
        if not whole:
            raise ConnectionError("the answer of the API was cut off")

    def close(self) -> None:
        """Leave the rest."""
        self._task.cancel()

    async def _run(self, pipeline: ASGIApp, scope: Scope, receive: Receive) -> None:
        try:
            await pipeline(scope, receive, self._messages.put)
        except Exception:
            await self._messages.put(None)
            raise
        await self._messages.put(None)


class _Collected:
    """An answer while it comes."""

    __slots__ = ("_chunks", "headers", "status")

    def __init__(self) -> None:
        self.status = 500
        self.headers: dict[str, str] = {}
        self._chunks: list[bytes] = []

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            for name, value in message["headers"]:
                key, text = name.decode("latin-1").lower(), value.decode("latin-1")
                self.headers[key] = f"{self.headers[key]}, {text}" if key in self.headers else text
        elif message["type"] == "http.response.body":
            self._chunks.append(bytes(message.get("body", b"")))

    def answer(self) -> Answer:
        return Answer(self.status, self.headers, b"".join(self._chunks))


def _api_error(answer: Answer) -> ApiError:
    code = answer.headers.get("x-amzn-errortype", "").partition(":")[0] or f"Http{answer.status}"
    message = ""
    try:
        content = orjson.loads(answer.body)
        if isinstance(content, dict):
            message = str(content.get("message") or content.get("Message") or "")
    except orjson.JSONDecodeError:
        pass
    return ApiError(answer.status, code, message or "The server gave no reason.", answer.request_id)
