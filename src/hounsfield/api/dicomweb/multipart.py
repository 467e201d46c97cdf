"""Multipart bodies (RFC 2046 section 5.1, PS3.18 section 8.6): read as they arrive, written as they go out.

bytes ─▶ PartParser.feed ─▶ PartBegin · PartData · PartEnd …
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from hounsfield.aws.protocol.errors import ValidationException

MOST_HEADER_BYTES = 16 * 1024
MOST_PREAMBLE_BYTES = 64 * 1024
MOST_PADDING_BYTES = 1024
LONGEST_BOUNDARY = 200

_BOUNDARY = re.compile(rf"[\x20-\x7e]{{0,{LONGEST_BOUNDARY - 1}}}[\x21-\x7e]")
_FOLD = re.compile(rb"\r\n[ \t]+")
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


class _Line(Enum):
    """What a line is that begins with the boundary."""

    BETWEEN = "a boundary"
    LAST = "the last boundary"
    CONTENT = "content"


class _DelimiterEnd(NamedTuple):
    """Where a delimiter ends: before the end of its line, or after the hyphens of the last one."""

    kind: _Line
    at: int


class PartParser:
    """Reads a multipart body as it arrives.

    What stands before the first boundary and after the last one is ignored (RFC 2046 section 5.1.1), and so are blanks
    behind a boundary. A line that only begins like a boundary belongs to the content. Headers may be folded
    (RFC 5322 section 2.2.3).

    Parameters
    ----------
    boundary : str or None
        From the Content-Type of the body. RFC 2046 allows 70 characters; some clients send more.

    Raises
    ------
    ValidationException
        The boundary is not one.
    """

    def __init__(self, boundary: str | None) -> None:
        if boundary is None or not _BOUNDARY.fullmatch(boundary):
            raise ValidationException(
                f"Content-Type multipart/related must have the parameter boundary of 1 to {LONGEST_BOUNDARY} characters "
                "(RFC 2046)."
            )
        self._delimiter = b"\r\n--" + boundary.encode("ascii")
        # The first boundary may stand at the very beginning, as after the end of a line.
        self._buffer = b"\r\n"
        self._skipped = 0
        self._events: list[PartEvent] = []
        self._read: Callable[[], bool] = self._read_preamble

    def feed(self, data: bytes) -> list[PartEvent]:
        """Take the next bytes; give what they complete.

        Raises
        ------
        ValidationException
            The body is not multipart, or not with this boundary.
        """
        self._buffer = self._buffer + data if self._buffer else data
        self._events = []
        while self._read():
            pass
        return self._events

    def finish(self) -> None:
        """Say that the body is complete.

        Raises
        ------
        ValidationException
            It ends before its last boundary.
        """
        if self._read != self._read_epilogue:
            raise ValidationException("The body ends before its closing boundary, or does not have it at all.")

    def _read_preamble(self) -> bool:
        at = self._buffer.find(self._delimiter)
        if at < 0:
            kept = len(self._delimiter) - 1
            self._skipped += max(0, len(self._buffer) - kept)
            if self._skipped > MOST_PREAMBLE_BYTES:
                raise ValidationException("The body does not begin with the boundary of its Content-Type.")
            self._buffer = self._buffer[-kept:]
            return False
        found = self._delimiter_end(at)
        if found is None:
            return False
        if found.kind is _Line.CONTENT:
            raise ValidationException(
                "The body is not multipart with the boundary of its Content-Type: after a boundary must come CRLF, "
                "headers, an empty line, and the content."
            )
        self._go_on_after(found)
        return True

    def _read_headers(self) -> bool:
        # The end of the line of the boundary is still there, so that no headers are an empty line, too.
        end = self._buffer.find(b"\r\n\r\n")
        if (end if end >= 0 else len(self._buffer)) > MOST_HEADER_BYTES:
            raise ValidationException(f"The headers of a part have more than {MOST_HEADER_BYTES} bytes.")
        if end < 0:
            return False
        self._events.append(PartBegin(_headers(self._buffer[2:end])))
        self._buffer = self._buffer[end + 4 :]
        self._read = self._read_content
        return True

    def _read_content(self) -> bool:
        buffer, start = self._buffer, 0
        found: _DelimiterEnd | None = None
        while (at := buffer.find(self._delimiter, start)) >= 0:
            found = self._delimiter_end(at)
            if found is None or found.kind is not _Line.CONTENT:
                break
            start = at + len(self._delimiter)
        else:
            found = None
            at = self._possible_delimiter(max(start, len(buffer) - len(self._delimiter) + 1))
        if at > 0:
            self._events.append(PartData(buffer[:at]))
        if found is None:
            self._buffer = buffer[at:]
            return False
        self._events.append(PartEnd())
        self._go_on_after(found)
        return True

    def _read_epilogue(self) -> bool:
        self._buffer = b""
        return False

    def _possible_delimiter(self, at: int) -> int:
        """Return where a delimiter may begin that is not whole yet; the end of the buffer when nowhere."""
        while (at := self._buffer.find(b"\r", at)) >= 0:
            if self._delimiter.startswith(self._buffer[at:]):
                return at
            at += 1
        return len(self._buffer)

    def _delimiter_end(self, at: int) -> _DelimiterEnd | None:
        """Return where a delimiter ends, or that the line is content all the same; None while that cannot be told."""
        at += len(self._delimiter)
        following = self._buffer[at : at + MOST_PADDING_BYTES]
        if following.startswith(b"--"):
            return _DelimiterEnd(_Line.LAST, at + 2)
        rest = following.lstrip(b" \t")
        if rest.startswith(b"\r\n"):
            return _DelimiterEnd(_Line.BETWEEN, at + len(following) - len(rest))
        if (rest in (b"", b"\r") and len(following) < MOST_PADDING_BYTES) or following == b"-":
            return None
        return _DelimiterEnd(_Line.CONTENT, at)

    def _go_on_after(self, found: _DelimiterEnd) -> None:
        self._read = self._read_epilogue if found.kind is _Line.LAST else self._read_headers
        self._buffer = self._buffer[found.at :]


def _headers(block: bytes) -> dict[str, str]:
    """Read the headers of a part, names in lower case; of several of a name the last counts.

    Raises
    ------
    ValidationException
        A line has no name, or control characters.
    """
    headers: dict[str, str] = {}
    for line in _FOLD.sub(b" ", block).split(b"\r\n") if block else ():
        name, colon, value = line.partition(b":")
        if _CONTROL.search(line):
            raise ValidationException("The headers of a part must be lines without control characters.")
        if not colon or not name.strip() or name[:1].isspace():
            raise ValidationException("The headers of a part must be lines of a name, ':' and a value.")
        headers[name.decode("latin-1").strip().lower()] = value.decode("latin-1").strip()
    return headers


def new_boundary() -> str:
    """Return a boundary that occurs in no content."""
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
    """Return what stands before the content of a part."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"--{boundary}\r\n{lines}\r\n".encode("latin-1")


def closing(boundary: str) -> bytes:
    """Return what stands after the last part."""
    return f"--{boundary}--\r\n".encode("latin-1")
