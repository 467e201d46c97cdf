"""End of pixel data of undefined length, found without reading the pixels.

    offset                                                              end
    ▼                                                                   ▼
    item(offset table) item(fragment) item(fragment) … sequence delimiter
                       └─ length ─────▶ jump to the next header

Headers close to each other are read together, and a filled basic offset table gives a jump to the last frame, so that
a file of 100,000 fragments costs a handful of reads.
"""

from __future__ import annotations

from struct import Struct

from hounsfield.dicom.io.byte_source import ByteSource
from hounsfield.dicom.io.dataset_reader import delimiter_bytes
from hounsfield.dicom.values.elements import ITEM, ITEM_DELIMITER, SEQUENCE_DELIMITER, UNDEFINED_LENGTH
from hounsfield.dicom.values.errors import DicomError, tag_text

_READ_AHEAD = 1 << 20
_NEAR = 1 << 18
"""Fragments shorter than this are read over rather than jumped over: one read then covers several headers."""


class _Headers:
    """Item headers of a source, read ahead when they lie close together."""

    __slots__ = ("_data", "_start", "_unpack", "source")

    def __init__(self, source: ByteSource, *, little_endian: bool) -> None:
        self.source = source
        self._data = b""
        self._start = 0
        self._unpack = Struct("<HHL" if little_endian else ">HHL").unpack_from

    def at(self, offset: int, *, near: bool) -> tuple[int, int] | None:
        """Read the tag and length at an offset; None at the end of the source."""
        index = offset - self._start
        if index < 0 or index + 8 > len(self._data):
            self._data = self.source.read(offset, _READ_AHEAD if near else 8)
            self._start = offset
            index = 0
            if len(self._data) < 8:
                return None
        group, number, length = self._unpack(self._data, index)
        return group << 16 | number, length


def pixel_data_end(source: ByteSource, tag: int, offset: int, *, little_endian: bool, most: int) -> int:
    """Find the end of pixel data of undefined length (PS3.5 section A.4).

    Parameters
    ----------
    source : ByteSource
        The file.
    tag : int
        The pixel data element, for messages.
    offset : int
        Start of the value: the tag of the first item.
    little_endian : bool
        Byte order of the data set.
    most : int
        Number of fragments to step over at most.

    Returns
    -------
    int
        Offset behind the sequence delimiter, or behind the item delimiter that some writers end with. The end of the source
        when the delimiter is missing or when something else than an item stands between the fragments. Values that do not
        start with an item, native pixel data of undefined length, end at the first sequence delimiter.

    Raises
    ------
    DicomError
        When a fragment is longer than the rest of the source, or there are too many of them.
    """
    headers = _Headers(source, little_endian=little_endian)
    first = headers.at(offset, near=True)
    if first is None:
        return source.size
    if first[0] not in (ITEM, SEQUENCE_DELIMITER):
        return _search(source, offset, delimiter_bytes(little_endian=little_endian))
    position = _last_frame(headers, offset, first[1], little_endian=little_endian)
    return _walk(headers, tag, position, most)


def _walk(headers: _Headers, tag: int, position: int, most: int) -> int:
    """Step from item to item to the end of the pixel data."""
    source = headers.source
    near = True
    count = 0
    while (header := headers.at(position, near=near)) is not None:
        mark, length = header
        if mark == SEQUENCE_DELIMITER or (mark == ITEM_DELIMITER and not length):
            return position + 8
        if mark != ITEM or length == UNDEFINED_LENGTH:
            return source.size
        if position + 8 + length > source.size:
            raise DicomError(
                f"A fragment of {tag_text(tag)} at offset {position} has a length of {length} bytes, "
                "which leads beyond the end of the file; the file is truncated or the length is wrong"
            )
        count += 1
        if count > most:
            raise DicomError(f"Element {tag_text(tag)} has more than {most} fragments")
        near = length < _NEAR
        position += 8 + length
    return source.size


def _last_frame(headers: _Headers, offset: int, length: int, *, little_endian: bool) -> int:
    """Find the first fragment of the last frame by the basic offset table, or the first item when it says nothing."""
    if length < 8 or length % 4 or offset + 8 + length > headers.source.size:
        return offset
    entry = headers.source.read(offset + 8 + length - 4, 4)
    position = offset + 8 + length + int.from_bytes(entry, "little" if little_endian else "big")
    header = headers.at(position, near=False) if position < headers.source.size else None
    return position if header is not None and header[0] == ITEM else offset


def _search(source: ByteSource, offset: int, mark: bytes) -> int:
    """Search the first sequence delimiter with zero length."""
    position = offset
    wanted = mark + bytes(4)
    while data := source.read(position, _READ_AHEAD):
        found = data.find(wanted)
        if found >= 0:
            return position + found + 8
        if len(data) < len(wanted):
            break
        position += len(data) - len(wanted) + 1
    return source.size
