"""Responses on the wire: status, headers and body."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

SOON_SECONDS: Final = 1.0
"""Wait where nobody knows how long it takes."""


@dataclass(frozen=True, slots=True)
class WireResponse:
    """An HTTP response, ready to be sent.

    Attributes
    ----------
    status : int
        HTTP status.
    headers : list of (str, str)
        Header names and values; without Content-Length, which the HTTP server adds.
    body : bytes or bytearray
        The body, already encoded.
    """

    status: int
    headers: list[tuple[str, str]]
    body: bytes | bytearray


def retry_after_headers(seconds: float) -> list[tuple[str, str]]:
    """Return the headers that say when to try again, in seconds as HTTP has it, and in milliseconds as AWS's SDKs read it."""
    return [
        ("Retry-After", str(max(1, math.ceil(seconds)))),
        ("x-amz-retry-after", str(max(1, math.ceil(seconds * 1000)))),
    ]
