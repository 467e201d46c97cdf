"""What goes back over the wire: status, headers and body."""

from __future__ import annotations

from dataclasses import dataclass


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
