"""Timeouts of a client that sends a request or takes its response.

    receive ─▶ too long without a byte, or too slow on the whole ─▶ RequestTimeoutException (408)
    send    ─▶ the client takes nothing, or left                 ─▶ ClientDisconnectedError: the answer is broken off

Only the time spent waiting for the client counts, so that one is not blamed for how long we take. Headers are waited for by
the server software, and connections on which no request is under way are looked after by `hounsfield.gateway.idle_connections`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from starlette.types import Message, Receive, Send

from hounsfield.aws.protocol.errors import RequestTimeoutException
from hounsfield.gateway.request_body import ClientDisconnectedError

T = TypeVar("T")


async def _within(seconds: float, waited_for: Awaitable[T]) -> T:
    """Wait for something, as ``asyncio.timeout`` does at several times the cost; raises TimeoutError."""
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("only a task can wait")
    expired = False

    def expire() -> None:
        nonlocal expired
        expired = True
        task.cancel()

    timer = task.get_loop().call_later(seconds, expire)
    try:
        return await waited_for
    except asyncio.CancelledError:
        # Whoever else cancels the task at the same time has asked for it once more.
        if expired and task.uncancel() == 0:
            raise TimeoutError from None
        raise
    finally:
        timer.cancel()


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long a client may take.

    Attributes
    ----------
    body_seconds : float
        Longest pause while a body arrives.
    answer_seconds : float
        Longest pause while an answer is taken.
    least_bytes_per_second : int
        Slowest mean rate of a body, once the pause that is allowed has passed.
    """

    body_seconds: float
    answer_seconds: float
    least_bytes_per_second: int


class TimeoutReceive:
    """Waits for the parts of a body, not longer than allowed.

    Parameters
    ----------
    receive : callable
        ASGI receive.
    timeouts : Timeouts
        How long to wait.
    """

    __slots__ = ("_receive", "_size", "_timeouts", "_waited")

    def __init__(self, receive: Receive, timeouts: Timeouts) -> None:
        self._receive = receive
        self._timeouts = timeouts
        self._size = 0
        self._waited = 0.0

    async def __call__(self) -> Message:
        """Return the next message.

        Raises
        ------
        RequestTimeoutException
            The client pauses too long, or sends too slowly.
        """
        timeouts = self._timeouts
        begun = time.monotonic()
        try:
            message = await _within(timeouts.body_seconds, self._receive())
        except TimeoutError:
            raise RequestTimeoutException(
                f"The request body did not arrive: nothing came for {timeouts.body_seconds:g} s."
            ) from None
        self._waited += time.monotonic() - begun
        self._size += len(message.get("body", b""))
        if self._waited > timeouts.body_seconds + self._size / timeouts.least_bytes_per_second:
            raise RequestTimeoutException(
                f"The request body arrives too slowly; it must come with {timeouts.least_bytes_per_second} bytes a second."
            )
        return message


class TimeoutSend:
    """Sends an answer as long as the client takes it.

    An answer that is sent whole is not waited for here. One that comes in chunks is broken off when the client leaves, which
    the server software tells to whoever waits for a further message of the request. Who has all bytes of an answer may leave.

    Parameters
    ----------
    send, receive : callable
        Of ASGI.
    timeouts : Timeouts
        How long to wait.
    """

    __slots__ = ("_gone", "_headers", "_owed", "_receive", "_send", "_timeouts")

    def __init__(self, send: Send, receive: Receive, timeouts: Timeouts) -> None:
        self._send = send
        self._receive = receive
        self._timeouts = timeouts
        self._gone: asyncio.Future[Message] | None = None
        self._headers: Sequence[tuple[bytes, bytes]] = ()
        self._owed: int | None = None

    async def __call__(self, message: Message) -> None:
        """Send a message.

        Raises
        ------
        ClientDisconnectedError
            The client left, or takes nothing for too long.
        """
        if message["type"] == "http.response.start":
            self._headers = message["headers"]
        if message.get("more_body", False) and self._gone is None:
            self._gone = asyncio.ensure_future(self._left())
            self._owed = next((int(value) for name, value in self._headers if name == b"content-length"), None)
        if self._gone is None:
            await self._send(message)
            return
        if self._gone.done():
            if self._owed == 0:
                return
            raise ClientDisconnectedError("The client left before its answer was whole.")
        try:
            await _within(self._timeouts.answer_seconds, self._send(message))
        except TimeoutError:
            raise ClientDisconnectedError(
                f"The client took nothing of its answer for {self._timeouts.answer_seconds:g} s."
            ) from None
        if self._owed is not None:
            self._owed -= len(message.get("body", b""))

    def end(self) -> None:
        """Stop looking whether the client left."""
        if self._gone is not None:
            self._gone.cancel()

    async def _left(self) -> Message:
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                return message
