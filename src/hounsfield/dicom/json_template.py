"""DICOM JSON of files that are alike, written from their bytes: a file that was read before is the template.

    template:  │ a │ b c d │ e │ f g │      stretches that all files had in common so far, and elements that they had not
    now:       │ a'│ b c d │ e'│ f g │      one comparison finds a stretch as it was; only a' and e' are read
                └─── their texts joined ───▶ {"…":{…},"…":{…}}

The slices of a series differ in a dozen of their hundreds of elements. At first a template is one stretch; every element that
is another one in a later file ends it there. What is not like the template at all is left to those who read files whole.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from struct import Struct
from typing import Final, NamedTuple, TypeAlias

from hounsfield.dicom import ambiguous
from hounsfield.dicom.dataset_reader import DataSetReader
from hounsfield.dicom.dictionary import is_private_creator
from hounsfield.dicom.elements import PIXEL_TAGS, SPECIFIC_CHARACTER_SET, Element
from hounsfield.dicom.errors import DicomError
from hounsfield.dicom.limits import ReadLimits
from hounsfield.dicom.part10 import DEFLATED, Part10
from hounsfield.dicom.plain_elements import VRS
from hounsfield.dicom.private_creators import PrivateCreators
from hounsfield.dicom.source import BytesSource
from hounsfield.dicom.window import Window

Texts: TypeAlias = "Callable[[Element], bytes | None]"
"""Writes a member of the JSON object; empty where an element is left out, None where its text is not for every file."""

_PREAMBLE: Final = 132
_META_GROUP: Final = 0x0002
_END: Final = 0xFFFFFFFF
"""Stands for the tag of what fills a file up at its end."""
_UNDEFINED: Final = 0xFFFFFFFF
_TRANSFER_SYNTAX_UID, _PIXEL_REPRESENTATION, _LUT_DESCRIPTOR = 0x00020010, 0x00280103, 0x00283002
_DECISIVE: Final = frozenset(
    {_TRANSFER_SYNTAX_UID, SPECIFIC_CHARACTER_SET, _PIXEL_REPRESENTATION, _LUT_DESCRIPTOR, _END}
)
"""Elements that say how others are read."""

_length_16 = Struct("<H").unpack_from
_length_32 = Struct("<L").unpack_from


class Written(NamedTuple):
    """The JSON object of a file, and the element that was asked to be noted; None where the file has none."""

    text: bytes
    noted: Element | None


class _Piece(NamedTuple):
    """An element of the template: its bytes in the file, the element, and its text; nothing of what is not in the file."""

    content: bytes
    element: Element
    text: bytes


@dataclass(slots=True)
class _Stretch:
    """Pieces that all files had in common, and the one behind them that differed; None at the end."""

    pieces: Sequence[_Piece]
    varying: _Piece | None = None
    content: bytes = field(init=False)
    text: bytes = field(init=False)

    def __post_init__(self) -> None:
        self.content = b"".join(piece.content for piece in self.pieces)
        self.text = b",".join(filter(None, (piece.text for piece in self.pieces)))


class JsonTemplate:
    """Writes files that are like one that was read; not for several threads at a time.

    Parameters
    ----------
    part10 : Part10
        The file, without the value of its pixel data.
    elements : Sequence of Element
        What is written of it: its elements, of which some may be others than in the file, and more.
    texts : callable
        Writes them.
    noted : int
        Tag of the element to note.
    decisive : Collection of int
        Elements on which it depends, beside those of the encoding, how others are written.

    Raises
    ------
    DicomError
        The file is not one for a template: big endian, deflated, out of order, or with values that are given by URI.
    """

    def __init__(
        self, part10: Part10, elements: Sequence[Element], texts: Texts, noted: int, decisive: Collection[int] = ()
    ) -> None:
        self._texts = texts
        self._noted_tag = noted
        self._noted = part10.element(noted)
        self._decisive = _DECISIVE | PIXEL_TAGS | frozenset(decisive)
        self._explicit = part10.explicit_vr
        self._creators = PrivateCreators(list(part10.elements))
        self._stretches = [_Stretch(_with_texts(_pieces(part10), elements, texts))]

    def write(self, data: bytes) -> Written | None:
        """Write a file.

        Parameters
        ----------
        data : bytes
            The file, without the value of its pixel data; its JSON has nothing that the file has not, but what was written
            more of the template.

        Returns
        -------
        Written or None
            None where the file is not like the template.
        """
        noted = self._noted
        parts: list[bytes] = []
        position = number = 0
        while number < len(self._stretches):
            stretch = self._stretches[number]
            if not data.startswith(stretch.content, position):
                if not self._divide(number, data, position):
                    return None
                continue
            position += len(stretch.content)
            parts.append(stretch.text)
            number += 1
            if stretch.varying is not None:
                read = self._read(stretch.varying, data, position)
                text = None if read is None else self._text(stretch.varying, read[0])
                if read is None or text is None:
                    return None
                parts.append(text)
                position = read[1]
                if read[0].tag == self._noted_tag:
                    noted = read[0]
        if position != len(data):
            return None
        return Written(b"{" + b",".join(filter(None, parts)) + b"}", noted)

    def _divide(self, number: int, data: bytes, position: int) -> bool:
        """Divide a stretch at the element that differs; False where that cannot be."""
        stretch = self._stretches[number]
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
        self._stretches[number : number + 1] = [_Stretch(before, differs), _Stretch(behind, stretch.varying)]
        return True

    def _read(self, piece: _Piece, data: bytes, position: int) -> tuple[Element, int] | None:
        """Read an element that differs from that of the template, and where it ends; None where it is another one."""
        tag, vr, _ = piece.element
        explicit = self._explicit or tag >> 16 == _META_GROUP
        if not data.startswith(piece.content[: 6 if explicit else 4], position):
            return None
        code = piece.content[4:6]
        if vr in ("SQ", "UN") or (explicit and VRS.get(code, ("",))[0] != vr):
            return self._read_whole(data, position, tag)
        value = position + (12 if explicit and VRS[code][1] else 8)
        if value > len(data):
            return None
        short = explicit and not VRS[code][1]
        length = _length_16(data, value - 2)[0] if short else _length_32(data, value - 4)[0]
        end = value + length
        return None if length == _UNDEFINED or end > len(data) else (Element(tag, vr, data[value:end]), end)

    def _read_whole(self, data: bytes, position: int, tag: int) -> tuple[Element, int] | None:
        """Read an element that is not plain, such as a sequence."""
        reader = DataSetReader(Window(BytesSource(data), 0, len(data)), ReadLimits(), little_endian=True)
        try:
            element, end = reader.element(position, self._creators, explicit=self._explicit)
        except DicomError:
            return None
        return None if reader.ambiguous or element.tag != tag else (element, end)

    def _text(self, piece: _Piece, element: Element) -> bytes | None:
        return b"" if piece.element.tag >> 16 == _META_GROUP else self._texts(element)


def _pieces(part10: Part10) -> list[_Piece]:
    """Cut a file into its elements; raises `DicomError` where they are not those that were read of it."""
    if not part10.little_endian or part10.transfer_syntax in DEFLATED:
        raise DicomError("a template is little endian, and not deflated")
    data = part10.header
    if data[_PREAMBLE - 4 : _PREAMBLE] != b"DICM":
        raise DicomError("a template has a preamble")
    reader = DataSetReader(Window(BytesSource(data), 0, len(data)), ReadLimits(), little_endian=True)
    read: list[Element] = []
    places: list[int] = []
    creators = PrivateCreators(read)
    pieces = [_Piece(data[:_PREAMBLE], Element(0, "UN", b""), b"")]
    position = _PREAMBLE
    while position < len(data):
        if part10.pixel_data is not None and position == part10.cut:
            element, end = Element(part10.pixel_data.tag, part10.pixel_data.vr, b""), position + len(part10.emptied)
        elif not any(data[position:]):
            element, end = Element(_END, "UN", b""), len(data)
        else:
            explicit = part10.explicit_vr or position < part10.data_set_start
            element, end = reader.element(position, creators, explicit=explicit)
            read.append(element)
            places.append(len(pieces))
        pieces.append(_Piece(data[position:end], element, b""))
        position = end
    known = ambiguous.decide(read, "little") if reader.ambiguous else tuple(read)
    if (*part10.meta, *part10.elements) != known:
        raise DicomError("the elements of the file are not those that a template finds")
    for place, element in zip(places, known, strict=True):
        pieces[place] = pieces[place]._replace(element=element)
    return pieces


def _with_texts(pieces: Sequence[_Piece], elements: Sequence[Element], texts: Texts) -> list[_Piece]:
    """Give pieces the texts of what is written of them; what is not in the file becomes a piece without bytes."""
    by_tag = {element.tag: element for element in elements}
    tags = [piece.element.tag for piece in pieces]
    if len(by_tag) != len(elements) or tags != sorted(set(tags)):
        raise DicomError("the elements of a template must be in order, each of them once")
    written = []
    for piece in pieces:
        element = None if piece.element.tag >> 16 == _META_GROUP else by_tag.pop(piece.element.tag, None)
        written.append(piece if element is None else piece._replace(text=_text_of(element, texts)))
    added = [_Piece(b"", element, _text_of(element, texts)) for element in by_tag.values()]
    return sorted([*written, *added], key=lambda piece: piece.element.tag)


def _text_of(element: Element, texts: Texts) -> bytes:
    text = texts(element)
    if text is None:
        raise DicomError("a text of the template is not for every file")
    return text
