"""Responses: sent whole or in chunks.

a small body ─▶ send         a large one, in pieces, counted (`hounsfield.gateway.response_memory`) ─▶ send
chunks that are there ──────────────────────────────────────────────────────┐
chunks still to be made ─▶ turn of the caller ─▶ thread: some of them ─▶ …  ├─▶ send
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from starlette.types import Scope, Send

from hounsfield.aws.protocol.response import WireResponse
from hounsfield.gateway.threads import CallerThreads

_WITH_ENDS: Final = ("multipart/", "application/zip")
"""Beginnings of content types whose content tells where it ends."""
_REQUEST_ID: Final = b"x-amzn-requestid"
_WITH_CHUNKS: Final = frozenset({"1.1", "2", "2.0"})
_TURN_BYTES: Final = 256 * 1024
_TURN_SECONDS: Final = 0.005
"""So much of an answer is made in one turn, or so long; and no less than a chunk."""
_SMALL_BYTES: Final = 64 * 1024
_AT_ONCE_BYTES: Final = 1024 * 1024
"""A body of so many bytes, or a chunk, is sent whole, and not counted."""
_PIECE_BYTES: Final = 256 * 1024

Chunk: TypeAlias = "bytes | bytearray"


@dataclass(frozen=True, slots=True)
class StreamedResponse:
    """A successful response whose body comes in chunks.

    Attributes
    ----------
    headers : list of (str, str)
        Header names and values.
    size : int or None
        Length of the body in bytes; None where it is not known before the end.
    chunks : Iterable of bytes or bytearray
        The body. A sequence is there already; of all else the chunks are made in threads, each when it is sent.
    status : int
        HTTP status.
    """

    headers: list[tuple[str, str]]
    size: int | None
    chunks: Iterable[Chunk] = field(repr=False)
    status: int = 200


async def send_response(
    send: Send,
    answer: WireResponse | StreamedResponse,
    request_id: str,
    threads: CallerThreads | None = None,
    *,
    head: bool = False,
) -> None:
    """Send an answer with the id of its request.

    Parameters
    ----------
    send : callable
        ASGI send.
    answer : WireResponse or StreamedResponse
        What to send.
    request_id : str
        Identifier of the request, sent as ``x-amzn-RequestId`` unless the answer has one.
    threads : CallerThreads or None
        Make the chunks of a streamed answer; None where they are there already.
    head : bool
        Whether to leave the body out, as for the method HEAD.
    """
    headers = []
    has_id = False
    for name, value in answer.headers:
        lower = name.lower().encode("latin-1")
        has_id = has_id or lower == _REQUEST_ID
        headers.append((lower, value.encode("latin-1")))
    if not has_id:
        headers.append((_REQUEST_ID, request_id.encode()))
    size = len(answer.body) if isinstance(answer, WireResponse) else answer.size
    if size is not None and answer.status not in (204, 304):
        headers.append((b"content-length", str(size).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if isinstance(answer, WireResponse) and (head or len(answer.body) <= _AT_ONCE_BYTES):
        await send({"type": "http.response.body", "body": b"" if head else answer.body})
        return
    if not head:
        chunks = _chunks(answer, threads) if isinstance(answer, StreamedResponse) else _there((answer.body,))
        async for chunk in chunks:
            if threads is not None and threads.room is not None and len(chunk) > _AT_ONCE_BYTES:
                threads.room.hold(len(chunk))
            await _send_chunk(send, chunk)
    await send({"type": "http.response.body", "body": b""})


async def _send_chunk(send: Send, chunk: Chunk) -> None:
    """Send a chunk in pieces: the server software holds a copy of each until the client takes it, and of no more."""
    if len(chunk) <= _PIECE_BYTES:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
        return
    view = memoryview(chunk)
    for start in range(0, len(view), _PIECE_BYTES):
        await send({"type": "http.response.body", "body": bytes(view[start : start + _PIECE_BYTES]), "more_body": True})


async def _there(chunks: Sequence[Chunk]) -> AsyncIterator[Chunk]:
    for chunk in chunks:
        yield chunk


def unbounded(scope: Scope, response: WireResponse | StreamedResponse) -> StreamedResponse | None:
    """Return a response whose client would not see that it is broken off; None for all others.

    With HTTP/1.0, which proxies speak to servers too, a response without Content-Length ends where the connection does,
    whatever the reason. Parts and archives are none of them: they end with a closing boundary, or a directory.
    """
    if (
        not isinstance(response, StreamedResponse)
        or response.size is not None
        or scope.get("http_version") in _WITH_CHUNKS
    ):
        return None
    if any(name.lower() == "content-type" and value.startswith(_WITH_ENDS) for name, value in response.headers):
        return None
    return response


async def with_size(response: StreamedResponse, threads: CallerThreads) -> StreamedResponse:
    """Return a response whose chunks are all made, and which so has a size."""
    chunks: list[Chunk] = []
    size = 0
    async for chunk in _chunks(response, threads):
        chunks.append(chunk)
        size += len(chunk)
        if threads.room is not None and size > _AT_ONCE_BYTES:
            threads.room.hold(size)
    return replace(response, size=size, chunks=chunks)


async def _chunks(answer: StreamedResponse, threads: CallerThreads | None) -> AsyncIterator[Chunk]:
    if isinstance(answer.chunks, Sequence):
        for there in answer.chunks:
            yield there
        return
    if threads is None:
        raise TypeError("an answer whose chunks are still to be made needs threads for that")
    made = iter(answer.chunks)
    while some := await threads.run_once(lambda: _some(made)):
        for chunk in some:
            yield chunk


def _some(made: Iterator[Chunk]) -> list[Chunk]:
    """Make the chunks of one turn, small ones joined; an empty list at the end."""
    found: list[Chunk] = []
    small: list[Chunk] = []
    size = 0
    begun = time.monotonic()
    for chunk in made:
        size += len(chunk)
        if len(chunk) < _SMALL_BYTES:
            small.append(chunk)
        else:
            found += [b"".join(small), chunk] if small else [chunk]
            small = []
        if size >= _TURN_BYTES or time.monotonic() - begun > _TURN_SECONDS:
            break
    return [*found, b"".join(small)] if small else found
