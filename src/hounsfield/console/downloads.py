"""Downloads: answers of the API that a browser keeps as a file, sent on as they come.

page ─▶ open_download(visit, …, file_name) ─▶ Calls.open ─▶ Download: content type and length of the API, name of ours
                                                └─▶ ApiError: the page that says why not
page ─▶ MadeDownload: what the console itself makes of the answers of many calls
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Final
from urllib.parse import quote

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from hounsfield.console.calls import OpenedAnswer, Query
from hounsfield.console.visit import Visit

_KEPT_HEADERS: Final = ("content-type", "content-length", "content-encoding", "x-amzn-requestid")


class Download(Response):
    """The response that hands an answer of the API on, as a file.

    Parameters
    ----------
    opened : OpenedAnswer
        The answer.
    file_name : str
        What the browser calls the file.
    """

    def __init__(self, opened: OpenedAnswer, file_name: str) -> None:
        kept = {name: opened.headers[name] for name in _KEPT_HEADERS if name in opened.headers}
        named = f"attachment; filename*=UTF-8''{quote(file_name, safe='')}"
        super().__init__(status_code=opened.status, headers={**kept, "content-disposition": named})
        if "content-length" not in kept:
            del self.headers["content-length"]
        self._opened = opened

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            async for chunk in self._opened.chunks():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._opened.close()


class MadeDownload(Response):
    """The response that sends a file which is made meanwhile.

    That the browser left is found out by who sends (`hounsfield.gateway.timeouts.TimeoutSend`). Were it waited for here
    too, as Starlette's streams do, one of the two who wait is told so while the browser is there.

    Parameters
    ----------
    chunks : AsyncIterator of bytes
        The content.
    media_type : str
        Of the content.
    file_name : str
        What the browser calls the file; of letters, digits and ``._-``.
    """

    def __init__(self, chunks: AsyncIterator[bytes], media_type: str, file_name: str) -> None:
        super().__init__(headers={"content-disposition": f'attachment; filename="{file_name}"'}, media_type=media_type)
        del self.headers["content-length"]
        self._chunks = chunks

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Send it."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async for chunk in self._chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def open_download(
    visit: Visit,
    method: str,
    path: str,
    file_name: str,
    *,
    query: Query | None = None,
    json: object = None,
    headers: Mapping[str, str] | None = None,
    endings: Mapping[str, str] | None = None,
) -> Download:
    """Call an operation whose answer the browser keeps as a file.

    Parameters
    ----------
    visit : Visit
        Whose.
    method, path, query, json, headers
        The call, as `hounsfield.console.calls.Calls.call` has it.
    file_name : str
        What the browser calls the file.
    endings : Mapping of str to str
        What is appended to that, by content type of the answer.

    Raises
    ------
    ApiError
        The answer says no.
    """
    opened = await visit.calls.open(method, path, visit.request.receive, query=query, json=json, headers=headers)
    ending = (endings or {}).get(opened.headers.get("content-type", ""), "")
    return Download(opened, file_name + ending)
