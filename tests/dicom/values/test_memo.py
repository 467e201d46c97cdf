"""What is remembered from file to file changes nothing: every file is read as if it were the first."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hounsfield.dicom.healthimaging.document import instance_fragment
from hounsfield.dicom.healthimaging.record import InstanceRecord, instance_record
from hounsfield.dicom.io.fast_reader import read_explicit
from hounsfield.dicom.io.part10 import BytesSource, DicomError, Part10, ReadLimits, read_part10
from hounsfield.dicom.values.elements import Element
from hounsfield.dicom.values.memo import ENTRIES, LONGEST, ResultMemo

STUDY_UID = 0x0020000D
IMPLICIT = "1.2.840.10008.1.2"
BIG_ENDIAN = "1.2.840.10008.1.2.2"

FIRST_READING = """
import sys
from pathlib import Path
from hounsfield.dicom.healthimaging.document import instance_fragment
from hounsfield.dicom.io.part10 import BytesSource, read_part10
from hounsfield.dicom.healthimaging.record import instance_record
record = instance_record(read_part10(BytesSource(Path(sys.argv[1]).read_bytes())))
sys.stdout.buffer.write(instance_fragment(record, None, None, ()))
"""


def read(data: bytes) -> Part10:
    return read_part10(BytesSource(data))


def record(data: bytes) -> InstanceRecord:
    return instance_record(read(data))


def described(data: bytes) -> bytes:
    found = record(data)
    levels = orjson.dumps([found.patient, found.study, found.series])
    return instance_fragment(found, None, None, ()) + levels + repr((found.warnings, found.grouping)).encode()


def test_files_read_in_any_order_give_the_same_records(installed: Path) -> None:
    texts = (path.read_bytes() for path in sorted((installed / "charset_files").glob("*.dcm")))
    files = [data for data in texts if read(data).element(STUDY_UID) is not None]
    names = ("CT_small", "MR_small_implicit", "MR_small", "MR_small_bigendian", "JPEG2000", "liver_1frame", "rtplan")
    files += [(installed / "test_files" / f"{name}.dcm").read_bytes() for name in names]
    found = [described(data) for data in files]
    order = list(range(len(files)))
    random.Random(5).shuffle(order)
    for number in order:
        assert described(files[number]) == found[number]


def test_a_process_that_has_read_nothing_gives_the_same_record(installed: Path) -> None:
    path = installed / "test_files" / "CT_small.dcm"
    for other in sorted((installed / "test_files").glob("MR_small*.dcm")):
        record(other.read_bytes())
    fresh = subprocess.run([sys.executable, "-c", FIRST_READING, str(path)], capture_output=True, check=True).stdout
    assert fresh == instance_fragment(record(path.read_bytes()), None, None, ())


def test_equal_bytes_are_other_text_under_another_character_set(writer: Any) -> None:
    name = "Мюллер^Я ".encode("iso8859-5")
    for _ in range(2):
        cyrillic = record(writer.instance((0x00080005, "CS", b"ISO_IR 144"), (0x00100010, "PN", name)))
        latin = record(writer.instance((0x00080005, "CS", b"ISO_IR 100"), (0x00100010, "PN", name)))
        wrong = record(writer.instance((0x00080005, "CS", b"ISO_IR 192"), (0x00100010, "PN", name)))
        assert cyrillic.patient["PatientName"] == "Мюллер^Я"
        assert latin.patient["PatientName"] == name.decode("latin-1").strip()
        assert not cyrillic.warnings
        assert "(0010,0010)" in wrong.warnings[0].message


def test_equal_bytes_are_other_numbers_in_another_byte_order(writer: Any) -> None:
    for _ in range(2):
        assert record(writer.instance((0x00280010, "US", b"\1\2"))).attributes["Rows"] == 513
        assert record(writer.instance((0x00280010, "US", b"\1\2"), syntax=BIG_ENDIAN)).attributes["Rows"] == 258


def test_equal_bytes_are_another_value_under_another_representation(writer: Any) -> None:
    for _ in range(2):
        for vr, value in (("US", 513), ("SS", 513), ("UL", None), ("OB", "AQI="), ("LO", "\1\2")):
            assert record(writer.instance((0x00091001, vr, b"\1\2"))).attributes["00091001"] == value


def test_equal_private_bytes_follow_their_creator_in_implicit_files(writer: Any) -> None:
    for _ in range(2):
        for creator, vr in (
            (b"GEMS_IDEN_01", "SH"),
            (b"GEMS_PETD_01", "LO"),
            (b"BrainLAB_Conversion", "OB"),
            (b"NOBODY", "UN"),
        ):
            found = record(
                writer.instance((0x00090010, "LO", creator), (0x00091002, "LO", b"ab"), syntax=IMPLICIT),
            )
            assert found.vrs == {"00090010": "LO", "00091002": vr}


def test_a_creator_that_comes_later_is_not_heeded(writer: Any) -> None:
    uids = b"".join(writer.identity(explicit=False).values())
    creator = writer.element(0x00090010, "LO", b"GEMS_IDEN_01", explicit=False)
    private = writer.element(0x00091001, "LO", b"ab", explicit=False)
    assert read(writer.file(uids + creator + private, IMPLICIT)).element(0x00091001) == (0x00091001, "LO", b"ab")
    assert read(writer.file(uids + private + creator, IMPLICIT)).element(0x00091001) == (0x00091001, "UN", b"ab")
    second = writer.element(0x00090010, "LO", b"NOBODY", explicit=False)
    both = read(writer.file(uids + creator + private + second + private, IMPLICIT))
    assert [element.vr for element in both.elements if element.tag == 0x00091001] == ["LO", "UN"]


def test_warnings_come_with_every_file(writer: Any) -> None:
    data = writer.instance(
        (0x00080016, "UI", b"1..2"),
        (0x00080070, "LO", b"x" * 70),
        (0x00280010, "US", b"\1\0\2"),
        (0x00091001, "AT", b"1"),
    )
    first, second = record(data), record(data)
    assert first == second
    assert len(second.warnings) == 3
    assert second.attributes["WarningReason"] == 0xB000


def test_limits_hold_for_elements_that_are_remembered(writer: Any) -> None:
    data = writer.instance(*((0x00091000 + number, "LO", b"ab") for number in range(50)))
    assert len(read(data).elements) == 53
    assert len(read_part10(BytesSource(data), ReadLimits(elements=53)).elements) == 53
    with pytest.raises(DicomError, match="more than 52 elements"):
        read_part10(BytesSource(data), ReadLimits(elements=52))


@pytest.mark.parametrize("length", [LONGEST - 13, LONGEST - 12, LONGEST - 9, LONGEST - 8, LONGEST - 7, LONGEST, 70000])
@pytest.mark.parametrize("vr", ["LO", "UT"])
@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1", IMPLICIT])
def test_values_of_every_length_are_read_again(writer: Any, length: int, vr: str, syntax: str) -> None:
    if vr == "LO" and length > 0xFFFF:
        length = 0xFFFF
    tag = 0x0008103E if vr == "LO" else 0x0040A160
    for fill in (b"a", b"b", b"a"):
        found = read(writer.instance((tag, vr, fill * length), syntax=syntax))
        assert found.element(tag) == Element(tag, vr, fill * length)
        described = instance_record(found)
        value = described.series["SeriesDescription"] if vr == "LO" else described.attributes["TextValue"]
        assert value == (fill * length).decode()


def test_what_is_remembered_is_bounded() -> None:
    remembered = ResultMemo[int, str]()
    for number in range(3 * ENTRIES):
        remembered.keep(number, str(number), LONGEST)
    held = [number for number in range(3 * ENTRIES) if remembered.get(number) is not None]
    assert 0 < len(held) <= ENTRIES
    assert all(remembered.get(number) == str(number) for number in held)
    remembered.keep(-1, "long", LONGEST + 1)
    assert remembered.get(-1) is None


@given(st.lists(st.lists(st.tuples(st.sampled_from([b"", b"ab", b"abcd", b"x" * 200]), st.booleans()), max_size=90)))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_elements_that_come_again_in_runs_are_read_as_if_alone(
    writer: Any, files: list[list[tuple[bytes, bool]]]
) -> None:
    """Every file is read after others that share beginnings, middles and ends with it, or differ in one element."""
    for values in files:
        expected = [
            Element(0x00090000 + number, "OB" if long else "LO", value)
            for number, (value, long) in enumerate(values, 16)
        ]
        data = b"".join(writer.element(*element) for element in expected)
        found: list[Element] = []
        assert read_explicit(found, data, 0, len(data)) == len(data)
        assert found == expected
        cut = len(data) * 2 // 3
        part: list[Element] = []
        assert read_explicit(part, data, 0, cut) <= cut
        assert part == expected[: len(part)]


def test_a_run_ends_where_a_later_file_differs(writer: Any) -> None:
    def file(changed: int, value: bytes) -> bytes:
        elements = [(0x00190010 + n, "LO", value if n == changed else b"v%03d" % n) for n in range(150)]
        return writer.instance(*elements)

    for value in (b"other1", b"other1", b"other2", b"other1"):
        for changed in (200, 3, 100, 200, 149, 0, 70):
            found = [element.value for element in read(file(changed, value)).elements if element.tag >> 16 == 0x0019]
            assert found == [value if n == changed else b"v%03d" % n for n in range(150)]
