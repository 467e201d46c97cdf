"""Reading the body of a request, never more of it than is allowed."""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.types import Receive, Scope

from hounsfield.aws.errors import RequestEntityTooLargeException

_HTTP_1 = frozenset({"1.0", "1.1", "1"})
_BODY_HEADERS = frozenset({b"content-length", b"transfer-encoding"})


class ClientGoneError(Exception):
    """The client closed the connection before its request was whole."""


def header(scope: Scope, name: bytes) -> bytes | None:
    """Give the first value of a header, by its name in lower case."""
    return next((value for key, value in scope["headers"] if key == name), None)


def may_have_body(scope: Scope) -> bool:
    """Tell whether a request can come with a body (RFC 9112 section 6.3); one of HTTP/2 need not say so."""
    return scope.get("http_version") not in _HTTP_1 or any(key in _BODY_HEADERS for key, _ in scope["headers"])


async def body_chunks(scope: Scope, receive: Receive, most: int) -> AsyncIterator[bytes]:
    """Give the body as it arrives.

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
    ClientGoneError
        The client left.
    """
    if not may_have_body(scope):
        return
    declared = header(scope, b"content-length")
    if declared is not None and declared.isdigit() and int(declared) > most:
        raise RequestEntityTooLargeException(f"The request body is larger than {most} bytes.")
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > most:
            raise RequestEntityTooLargeException(f"The request body is larger than {most} bytes.")
        if chunk:
            yield chunk
        if not message.get("more_body", False):
            return


async def whole_body(scope: Scope, receive: Receive, most: int) -> bytes:
    """Give the whole body; raises as `body_chunks` does."""
    return b"".join([chunk async for chunk in body_chunks(scope, receive, most)])
