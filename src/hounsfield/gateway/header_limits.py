"""What the head of a request may be, before anything in it is read.

    request line and headers ─▶ check_head ─┬─▶ door
                                            └─▶ AwsError ─▶ audit trail ─▶ answer

The server software refuses more than 100 headers, and a URI of more than 65,534 bytes, before they come here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from hounsfield.aws.protocol.errors import (
    AwsError,
    RequestHeaderSectionTooLargeException,
    ValidationException,
    serialise_error,
)
from hounsfield.gateway.audit_record import Recorder
from hounsfield.gateway.responses import send_answer
from hounsfield.storage.identifiers import new_uuid

MOST_HEADERS: Final = 100
"""Headers of a request."""

MOST_PARAMETERS: Final = 1_000
"""Parameters of a query string; the largest that an operation takes are the keys of 200 tags."""


def check_head(scope: Scope, most_bytes: int) -> None:
    """Check the size of the request line and the headers.

    Parameters
    ----------
    scope : dict
        ASGI scope of the request.
    most_bytes : int
        Largest number of bytes of all header names and values.

    Raises
    ------
    RequestHeaderSectionTooLargeException
        There are too many headers, or they are too large.
    ValidationException
        The query has too many parameters, or the request more than one Host.
    """
    headers = scope["headers"]
    if len(headers) > MOST_HEADERS:
        raise RequestHeaderSectionTooLargeException(f"A request may have at most {MOST_HEADERS} headers.")
    size = hosts = 0
    for name, value in headers:
        size += len(name) + len(value)
        hosts += name == b"host"
    if size > most_bytes:
        raise RequestHeaderSectionTooLargeException(f"The headers of a request may have at most {most_bytes} bytes.")
    if hosts > 1:
        raise ValidationException("A request must have one Host header.")
    if scope["query_string"].count(b"&") >= MOST_PARAMETERS:
        raise ValidationException(f"The query may have at most {MOST_PARAMETERS} parameters.")


@dataclass(frozen=True, slots=True)
class CheckedHeads:
    """The ASGI application before a door, which lets in requests with heads that may be read.

    Attributes
    ----------
    door : callable
        ASGI application.
    most_bytes : int
        Largest number of bytes of all headers of a request.
    recorder : Recorder or None
        Records calls of the door; None for one whose calls are not recorded.
    """

    door: ASGIApp
    most_bytes: int
    recorder: Recorder | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        try:
            check_head(scope, self.most_bytes)
        except AwsError as error:
            await self._refuse(scope, send, error)
            return
        await self.door(scope, receive, send)

    async def _refuse(self, scope: Scope, send: Send, error: AwsError) -> None:
        record = None if self.recorder is None else self.recorder.begin(scope)
        request_id = new_uuid() if record is None else record.request_id
        answer = serialise_error(error, request_id)
        if record is not None:
            # What is refused here has changed nothing, so whether it could be recorded changes nothing about the answer.
            await record.kept(answer, error)
        await send_answer(send, answer, request_id, head=scope["method"] == "HEAD")
