"""Reader of DICOM files (PS3.10): elements in memory, pixel data left where it is.

    preamble · meta (0002) · data set ──────┬─ pixel data ─┬── data set behind it
    └───────────── header, before ──────────┘   (skipped)  └── header, after ──┘

Many files are many gigabytes of pixels behind a few kilobytes of elements; only the latter are read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import itemgetter
from typing import Final, Literal

from hounsfield.dicom.io import ambiguous_vr
from hounsfield.dicom.io.byte_source import ByteSource, BytesSource
from hounsfield.dicom.io.byte_window import ByteWindow
from hounsfield.dicom.io.dataset_reader import DataSetReader, delimiter_bytes
from hounsfield.dicom.io.deflate import deflate, inflate
from hounsfield.dicom.io.element_writer import ElementWriter
from hounsfield.dicom.io.leniencies import Irregularities, Leniency
from hounsfield.dicom.io.limits import ReadLimits
from hounsfield.dicom.io.pixel_extent import pixel_data_end
from hounsfield.dicom.values.charsets import CharacterSet, character_set
from hounsfield.dicom.values.dictionary import ENTRIES
from hounsfield.dicom.values.elements import (
    DOUBLE_FLOAT_PIXEL_DATA,
    FLOAT_PIXEL_DATA,
    ITEM,
    SPECIFIC_CHARACTER_SET,
    UNDEFINED_LENGTH,
    Element,
    PixelData,
)
from hounsfield.dicom.values.errors import NO_ATTRIBUTES, NO_TRANSFER_SYNTAX, DicomDirectory, DicomError, tag_text
from hounsfield.dicom.values.scalars import first_integer, first_text
from hounsfield.dicom.values.warnings import ImportWarning

__all__ = [
    "ByteSource",
    "BytesSource",
    "DicomDirectory",
    "DicomError",
    "Element",
    "Part10",
    "PixelData",
    "ReadLimits",
    "read_part10",
]

IMPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2"
EXPLICIT_VR_BIG_ENDIAN: Final = "1.2.840.10008.1.2.2"
DEFLATED: Final = frozenset({"1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"})
"""Transfer syntaxes whose whole data set is deflated (PS3.5 sections A.5, A.4.7 and A.4.9)."""

_META = range(2, 3)
_META_LENGTH = 0x00020000
_TRANSFER_SYNTAX_UID = 0x00020010
_MEDIA_STORAGE_SOP_CLASS_UID = 0x00020002
_MEDIA_STORAGE_DIRECTORY = "1.2.840.10008.1.3.10"
_PREAMBLE = 132
_DELIMITER_BYTES = 8
_tag_of = itemgetter(0)


@dataclass(frozen=True, slots=True)
class Part10:
    """A DICOM file as a value.

    Attributes
    ----------
    meta : tuple of Element
        File meta information, group 0002.
    elements : tuple of Element
        Data set in file order, without the pixel data element and without command elements (group 0000).
    transfer_syntax : str
        Transfer Syntax UID (0002,0010) as the file names it.
    little_endian : bool
        Byte order of the data set.
    explicit_vr : bool
        How the data set is encoded; files that say one and do the other are told by their first element.
    pixel_data : PixelData or None
        Where the top-level pixel data stands.
    source : ByteSource
        What the offsets of `pixel_data` refer to: the file, or for deflated files the inflated data set.
    header : bytes
        The file without the value of the pixel data element, a DICOM file itself: the element stays, empty, and with
        undefined length where it had that. For deflated files it is deflated anew. A data set that was read although elements
        of it are not encoded as DICOM asks is written anew.
    cut : int
        Offset in `header` of the pixel data element; for deflated files the offset in the inflated data set. The length
        of the header (or data set) when there is no pixel data.
    data_set_start : int
        Offset in `header` behind the file meta information.
    emptied : bytes
        The pixel data element as it stands in `header`; empty when there is no pixel data.
    warnings : tuple of ImportWarning
        What was read although it is not encoded as DICOM asks.
    """

    meta: tuple[Element, ...]
    elements: tuple[Element, ...]
    transfer_syntax: str
    little_endian: bool
    explicit_vr: bool
    pixel_data: PixelData | None
    source: ByteSource
    header: bytes
    cut: int
    data_set_start: int
    emptied: bytes
    warnings: tuple[ImportWarning, ...] = ()
    _by_tag: dict[int, Element] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        every = (*self.meta, *self.elements)
        by_tag = dict(zip(map(_tag_of, every), every, strict=True))
        object.__setattr__(self, "_by_tag", by_tag)

    @property
    def character_set(self) -> CharacterSet:
        """Character set of the top level, from Specific Character Set (0008,0005)."""
        element = self._by_tag.get(SPECIFIC_CHARACTER_SET)
        return character_set(element.value if element is not None and isinstance(element.value, bytes) else b"")

    def element(self, tag: int) -> Element | None:
        """Find an element of the meta information or of the top level of the data set.

        Parameters
        ----------
        tag : int
            The element.

        Returns
        -------
        Element or None
            None when it is absent; the last one when it occurs more than once.
        """
        return self._by_tag.get(tag)

    def text(self, tag: int) -> str | None:
        """Read the first value of a text element.

        Parameters
        ----------
        tag : int
            The element.

        Returns
        -------
        str or None
            Decoded and stripped of padding; None when absent, empty or not of a text VR.
        """
        element = self._by_tag.get(tag)
        return None if element is None else first_text(element, self.character_set)

    def integer(self, tag: int) -> int | None:
        """Read the first value of a numeric element.

        Parameters
        ----------
        tag : int
            The element.

        Returns
        -------
        int or None
            Value of a US, SS, UL, SL, UV, SV, IS or DS element; None when absent, empty, malformed or not integral.
        """
        element = self._by_tag.get(tag)
        # File meta information is little endian whatever the data set is (PS3.10 section 7.1).
        little = self.little_endian or tag >> 16 == 2
        return None if element is None else first_integer(element, little_endian=little)


def header_with_offset_table(part10: Part10, table: bytes) -> bytes:
    """Return the header of a file whose pixel data element has its basic offset table (PS3.5 section A.4), and no fragments.

    Parameters
    ----------
    part10 : Part10
        The file; its pixel data must have undefined length, and its data set must not be deflated.
    table : bytes
        The value of the first item.
    """
    order: Literal["little", "big"] = "little" if part10.little_endian else "big"
    tag = b"".join(half.to_bytes(2, order) for half in (ITEM >> 16, ITEM & 0xFFFF))
    item = tag + len(table).to_bytes(4, order) + table
    end = part10.cut + len(part10.emptied)
    emptied = part10.emptied[:-_DELIMITER_BYTES] + item + part10.emptied[-_DELIMITER_BYTES:]
    return part10.header[: part10.cut] + emptied + part10.header[end:]


def read_part10(source: ByteSource, limits: ReadLimits = ReadLimits()) -> Part10:  # noqa: B008 - frozen value
    """Read a DICOM file up to its pixel data, and what follows the pixel data.

    Parameters
    ----------
    source : ByteSource
        The file, with or without preamble (PS3.10 section 7.1).
    limits : ReadLimits, optional
        Bounds on memory and time.

    Returns
    -------
    Part10
        Elements in memory; pixel data by offset.

    Raises
    ------
    DicomDirectory
        When the file is a DICOMDIR.
    DicomError
        When the file is not DICOM, has no transfer syntax, is truncated or damaged, or exceeds the limits.
    """
    window = ByteWindow(source, 0, limits.data_set_bytes)
    start = _PREAMBLE if window.read_to(_PREAMBLE) and window.data[128:132] == b"DICM" else 0
    if not start and not _starts_like_dicom(window):
        raise DicomError(NO_ATTRIBUTES)
    irregularities = Irregularities(limits.elements)
    meta, position = _read_meta(DataSetReader(window, limits, little_endian=True), start, irregularities)
    syntax = _meta_text(meta, _TRANSFER_SYNTAX_UID)
    if not meta and position >= source.size:
        raise DicomError(NO_ATTRIBUTES)
    if not syntax:
        raise DicomError(NO_TRANSFER_SYNTAX)
    if _meta_text(meta, _MEDIA_STORAGE_SOP_CLASS_UID) == _MEDIA_STORAGE_DIRECTORY:
        raise DicomDirectory("The file is a DICOMDIR, the index of a medium, not an instance")
    if syntax in DEFLATED:
        inflated = BytesSource(inflate(source, position, limits.inflated_bytes))
        body = _read_body(ByteWindow(inflated, 0, limits.data_set_bytes), 0, syntax, limits, irregularities)
        header = window.data[:position] + deflate(body.before + body.emptied + body.after)
        return body.part10(meta, syntax, header, position, irregularities.warnings())
    body = _read_body(window, position, syntax, limits, irregularities)
    header = body.before + body.emptied + body.after
    return body.part10(meta, syntax, header, position, irregularities.warnings())


def _read_meta(reader: DataSetReader, start: int, irregularities: Irregularities) -> tuple[list[Element], int]:
    """Read the file meta information: what its group length says, or all of its group where that is wrong or absent.

    Some files have another Transfer Syntax UID in the data set, which is not the one that the data set is encoded in.
    """
    first, position = reader.read_top_level(start, explicit=True, groups=_META, end=start + 1)
    length = first[0].value if first and first[0].tag == _META_LENGTH else b""
    if not isinstance(length, bytes) or len(length) != 4:
        rest, position = reader.read_top_level(position, explicit=True, groups=_META)
        return first + rest, position
    end = position + int.from_bytes(length, "little")
    meta, position = reader.read_top_level(position, explicit=True, groups=_META, end=end)
    if position == end and _meta_text(meta, _TRANSFER_SYNTAX_UID):
        return first + meta, position
    irregularities.note(Leniency.FILE_META_LENGTH, _META_LENGTH)
    rest, position = reader.read_top_level(position, explicit=True, groups=_META)
    return first + meta + rest, position


@dataclass(frozen=True, slots=True)
class _Body:
    """A data set as read: its elements, the bytes around the pixel data, and the pixel data element without its value."""

    elements: tuple[Element, ...]
    little_endian: bool
    explicit_vr: bool
    pixel_data: PixelData | None
    source: ByteSource
    before: bytes
    emptied: bytes
    after: bytes

    def part10(
        self, meta: list[Element], syntax: str, header: bytes, start: int, warnings: tuple[ImportWarning, ...]
    ) -> Part10:
        return Part10(
            tuple(meta),
            self.elements,
            syntax,
            self.little_endian,
            self.explicit_vr,
            self.pixel_data,
            self.source,
            header,
            len(self.before),
            start,
            self.emptied,
            warnings,
        )


def _read_body(
    window: ByteWindow, position: int, syntax: str, limits: ReadLimits, irregularities: Irregularities
) -> _Body:
    """Read the data set that starts in a window, and what follows its pixel data."""
    little = syntax != EXPLICIT_VR_BIG_ENDIAN
    commands = DataSetReader(window, limits, little_endian=True)
    _, position = commands.read_top_level(position, explicit=False, groups=range(1))
    if window.remaining(position) <= 0:
        raise DicomError(NO_ATTRIBUTES)
    reader = DataSetReader(window, limits, little_endian=little, irregularities=irregularities)
    position = reader.skip_stray_delimiters(position)
    explicit = syntax != IMPLICIT_VR_LITTLE_ENDIAN
    if window.read_to(position + 8):
        explicit = reader.begins_explicit(position)
    if explicit != (syntax != IMPLICIT_VR_LITTLE_ENDIAN):
        irregularities.note(Leniency.OTHER_ENCODING, _TRANSFER_SYNTAX_UID)
    start = position
    elements, position = reader.read_top_level(position, explicit=explicit)
    count = len(elements)
    pixel_data = None
    emptied = after = b""
    if window.remaining(position) > 0:
        pixel_data = _pixel_data(reader, position, explicit=explicit)
        emptied = _emptied(window, position, pixel_data, little_endian=little)
        rest, after = _read_rest(reader, pixel_data.end, position, explicit=explicit)
        elements += rest
    if reader.ambiguous:
        elements = list(ambiguous_vr.decide_vr(elements, "little" if little else "big"))
    before = window.data[:position]
    if irregularities.are_in_data_set:
        # Without the pixel data the header might not be read as the file was, which had to be guessed at.
        writer = ElementWriter(little_endian=little, explicit_vr=explicit)
        before, after = window.data[:start] + writer.write(elements[:count]), writer.write(elements[count:])
    return _Body(tuple(elements), little, explicit, pixel_data, window.source, before, emptied, after)


def _emptied(window: ByteWindow, position: int, pixel_data: PixelData, *, little_endian: bool) -> bytes:
    """Return the header of the pixel data element with no value behind it; its length is the last four bytes of it."""
    head = window.data[position : position + pixel_data.offset - pixel_data.start]
    if pixel_data.length is None:
        return head + delimiter_bytes(little_endian=little_endian) + bytes(4)
    return head[:-4] + bytes(4)


def _read_rest(reader: DataSetReader, offset: int, held: int, *, explicit: bool) -> tuple[list[Element], bytes]:
    """Read the elements behind the pixel data; the limits count what was read before it."""
    window = ByteWindow(reader.window.source, offset, max(reader.limits.data_set_bytes - held, 0))
    rest = DataSetReader(
        window, reader.limits, little_endian=reader.little_endian, irregularities=reader.irregularities
    )
    rest.count = reader.count
    elements, position = rest.read_top_level(0, explicit=explicit)
    if window.remaining(position) > 0:
        raise DicomError(f"The data set has a second pixel data element at offset {offset + position}")
    reader.ambiguous = reader.ambiguous or rest.ambiguous
    return elements, window.data


def _pixel_data(reader: DataSetReader, position: int, *, explicit: bool) -> PixelData:
    """Find the extent of the pixel data element that starts at a position of the reader's window."""
    window = reader.window
    tag, vr, length, value = reader.read_header(position, explicit=explicit)
    if vr not in ("OB", "OW", "OF", "OD"):
        native = {FLOAT_PIXEL_DATA: "OF", DOUBLE_FLOAT_PIXEL_DATA: "OD"}.get(tag, "OW")
        vr = "OB" if length == UNDEFINED_LENGTH else native
    start, offset = window.base + position, window.base + value
    if length == UNDEFINED_LENGTH:
        end = pixel_data_end(
            window.source, tag, offset, little_endian=reader.little_endian, most=reader.limits.fragments
        )
        return PixelData(tag, vr, offset, None, end, start)
    if offset + length > window.source.size:
        raise DicomError(
            f"Element {tag_text(tag)} at offset {start} has a length of {length} bytes, but the file ends after "
            f"{window.source.size - offset} of them; the file is truncated"
        )
    return PixelData(tag, vr, offset, length, offset + length, start)


def _meta_text(meta: list[Element], tag: int) -> str:
    """Read a UID of the file meta information."""
    value = next((element.value for element in reversed(meta) if element.tag == tag), b"")
    return value.decode("latin-1").strip(" \0") if isinstance(value, bytes) else ""


def _starts_like_dicom(window: ByteWindow) -> bool:
    """Return whether a file without preamble starts with an element that the dictionary knows and that fits in it."""
    if not window.read_to(8):
        return False
    for little_endian in (True, False):
        reader = DataSetReader(window, ReadLimits(), little_endian=little_endian)
        tag, vr, length, value = reader.read_header(0, explicit=True)
        low_group = 2 <= tag >> 16 <= 0x0010 and (tag in ENTRIES or not tag & 0xFFFF)
        if low_group and length <= window.remaining(value) and (vr or little_endian):
            return True
    return False
