"""Limits of the headers and the query of a request, checked before anything in them is read.

The server software refuses more than 100 headers, and a URI of more than 65,534 bytes, before they come here.
"""

from __future__ import annotations

from typing import Final

from starlette.types import Scope

from hounsfield.aws.protocol.errors import RequestHeaderSectionTooLargeException, ValidationException

MOST_HEADERS: Final = 100
"""Headers of a request."""

MOST_PARAMETERS: Final = 1_000
"""Parameters of a query string; the largest that an operation takes are the keys of 200 tags."""


def check_header_limits(scope: Scope, most_bytes: int) -> None:
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
