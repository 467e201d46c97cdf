"""The DICOM JSON that a template writes of a file is that of the file read whole, or none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hounsfield.dicom.io.part10 import BytesSource, Part10, read_part10
from hounsfield.dicom.json.template_writer import JsonTemplate
from hounsfield.dicom.json.writer import BULK_DATA_URI, element_text, json_object
from hounsfield.dicom.values.elements import Element
from hounsfield.dicom.values.errors import DicomError
from support.files.file_writer import Writer
from support.files.real_files import INSTALLED

INSTANCE_NUMBER = 0x00200013
EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"


def kept(data: bytes) -> bytes:
    """Return a file without the value of its pixel data."""
    return read_part10(BytesSource(data)).header


def template_of(part10: Part10) -> JsonTemplate:
    def text(element: Element) -> bytes | None:
        written = element_text(element, part10.character_set, lambda _: "")
        return None if BULK_DATA_URI in written else written

    return JsonTemplate(part10, part10.elements, text, INSTANCE_NUMBER)


def whole(data: bytes) -> bytes:
    part10 = read_part10(BytesSource(data))
    return json_object(part10.elements, part10.character_set, lambda _: "")


def is_for_a_template(part10: Part10, data: bytes) -> bool:
    tags = [element.tag for element in (*part10.meta, *part10.elements)]
    in_order = tags == sorted(set(tags))
    return part10.little_endian and not part10.transfer_syntax.endswith(".99") and data[128:132] == b"DICM" and in_order


def test_a_real_file_is_written_as_it_is(dicom_path: Path) -> None:
    data = kept(dicom_path.read_bytes())
    if not is_for_a_template(read_part10(BytesSource(data)), data):
        with pytest.raises(DicomError, match="template"):
            template_of(read_part10(BytesSource(data)))
        return
    template = template_of(read_part10(BytesSource(data)))
    written = template.write(data)
    assert written is not None
    assert b"".join(written.parts) == whole(data)
    assert written.noted == read_part10(BytesSource(data)).element(INSTANCE_NUMBER)


@settings(deadline=None)
@given(st.data())
def test_a_damaged_file_is_written_as_it_reads_or_not_at_all(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["CT_small.dcm", "MR_small_implicit.dcm", "rtdose.dcm"]))
    original = kept(_installed(name))
    template = template_of(read_part10(BytesSource(original)))
    for _ in range(data.draw(st.integers(1, 3))):
        changed = bytearray(original)
        for place in data.draw(st.lists(st.integers(132, len(original) - 1), min_size=1, max_size=3)):
            changed[place] = data.draw(st.integers(0, 255))
        written = template.write(bytes(changed))
        try:
            expected = whole(bytes(changed))
        except DicomError:
            continue
        assert written is None or b"".join(written.parts) == expected


def _installed(name: str) -> bytes:
    return (INSTALLED / "test_files" / name).read_bytes()


VALUES: dict[int, tuple[str, list[bytes]]] = {
    0x00080005: ("CS", [b"ISO_IR 100"]),
    0x00080033: ("TM", [b"101010", b"101010.123456 ", b""]),
    0x00081140: ("SQ", []),
    0x00090010: ("LO", [b"GEMS_IDEN_01"]),
    0x00091002: ("SH", [b"ab", b"cdef"]),
    0x00091019: ("UN", [b"xy", b"", bytes(70)]),
    0x00100010: ("PN", [b"M\xfcller^A"]),
    0x00200013: ("IS", [b"1 ", b"20", b"300 "]),
    0x00200032: ("DS", [b"1.5\\2\\-3", b"0\\0\\0 "]),
    0x00280010: ("US", [b"\1\2"]),
    0x00280103: ("US", [b"\0\0"]),
    0x00280106: ("US", [b"\1\0", b"\xff\xff"]),
    0x00291010: ("OB", [b"ab", bytes(300)]),
    0x00400280: ("ST", [b"x" * 200, b"y\\z "]),
}


def _file(writer: Writer, syntax: str, chosen: dict[int, bytes], uid: bytes, tail: bytes) -> bytes:
    explicit = syntax == EXPLICIT
    parts = writer.identity(explicit=explicit)
    parts[0x00080018] = writer.element(0x00080018, "UI", uid, explicit=explicit)
    for tag, value in chosen.items():
        parts[tag] = writer.element(tag, VALUES[tag][0], value, explicit=explicit)
    parts[0x7FE00010] = writer.element(0x7FE00010, "OW", b"", explicit=explicit)
    return writer.file(b"".join(parts[tag] for tag in sorted(parts)) + tail, syntax)


def _items(writer: Writer, syntax: str, uids: list[bytes]) -> bytes:
    items = [writer.element(0x00081155, "UI", uid, explicit=syntax == EXPLICIT) for uid in uids]
    return b"".join(writer.item(item, defined=bool(number % 2)) for number, item in enumerate(items))


@st.composite
def series(draw: st.DrawFn) -> list[bytes]:
    """Files with the same elements, whose values differ or not."""
    writer, syntax = Writer(), draw(st.sampled_from([EXPLICIT, IMPLICIT]))
    tags = sorted(draw(st.sets(st.sampled_from(sorted(VALUES)))))
    tail = draw(st.sampled_from([b"", bytes(12)]))
    files = []
    for number in range(draw(st.integers(2, 6))):
        chosen = {}
        for tag in tags:
            if VALUES[tag][0] == "SQ":
                uids = draw(st.lists(st.sampled_from([b"1.2.3\0", b"1.2.34"]), max_size=3))
                chosen[tag] = _items(writer, syntax, uids)
            else:
                chosen[tag] = draw(st.sampled_from(VALUES[tag][1]))
        files.append(_file(writer, syntax, chosen, b"1.2.%d" % (10 ** draw(st.integers(1, 4)) + number), tail))
    return files


@settings(deadline=None)
@given(series())
def test_files_of_the_same_elements_are_all_written(files: list[bytes]) -> None:
    template = template_of(read_part10(BytesSource(files[0])))
    for data in files:
        written = template.write(data)
        assert written is not None
        assert b"".join(written.parts) == whole(data)
        assert written.noted == read_part10(BytesSource(data)).element(INSTANCE_NUMBER)


@pytest.mark.parametrize(
    ("tag", "vr", "value"),
    [
        (0x00080005, "CS", b"ISO_IR 144"),
        (0x00090010, "LO", b"SOMEBODY ELSE "),
        (0x00280103, "US", b"\1\0"),
        (0x00200013, "DS", b"5 "),
        (0x00200014, "IS", b"1 "),
    ],
    ids=["character set", "private creator", "pixel representation", "another representation", "another element"],
)
def test_what_changes_how_others_are_read_is_left_to_those_who_read_all(
    writer: Any, tag: int, vr: str, value: bytes
) -> None:
    first = {0x00080005: ("CS", b"ISO_IR 100"), 0x00090010: ("LO", b"GEMS_IDEN_01"), 0x00200013: ("IS", b"5 ")}
    first[0x00280103] = ("US", b"\0\0")
    second = {**first, tag: (vr, value)}
    files = [
        writer.instance(*((tag, vr, value) for tag, (vr, value) in elements.items())) for elements in (first, second)
    ]
    template = template_of(read_part10(BytesSource(files[0])))
    assert template.write(files[1]) is None
    written = template.write(files[0])
    assert written is not None
    assert b"".join(written.parts) == whole(files[0])


def test_what_is_written_beside_the_elements_of_the_file(writer: Any) -> None:
    files = [kept(writer.instance((0x00200013, "IS", number))) for number in (b"1 ", b"20")]
    part10 = read_part10(BytesSource(files[0]))
    more = Element(0x00020010, "UI", b"1.2.4"), Element(0x00083002, "UI", b"1.2.4")
    elements = sorted((*part10.elements, *more))
    template = JsonTemplate(
        part10, elements, lambda element: element_text(element, part10.character_set, lambda _: ""), INSTANCE_NUMBER
    )
    for data in files:
        found = read_part10(BytesSource(data)).elements
        written = template.write(data)
        assert written is not None
        assert b"".join(written.parts) == json_object(
            tuple(sorted((*found, *more))), part10.character_set, lambda _: ""
        )


@pytest.mark.parametrize("length", [0xFFFFFFFF, 0x7FFFFFFF])
def test_a_length_that_leads_nowhere(writer: Any, length: int) -> None:
    data = kept(writer.instance((0x00291010, "OB", b"ab")))
    template = template_of(read_part10(BytesSource(data)))
    end = data.index(b"OB") + 4
    assert template.write(data[:end] + length.to_bytes(4, "little") + data[end + 4 :]) is None
    assert template.write(data[:-1]) is None
    assert template.write(data + b"\0") is None


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"])
def test_files_that_are_no_templates(writer: Any, syntax: str) -> None:
    from hounsfield.dicom.io.deflate import deflate

    if syntax.endswith(".99"):
        data = writer.file(deflate(b"".join(writer.identity().values())), syntax)
    else:
        data = writer.instance(syntax=syntax)
    with pytest.raises(DicomError, match="template"):
        template_of(read_part10(BytesSource(data)))


def test_a_value_that_is_given_by_uri_makes_no_template(writer: Any) -> None:
    data = writer.instance((0x00291010, "OB", bytes(1 << 21)))
    with pytest.raises(DicomError, match="not for every file"):
        template_of(read_part10(BytesSource(data)))
    small, large = (writer.instance((0x00291010, "OB", bytes(size))) for size in (2, 1 << 21))
    assert template_of(read_part10(BytesSource(small))).write(large) is None
