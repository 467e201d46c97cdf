"""Conditional and partial requests (RFC 9110 sections 13 and 14): entity tags and byte ranges.

If-None-Match: "tag"   ─▶ 304, nothing to send
Range: bytes=0-4095    ─▶ 206 and the bytes, so that a viewer shows a small image first
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from hounsfield.aws.protocol.errors import RangeNotSatisfiableException
from hounsfield.aws.protocol.response import WireResponse

_RANGE = re.compile(r"bytes\s*=\s*([0-9]{0,15})\s*-\s*([0-9]{0,15})\s*", re.ASCII)
_CACHE_CONTROL = "private, no-cache"
VARY = "Accept"
"""What the form of an answer depends on (RFC 9110 section 12.5.5)."""


def entity_tag(*what: str, in_parts: bool = False) -> str:
    """Return the entity tag of one form of a resource (RFC 9110 section 8.8.3).

    Parameters
    ----------
    *what : str
        What the resource is, which version, and in which form: whatever the answer depends on.
    in_parts : bool
        Whether the answer is in parts. The boundary between them is another one each time, so the tag is a weak one.
    """
    text = "-".join(what)
    return f'W/"{text}-parts"' if in_parts else f'"{text}"'


def tag_headers(tag: str, vary: str = VARY) -> list[tuple[str, str]]:
    """Return the headers that let a client, or a cache, keep an answer and ask whether it is still right.

    Parameters
    ----------
    tag : str
        From `entity_tag`.
    vary : str
        Headers of requests that the form depends on.
    """
    return [("ETag", tag), ("Cache-Control", _CACHE_CONTROL), ("Vary", vary)]


def unchanged(headers: Mapping[str, str], tag: str, vary: str = VARY) -> WireResponse | None:
    """Answer 304 when the client has what it asks for already, None otherwise.

    Parameters
    ----------
    headers : Mapping of str to str
        Of the request.
    tag : str
        Entity tag of what would be sent.
    vary : str
        See `tag_headers`.
    """
    given = headers.get("if-none-match")
    if given is None:
        return None
    known = {entry.strip().removeprefix("W/") for entry in given.split(",")}
    if "*" in known or tag.removeprefix("W/") in known:
        return WireResponse(304, tag_headers(tag, vary), b"")
    return None


@dataclass(frozen=True, slots=True)
class ByteRange:
    """The bytes from ``start`` up to but not including ``end``, of ``size``."""

    start: int
    end: int
    size: int

    @property
    def content_range(self) -> str:
        """Value of the header Content-Range."""
        return f"bytes {self.start}-{self.end - 1}/{self.size}"


def asked_range(headers: Mapping[str, str], size: int, tag: str) -> ByteRange | None:
    """Return the range a request asks for, None for all; several ranges in one request are answered whole.

    Parameters
    ----------
    headers : Mapping of str to str
        Of the request.
    size : int
        Length of the whole in bytes.
    tag : str
        Its entity tag; a range of another content (If-Range) is not given.

    Raises
    ------
    RangeNotSatisfiableException
        The range begins beyond the end.
    """
    given = headers.get("range")
    if given is None or headers.get("if-range", tag) != tag:
        return None
    found = _RANGE.fullmatch(given.strip())
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        start, end = max(0, size - int(found[2])), size
    else:
        start, end = int(found[1]), min(size, int(found[2]) + 1) if found[2] else size
        if found[2] and int(found[2]) < start:
            return None
    if start >= size or start >= end:
        raise RangeNotSatisfiableException(
            f"The range begins beyond the {size} bytes there are.", [("Content-Range", f"bytes */{size}")]
        )
    return ByteRange(start, end, size)
