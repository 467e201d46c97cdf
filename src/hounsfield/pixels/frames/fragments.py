"""Fragments of encapsulated pixel data, found by their item headers (PS3.5 section A.4).

    item(basic offset table) item(fragment) item(fragment) … sequence delimiter, or what some writers end with
                             │◀─ base: offset tables count from here

Only headers are read, never the fragments themselves.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass
from struct import unpack_from

from hounsfield.pixels.errors import FrameProblem, FramesError
from hounsfield.pixels.leniencies import PixelLeniency

_ITEM = 0xE000FFFE
_ITEM_DELIMITER = 0xE00DFFFE
_SEQUENCE_DELIMITER = 0xE0DDFFFE
_UNDEFINED = 0xFFFFFFFF
_READ_AHEAD = 1 << 16
_MAX_FRAGMENTS = 1 << 22
_MAX_TABLE_BYTES = _MAX_FRAGMENTS * 4
_MOST_ZEROS = 1 << 20
_SEQUENCE_END = b"\xfe\xff\xdd\xe0\0\0\0\0"


@dataclass(frozen=True, slots=True)
class Fragments:
    """Where the fragments of encapsulated pixel data lie.

    Attributes
    ----------
    offset_table : bytes | None
        Value of the basic offset table item, empty when it has none; None when it is too long to be one.
    base : int
        File offset of the first fragment's item header.
    starts, lengths : array of unsigned 64-bit integers
        File offset of the first byte of each fragment, and its size in bytes.
    irregular_end : PixelLeniency or None
        What stands where a sequence delimiter should.
    """

    offset_table: bytes | None
    base: int
    starts: array[int]
    lengths: array[int]
    irregular_end: PixelLeniency | None = None

    def __len__(self) -> int:
        return len(self.starts)


class _Headers:
    """Item headers, read together where they lie close to each other, and 8 bytes at a time where not."""

    __slots__ = ("_data", "_end", "_read", "_start")

    def __init__(self, read: Callable[[int, int], bytes], end: int) -> None:
        self._read = read
        self._end = end
        self._data = b""
        self._start = 0

    def at(self, offset: int, *, near: bool) -> tuple[int, int] | None:
        """Tag and length at an offset, None where the value ends."""
        if offset + 8 > self._end:
            return None
        index = offset - self._start
        if index < 0 or index + 8 > len(self._data):
            self._data = self._read(offset, min(_READ_AHEAD, self._end - offset) if near else 8)
            self._start = offset
            index = 0
            if len(self._data) < 8:
                return None
        tag, length = unpack_from("<LL", self._data, index)
        return tag, length


def scan_fragments(read: Callable[[int, int], bytes], value_offset: int, value_end: int) -> Fragments:
    """Find the fragments without reading them.

    Parameters
    ----------
    read : Callable[[int, int], bytes]
        Gives the bytes at an offset of the file: ``read(offset, size)``.
    value_offset, value_end : int
        Where the value of the pixel data element lies; a sequence delimiter may be inside, behind, or missing. Up to 1 MiB of
        zeros, or an item delimiter, may take its place.

    Raises
    ------
    FramesError
        The value is not a sequence of items, or an item reaches over its end.
    """
    headers = _Headers(read, value_end)
    first = headers.at(value_offset, near=False)
    if first is None or first[0] != _ITEM or first[1] == _UNDEFINED:
        raise _broken("the encapsulated pixel data does not begin with the item of a basic offset table")
    base = value_offset + 8 + first[1]
    if base > value_end:
        raise _broken("the basic offset table reaches over the end of the pixel data")
    table = read(value_offset + 8, first[1]) if first[1] <= _MAX_TABLE_BYTES else None
    starts, lengths = array("Q"), array("Q")
    position, near = base, False
    while (header := headers.at(position, near=near)) is not None and header[0] != _SEQUENCE_DELIMITER:
        tag, length = header
        if tag == _ITEM_DELIMITER and not length:
            return Fragments(table, base, starts, lengths, PixelLeniency.ITEM_DELIMITER)
        if not tag and _only_zeros(read, position, value_end):
            return Fragments(table, base, starts, lengths, PixelLeniency.ZEROS)
        if tag != _ITEM or length == _UNDEFINED:
            raise _broken(f"fragment {len(starts)} does not begin with an item header of defined length")
        if position + 8 + length > value_end:
            raise _broken(f"fragment {len(starts)} of {length} bytes reaches over the end of the pixel data")
        if len(starts) == _MAX_FRAGMENTS:
            raise _broken(f"the pixel data has more than {_MAX_FRAGMENTS} fragments")
        starts.append(position + 8)
        lengths.append(length)
        near = length < _READ_AHEAD // 4
        position += 8 + length
    return Fragments(table, base, starts, lengths, None if header is not None else _cut_end(read, position, value_end))


def _only_zeros(read: Callable[[int, int], bytes], position: int, value_end: int) -> bool:
    """Return whether nothing but zeros, and not too many, stand before the end of the value."""
    return value_end - position <= _MOST_ZEROS and not any(read(position, value_end - position))


def _cut_end(read: Callable[[int, int], bytes], position: int, value_end: int) -> PixelLeniency:
    """Return how a value ends that has no room for a delimiter behind its last fragment."""
    rest = read(position, value_end - position) if position < value_end else b""
    if _SEQUENCE_END.startswith(rest):
        return PixelLeniency.NO_DELIMITER
    if not any(rest):
        return PixelLeniency.ZEROS
    raise _broken(f"{len(rest)} bytes behind the last fragment are no item")


def _broken(message: str) -> FramesError:
    return FramesError(FrameProblem.EXTRACTION, message)
