"""Files that bend or break the rules, made by hand."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import pytest

from hounsfield.dicom.io.part10 import (
    BytesSource,
    DicomDirectory,
    DicomError,
    Part10,
    ReadLimits,
    read_part10,
)
from hounsfield.dicom.values.elements import Element

LITTLE = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"
BIG = "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
JPEG = "1.2.840.10008.1.2.4.50"
DEFAULT = ReadLimits()


def read(data: bytes, limits: ReadLimits = DEFAULT) -> Part10:
    return read_part10(BytesSource(data), limits)


def refusal(data: bytes, limits: ReadLimits = DEFAULT) -> str:
    with pytest.raises(DicomError) as caught:
        read(data, limits)
    return str(caught.value)


class CountingSource(BytesSource):
    """Counts the reads, because every one of them is a request to an object store."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.reads: list[tuple[int, int]] = []

    def read(self, offset: int, length: int) -> bytes:
        self.reads.append((offset, length))
        return super().read(offset, length)


class SparseSource:
    """A file of many gigabytes: real bytes at both ends, zeros between them."""

    def __init__(self, head: bytes, gap: int, tail: bytes) -> None:
        self.head, self.gap, self.tail = head, gap, tail
        self.read_bytes = 0

    @property
    def size(self) -> int:
        return len(self.head) + self.gap + len(self.tail)

    def read(self, offset: int, length: int) -> bytes:
        length = min(length, self.size - offset)
        self.read_bytes += length
        start = offset - len(self.head) - self.gap
        if start >= 0:
            return self.tail[start : start + length]
        block = self.head[offset : offset + length]
        block += bytes(min(length - len(block), max(len(self.head) + self.gap - offset - len(block), 0)))
        return block + self.tail[: length - len(block)]


@pytest.mark.parametrize(
    "data", [b"", b"\0", bytes(132), b"hello, world " * 40, b"{}", b"\x89PNG\r\n\x1a\n" + bytes(500)]
)
def test_not_dicom(data: bytes) -> None:
    assert refusal(data) == "DICOM attributes does not exist"


def test_nothing_behind_the_prefix_or_the_meta_information(writer: Any) -> None:
    assert refusal(bytes(128) + b"DICM") == "DICOM attributes does not exist"
    assert refusal(writer.file(b"")) == "DICOM attributes does not exist"


def test_no_transfer_syntax(writer: Any) -> None:
    element = writer.element(0x00080018, "UI", b"1.2\0")
    for data in (
        writer.file(element, None),
        bytes(128) + b"DICM" + element,
        element,
        writer.element(0x00080018, "UI", b"1.2\0", explicit=False),
        writer.element(0x00080018, "UI", b"1.2\0", order=">"),
    ):
        assert refusal(data) == "DICOM attribute TransferSyntaxUID does not exist"


def test_directory(writer: Any) -> None:
    data = (
        bytes(128) + b"DICM" + writer.meta(sop_class="1.2.840.10008.1.3.10") + writer.element(0x00041130, "CS", b"A ")
    )
    with pytest.raises(DicomDirectory):
        read(data)


def test_without_preamble_but_with_meta_information(writer: Any) -> None:
    data = writer.file(writer.element(0x00080060, "CS", b"CT"), preamble=False)
    part10 = read(data)
    assert part10.text(0x00080060) == "CT"
    assert part10.header == data


@pytest.mark.parametrize("length", [0, 7, 4000])
def test_wrong_length_of_the_meta_information(writer: Any, length: int) -> None:
    data = bytearray(writer.file(writer.element(0x00080060, "CS", b"CT")))
    data[140:144] = struct.pack("<L", length)
    assert read(bytes(data)).text(0x00080060) == "CT"


def test_missing_length_of_the_meta_information(writer: Any) -> None:
    data = bytes(128) + b"DICM" + writer.meta()[12:] + writer.element(0x00080060, "CS", b"CT")
    part10 = read(data)
    assert part10.transfer_syntax == LITTLE
    assert part10.text(0x00080060) == "CT"


@pytest.mark.parametrize(
    ("syntax", "explicit", "order"), [(LITTLE, True, "<"), (IMPLICIT, False, "<"), (BIG, True, ">"), (JPEG, True, "<")]
)
def test_encodings(writer: Any, syntax: str, explicit: bool, order: str) -> None:
    def element(tag: int, vr: str, value: bytes) -> bytes:
        return writer.element(tag, vr, value, explicit=explicit, order=order)

    data = writer.file(
        element(0x00080060, "CS", b"MR")
        + element(0x00280010, "US", struct.pack(f"{order}H", 258))
        + element(0x00281050, "DS", b"40\\80 "),
        syntax,
    )
    part10 = read(data)
    assert (part10.explicit_vr, part10.little_endian) == (explicit, order == "<")
    assert part10.text(0x00080060) == "MR"
    assert part10.integer(0x00280010) == 258
    assert part10.integer(0x00281050) == 40
    assert part10.text(0x00281050) == "40"
    assert [e.vr for e in part10.elements] == ["CS", "US", "DS"]
    assert part10.header == data
    assert part10.cut == len(data)


@pytest.mark.parametrize(("said", "explicit"), [(LITTLE, False), (IMPLICIT, True)])
def test_encoding_is_told_by_the_first_element(writer: Any, said: str, explicit: bool) -> None:
    data = writer.file(writer.element(0x00080060, "CS", b"MR", explicit=explicit), said)
    part10 = read(data)
    assert part10.explicit_vr is explicit
    assert part10.text(0x00080060) == "MR"


def test_single_implicit_element_in_an_explicit_file(writer: Any) -> None:
    data = writer.file(
        writer.element(0x00080060, "CS", b"MR")
        + writer.element(0x00080070, "LO", b"ACME", explicit=False)
        + writer.element(0x00100020, "LO", b"1 ")
    )
    assert [e.vr for e in read(data).elements] == ["CS", "LO", "LO"]


def test_command_elements_are_not_part_of_the_data_set(writer: Any) -> None:
    command = writer.element(0x00000000, "UL", struct.pack("<L", 10), explicit=False)
    command += writer.element(0x00000100, "US", b"\1\0", explicit=False)
    data = writer.file(command + writer.element(0x00080060, "CS", b"MR"))
    part10 = read(data)
    assert [e.tag for e in part10.elements] == [0x00080060]
    assert part10.header == data


@pytest.mark.parametrize("defined_sequence", [True, False])
@pytest.mark.parametrize("defined_item", [True, False])
@pytest.mark.parametrize("order", ["<", ">"])
def test_nested_sequences(writer: Any, defined_sequence: bool, defined_item: bool, order: str) -> None:
    def sequence(tag: int, *contents: bytes) -> bytes:
        items = b"".join(writer.item(content, defined=defined_item, order=order) for content in contents)
        if defined_sequence:
            return writer.element(tag, "SQ", items, order=order)
        return writer.element(tag, "SQ", items + writer.delimiter(order), order=order, length=0xFFFFFFFF)

    code = writer.element(0x00080100, "SH", b"A1", order=order)
    data_set = sequence(0x00081115, b"", sequence(0x00081199, code, code))
    data_set += writer.element(0x00100020, "LO", b"ID", order=order)
    part10 = read(writer.file(data_set, LITTLE if order == "<" else BIG))
    leaf = (Element(0x00080100, "SH", b"A1"),)
    assert part10.elements == (
        Element(0x00081115, "SQ", ((), (Element(0x00081199, "SQ", (leaf, leaf)),))),
        Element(0x00100020, "LO", b"ID"),
    )


def test_un_of_undefined_length_is_an_implicit_sequence(writer: Any) -> None:
    inner = writer.element(0x00080100, "SH", b"A1", explicit=False)
    items = writer.item(inner) + writer.item(inner, defined=False) + writer.delimiter()
    data = writer.file(
        writer.element(0x00091001, "UN", items, length=0xFFFFFFFF) + writer.element(0x00100020, "LO", b"ID")
    )
    leaf = (Element(0x00080100, "SH", b"A1"),)
    assert read(data).elements == (Element(0x00091001, "SQ", (leaf, leaf)), Element(0x00100020, "LO", b"ID"))


def test_un_takes_the_representation_of_the_dictionary(writer: Any) -> None:
    inner = writer.item(writer.element(0x00080100, "SH", b"A1", explicit=False))
    data = writer.file(
        writer.element(0x00080060, "UN", b"CT")
        + writer.element(0x00081115, "UN", inner)
        + writer.element(0x00090010, "UN", b"GEMS_IDEN_01")
        + writer.element(0x00091001, "UN", b"X ")
        + writer.element(0x00091099, "UN", b"Y ")
    )
    elements = read(data).elements
    assert [e.vr for e in elements] == ["CS", "SQ", "LO", "LO", "UN"]
    assert elements[1].value == ((Element(0x00080100, "SH", b"A1"),),)


def test_un_that_is_no_sequence_keeps_its_bytes(writer: Any) -> None:
    data = writer.file(writer.element(0x00081115, "UN", b"not items"))
    assert read(data).elements == (Element(0x00081115, "UN", b"not items"),)


def test_implicit_private_elements(writer: Any) -> None:
    def element(tag: int, value: bytes) -> bytes:
        return writer.element(tag, "", value, explicit=False)

    data = writer.file(
        element(0x00080000, b"\4\0\0\0")
        + element(0x00190010, b"SIEMENS MR HEADER ")
        + element(0x0019100C, b"1000")
        + element(0x00191101, b"??")
        + element(0x00280002, b"\1\0")
        + element(0x60000010, b"\2\0"),
        IMPLICIT,
    )
    assert [(e.tag, e.vr) for e in read(data).elements] == [
        (0x00080000, "UL"),
        (0x00190010, "LO"),
        (0x0019100C, "IS"),
        (0x00191101, "UN"),
        (0x00280002, "US"),
        (0x60000010, "US"),
    ]


@pytest.mark.parametrize(("representation", "vr"), [(0, "US"), (1, "SS")])
def test_us_or_ss_follows_pixel_representation_of_the_nearest_data_set(
    writer: Any, representation: int, vr: str
) -> None:
    def element(tag: int, value: bytes) -> bytes:
        return writer.element(tag, "", value, explicit=False)

    inner = writer.item(element(0x00409211, b"\1\0"))
    own = writer.item(element(0x00280103, bytes([1 - representation, 0])) + element(0x00409211, b"\1\0"))
    data = writer.file(
        element(0x00189810, b"\1\0")
        + element(0x00280103, bytes([representation, 0]))
        + element(0x00409096, inner + own),
        IMPLICIT,
    )
    elements = read(data).elements
    assert elements[0].vr == vr
    items = elements[2].value
    assert isinstance(items, tuple)
    assert items[0][0].vr == vr
    assert items[1][1].vr == ("SS" if vr == "US" else "US")


def test_group_lengths_and_trailing_padding_are_elements(writer: Any) -> None:
    data = writer.file(
        writer.element(0x00080000, "UL", b"\x0a\0\0\0")
        + writer.element(0x00080060, "CS", b"CT")
        + writer.element(0xFFFCFFFC, "OB", bytes(10))
    )
    assert [e.tag for e in read(data).elements] == [0x00080000, 0x00080060, 0xFFFCFFFC]


@pytest.mark.parametrize("padding", [1, 7, 8, 511, 70000])
def test_zero_bytes_behind_the_data_set(writer: Any, padding: int) -> None:
    data = writer.file(writer.element(0x00080060, "CS", b"CT")) + bytes(padding)
    part10 = read(data)
    assert [e.tag for e in part10.elements] == [0x00080060]
    assert part10.header == data


def test_odd_lengths_and_unknown_representations(writer: Any) -> None:
    unknown = struct.pack("<HH2sH", 0x0008, 0x0070, b"QQ", 3) + b"abc"
    private = struct.pack("<HH2sH", 0x0009, 0x1001, b"QQ", 1) + b"x"
    data = writer.file(writer.element(0x00080060, "CS", b"CTX") + unknown + private)
    assert read(data).elements == (
        Element(0x00080060, "CS", b"CTX"),
        Element(0x00080070, "LO", b"abc"),
        Element(0x00091001, "UN", b"x"),
    )


@pytest.mark.parametrize("syntax", [LITTLE, IMPLICIT, BIG])
@pytest.mark.parametrize("tag", [0x7FE00008, 0x7FE00009, 0x7FE00010])
def test_pixel_data_is_left_where_it_is(writer: Any, syntax: str, tag: int) -> None:
    order, explicit = (">" if syntax == BIG else "<"), syntax != IMPLICIT
    vr = {0x7FE00008: "OF", 0x7FE00009: "OD", 0x7FE00010: "OW"}[tag]

    def element(tag: int, vr: str, value: bytes) -> bytes:
        return writer.element(tag, vr, value, order=order, explicit=explicit)

    before, pixels, after = (
        element(0x00280010, "US", b"\1\1"),
        element(tag, vr, b"12345678"),
        element(0xFFFCFFFC, "OB", b""),
    )
    data = writer.file(before + pixels + after, syntax)
    part10 = read(data)
    place = part10.pixel_data
    assert place is not None
    assert (place.tag, place.vr, place.length) == (tag, vr, 8)
    assert data[place.offset : place.offset + 8] == b"12345678"
    assert data[place.start : place.end] == pixels
    assert part10.header == writer.file(before + element(tag, vr, b"") + after, syntax)
    assert part10.cut == place.start
    assert [e.tag for e in part10.elements] == [0x00280010, 0xFFFCFFFC]


def test_extended_offset_table_stays_in_the_data_set(writer: Any) -> None:
    fragments = writer.item(b"") + writer.item(b"abcd") + writer.delimiter()
    data = writer.file(
        writer.element(0x7FE00001, "OV", bytes(8))
        + writer.element(0x7FE00002, "OV", struct.pack("<Q", 4))
        + writer.element(0x7FE00010, "OB", fragments, length=0xFFFFFFFF)
        + writer.element(0xFFFCFFFC, "OB", b"\0\0"),
        JPEG,
    )
    part10 = read(data)
    assert [e.tag for e in part10.elements] == [0x7FE00001, 0x7FE00002, 0xFFFCFFFC]
    place = part10.pixel_data
    assert place is not None
    assert place.length is None
    assert data[place.offset : place.end] == fragments


@pytest.mark.parametrize("tail", [b"", b"\xfe\xff\xdd", b"junk and no delimiter"])
def test_encapsulated_pixel_data_without_delimiter_ends_with_the_file(writer: Any, tail: bytes) -> None:
    fragments = writer.item(b"") + writer.item(b"abcd")
    data = writer.file(writer.element(0x7FE00010, "OB", fragments + tail, length=0xFFFFFFFF), JPEG)
    place = read(data).pixel_data
    assert place is not None
    assert place.end == len(data)


def test_native_pixel_data_of_undefined_length_ends_at_the_delimiter(writer: Any) -> None:
    pixels = bytes(range(1, 201)) * 6000
    data = writer.file(
        writer.element(0x7FE00010, "OW", pixels + writer.delimiter(), length=0xFFFFFFFF)
        + writer.element(0xFFFCFFFC, "OB", b"\0\0")
    )
    part10 = read(data)
    place = part10.pixel_data
    assert place is not None
    assert data[place.offset : place.end] == pixels + writer.delimiter()
    assert [e.tag for e in part10.elements] == [0xFFFCFFFC]


@pytest.mark.parametrize("table", [True, False])
def test_many_fragments_cost_few_reads(writer: Any, table: bool) -> None:
    count, fragment = 100_000, writer.item(b"0123456789abcdef")
    offsets = struct.pack(f"<{count}L", *range(0, count * len(fragment), len(fragment))) if table else b""
    value = writer.item(offsets) + fragment * count + writer.delimiter()
    data = writer.file(writer.element(0x7FE00010, "OB", value, length=0xFFFFFFFF), JPEG)
    source = CountingSource(data)
    place = read_part10(source).pixel_data
    assert place is not None
    assert place.end == len(data)
    assert len(source.reads) < 10


def test_offset_table_that_lies_is_not_believed(writer: Any) -> None:
    value = writer.item(struct.pack("<LL", 0, 20)) + writer.item(b"x" * 40) + writer.delimiter()
    data = writer.file(writer.element(0x7FE00010, "OB", value, length=0xFFFFFFFF), JPEG)
    place = read(data).pixel_data
    assert place is not None
    assert place.end == len(data)


def test_encapsulated_icon_is_kept_in_its_item(writer: Any) -> None:
    fragments = writer.item(b"") + writer.item(b"\xfe\xff\xdd\xe0")
    icon = writer.element(0x7FE00010, "OB", fragments + writer.delimiter(), length=0xFFFFFFFF)
    sequence = writer.item(icon + writer.element(0x7FE10010, "LO", b"AA"), defined=False) + writer.delimiter()
    part10 = read(writer.file(writer.element(0x00880200, "SQ", sequence, length=0xFFFFFFFF)))
    items = part10.elements[0].value
    assert isinstance(items, tuple)
    assert items[0][0] == Element(0x7FE00010, "OB", fragments)
    assert part10.pixel_data is None


def test_pixels_of_many_gigabytes_are_not_read(writer: Any) -> None:
    head = writer.file(
        writer.element(0x00280010, "US", b"\1\0") + writer.element(0x7FE00010, "OW", b"", length=0xF0000000)
    )
    source = SparseSource(head, 0xF0000000, writer.element(0xFFFCFFFC, "OB", b"\1\2"))
    part10 = read_part10(source)
    assert part10.elements[-1] == Element(0xFFFCFFFC, "OB", b"\1\2")
    assert source.read_bytes < 1 << 20


@pytest.mark.parametrize("wrapped", [False, True])
def test_deflated(writer: Any, wrapped: bool) -> None:
    before = writer.element(0x00080060, "CS", b"CT")
    pixels = writer.element(0x7FE00010, "OW", b"1234" * 1000)
    after = writer.element(0xFFFCFFFC, "OB", b"\0\0")
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS)
    stream = packer.compress(before + pixels + after) + packer.flush()
    part10 = read(writer.file(stream, DEFLATED))
    place = part10.pixel_data
    assert place is not None
    assert part10.source.read(place.offset, 4000) == b"1234" * 1000
    assert part10.cut == place.start == len(before)
    again = read(part10.header)
    assert again.elements == part10.elements
    assert again.pixel_data is not None
    assert (again.pixel_data.tag, again.pixel_data.vr, again.pixel_data.length) == (0x7FE00010, "OW", 0)
    assert again.transfer_syntax == DEFLATED


def test_damaged_deflated_streams(writer: Any) -> None:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    stream = packer.compress(writer.element(0x00080060, "CS", b"CT") * 50) + packer.flush()
    assert "ends before the end of its stream" in refusal(writer.file(stream[:-4], DEFLATED))
    assert "cannot be inflated" in refusal(writer.file(b"\xff" * 40, DEFLATED))


def test_deflated_bomb_stops_at_the_limit(writer: Any) -> None:
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    stream = packer.compress(bytes(50_000_000)) + packer.flush()
    assert "more than 1000000 bytes" in refusal(writer.file(stream, DEFLATED), ReadLimits(inflated_bytes=1_000_000))


def test_too_many_fragments(writer: Any) -> None:
    value = writer.item(b"") * 50 + writer.delimiter()
    data = writer.file(writer.element(0x7FE00010, "OB", value, length=0xFFFFFFFF), JPEG)
    assert read(data, ReadLimits(fragments=50)).pixel_data is not None
    assert "(7FE0,0010) has more than 49 fragments" in refusal(data, ReadLimits(fragments=49))


def test_zeros_before_the_end_cost_no_more_than_one_look(writer: Any) -> None:
    data = writer.file(
        writer.element(0x00080060, "CS", b"CT") + bytes(800_000) + writer.element(0x00100020, "LO", b"ID")
    )
    assert len(read(data).elements) == 100_002


@pytest.mark.parametrize("defined", [True, False])
def test_deep_nesting_is_reported(writer: Any, defined: bool) -> None:
    data_set = b""
    if defined:
        for _ in range(2000):
            data_set = writer.element(0x00081115, "SQ", writer.item(data_set))
    else:
        opening = writer.element(0x00081115, "SQ", b"", length=0xFFFFFFFF) + struct.pack(
            "<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF
        )
        data_set = opening * 10_000
    assert "deeper than 64 levels" in refusal(writer.file(data_set))


def test_sixty_four_levels_are_read(writer: Any) -> None:
    data_set = writer.element(0x00080060, "CS", b"CT")
    for _ in range(64):
        data_set = writer.element(0x00081115, "SQ", writer.item(data_set))
    assert len(read(writer.file(data_set)).elements) == 1


def test_limits_on_elements_and_size(writer: Any) -> None:
    many = writer.file(writer.element(0x00080060, "CS", b"CT") * 200)
    assert "more than 100 elements" in refusal(many, ReadLimits(elements=100))
    items = writer.file(writer.element(0x00081115, "SQ", writer.item(b"") * 200))
    assert "more than 100 elements" in refusal(items, ReadLimits(elements=100))
    large = writer.file(writer.element(0x00091001, "OB", bytes(200_000)))
    assert "larger than 100000 bytes" in refusal(large, ReadLimits(data_set_bytes=100_000))
    pixels = writer.element(0x7FE00010, "OW", bytes(200_000))
    behind = writer.file(pixels + writer.element(0xFFFCFFFC, "OB", bytes(200_000)))
    assert "larger than" in refusal(behind, ReadLimits(data_set_bytes=100_000))


@pytest.mark.parametrize(
    ("data_set", "tag", "offset"),
    [
        ("value", "(0008,0060)", 0),
        ("sequence", "(0008,1115)", 0),
        ("item", "(FFFE,E000)", 12),
        ("inside", "(0008,0100)", 20),
        ("mark", "(0008,0100)", 12),
        ("pixels", "(7FE0,0010)", 0),
        ("fragment", "(7FE0,0010)", 20),
        ("stray", "(FFFE,E000)", 0),
        ("long delimiter", "(FFFE,E00D)", 0),
    ],
)
def test_wrong_lengths_are_named(writer: Any, data_set: str, tag: str, offset: int) -> None:
    code = writer.element(0x00080100, "SH", b"A1")
    broken = {
        "value": writer.element(0x00080060, "CS", b"CT", length=200),
        "sequence": writer.element(0x00081115, "SQ", writer.item(code), length=900),
        "item": writer.element(0x00081115, "SQ", struct.pack("<HHL", 0xFFFE, 0xE000, 800)),
        "inside": writer.element(0x00081115, "SQ", writer.item(writer.element(0x00080100, "SH", b"A1", length=999))),
        "mark": writer.element(0x00081115, "SQ", code),
        "pixels": writer.element(0x7FE00010, "OW", b"1234", length=4000),
        "fragment": writer.element(
            0x7FE00010, "OB", writer.item(b"") + struct.pack("<HHL", 0xFFFE, 0xE000, 99), length=0xFFFFFFFF
        ),
        "stray": writer.item(code),
        "long delimiter": struct.pack("<HHL", 0xFFFE, 0xE00D, 4) + code,
    }[data_set]
    start = len(writer.file(b""))
    message = refusal(writer.file(broken))
    assert tag in message
    assert f"offset {start + offset}" in message


def test_every_cut_of_a_file_is_refused_or_is_a_shorter_file(writer: Any) -> None:
    first, second = writer.element(0x00080060, "CS", b"CT"), writer.element(0x00100020, "LO", b"ID")
    data = writer.file(first + second)
    whole = {len(data): 2, len(data) - len(second): 1}
    for end in range(len(data)):
        if end in whole:
            assert len(read(data[:end]).elements) == whole[end]
        else:
            assert refusal(data[:end])


def test_accessors(writer: Any) -> None:
    part10 = read(
        writer.instance(
            (0x00080005, "CS", b"ISO_IR 192"),
            (0x00080008, "CS", b"ORIGINAL\\PRIMARY"),
            (0x00081030, "LO", "Schädel ".encode()),
            (0x00200011, "IS", b" 7 "),
            (0x00200013, "IS", b"x "),
            (0x00281052, "DS", b"1.5 "),
            (0x00280106, "SS", b"\xff\xff"),
            (0x00104000, "LT", b"a\\b "),
            (0x00101030, "DS", b""),
        )
    )
    assert part10.text(0x00080008) == "ORIGINAL"
    assert part10.text(0x00081030) == "Schädel"
    assert part10.text(0x00104000) == "a\\b"
    assert part10.text(0x00101030) is None
    assert part10.text(0x00100010) is None
    assert part10.text(0x00280106) is None
    assert part10.integer(0x00200011) == 7
    assert part10.integer(0x00200013) is None
    assert part10.integer(0x00281052) is None
    assert part10.integer(0x00280106) == -1
    assert part10.integer(0x00020000) is not None
    assert part10.element(0x00020010) is not None
    assert part10.element(0x00100020) is None
