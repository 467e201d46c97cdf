"""Multipart bodies (RFC 2046 section 5.1, PS3.18 section 8.6): read as they arrive, written as they go out.

bytes ─▶ PartParser.feed ─▶ PartBegin · PartData · PartEnd …
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser

from hounsfield.aws.errors import ValidationException

MOST_HEADER_BYTES = 16 * 1024
MOST_PREAMBLE_BYTES = 64 * 1024

_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class PartBegin:
    """The headers of a part, by name in lower case."""

    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PartData:
    """Some bytes of the part that began last."""

    data: bytes


@dataclass(frozen=True, slots=True)
class PartEnd:
    """The part that began last is complete."""


PartEvent = PartBegin | PartData | PartEnd


class PartParser:
    """Reads a multipart body.

    Parameters
    ----------
    boundary : str
        From the Content-Type of the body.

    Raises
    ------
    ValidationException
        The boundary is not one.
    """

    def __init__(self, boundary: str | None) -> None:
        if boundary is None or not _BOUNDARY.fullmatch(boundary):
            raise ValidationException(
                "Content-Type multipart/related must have the parameter boundary of 1 to 70 characters (RFC 2046)."
            )
        self._delimiter = b"--" + boundary.encode("ascii")
        self._start: bytes | None = b""
        self._events: list[PartEvent] = []
        self._headers: dict[str, str] = {}
        self._header_bytes = 0
        self._name = b""
        self._value = b""
        self._ended = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._part_begin,
                "on_header_field": self._header_field,
                "on_header_value": self._header_value,
                "on_header_end": self._header_end,
                "on_headers_finished": lambda: self._events.append(PartBegin(self._headers)),
                "on_part_data": lambda data, start, end: self._events.append(PartData(bytes(data[start:end]))),
                "on_part_end": lambda: self._events.append(PartEnd()),
                "on_end": self._end,
            },
        )

    def feed(self, data: bytes) -> list[PartEvent]:
        """Take the next bytes; give what they complete.

        Raises
        ------
        ValidationException
            The body is not multipart, or not with this boundary.
        """
        data = self._after_preamble(data)
        self._events = []
        if data and not self._ended:
            try:
                self._parser.write(data)
            except MultipartParseError:
                raise ValidationException(
                    "The body is not multipart with the boundary of its Content-Type: after a boundary must come CRLF, "
                    "headers, an empty line, and the content."
                ) from None
        return self._events

    def finish(self) -> None:
        """Say that the body is complete.

        Raises
        ------
        ValidationException
            It ends before its last boundary.
        """
        if not self._ended:
            raise ValidationException("The body ends before its closing boundary, or does not have it at all.")

    def _after_preamble(self, data: bytes) -> bytes:
        """Leave out what stands before the first boundary, which is to be ignored (RFC 2046 section 5.1.1)."""
        if self._start is None:
            return data
        self._start += data
        at = 0 if self._start.startswith(self._delimiter) else self._start.find(b"\r\n" + self._delimiter)
        if at < 0:
            if len(self._start) > MOST_PREAMBLE_BYTES:
                raise ValidationException("The body does not begin with the boundary of its Content-Type.")
            return b""
        rest, self._start = self._start[at:], None
        return rest.removeprefix(b"\r\n")

    def _part_begin(self) -> None:
        self._headers = {}
        self._header_bytes = 0

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]
        self._count(end - start)

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        self._count(end - start)

    def _header_end(self) -> None:
        # The parser takes a line feed alone for a part of the value.
        if _CONTROL.search(self._name) or _CONTROL.search(self._value):
            raise ValidationException("The headers of a part must be lines without control characters.")
        self._headers[self._name.decode("latin-1").strip().lower()] = self._value.decode("latin-1").strip()
        self._name = self._value = b""

    def _count(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > MOST_HEADER_BYTES:
            raise ValidationException(f"The headers of a part have more than {MOST_HEADER_BYTES} bytes.")

    def _end(self) -> None:
        self._ended = True


def new_boundary() -> str:
    """Give a boundary that occurs in no content."""
    return os.urandom(16).hex()


def encode_parts(boundary: str, parts: Iterable[tuple[list[tuple[str, str]], Iterable[bytes]]]) -> Iterator[bytes]:
    """Write parts as they come.

    Parameters
    ----------
    boundary : str
        From `new_boundary`.
    parts : iterable of (headers, chunks)
        Headers and content of each.
    """
    for headers, chunks in parts:
        yield part_head(boundary, headers)
        yield from chunks
        yield b"\r\n"
    yield closing(boundary)


def part_head(boundary: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """Give what stands before the content of a part."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"--{boundary}\r\n{lines}\r\n".encode("latin-1")


def closing(boundary: str) -> bytes:
    """Give what stands after the last part."""
    return f"--{boundary}--\r\n".encode("latin-1")
