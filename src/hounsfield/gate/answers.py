"""How an answer goes out, whole or in chunks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import anyio.to_thread
from anyio import CapacityLimiter
from starlette.types import Send

from hounsfield.aws.response import WireResponse

_REQUEST_ID: Final = b"x-amzn-requestid"


@dataclass(frozen=True, slots=True)
class StreamedResult:
    """A successful answer whose body comes in chunks.

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
    slots : CapacityLimiter or None
        Threads that make the chunks; None for those of every request.
    """

    headers: list[tuple[str, str]]
    size: int | None
    chunks: Iterable[bytes | bytearray] = field(repr=False)
    status: int = 200
    slots: CapacityLimiter | None = field(default=None, repr=False)


async def send_answer(
    send: Send, answer: WireResponse | StreamedResult, request_id: str, *, head: bool = False
) -> None:
    """Send an answer with the id of its request.

    Parameters
    ----------
    send : callable
        ASGI send.
    answer : WireResponse or StreamedResult
        What to send.
    request_id : str
        Identifier of the request, sent as ``x-amzn-RequestId`` unless the answer has one.
    head : bool
        Whether to leave the body out, as for the method HEAD.
    """
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
    if _REQUEST_ID not in [name for name, _ in headers]:
        headers.append((_REQUEST_ID, request_id.encode()))
    size = len(answer.body) if isinstance(answer, WireResponse) else answer.size
    if size is not None and answer.status not in (204, 304):
        headers.append((b"content-length", str(size).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if isinstance(answer, WireResponse):
        await send({"type": "http.response.body", "body": b"" if head else answer.body})
        return
    if not head:
        async for chunk in _chunks(answer):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _chunks(answer: StreamedResult) -> AsyncIterator[bytes | bytearray]:
    if isinstance(answer.chunks, Sequence):
        for there in answer.chunks:
            yield there
        return
    made = iter(answer.chunks)
    while (chunk := await anyio.to_thread.run_sync(next, made, None, limiter=answer.slots)) is not None:
        yield chunk
