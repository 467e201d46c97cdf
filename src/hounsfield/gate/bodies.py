"""Reading the body of a request, never more of it than is allowed."""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.types import Receive, Scope

from hounsfield.aws.errors import RequestEntityTooLargeException


class ClientGoneError(Exception):
    """The client closed the connection before its request was whole."""


def header(scope: Scope, name: bytes) -> bytes | None:
    """Give the first value of a header, by its name in lower case."""
    return next((value for key, value in scope["headers"] if key == name), None)


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
