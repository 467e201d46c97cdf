"""The pixel data element of a file that is written, and what the elements around it must say of it.

    stored records ─┬─ native       decoded, one long value             ─┐
                    ├─ as stored    items of the stored frames           ├─▶ PixelElement: size, chunks, changed elements
                    ├─ encoded      items of frames encoded on the way   │
                    └─ object       what was kept as one, as it came    ─┘

Chunks are made as they are asked for: memory holds a few frames, however many there are.
"""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from hounsfield.dicom.io.byte_order import swap_bytes
from hounsfield.dicom.io.dataset_writer import SEQUENCE_END, element_header, item_header
from hounsfield.dicom.io.part10 import Part10
from hounsfield.dicom.values.elements import (
    DOUBLE_FLOAT_PIXEL_DATA,
    FLOAT_PIXEL_DATA,
    PIXEL_DATA,
    UNDEFINED_LENGTH,
    Element,
)
from hounsfield.imaging.pixel_description import (
    BITS_ALLOCATED,
    BITS_STORED,
    EXTENDED_OFFSET_TABLE,
    EXTENDED_OFFSET_TABLE_LENGTHS,
    PHOTOMETRIC_INTERPRETATION,
    PIXEL_REPRESENTATION,
    PLANAR_CONFIGURATION,
)
from hounsfield.imaging.retrieve.pixel_reader import StoredPixels
from hounsfield.pixels.format import PixelFormat
from hounsfield.pixels.frames.encapsulate import OffsetTables, encapsulated_size, offset_tables, padded_size
from hounsfield.pixels.frames.frames import fragments_of
from hounsfield.pixels.frames.native_value import join_frames, native_bits
from hounsfield.pixels.transfer_syntaxes import EXPLICIT_VR_BIG_ENDIAN, NATIVE

_LONGEST_VALUE: Final = 0xFFFFFFFE
_TOTAL_LENGTH: Final = 0x7FE00003
_LOSSY: Final = 0x00282110
_CERTAINLY_LOSSY: Final = frozenset({"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"})
_HELD_BYTES: Final = 32 << 20
"""Encoded frames that are held to tell their sizes in an offset table before they are written."""


@dataclass(frozen=True, slots=True)
class PixelElement:
    """A pixel data element to be written.

    Attributes
    ----------
    tag : int
        (7FE0,0010), (7FE0,0008) or (7FE0,0009).
    size : int or None
        Bytes of the whole element, None where it is not known beforehand.
    chunks : Iterator of bytes
        The element, from its tag to its end.
    changed : Mapping of int to Element or None
        Elements that the data set must have with it, and those it must not have (None).
    """

    tag: int
    size: int | None
    chunks: Iterator[bytes]
    changed: Mapping[int, Element | None] = field(default_factory=dict)


NO_OFFSETS: Final[Mapping[int, Element | None]] = {
    EXTENDED_OFFSET_TABLE: None,
    EXTENDED_OFFSET_TABLE_LENGTHS: None,
    _TOTAL_LENGTH: None,
}


def native_element(
    original: Part10, format_: PixelFormat, frames: Iterable[bytes], interpretation: str
) -> PixelElement:
    """Write decoded frames.

    Parameters
    ----------
    original : Part10
        The data set that came in.
    format_ : PixelFormat
        Its description of the pixel data.
    frames : Iterable of bytes
        Each beginning at a byte, as `hounsfield.pixels.frames.native_value.native_frame` writes them.
    interpretation : str
        What their samples mean.
    """
    bits = native_bits(format_)
    size = (bits * format_.frame_count + 7) // 8
    vr = "OB" if original.pixel_data is None else original.pixel_data.vr
    if format_.bits_allocated > 8:
        vr = "OW"
    head = element_header(PIXEL_DATA, vr, padded_size(size))
    chunks = itertools.chain((head,), join_frames(frames, bits), (bytes(size % 2),))
    changed = {**NO_OFFSETS, **_described(original, format_, interpretation)}
    if format_.bits_allocated == 12:
        changed[BITS_ALLOCATED] = _us(BITS_ALLOCATED, 16)
    return PixelElement(PIXEL_DATA, len(head) + padded_size(size), chunks, changed)


def fits_native(format_: PixelFormat) -> bool:
    """Return whether a native value can have all the frames: its length has 32 bits."""
    return (native_bits(format_) * format_.frame_count + 7) // 8 <= _LONGEST_VALUE


def frames_element(pixels: StoredPixels, changed: Mapping[int, Element | None]) -> PixelElement:
    """Write stored frames as they are, with an offset table."""
    sizes = pixels.sizes
    tables = offset_tables(sizes)
    extended = _extended(tables)
    head = _encapsulated_head() + item_header(len(tables.basic)) + tables.basic
    items = (piece for frame in pixels.read() for piece in _item(frame))
    size = len(_encapsulated_head()) + encapsulated_size(tables, sizes) + len(SEQUENCE_END)
    chunks = itertools.chain((head,), items, (SEQUENCE_END,))
    return PixelElement(PIXEL_DATA, size, chunks, {**NO_OFFSETS, **changed, **extended})


def encoded_element(frames: Iterator[bytes], changed: Mapping[int, Element | None]) -> PixelElement:
    """Write frames that are encoded on the way, with an offset table when they are few enough to be held for it."""
    held: list[bytes] = []
    size = 0
    for frame in frames:
        held.append(frame)
        size += len(frame)
        if size > _HELD_BYTES:
            # An empty offset table is allowed, and more frames may be to come than memory should hold.
            chunks = itertools.chain(
                (_encapsulated_head(), item_header(0)),
                (piece for one in itertools.chain(held, frames) for piece in _item(one)),
                (SEQUENCE_END,),
            )
            return PixelElement(PIXEL_DATA, None, chunks, {**NO_OFFSETS, **changed})
    sizes = array("L", (len(frame) for frame in held))
    tables = offset_tables(sizes)
    head = _encapsulated_head() + item_header(len(tables.basic)) + tables.basic
    pieces = itertools.chain((head,), (piece for one in held for piece in _item(one)), (SEQUENCE_END,))
    size = len(_encapsulated_head()) + encapsulated_size(tables, sizes) + len(SEQUENCE_END)
    return PixelElement(PIXEL_DATA, size, pieces, {**NO_OFFSETS, **changed})


def object_element(original: Part10, pixels: StoredPixels) -> PixelElement:
    """Write pixel data that was kept as one object the way it came: table and fragments, or one native value.

    Fragments of odd length, which there must not be, are padded; then no offset table is true any more, and none is written.
    """
    sizes = pixels.sizes
    if not is_encapsulated_object(original):
        return _native_object(original, sizes, pixels.read())
    fragments = fragments_of(sizes)
    chunks = pixels.read()
    if len(fragments) == 1 and sizes[0] >= 8:
        first = next(chunks)
        chunks = itertools.chain((first,), chunks)
        if first.startswith(item_header(0)[:4]):
            return _broken_items(sum(sizes), chunks)
    lengths = array("L", (sum(sizes[index] for index in some) for some in fragments))
    padded = any(length % 2 for length in lengths)
    table = b"" if padded else _offset_table(original)
    head = _encapsulated_head() + item_header(len(table)) + table
    size = len(_encapsulated_head()) + encapsulated_size(OffsetTables(table), lengths) + len(SEQUENCE_END)
    items = _fragments(fragments, lengths, chunks)
    changed = NO_OFFSETS if padded else {}
    return PixelElement(PIXEL_DATA, size, itertools.chain((head,), items, (SEQUENCE_END,)), changed)


def _offset_table(original: Part10) -> bytes:
    """Return the basic offset table that is kept in the pixel data element of the data set, empty where it has none."""
    pixel_data = original.pixel_data
    if pixel_data is None or pixel_data.length is not None:
        return b""
    head = original.source.read(pixel_data.offset, 8)
    if head[:4] != item_header(0)[:4]:
        return b""
    return original.source.read(pixel_data.offset + 8, int.from_bytes(head[4:8], "little"))


def is_encapsulated_object(original: Part10) -> bool:
    """Return whether pixel data came encapsulated; the empty element in the kept data set tells."""
    if original.pixel_data is not None:
        return original.pixel_data.length is None
    # Data sets kept by earlier versions have no such element; the transfer syntax tells of all but unknown ones.
    return original.transfer_syntax not in NATIVE


def float_tag(original: Part10) -> int:
    """Return which pixel data element a data set has; floating point ones have no Bits Stored (PS3.3 C.7.6.24, C.7.6.25)."""
    if original.pixel_data is not None:
        return original.pixel_data.tag
    described = original.integer(BITS_STORED) is not None or original.integer(PIXEL_REPRESENTATION) is not None
    by_bits = {32: FLOAT_PIXEL_DATA, 64: DOUBLE_FLOAT_PIXEL_DATA}
    return PIXEL_DATA if described else by_bits.get(original.integer(BITS_ALLOCATED) or 0, PIXEL_DATA)


def encoded_changes(original: Part10, format_: PixelFormat, interpretation: str) -> dict[int, Element | None]:
    """Say what a data set must tell of losslessly encoded frames (PS3.5 sections 8.2.4 and 8.2.14)."""
    changed = _described(original, format_, interpretation)
    if format_.samples_per_pixel > 1:
        changed[PLANAR_CONFIGURATION] = _us(PLANAR_CONFIGURATION, 0)
    width = format_.dtype.itemsize * 8
    if width != format_.bits_allocated:
        changed[BITS_ALLOCATED] = _us(BITS_ALLOCATED, width)
    return changed


def native_object_bytes(original: Part10, chunk: bytes) -> bytes:
    """Return a chunk of native pixel data that was kept as one object, in little endian order."""
    if original.transfer_syntax != EXPLICIT_VR_BIG_ENDIAN:
        return chunk
    bits = original.integer(BITS_ALLOCATED) or 16
    vr = original.pixel_data.vr if original.pixel_data is not None else "OW"
    if vr == "OB" or (bits == 8 and vr != "OW"):
        return chunk
    return swap_bytes({32: "OF", 64: "OD"}.get(bits, "OW"), chunk)


def _native_object(original: Part10, sizes: array[int], chunks: Iterator[bytes]) -> PixelElement:
    tag = float_tag(original)
    size = sum(sizes)
    vr = {FLOAT_PIXEL_DATA: "OF", DOUBLE_FLOAT_PIXEL_DATA: "OD"}.get(tag, "OW")
    if tag == PIXEL_DATA and original.pixel_data is not None:
        vr = original.pixel_data.vr
    head = element_header(tag, vr, padded_size(size))
    value = (native_object_bytes(original, chunk) for chunk in chunks)
    return PixelElement(tag, len(head) + padded_size(size), itertools.chain((head,), value, (bytes(size % 2),)))


def _broken_items(size: int, chunks: Iterator[bytes]) -> PixelElement:
    """Write a value that looked like items but was none, as it lay in the file; it may have had a delimiter or not."""
    head = _encapsulated_head()

    def all_of_it() -> Iterator[bytes]:
        tail = b""
        yield head
        for chunk in chunks:
            yield chunk
            tail = (tail + chunk)[-len(SEQUENCE_END) :]
        if tail != SEQUENCE_END:
            yield bytes(size % 2) + SEQUENCE_END

    return PixelElement(PIXEL_DATA, None, all_of_it())


def _fragments(fragments: list[range], lengths: array[int], chunks: Iterator[bytes]) -> Iterator[bytes]:
    for some, length in zip(fragments, lengths, strict=True):
        yield item_header(padded_size(length))
        yield from itertools.islice(chunks, len(some))
        if length % 2:
            yield b"\0"


def _item(frame: bytes) -> tuple[bytes, ...]:
    head = item_header(padded_size(len(frame)))
    return (head, frame, b"\0") if len(frame) % 2 else (head, frame)


def _encapsulated_head() -> bytes:
    return element_header(PIXEL_DATA, "OB", UNDEFINED_LENGTH)


def _extended(tables: OffsetTables) -> dict[int, Element | None]:
    if tables.extended is None or tables.lengths is None:
        return {}
    return {
        EXTENDED_OFFSET_TABLE: Element(EXTENDED_OFFSET_TABLE, "OV", tables.extended),
        EXTENDED_OFFSET_TABLE_LENGTHS: Element(EXTENDED_OFFSET_TABLE_LENGTHS, "OV", tables.lengths),
    }


def _described(original: Part10, format_: PixelFormat, interpretation: str) -> dict[int, Element | None]:
    """Name what changed about the colour, and that samples went through a lossy compression once."""
    changed: dict[int, Element | None] = {}
    if interpretation != format_.photometric_interpretation:
        changed[PHOTOMETRIC_INTERPRETATION] = Element(PHOTOMETRIC_INTERPRETATION, "CS", interpretation.encode())
    if original.transfer_syntax in _CERTAINLY_LOSSY and original.text(_LOSSY) != "01":
        changed[_LOSSY] = Element(_LOSSY, "CS", b"01")
    return changed


def _us(tag: int, value: int) -> Element:
    return Element(tag, "US", value.to_bytes(2, "little"))
