"""File templates: a file that was read before, against which similar files are compared by their bytes.

    template:  │ a │ b c d │ e │ f g │      stretches that all files had in common so far, and elements that they had not
    now:       │ a'│ b c d │ e'│ f g │      one comparison finds a stretch as it was; only a' and e' are read

The slices of a series differ in a dozen of their hundreds of elements. At first a template is one stretch; every element that
is another one in a later file ends it there. What is not like the template at all is left to those who read files whole.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from struct import Struct
from threading import Lock
from typing import Final, NamedTuple

from hounsfield.dicom.io import ambiguous_vr
from hounsfield.dicom.io.byte_source import BytesSource
from hounsfield.dicom.io.byte_window import ByteWindow
from hounsfield.dicom.io.dataset_reader import DataSetReader
from hounsfield.dicom.io.fast_reader import VRS
from hounsfield.dicom.io.limits import ReadLimits
from hounsfield.dicom.io.part10 import DEFLATED, Part10
from hounsfield.dicom.io.private_creators import PrivateCreators
from hounsfield.dicom.values.dictionary import is_private_creator
from hounsfield.dicom.values.elements import PIXEL_TAGS, SPECIFIC_CHARACTER_SET, Element
from hounsfield.dicom.values.errors import DicomError

META_GROUP: Final = 0x0002
_PREAMBLE: Final = 132
_END: Final = 0xFFFFFFFF
"""Stands for the tag of what fills a file up at its end."""
_UNDEFINED: Final = 0xFFFFFFFF
_TRANSFER_SYNTAX_UID, _PIXEL_REPRESENTATION, _LUT_DESCRIPTOR = 0x00020010, 0x00280103, 0x00283002
_DECISIVE: Final = (
    frozenset({_TRANSFER_SYNTAX_UID, SPECIFIC_CHARACTER_SET, _PIXEL_REPRESENTATION, _LUT_DESCRIPTOR, _END}) | PIXEL_TAGS
)
"""Elements that say how others are read."""

_SHORT, _LONG, _IMPLICIT = Struct("<6xH"), Struct("<8xL"), Struct("<4xL")
"""Headers of elements, of which only the length is read: of VRs with a 16-bit length, of all others, of implicit VR."""


class TemplatePiece(NamedTuple):
    """An element of the template: its bytes in the file, the element, and what is written for it."""

    content: bytes
    element: Element
    text: bytes = b""


@dataclass(slots=True)
class PieceRun:
    """Pieces that all files had in common, and the one behind them that differed.

    Attributes
    ----------
    pieces : Sequence of TemplatePiece
        In the order of the file.
    varying : TemplatePiece or None
        The one behind them; None at the end of the file.
    content, text : bytes
        Those of the pieces together, texts with commas between.
    """

    pieces: Sequence[TemplatePiece]
    varying: TemplatePiece | None = None
    content: bytes = field(init=False)
    text: bytes = field(init=False)

    def __post_init__(self) -> None:
        self.content = b"".join(piece.content for piece in self.pieces)
        self.text = b",".join(filter(None, (piece.text for piece in self.pieces)))


class FileTemplate:
    """Compares files with one that was read; for several threads.

    Parameters
    ----------
    part10 : Part10
        The file.
    pieces : Iterable of TemplatePiece
        Its pieces, in order; those without bytes may stand between them.
    decisive : Collection of int
        Elements of which files that are alike must have the same, beside those that say how others are read.

    Attributes
    ----------
    stretches : list of PieceRun
        What all files had in common so far.
    """

    def __init__(self, part10: Part10, pieces: Iterable[TemplatePiece], decisive: Collection[int] = ()) -> None:
        self.stretches = [PieceRun(tuple(pieces))]
        self._decisive = _DECISIVE | frozenset(decisive)
        self._explicit = part10.explicit_vr
        self._creators = PrivateCreators(list(part10.elements))
        self._headers: dict[int, tuple[bytes, Struct | None]] = {}
        self._lock = Lock()

    def differing(self, data: bytes) -> list[Element] | None:
        """Find the elements of a file at the places where files differed so far.

        Parameters
        ----------
        data : bytes
            The file, without the value of its pixel data.

        Returns
        -------
        list of Element or None
            One for each stretch but the last; None where the file is not like the template.
        """
        with self._lock:
            return self._differing(data)

    def _differing(self, data: bytes) -> list[Element] | None:
        found: list[Element] = []
        position = number = 0
        while number < len(self.stretches):
            stretch = self.stretches[number]
            if not data.startswith(stretch.content, position):
                if not self._divide(number, data, position):
                    return None
                continue
            position += len(stretch.content)
            number += 1
            if stretch.varying is not None:
                read = self._read(stretch.varying, data, position)
                if read is None:
                    return None
                found.append(read[0])
                position = read[1]
        return found if position == len(data) else None

    def _divide(self, number: int, data: bytes, position: int) -> bool:
        """Divide a stretch at the element that differs; False where that cannot be."""
        stretch = self.stretches[number]
        same = 0
        for piece in stretch.pieces:
            if not data.startswith(piece.content, position):
                break
            position += len(piece.content)
            same += 1
        if same == len(stretch.pieces):
            return False
        differs = stretch.pieces[same]
        tag = differs.element.tag
        if tag in self._decisive or is_private_creator(tag) or self._read(differs, data, position) is None:
            return False
        before, behind = stretch.pieces[:same], stretch.pieces[same + 1 :]
        self.stretches[number : number + 1] = [PieceRun(before, differs), PieceRun(behind, stretch.varying)]
        return True

    def _read(self, piece: TemplatePiece, data: bytes, position: int) -> tuple[Element, int] | None:
        """Read an element that differs from that of the template, and where it ends; None where it is another one."""
        tag, vr, _ = piece.element
        begins, header = self._header(piece)
        if not data.startswith(begins, position):
            return None
        if header is None:
            return self._read_whole(data, position, tag)
        value = position + header.size
        if value > len(data):
            return None
        length = header.unpack_from(data, position)[0]
        end = value + length
        return None if length == _UNDEFINED or end > len(data) else (Element(tag, vr, data[value:end]), end)

    def _header(self, piece: TemplatePiece) -> tuple[bytes, Struct | None]:
        """Return what an element begins with, and the form of its header; None for one that is not plain."""
        found = self._headers.get(piece.element.tag)
        if found is None:
            tag, vr, _ = piece.element
            known: Struct | None = _IMPLICIT
            explicit = self._explicit or tag >> 16 == META_GROUP
            if explicit:
                name, long = VRS.get(piece.content[4:6], ("", False))
                known = None if name != vr else _LONG if long else _SHORT
            found = piece.content[: 6 if explicit else 4], None if vr in ("SQ", "UN") else known
            self._headers[tag] = found
        return found

    def _read_whole(self, data: bytes, position: int, tag: int) -> tuple[Element, int] | None:
        """Read an element that is not plain, such as a sequence."""
        reader = DataSetReader(ByteWindow(BytesSource(data), 0, len(data)), ReadLimits(), little_endian=True)
        try:
            element, end = reader.read_element(position, self._creators, explicit=self._explicit)
        except DicomError:
            return None
        return None if reader.ambiguous or element.tag != tag else (element, end)


def pieces_of(part10: Part10) -> list[TemplatePiece]:
    """Cut a file into its elements.

    Parameters
    ----------
    part10 : Part10
        The file, without the value of its pixel data.

    Raises
    ------
    DicomError
        It is not one for a template: big endian, deflated, without a preamble, with elements out of order, or read otherwise.
    """
    if not part10.little_endian or part10.transfer_syntax in DEFLATED:
        raise DicomError("a template is little endian, and not deflated")
    data = part10.header
    if data[_PREAMBLE - 4 : _PREAMBLE] != b"DICM":
        raise DicomError("a template has a preamble")
    reader = DataSetReader(ByteWindow(BytesSource(data), 0, len(data)), ReadLimits(), little_endian=True)
    read: list[Element] = []
    places: list[int] = []
    creators = PrivateCreators(read)
    pieces = [TemplatePiece(data[:_PREAMBLE], Element(0, "UN", b""), b"")]
    position = _PREAMBLE
    while position < len(data):
        if part10.pixel_data is not None and position == part10.cut:
            element, end = Element(part10.pixel_data.tag, part10.pixel_data.vr, b""), position + len(part10.emptied)
        elif not any(data[position:]):
            element, end = Element(_END, "UN", b""), len(data)
        else:
            explicit = part10.explicit_vr or position < part10.data_set_start
            element, end = reader.read_element(position, creators, explicit=explicit)
            read.append(element)
            places.append(len(pieces))
        pieces.append(TemplatePiece(data[position:end], element, b""))
        position = end
    known = ambiguous_vr.decide_vr(read, "little") if reader.ambiguous else tuple(read)
    if (*part10.meta, *part10.elements) != known:
        raise DicomError("the elements of the file are not those that a template finds")
    for place, element in zip(places, known, strict=True):
        pieces[place] = pieces[place]._replace(element=element)
    tags = [piece.element.tag for piece in pieces]
    if tags != sorted(set(tags)):
        raise DicomError("the elements of a template must be in order, each of them once")
    return pieces
