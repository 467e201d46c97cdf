"""Downloads that the console makes while they are sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.types import Message

from hounsfield.console.downloads import MadeDownload

LINES = (b"one\n", b"two\n", b"three\n")


async def _lines() -> AsyncIterator[bytes]:
    for line in LINES:
        await asyncio.sleep(0)
        yield line


async def _left() -> Message:
    """Say that the browser left: the server software does, to one of two who wait, while it is there."""
    return {"type": "http.disconnect"}


def test_a_download_is_sent_whole_whatever_else_is_told() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(MadeDownload(_lines(), "text/plain", "lines.txt")({"type": "http"}, _left, send))
    begin, *parts = sent
    headers = dict(begin["headers"])
    assert headers[b"content-disposition"] == b'attachment; filename="lines.txt"'
    assert b"content-length" not in headers
    assert b"".join(part["body"] for part in parts) == b"".join(LINES)
    assert [part["more_body"] for part in parts] == [True, True, True, False]
