"""The body of a request, of which never more is read than is allowed."""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.types import Receive, Scope

from hounsfield.aws.protocol.errors import RequestEntityTooLargeException, ServiceUnavailableException

UNCOUNTED_BYTES = 64 * 1024
"""Every request may hold that much of its body, whatever others hold."""

_HTTP_1 = frozenset({"1.0", "1.1", "1"})
_BODY_HEADERS = frozenset({b"content-length", b"transfer-encoding"})


class ClientDisconnectedError(Exception):
    """The client closed the connection, or takes nothing any more."""


class RequestBodyMemory:
    """Bounds what the bodies of all requests of a process take in memory together.

    A body that has to be held before it is known who sends it is what a stranger can fill memory with.

    Parameters
    ----------
    most : int
        Largest number of bytes.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._held = 0

    def hold(self, size: int) -> None:
        """Hold some more bytes; raises ServiceUnavailableException when there is no room."""
        if self._held + size > self._most:
            raise ServiceUnavailableException(
                "The server holds as many request bodies as it can; try again.", [("Retry-After", "1")]
            )
        self._held += size

    def give_back(self, size: int) -> None:
        """Hold some bytes no longer."""
        self._held -= size


class BodyShare:
    """What one request holds of the memory for bodies, until it is released.

    Parameters
    ----------
    memory : RequestBodyMemory
        The memory.
    """

    __slots__ = ("_memory", "_size", "held")

    def __init__(self, memory: RequestBodyMemory) -> None:
        self._memory = memory
        self._size = 0
        self.held = 0

    def release(self) -> None:
        """Hold nothing any more."""
        self._memory.give_back(self.held)
        self.held = 0

    def grow(self, size: int) -> None:
        """Hold some more bytes; raises ServiceUnavailableException when there is no room."""
        self._size += size
        more = self._size - UNCOUNTED_BYTES - self.held
        if more > 0:
            self._memory.hold(more)
            self.held += more


def header(scope: Scope, name: bytes) -> bytes | None:
    """Return the first value of a header, by its name in lower case."""
    for key, value in scope["headers"]:
        if key == name:
            return value  # type: ignore[no-any-return]
    return None


def declared_length(scope: Scope) -> int | None:
    """Return the length that a request says its body has; None where it says none, or no number."""
    declared = header(scope, b"content-length")
    return int(declared) if declared is not None and declared.isdigit() else None


def may_have_body(scope: Scope) -> bool:
    """Return whether a request can come with a body (RFC 9112 section 6.3); one of HTTP/2 need not say so."""
    if scope.get("http_version") not in _HTTP_1:
        return True
    for key, _ in scope["headers"]:  # noqa: SIM110 - a generator costs a call for each header
        if key in _BODY_HEADERS:
            return True
    return False


async def body_chunks(scope: Scope, receive: Receive, most: int) -> AsyncIterator[bytes]:
    """Return the body as it arrives.

    Parameters
    ----------
    scope, receive
        Of ASGI.
    most : int
        Largest number of bytes.

    Raises
    ------
    RequestEntityTooLargeException
        The body is larger, or says so.
    ClientDisconnectedError
        The client left.
    """
    arriving = _Arriving(scope, receive, most)
    while not arriving.complete:
        chunk = await arriving.next_chunk()
        if chunk:
            yield chunk


class _Arriving:
    """A body of which some has arrived; raises what `body_chunks` does."""

    __slots__ = ("_declared", "_most", "_receive", "_size", "complete")

    def __init__(self, scope: Scope, receive: Receive, most: int) -> None:
        self._declared = declared_length(scope)
        self._most = most
        self._receive = receive
        self._size = 0
        self.complete = self._declared == 0 or not may_have_body(scope)
        if self._declared is not None:
            self._check(self._declared)

    async def next_chunk(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnectedError
        chunk: bytes = message.get("body", b"")
        self._size += len(chunk)
        self._check(self._size)
        # The server software holds a client to the length it declares; asking whether more comes costs as much as the body.
        self.complete = self._size == self._declared or not message.get("more_body", False)
        return chunk

    def _check(self, size: int) -> None:
        if size > self._most:
            raise RequestEntityTooLargeException(f"The request body is larger than {self._most} bytes.")


async def whole_body(scope: Scope, receive: Receive, most: int, share: BodyShare) -> bytes:
    """Return the whole body.

    Parameters
    ----------
    scope, receive
        Of ASGI.
    most : int
        Largest number of bytes.
    share : BodyShare
        Of the memory for bodies.

    Raises
    ------
    ServiceUnavailableException
        Other requests take all the memory for bodies.
    RequestEntityTooLargeException, ClientDisconnectedError
        As `body_chunks` does.
    """
    arriving = _Arriving(scope, receive, most)
    chunks = []
    while not arriving.complete:
        chunk = await arriving.next_chunk()
        share.grow(len(chunk))
        chunks.append(chunk)
    return b"".join(chunks)
