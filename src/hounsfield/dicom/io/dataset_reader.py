"""Reader of data sets: bytes to elements (PS3.5 chapter 7).

    header ─▶ tag, VR, length ─┬─ defined length ────────────▶ bytes of the value
                               ├─ SQ, or UN of undefined length ▶ items, each a data set again
                               └─ other undefined length ────▶ bytes up to the sequence delimiter

Real files break the rules in well-known ways. What this reader puts up with it notes: `hounsfield.dicom.io.leniencies`
lists it. What it does not put up with is a length that leads out of the data: that file is damaged and the error says
where.
"""

from __future__ import annotations

from struct import Struct

from hounsfield.dicom.io.byte_source import BytesSource
from hounsfield.dicom.io.byte_window import FIRST_READ, ByteWindow
from hounsfield.dicom.io.fast_reader import VRS, read_explicit, read_implicit
from hounsfield.dicom.io.leniencies import Irregularities, Leniency
from hounsfield.dicom.io.limits import ReadLimits
from hounsfield.dicom.io.private_creators import PrivateCreators
from hounsfield.dicom.values.dictionary import ENTRIES, is_private, known_vr
from hounsfield.dicom.values.elements import (
    ITEM,
    ITEM_DELIMITER,
    PIXEL_TAGS,
    SEQUENCE_DELIMITER,
    UNDEFINED_LENGTH,
    Element,
)
from hounsfield.dicom.values.errors import DicomError, tag_text

ALL_GROUPS = range(0x10000)
_FILE_META_GROUP = 0x0002
_DELIMITERS = 0xFFFE
"""Group of items and delimiters, which have no VR in any encoding (PS3.5 section 7.5)."""

_GOING_ON = 4
"""Elements behind one whose VR is not known that are looked at, to find where its value ends."""

_HEADERS = {
    order: (Struct(f"{order}HH2sH").unpack_from, Struct(f"{order}HHL").unpack_from, Struct(f"{order}L").unpack_from)
    for order in ("<", ">")
}


def looks_explicit(vr: bytes) -> bool:
    """Return whether the two bytes behind a tag can be a VR: two capital letters."""
    return len(vr) == 2 and 0x41 <= vr[0] <= 0x5A and 0x41 <= vr[1] <= 0x5A


def delimiter_bytes(*, little_endian: bool) -> bytes:
    """Return the four bytes of the sequence delimiter's tag (FFFE,E0DD)."""
    return b"\xfe\xff\xdd\xe0" if little_endian else b"\xff\xfe\xe0\xdd"


class DataSetReader:
    """Reads elements out of one window.

    Positions are indices into ``window.data``; offsets in messages are offsets in the source.

    Parameters
    ----------
    window : ByteWindow
        The bytes; it grows as the reader goes on.
    limits : ReadLimits
        Bounds on depth and number of elements.
    little_endian : bool
        Byte order of tags, lengths and values.
    irregularities : Irregularities, optional
        Gets what is read although it is wrong, when others read of the same file.

    Attributes
    ----------
    count : int
        Elements and items read so far.
    ambiguous : bool
        True when an element was read whose VR the dictionary leaves open; see `hounsfield.dicom.io.ambiguous_vr`.
    """

    __slots__ = (
        "_content_end",
        "_explicit",
        "_implicit",
        "_long",
        "ambiguous",
        "count",
        "irregularities",
        "limits",
        "little_endian",
        "window",
    )

    def __init__(
        self,
        window: ByteWindow,
        limits: ReadLimits,
        *,
        little_endian: bool,
        irregularities: Irregularities | None = None,
    ) -> None:
        self.window = window
        self.limits = limits
        self.little_endian = little_endian
        self.count = 0
        self.ambiguous = False
        self.irregularities = irregularities or Irregularities(limits.elements)
        self._content_end: int | None = None
        self._explicit, self._implicit, self._long = _HEADERS["<" if little_endian else ">"]

    def read_header(self, position: int, *, explicit: bool) -> tuple[int, str, int, int]:
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
        if not window.read_to(position + 8):
            raise DicomError(f"The data set ends inside an element header at offset {window.base + position}")
        group: int
        number: int
        length: int
        if explicit:
            group, number, code, length = self._explicit(window.data, position)
            known = VRS.get(code)
            tag = group << 16 | number
            if known is not None:
                vr, long = known
                if not long:
                    return tag, vr, length, position + 8
                if not window.read_to(position + 12):
                    raise self._beyond(tag, position, 12)
                return tag, vr, self._long(window.data, position + 8)[0], position + 12
            if group != _DELIMITERS and tag:
                return tag, "", *self._layout(tag, code, length, position)
        group, number, length = self._implicit(window.data, position)
        return group << 16 | number, "", length, position + 8

    def _layout(self, tag: int, code: bytes, short: int, position: int) -> tuple[int, int]:
        """Find the length and the place of the value of an element that has no VR that is known.

        Its header may be that of a VR that is not known, with a length of 32 bits as new VRs have or one of 16 bits (PS3.5
        section 6.2), or that of implicit VR. What another element follows is right.
        """
        implicit = self._implicit(self.window.data, position)[2]
        explicit = self._explicit_layouts(position, short)
        layouts = [*explicit, (implicit, position + 8)]
        if not looks_explicit(code):
            layouts[-2:] = reversed(layouts[-2:])
        if tag not in PIXEL_TAGS:
            # As a length of 32 bits these would lead far away, where pixels may look like an element that is known.
            if short and self._leads_on(short, position + 8, explicit=True):
                return short, position + 8
            for length, value in layouts:
                if self._is_followed(length, value):
                    return length, value
            if not short and self._goes_on(tag, implicit, position + 8, explicit=False):
                return implicit, position + 8
            for length, value in explicit:
                if self._goes_on(tag, length, value, explicit=True):
                    return length, value
        return (short, position + 8) if looks_explicit(code) else (implicit, position + 8)

    def _explicit_layouts(self, position: int, short: int) -> list[tuple[int, int]]:
        """Return length and place of a value behind a VR that is not known: with a length of 32 bits, and with one of 16."""
        narrow = (short, position + 8)
        if short or not self.window.read_to(position + 12):
            return [narrow]
        return [(self._long(self.window.data, position + 8)[0], position + 12), narrow]

    def _goes_on(self, tag: int, length: int, value: int, *, explicit: bool) -> bool:
        """Return whether several elements follow a value, which need not have a VR that is known: writers have runs of such.

        Tags must ascend, and lengths stay in the data, until something stands there that is known.
        """
        for _ in range(_GOING_ON):
            end = value + length
            if self._is_followed(length, value) and (explicit or not self._has_vr(end)):
                return True
            if length == UNDEFINED_LENGTH or self.window.remaining(end) < 8 or not self.window.read_to(end + 8):
                return False
            group, number, code, short = self._explicit(self.window.data, end)
            following = group << 16 | number
            if following <= tag or group == _DELIMITERS or (explicit and code in VRS):
                return False
            tag, length, value = following, self._implicit(self.window.data, end)[2], end + 8
            if explicit:
                length, value = next(
                    (layout for layout in self._explicit_layouts(end, short) if self._ascends(tag, *layout)),
                    (short, end + 8),
                )
        return True

    def _has_vr(self, position: int) -> bool:
        return self.window.remaining(position) >= 8 and self._explicit(self.window.data, position)[2] in VRS

    def _ascends(self, tag: int, length: int, value: int) -> bool:
        """Return whether behind a value an element with a larger tag begins, or the data ends."""
        end = value + length
        left = self.window.remaining(end)
        if left < 8 or not self.window.read_to(end + 8):
            return not left
        group, number, _ = self._implicit(self.window.data, end)
        return bool(group << 16 | number > tag)

    def _is_followed(self, length: int, value: int) -> bool:
        """Return whether behind a value the data ends, or something begins that can only be an element or a delimiter."""
        if length == UNDEFINED_LENGTH:
            return self._starts_with_item(value)
        end = value + length
        left = self.window.remaining(end)
        if left <= 0:
            return not left
        if end + 8 > self.window.limit or not self.window.read_to(end + 8):
            return False
        group, number, code, _ = self._explicit(self.window.data, end)
        tag = group << 16 | number
        if group == _DELIMITERS:
            return tag in (ITEM, ITEM_DELIMITER, SEQUENCE_DELIMITER)
        return bool(tag) and (code in VRS or (tag in ENTRIES and self._implicit(self.window.data, end)[2] <= left))

    def begins_explicit(self, position: int) -> bool:
        """Return whether the elements of a data set have a VR, by the first one, whose header is in the window.

        Two capital letters are one. Other bytes are the beginning of a length, unless no element without a VR stands where
        that leads, but one with a VR where a header with a VR leads, even if that VR is none.
        """
        group, number, code, short = self._explicit(self.window.data, position)
        if looks_explicit(code):
            return True
        implicit = self._implicit(self.window.data, position)[2]
        if self._leads_on(implicit, position + 8, explicit=False):
            return False
        layouts = self._explicit_layouts(position, short)
        if any(self._leads_on(*layout, explicit=True) for layout in layouts):
            return True
        tag = group << 16 | number
        if not short and self._goes_on(tag, implicit, position + 8, explicit=False):
            return False
        return any(self._goes_on(tag, *layout, explicit=True) for layout in layouts)

    def _leads_on(self, length: int, value: int, *, explicit: bool) -> bool:
        """Return whether behind a value the data ends, or a delimiter stands, or an element with or without a VR."""
        if length == UNDEFINED_LENGTH or not self._is_followed(length, value):
            return length == UNDEFINED_LENGTH and self._starts_with_item(value)
        end = value + length
        if not self.window.remaining(end):
            return True
        group, _, code, _ = self._explicit(self.window.data, end)
        if group == _DELIMITERS:
            return True
        if (code in VRS) != explicit:
            return False
        # Letters of a text may look like a VR, but not in a header that leads to another element.
        return not explicit or self._is_followed(*self.read_header(end, explicit=True)[2:])

    def read_top_level(
        self, position: int, *, explicit: bool, groups: range = ALL_GROUPS, end: int | None = None
    ) -> tuple[list[Element], int]:
        """Read elements to the end of the source, to pixel data or to an element of another group.

        Parameters
        ----------
        position : int
            Start of the first element.
        explicit : bool
            Whether the elements carry a VR.
        groups : range, optional
            The groups that are read.
        end : int, optional
            No element is begun from this position on.

        Returns
        -------
        tuple of (list of Element, int)
            The elements and the position behind them. Elements of the file meta information in the data set are left out.

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
            if left <= 0 or (end is not None and position >= end):
                break
            if left < 8 and self._is_padding(position, left):
                return elements, position + left
            header = self.read_header(position, explicit=explicit)
            tag = header[0]
            if not tag and self._is_padding(position, left):
                return elements, position + left
            if tag >> 16 not in groups or tag in PIXEL_TAGS:
                break
            if tag >> 16 == _DELIMITERS:
                position = self._stray(header, position)
                continue
            element, position = self._element(header, position, explicit, 0, creators)
            if tag >> 16 == _FILE_META_GROUP and groups is ALL_GROUPS:
                self.irregularities.note(Leniency.FILE_META_IN_DATA_SET, tag)
            else:
                elements.append(element)
        return elements, position

    def skip_stray_delimiters(self, position: int) -> int:
        """Step over delimiters before the first element of a data set, which would hide how it is encoded.

        Raises
        ------
        DicomError
            As of `read_top_level`.
        """
        while self.window.read_to(position + 8):
            header = self.read_header(position, explicit=False)
            if header[0] not in (ITEM_DELIMITER, SEQUENCE_DELIMITER):
                break
            position = self._stray(header, position)
        return position

    def _stray(self, header: tuple[int, str, int, int], position: int) -> int:
        """Step over a delimiter that ends nothing; an item outside a sequence is not stepped over."""
        tag, _, length, value = header
        if tag == ITEM or length:
            raise DicomError(f"{tag_text(tag)} stands outside a sequence at {self._offset(position)}")
        self.irregularities.note(Leniency.STRAY_DELIMITER, tag)
        return value

    def read_element(self, position: int, creators: PrivateCreators, *, explicit: bool) -> tuple[Element, int]:
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
            As of `read_top_level`.
        """
        return self._element(self.read_header(position, explicit=explicit), position, explicit, 0, creators)

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
        """Return whether only zero bytes follow, which some writers put behind the data set to fill a block."""
        window = self.window
        if not window.read_to(position + min(left, 8)) or any(window.data[position : position + 8]):
            return False
        if self._content_end is None:
            window.read_to(position + left)
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
        if explicit and not vr:
            self._note_missing_vr(tag, length, start, value)
        if vr in ("", "UN"):
            vr = self._resolve(tag, vr, length, value, creators)
        if length == UNDEFINED_LENGTH:
            if vr == "SQ":
                items, end = self._sequence(tag, value, None, explicit, depth + 1)
                return Element(tag, vr, items), end
            end = self._undefined_end(tag, start, value)
            return Element(tag, vr, self.window.data[value : end - 8]), end
        end = value + length
        if not self.window.read_to(end):
            raise self._beyond(tag, start, length)
        if vr == "SQ" and not header[1] and length and not self._starts_with(value, ITEM, SEQUENCE_DELIMITER):
            return self._no_sequence(tag, self.window.data[value:end]), end
        if vr == "SQ" and not guessed:
            items, _ = self._sequence(tag, value, end, explicit, depth + 1)
            return Element(tag, vr, items), end
        raw = self.window.data[value:end]
        if vr == "SQ":
            return self._guessed_sequence(tag, raw, explicit, depth), end
        return Element(tag, vr, raw), end

    def _note_missing_vr(self, tag: int, length: int, start: int, value: int) -> None:
        """Note an element of a data set of explicit VR whose VR is not known, or that has none."""
        implicit = value == start + 8 and length == self._implicit(self.window.data, start)[2]
        self.irregularities.note(Leniency.IMPLICIT_ELEMENT if implicit else Leniency.UNKNOWN_VR, tag)

    def _no_sequence(self, tag: int, raw: bytes) -> Element:
        """Make the element of a value that the dictionary says to be a sequence and that has no items."""
        if raw.strip(b" \0"):
            self.irregularities.note(Leniency.NO_SEQUENCE, tag)
            return Element(tag, "UN", raw)
        self.irregularities.note(Leniency.BLANK_SEQUENCE, tag)
        return Element(tag, "SQ", ())

    def _guessed_sequence(self, tag: int, raw: bytes, explicit: bool, depth: int) -> Element:
        """Read a value that only a dictionary says to be a sequence; its bytes are kept when it is none.

        It is read on its own, so that a failure costs no more than its own bytes.
        """
        window = ByteWindow(BytesSource(raw), 0, len(raw))
        reader = DataSetReader(
            window, self.limits, little_endian=self.little_endian, irregularities=self.irregularities
        )
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
        return self._starts_with(position, ITEM)

    def _starts_with(self, position: int, *marks: int) -> bool:
        if not self.window.read_to(position + 8):
            return False
        group, number, _ = self._implicit(self.window.data, position)
        return group << 16 | number in marks

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
            if not self.window.read_to(position + 8):
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
            if item_end is not None and not self.window.read_to(item_end):
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
            header = self.read_header(position, explicit=explicit)
            tag = header[0]
            if tag == ITEM_DELIMITER:
                return tuple(elements), header[3]
            if tag == SEQUENCE_DELIMITER and end is None:
                return tuple(elements), position
            if tag == SEQUENCE_DELIMITER:
                position = self._stray(header, position)
                continue
            if tag >> 16 == _DELIMITERS:
                raise DicomError(f"A delimiter {tag_text(tag)} stands between elements at {self._offset(position)}")
            element, position = self._element(header, position, explicit, depth, creators)
            elements.append(element)
        return tuple(elements), position

    def _item_is_explicit(self, position: int, end: int | None) -> bool:
        """Look at the first element of an item; an empty one says nothing and stays explicit."""
        if end is not None and end - position < 8:
            return True
        if not self.window.read_to(position + 8):
            return True
        group, _, _ = self._implicit(self.window.data, position)
        return group == _DELIMITERS or self.begins_explicit(position)

    def _undefined_end(self, tag: int, start: int, position: int) -> int:
        """Find the position behind the sequence delimiter of a value that is not a sequence."""
        window = self.window
        while self._starts_with_item(position):
            length = self._long(window.data, position + 4)[0]
            if length == UNDEFINED_LENGTH or not window.read_to(position + 8 + length):
                raise self._beyond(tag, start, length)
            position += 8 + length
        mark = delimiter_bytes(little_endian=self.little_endian)
        searched = position
        while (found := window.data.find(mark, searched)) < 0:
            searched = max(position, len(window.data) - 3)
            left = window.remaining(len(window.data))
            if left <= 0 or not window.read_to(len(window.data) + min(left, FIRST_READ)):
                raise DicomError(
                    f"Element {tag_text(tag)} at {self._offset(start)} has undefined length and no sequence delimiter"
                )
        if not window.read_to(found + 8):
            raise self._beyond(tag, start, 8)
        return found + 8
