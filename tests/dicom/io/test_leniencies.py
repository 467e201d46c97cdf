"""What is read although it is wrong: each leniency with the element that its warning names, and where it ends."""

from __future__ import annotations

import struct
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hounsfield.dicom.healthimaging.record import instance_record
from hounsfield.dicom.io.dataset_writer import write_data_set
from hounsfield.dicom.io.leniencies import MOST_NAMED, Irregularities, Leniency
from hounsfield.dicom.io.limits import ReadLimits
from hounsfield.dicom.io.part10 import BytesSource, DicomError, Part10, read_part10
from hounsfield.dicom.json.writer import json_object
from hounsfield.dicom.values.charsets import CharacterSet
from hounsfield.dicom.values.dates_and_times import normalise_date, normalise_time
from hounsfield.dicom.values.elements import Element

EXPLICIT, IMPLICIT, BIG, JPEG_LOSSLESS = (
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.4.70",
)
ITEM_END = struct.pack("<HHL", 0xFFFE, 0xE00D, 0)
SEQUENCE_END = struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
HISTORY = 0x001021B0


def read(data: bytes) -> Part10:
    """Read a file, and make sure that what is kept of it is read alike."""
    part10 = read_part10(BytesSource(data))
    again = read_part10(BytesSource(part10.header))
    assert (again.elements, again.header, again.transfer_syntax) == (
        part10.elements,
        part10.header,
        part10.transfer_syntax,
    )
    return part10


def said(part10: Part10) -> list[str]:
    return [warning.message for warning in part10.warnings]


def header(tag: int, vr: bytes, value: bytes, *, long: bool = False) -> bytes:
    size = struct.pack("<HL", 0, len(value)) if long else struct.pack("<H", len(value))
    return struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr + size + value


@pytest.mark.parametrize("long", [False, True])
@pytest.mark.parametrize("vr", [b"--", b"  ", b"lt", b"ZZ", b"??", b"\0\0", b"L ", b"\xe9\xe9"])
@pytest.mark.parametrize("last", [False, True])
def test_an_unknown_representation_is_that_of_the_dictionary(writer: Any, vr: bytes, long: bool, last: bool) -> None:
    odd = header(HISTORY, vr, b"HISTORY OK", long=long)
    after = b"" if last else writer.element(0x00104000, "LT", b"more")
    part10 = read(writer.file(writer.element(0x00100020, "LO", b"P1") + odd + after))
    assert part10.element(HISTORY) == Element(HISTORY, "LT", b"HISTORY OK")
    assert len(part10.elements) == (2 if last else 3)
    assert all("AdditionalPatientHistory (0010,21B0)" in text for text in said(part10))
    assert len(said(part10)) == 1


def test_an_unknown_representation_of_a_private_element_is_kept_as_bytes(writer: Any) -> None:
    data = writer.element(0x00090010, "LO", b"ACME") + header(0x00091001, b"ZZ", b"SECRET", long=True)
    part10 = read(writer.file(data + writer.element(0x00100020, "LO", b"P1")))
    assert part10.elements[1] == Element(0x00091001, "UN", b"SECRET")
    assert "(0009,1001)" in said(part10)[0]
    assert "SECRET" not in said(part10)[0]


def test_an_unknown_representation_in_an_item(writer: Any) -> None:
    item = writer.element(0x00080100, "SH", b"A1") + header(0x00080104, b"--", b"Meaning.")
    part10 = read(writer.file(writer.element(0x00081032, "SQ", writer.item(item)) + writer.element(0x00100020, "LO")))
    sequence = part10.elements[0].value
    assert isinstance(sequence, tuple)
    assert sequence[0][1] == Element(0x00080104, "LO", b"Meaning.")
    assert "CodeMeaning (0008,0104)" in said(part10)[0]


def test_an_element_of_implicit_representation_in_an_explicit_data_set(writer: Any) -> None:
    data = writer.element(0x00100020, "LO", b"P1") + writer.element(HISTORY, "LT", b"before", explicit=False)
    part10 = read(writer.file(data + writer.element(0x00104000, "LT", b"more")))
    assert part10.element(HISTORY) == Element(HISTORY, "LT", b"before")
    assert said(part10) == [Leniency.IMPLICIT_ELEMENT.text(HISTORY)]


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
@pytest.mark.parametrize("delimiter", [ITEM_END, SEQUENCE_END])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_delimiters_outside_sequences_are_left_out(writer: Any, syntax: str, delimiter: bytes, place: int) -> None:
    explicit = syntax == EXPLICIT
    elements = [
        writer.element(0x00080060, "CS", b"SR", explicit=explicit),
        writer.element(0x00100020, "LO", b"P1", explicit=explicit),
    ]
    elements.insert(place, delimiter)
    part10 = read(writer.file(b"".join(elements), syntax=syntax))
    assert [element.value for element in part10.elements] == [b"SR", b"P1"]
    assert said(part10) == [Leniency.STRAY_DELIMITER.text(0xFFFE0000 | struct.unpack_from("<2xH", delimiter)[0])]


def test_a_delimiter_behind_the_pixel_data_is_left_out(writer: Any) -> None:
    part10 = read(writer.file(writer.element(0x7FE00010, "OW", b"12345678") + ITEM_END))
    assert part10.pixel_data is not None
    assert part10.pixel_data.length == 8
    assert len(said(part10)) == 1


def test_strays_have_a_bound(writer: Any) -> None:
    data = writer.file(writer.element(0x00080060, "CS", b"SR") + ITEM_END * 200)
    with pytest.raises(DicomError, match="More than 100 elements"):
        read_part10(BytesSource(data), ReadLimits(elements=100))


def test_an_implicit_sequence_whose_value_is_text_is_kept(writer: Any) -> None:
    data = writer.element(0x00080060, "CS", b"SR", explicit=False)
    data += writer.element(0x0040A170, "CS", b"NAMED TYPE", explicit=False)
    part10 = read(writer.file(data + writer.element(0x0040A180, "US", b"\1\0", explicit=False), syntax=IMPLICIT))
    assert part10.element(0x0040A170) == Element(0x0040A170, "UN", b"NAMED TYPE")
    assert part10.integer(0x0040A180) == 1
    assert said(part10) == [Leniency.NO_SEQUENCE.text(0x0040A170)]


@pytest.mark.parametrize("blank", [b"  ", b"\0\0", b" " * 12])
def test_an_implicit_sequence_whose_value_is_blank_has_no_items(writer: Any, blank: bytes) -> None:
    data = writer.element(0x00081140, "SQ", blank, explicit=False) + writer.element(
        0x00100020, "LO", b"P1", explicit=False
    )
    part10 = read(writer.file(data, syntax=IMPLICIT))
    assert part10.element(0x00081140) == Element(0x00081140, "SQ", ())
    assert said(part10) == [Leniency.BLANK_SEQUENCE.text(0x00081140)]


def test_a_damaged_implicit_sequence_stays_refused(writer: Any) -> None:
    item = writer.item(writer.element(0x00080100, "SH", b"A1", explicit=False, length=999))
    with pytest.raises(DicomError, match="0008,0100"):
        read(writer.file(writer.element(0x00081140, "SQ", item, explicit=False), syntax=IMPLICIT))


def test_the_other_encoding_than_the_transfer_syntax_is_said(writer: Any) -> None:
    for syntax, explicit in ((EXPLICIT, False), (IMPLICIT, True)):
        part10 = read(writer.file(writer.element(0x00100020, "LO", b"P1", explicit=explicit), syntax=syntax))
        assert part10.text(0x00100020) == "P1"
        assert said(part10) == [Leniency.OTHER_ENCODING.text(0x00020010)]


def meta(syntax: str, *, length: int | None = None) -> bytes:
    uid = syntax.encode() + b"\0" * (len(syntax) & 1)
    rest = header(0x00020010, b"UI", uid)
    size = len(rest) if length is None else length
    return bytes(128) + b"DICM" + header(0x00020000, b"UL", struct.pack("<L", size)) + rest


@pytest.mark.parametrize("first", [EXPLICIT, JPEG_LOSSLESS])
@pytest.mark.parametrize("second", [EXPLICIT, IMPLICIT, BIG, JPEG_LOSSLESS])
def test_the_transfer_syntax_is_that_of_the_file_meta_information(writer: Any, first: str, second: str) -> None:
    odd = header(0x00020010, b"UI", second.encode())
    part10 = read(meta(first) + odd + writer.element(0x00100020, "LO", b"P1"))
    assert part10.transfer_syntax == first
    assert [element.tag for element in part10.elements] == [0x00100020]
    assert said(part10) == [Leniency.FILE_META_IN_DATA_SET.text(0x00020010)]


@pytest.mark.parametrize("length", [0, 3, 4000, 0xFFFFFFFF])
def test_a_wrong_length_of_the_file_meta_information_is_not_believed(writer: Any, length: int) -> None:
    part10 = read(meta(EXPLICIT, length=length) + writer.element(0x00100020, "LO", b"P1"))
    assert part10.transfer_syntax == EXPLICIT
    assert said(part10) == [Leniency.FILE_META_LENGTH.text(0x00020000)]


def test_warnings_are_counted_beyond_some() -> None:
    irregularities = Irregularities(100)
    for number in range(MOST_NAMED + 5):
        irregularities.note(Leniency.UNKNOWN_VR, 0x00091000 + number)
        irregularities.note(Leniency.UNKNOWN_VR, 0x00091000 + number)
    texts = [warning.message for warning in irregularities.warnings()]
    assert len(texts) == MOST_NAMED + 1
    assert texts[-1].startswith("5 more")


def test_warnings_come_with_the_record(writer: Any) -> None:
    part10 = read(writer.instance() + ITEM_END)
    record = instance_record(part10)
    assert [warning.message for warning in record.warnings] == said(part10)
    assert record.attributes["WarningReason"] == Leniency.STRAY_DELIMITER.code


@pytest.mark.parametrize("uid", [b"1.2.3\0garbage\0", b"1.2.3\0\0", b"1.2.3\0\\1.2.4\0x"])
def test_a_uid_ends_at_its_first_zero_byte(uid: bytes) -> None:
    element = Element(0x00080018, "UI", uid)
    values = orjson.loads(json_object((element,), CharacterSet(), lambda _: ""))["00080018"]["Value"]
    assert values in (["1.2.3"], ["1.2.3", "1.2.4"])
    assert b"garbage" not in write_data_set([element])
    assert read_part10(BytesSource(meta(EXPLICIT) + write_data_set([element]))).text(0x00080018) == "1.2.3"


@pytest.mark.parametrize("encoding", [EXPLICIT, IMPLICIT])
def test_long_decimals_are_numbers_whatever_stands_in_their_header(writer: Any, encoding: str) -> None:
    value = b"\\".join(b"%.4f" % (number / 7) for number in range(12_000))
    value += b" " * (len(value) & 1)
    assert len(value) > 0xFFFF
    data = writer.element(0x30060050, "UN", value, explicit=encoding == EXPLICIT)
    part10 = read(writer.file(data, syntax=encoding))
    assert part10.elements == (Element(0x30060050, "DS", value),)
    numbers = orjson.loads(json_object(part10.elements, CharacterSet(), lambda _: ""))["30060050"]["Value"]
    assert numbers[:3] == [0.0, 0.1429, 0.2857]
    assert len(numbers) == 12_000
    assert write_data_set(part10.elements)[4:6] == b"UN"
    assert not part10.warnings


@pytest.mark.parametrize(
    ("text", "value"),
    [(b"1.0", 1), (b"1.5e2 ", 150), (b"-3.00", -3), (b"1.5", "1.5"), (b"12a", "12a"), (b"1e300", "1e300"), (b"7", 7)],
)
def test_an_integer_string_is_an_integer_or_the_text_it_is(text: bytes, value: int | str) -> None:
    element = Element(0x00200013, "IS", text)
    assert orjson.loads(json_object((element,), CharacterSet(), lambda _: ""))["00200013"]["Value"] == [value]


@given(st.dates(), st.times())
def test_moments_of_older_files_are_those_of_today(date: Any, time: Any) -> None:
    day, now = f"{date:%Y%m%d}".rjust(8, "0"), f"{time:%H%M%S.%f}"
    old = f"{day[:4]}.{day[4:6]}.{day[6:]}", f"{now[:2]}:{now[2:4]}:{now[4:]}"
    assert (normalise_date(old[0]), normalise_time(old[1])) == (day, now)
    assert (normalise_date(day), normalise_time(now)) == (day, now)


@pytest.mark.parametrize(
    "text", ["", "2003.5.17", "2003.05", "20030517-20030518", "10:5", "10:50:", "noon", "2003.05.17x"]
)
def test_what_is_no_moment_stays(text: str) -> None:
    assert normalise_date(text) == normalise_time(text) == text
