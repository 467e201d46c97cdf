"""Waiting for clients, and no longer: what waits is told that time is over, and is cancelled where it is cancelled."""

from __future__ import annotations

import asyncio

import pytest
from starlette.types import Message

from hounsfield.aws.protocol.errors import RequestTimeoutException
from hounsfield.gateway.request_body import ClientDisconnectedError
from hounsfield.gateway.timeouts import TimeoutReceive, Timeouts, TimeoutSend

SHORT = Timeouts(0.01, 0.01, 1_000_000)
BODY: Message = {"type": "http.request", "body": b"abc", "more_body": False}


async def never() -> Message:
    await asyncio.Event().wait()
    return BODY


def test_what_comes_is_given() -> None:
    async def at_once() -> Message:
        return BODY

    async def run() -> Message:
        return await TimeoutReceive(at_once, SHORT)()

    assert asyncio.run(run()) == BODY


def test_what_does_not_come_is_not_waited_for() -> None:
    async def run() -> int:
        for _ in range(3):
            with pytest.raises(RequestTimeoutException):
                await TimeoutReceive(never, SHORT)()
        task = asyncio.current_task()
        assert task is not None
        return task.cancelling()

    assert asyncio.run(run()) == 0


def test_a_cancelled_request_is_cancelled() -> None:
    async def run() -> None:
        task = asyncio.ensure_future(TimeoutReceive(never, Timeouts(60, 60, 1))())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())


def test_a_client_that_left_gets_nothing_more() -> None:
    sent = []

    async def left() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    async def run() -> None:
        patient = TimeoutSend(send, left, SHORT)
        chunk = {"type": "http.response.body", "body": b"a", "more_body": True}
        await patient({"type": "http.response.start", "status": 200, "headers": []})
        await patient(chunk)
        await asyncio.sleep(0)
        with pytest.raises(ClientDisconnectedError):
            await patient(chunk)
        patient.end()

    asyncio.run(run())
    assert len(sent) == 2


@pytest.mark.parametrize("length", [1, 2])
def test_a_client_that_has_all_of_its_answer_may_leave(length: int) -> None:
    left = asyncio.Event()

    async def receive() -> Message:
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(_: Message) -> None:
        return None

    async def run() -> None:
        patient = TimeoutSend(send, receive, SHORT)
        headers = [(b"content-type", b"image/jph"), (b"content-length", str(length).encode())]
        await patient({"type": "http.response.start", "status": 200, "headers": headers})
        await patient({"type": "http.response.body", "body": b"a", "more_body": True})
        left.set()
        for _ in range(5):
            await asyncio.sleep(0)
        end = patient({"type": "http.response.body", "body": b""})
        if length == 1:
            await end
        else:
            with pytest.raises(ClientDisconnectedError):
                await end
        patient.end()

    asyncio.run(run())


def test_a_client_that_takes_nothing_is_given_up() -> None:
    async def stuck(_: Message) -> None:
        await never()

    async def run() -> None:
        patient = TimeoutSend(stuck, never, SHORT)
        with pytest.raises(ClientDisconnectedError, match="took nothing"):
            await patient({"type": "http.response.body", "body": b"a", "more_body": True})
        patient.end()

    asyncio.run(run())
