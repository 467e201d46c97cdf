"""Reading of a data set: bytes to elements (PS3.5 chapter 7).

    header ─▶ tag, VR, length ─┬─ defined length ────────────▶ bytes of the value
                               ├─ SQ, or UN of undefined length ▶ items, each a data set again
                               └─ other undefined length ────▶ bytes up to the sequence delimiter

Real files break the rules in well-known ways, and this reader follows pydicom in what it puts up with: implicit VR
inside explicit files and the other way round, elements of unknown VR, UN where the dictionary knows better. What it
does not put up with is a length that leads out of the data: that file is damaged and the error says where.
"""

from __future__ import annotations

from struct import Struct

from hounsfield.dicom.dictionary import is_private, known_vr
from hounsfield.dicom.elements import (
    ITEM,
    ITEM_DELIMITER,
    PIXEL_TAGS,
    SEQUENCE_DELIMITER,
    UNDEFINED_LENGTH,
    Element,
)
from hounsfield.dicom.errors import DicomError, tag_text
from hounsfield.dicom.limits import ReadLimits
from hounsfield.dicom.plain_elements import VRS, read_explicit, read_implicit
from hounsfield.dicom.private_creators import PrivateCreators
from hounsfield.dicom.source import BytesSource
from hounsfield.dicom.window import FIRST_READ, Window

_UN_KEPT_FROM = 0xFFFF
"""Length from which a public UN element keeps UN: a 16-bit length could not carry it (PS3.5 section 6.2.2)."""

ALL_GROUPS = range(0x10000)

_HEADERS = {
    order: (Struct(f"{order}HH2sH").unpack_from, Struct(f"{order}HHL").unpack_from, Struct(f"{order}L").unpack_from)
    for order in ("<", ">")
}


def looks_explicit(vr: bytes) -> bool:
    """Tell from the two bytes behind a tag whether they can be a VR: two capital letters."""
    return len(vr) == 2 and 0x41 <= vr[0] <= 0x5A and 0x41 <= vr[1] <= 0x5A


def delimiter_bytes(*, little_endian: bool) -> bytes:
    """Give the four bytes of the sequence delimiter's tag (FFFE,E0DD)."""
    return b"\xfe\xff\xdd\xe0" if little_endian else b"\xff\xfe\xe0\xdd"


class DataSetReader:
    """Reads elements out of one window.

    Positions are indices into ``window.data``; offsets in messages are offsets in the source.

    Parameters
    ----------
    window : Window
        The bytes; it grows as the reader goes on.
    limits : ReadLimits
        Bounds on depth and number of elements.
    little_endian : bool
        Byte order of tags, lengths and values.

    Attributes
    ----------
    count : int
        Elements and items read so far.
    ambiguous : bool
        True when an element was read whose VR the dictionary leaves open; see `hounsfield.dicom.ambiguous`.
    """

    __slots__ = (
        "_content_end",
        "_explicit",
        "_implicit",
        "_long",
        "ambiguous",
        "count",
        "limits",
        "little_endian",
        "window",
    )

    def __init__(self, window: Window, limits: ReadLimits, *, little_endian: bool) -> None:
        self.window = window
        self.limits = limits
        self.little_endian = little_endian
        self.count = 0
        self.ambiguous = False
        self._content_end: int | None = None
        self._explicit, self._implicit, self._long = _HEADERS["<" if little_endian else ">"]

    def header(self, position: int, *, explicit: bool) -> tuple[int, str, int, int]:
        """Read the header of an element.

        Parameters
        ----------
        position : int
            Where the tag starts.
        explicit : bool
            Whether a VR is expected.

        Returns
        -------
        tuple of (int, str, int, int)
            Tag, VR (empty when there is none or it is unknown), length, position of the value.
        """
        window = self.window
        if not window.reach(position + 8):
            raise DicomError(f"The data set ends inside an element header at offset {window.base + position}")
        group: int
        number: int
        length: int
        if explicit:
            group, number, code, length = self._explicit(window.data, position)
            known = VRS.get(code)
            if known is not None:
                vr, long = known
                tag = group << 16 | number
                if not long:
                    return tag, vr, length, position + 8
                if not window.reach(position + 12):
                    raise self._beyond(tag, position, 12)
                return tag, vr, self._long(window.data, position + 8)[0], position + 12
            if looks_explicit(code):
                return group << 16 | number, "", length, position + 8
        group, number, length = self._implicit(window.data, position)
        return group << 16 | number, "", length, position + 8

    def top_level(self, position: int, *, explicit: bool, groups: range = ALL_GROUPS) -> tuple[list[Element], int]:
        """Read elements to the end of the source, to pixel data or to an element of another group.

        Parameters
        ----------
        position : int
            Start of the first element.
        explicit : bool
            Whether the elements carry a VR.
        groups : range, optional
            The groups that are read.

        Returns
        -------
        tuple of (list of Element, int)
            The elements and the position behind them.

        Raises
        ------
        DicomError
            When the bytes are not a data set, end too early or exceed the limits.
        """
        elements: list[Element] = []
        creators = PrivateCreators(elements)
        while True:
            if groups is ALL_GROUPS:
                position = self._plain(elements, creators, position, None, explicit=explicit)
            left = self.window.remaining(position)
            if left <= 0:
                break
            if left < 8 and self._is_padding(position, left):
                return elements, position + left
            header = self.header(position, explicit=explicit)
            tag = header[0]
            if not tag and self._is_padding(position, left):
                return elements, position + left
            if tag >> 16 not in groups or tag in PIXEL_TAGS:
                break
            if tag >> 16 == 0xFFFE:
                raise DicomError(f"A delimiter {tag_text(tag)} stands outside a sequence at {self._offset(position)}")
            element, position = self._element(header, position, explicit, 0, creators)
            elements.append(element)
        return elements, position

    def element(self, position: int, creators: PrivateCreators, *, explicit: bool) -> tuple[Element, int]:
        """Read one element of the top level.

        Parameters
        ----------
        position : int
            Where its tag starts.
        creators : PrivateCreators
            Those of the data set.
        explicit : bool
            Whether elements carry a VR.

        Returns
        -------
        tuple of (Element, int)
            The element and the position behind it.

        Raises
        ------
        DicomError
            As of `top_level`.
        """
        return self._element(self.header(position, explicit=explicit), position, explicit, 0, creators)

    def _plain(
        self, elements: list[Element], creators: PrivateCreators, position: int, end: int | None, *, explicit: bool
    ) -> int:
        """Read the elements that come next as long as they are plain and in the window."""
        data = self.window.data
        if end is None or end > len(data):
            end = len(data)
        if not self.little_endian or self.count + (end - position) // 8 > self.limits.elements:
            return position
        before = len(elements)
        if explicit:
            position = read_explicit(elements, data, position, end)
        else:
            position = read_implicit(elements, creators, data, position, end)
        self.count += len(elements) - before
        return position

    def _offset(self, position: int) -> str:
        return f"offset {self.window.base + position}"

    def _beyond(self, tag: int, position: int, length: int) -> DicomError:
        return DicomError(
            f"Element {tag_text(tag)} at {self._offset(position)} has a length of {length} bytes, "
            "which leads beyond the data; the file is truncated or the length is wrong"
        )

    def _is_padding(self, position: int, left: int) -> bool:
        """Tell whether only zero bytes follow, which some writers put behind the data set to fill a block."""
        window = self.window
        if not window.reach(position + min(left, 8)) or any(window.data[position : position + 8]):
            return False
        if self._content_end is None:
            window.reach(position + left)
            self._content_end = len(window.data.rstrip(b"\0"))
        return position >= self._content_end

    def _take(self) -> None:
        """Count one more element or item."""
        self.count += 1
        if self.count > self.limits.elements:
            raise DicomError(f"The data set has more than {self.limits.elements} elements")

    def _element(
        self, header: tuple[int, str, int, int], start: int, explicit: bool, depth: int, creators: PrivateCreators
    ) -> tuple[Element, int]:
        """Read the value of an element whose header has been read."""
        tag, vr, length, value = header
        self._take()
        guessed = vr == "UN" or (not vr and is_private(tag))
        if vr in ("", "UN"):
            vr = self._resolve(tag, vr, length, value, creators)
        if length == UNDEFINED_LENGTH:
            if vr == "SQ":
                items, end = self._sequence(tag, value, None, explicit, depth + 1)
                return Element(tag, vr, items), end
            end = self._undefined_end(tag, start, value)
            return Element(tag, vr, self.window.data[value : end - 8]), end
        end = value + length
        if not self.window.reach(end):
            raise self._beyond(tag, start, length)
        if vr == "SQ" and not guessed:
            items, _ = self._sequence(tag, value, end, explicit, depth + 1)
            return Element(tag, vr, items), end
        raw = self.window.data[value:end]
        if vr == "SQ":
            return self._guessed_sequence(tag, raw, explicit, depth), end
        return Element(tag, vr, raw), end

    def _guessed_sequence(self, tag: int, raw: bytes, explicit: bool, depth: int) -> Element:
        """Read a value that only a dictionary says to be a sequence; its bytes are kept when it is none.

        It is read on its own, so that a failure costs no more than its own bytes.
        """
        window = Window(BytesSource(raw), 0, len(raw))
        reader = DataSetReader(window, self.limits, little_endian=self.little_endian)
        reader.count = self.count
        try:
            items, _ = reader._sequence(tag, 0, len(raw), explicit, depth + 1)
        except DicomError:
            return Element(tag, "UN", raw)
        finally:
            self.count = reader.count
        self.ambiguous = self.ambiguous or reader.ambiguous
        return Element(tag, "SQ", items)

    def _resolve(self, tag: int, vr: str, length: int, value: int, creators: PrivateCreators) -> str:
        """Find the VR of an element that carries none, an unknown one or UN (PS3.5 section 6.2.2)."""
        if length == UNDEFINED_LENGTH and vr == "UN":
            return "SQ"
        if vr == "UN" and length >= _UN_KEPT_FROM and not is_private(tag):
            return "UN"
        creator = creators.of(tag) if is_private(tag) else None
        found = known_vr(tag, creator)
        if found is None or (length == UNDEFINED_LENGTH and is_private(tag)):
            if length == UNDEFINED_LENGTH and self._starts_with_item(value):
                return "SQ"
            return found or "UN"
        if " " in found:
            self.ambiguous = True
        return found

    def _starts_with_item(self, position: int) -> bool:
        if not self.window.reach(position + 8):
            return False
        group, number, _ = self._implicit(self.window.data, position)
        return bool(group << 16 | number == ITEM)

    def _sequence(
        self,
        tag: int,
        position: int,
        end: int | None,
        explicit: bool,
        depth: int,
    ) -> tuple[tuple[tuple[Element, ...], ...], int]:
        """Read the items of a sequence (PS3.5 section 7.5)."""
        if depth > self.limits.depth:
            raise DicomError(
                f"Sequence {tag_text(tag)} at {self._offset(position)} is nested deeper than {self.limits.depth} levels"
            )
        items: list[tuple[Element, ...]] = []
        while end is None or position < end:
            if not self.window.reach(position + 8):
                raise DicomError(f"Sequence {tag_text(tag)} has no end; the data ends at {self._offset(position)}")
            group, number, length = self._implicit(self.window.data, position)
            mark = group << 16 | number
            if mark == SEQUENCE_DELIMITER:
                return tuple(items), position + 8
            if mark != ITEM:
                raise DicomError(
                    f"Sequence {tag_text(tag)} has {tag_text(mark)} at {self._offset(position)} "
                    "where an item (FFFE,E000) or the end of the sequence should be"
                )
            self._take()
            item_end = None if length == UNDEFINED_LENGTH else position + 8 + length
            if item_end is not None and not self.window.reach(item_end):
                raise self._beyond(ITEM, position, length)
            item, position = self._item(position + 8, item_end, explicit, depth)
            items.append(item)
        return tuple(items), position

    def _item(
        self,
        position: int,
        end: int | None,
        explicit: bool,
        depth: int,
    ) -> tuple[tuple[Element, ...], int]:
        """Read the data set of one item; it may be implicit inside an explicit file (PS3.5 section 6.2.2)."""
        explicit = explicit and self._item_is_explicit(position, end)
        elements: list[Element] = []
        creators = PrivateCreators(elements)
        while True:
            position = self._plain(elements, creators, position, end, explicit=explicit)
            if end is not None and position >= end:
                break
            header = self.header(position, explicit=explicit)
            tag = header[0]
            if tag == ITEM_DELIMITER:
                return tuple(elements), header[3]
            if tag == SEQUENCE_DELIMITER and end is None:
                return tuple(elements), position
            if tag >> 16 == 0xFFFE:
                raise DicomError(f"A delimiter {tag_text(tag)} stands between elements at {self._offset(position)}")
            element, position = self._element(header, position, explicit, depth, creators)
            elements.append(element)
        return tuple(elements), position

    def _item_is_explicit(self, position: int, end: int | None) -> bool:
        """Look at the first element of an item; an empty one says nothing and stays explicit."""
        if end is not None and end - position < 8:
            return True
        if not self.window.reach(position + 8):
            return True
        group, _, _ = self._implicit(self.window.data, position)
        return group == 0xFFFE or looks_explicit(self.window.data[position + 4 : position + 6])

    def _undefined_end(self, tag: int, start: int, position: int) -> int:
        """Find the position behind the sequence delimiter of a value that is not a sequence."""
        window = self.window
        while self._starts_with_item(position):
            length = self._long(window.data, position + 4)[0]
            if length == UNDEFINED_LENGTH or not window.reach(position + 8 + length):
                raise self._beyond(tag, start, length)
            position += 8 + length
        mark = delimiter_bytes(little_endian=self.little_endian)
        searched = position
        while (found := window.data.find(mark, searched)) < 0:
            searched = max(position, len(window.data) - 3)
            left = window.remaining(len(window.data))
            if left <= 0 or not window.reach(len(window.data) + min(left, FIRST_READ)):
                raise DicomError(
                    f"Element {tag_text(tag)} at {self._offset(start)} has undefined length and no sequence delimiter"
                )
        if not window.reach(found + 8):
            raise self._beyond(tag, start, 8)
        return found + 8
