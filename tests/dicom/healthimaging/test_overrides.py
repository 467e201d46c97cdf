"""Elements of a file are replaced, in what is read of it and in what is kept of it, and everything else stays as it was."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from hounsfield.dicom.healthimaging.overrides import check_overridable, override_elements
from hounsfield.dicom.healthimaging.record import instance_record
from hounsfield.dicom.io.element_writer import ElementWriter
from hounsfield.dicom.io.part10 import BytesSource, Part10, read_part10
from hounsfield.dicom.json.reader import elements_of_json
from hounsfield.dicom.values.decode import is_encoding_only
from hounsfield.dicom.values.elements import Element
from hounsfield.dicom.values.errors import DicomError
from support.files.synthetic import slice_of

SYNTAXES = [
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
]
OVERRIDES = {
    "00080070": {"vr": "LO", "Value": ["ACME"]},
    "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Doe^John"}]},
    "00081115": {"vr": "SQ", "Value": [{"0020000E": {"vr": "UI", "Value": ["1.2.3.4"]}}]},
    "00189073": {"vr": "FD", "Value": [2.5]},
    "00281052": {"vr": "DS", "Value": ["-1024"]},
    "00104000": {"vr": "LT"},
    "FFFC0001": {"vr": "LO", "Value": ["behind the pixels"]},
    "FFFD0010": {"vr": "LO", "Value": ["Own"]},
    "FFFD1001": {"vr": "US", "Value": [513]},
}


def part10_of(data: bytes) -> Part10:
    return read_part10(BytesSource(data))


def file_of(syntax: str, **elements: Any) -> bytes:
    dataset = slice_of(**elements)
    dataset.file_meta.TransferSyntaxUID = syntax
    if syntax == ExplicitVRBigEndian:
        dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").byteswap().tobytes()
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pydicom.dcmwrite(stream, dataset, enforce_file_format=True)
    return stream.getvalue()


def applied(part10: Part10, data_set: dict[str, Any]) -> Part10:
    elements = elements_of_json(data_set, little_endian=part10.little_endian)
    check_overridable(part10, elements)
    return override_elements(part10, elements)


def without_groups(elements: tuple[Element, ...]) -> tuple[Element, ...]:
    return tuple(sorted(e for e in elements if not is_encoding_only(e.tag)))


def test_what_is_written_is_read_back(dicom_path: Path, writer: Any) -> None:
    part10 = part10_of(dicom_path.read_bytes())
    elements = tuple(sorted(part10.elements))
    for explicit in (True, False):
        body = ElementWriter(little_endian=part10.little_endian, explicit_vr=explicit).write(elements)
        syntax = ExplicitVRLittleEndian if explicit else ImplicitVRLittleEndian
        again = part10_of(writer.file(body, syntax if part10.little_endian else ExplicitVRBigEndian))
        assert [element.tag for element in again.elements] == [element.tag for element in elements]
        if explicit:
            assert again.elements == elements


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_elements_are_replaced_and_added_in_every_encoding(syntax: str) -> None:
    before = part10_of(file_of(syntax))
    after = applied(before, OVERRIDES)
    record = instance_record(after)
    assert record.patient["PatientName"] == "Doe^John"
    assert record.series["Manufacturer"] == "ACME"
    assert record.attributes["ReferencedSeriesSequence"] == [{"SeriesInstanceUID": "1.2.3.4"}]
    assert (record.attributes["AcquisitionDuration"], record.attributes["RescaleIntercept"]) == (2.5, "-1024 ")
    assert record.attributes["FFFD1001"] == 513
    assert record.vrs["FFFD1001"] == "US"
    assert record.warnings == ()
    replaced = {int(key, 16) for key in OVERRIDES}
    others = [[e for e in without_groups(file.elements) if e.tag not in replaced] for file in (before, after)]
    assert others[0] == others[1]
    assert (after.pixel_data, after.transfer_syntax) == (before.pixel_data, before.transfer_syntax)
    kept = pydicom.dcmread(io.BytesIO(after.header))
    assert kept.file_meta == pydicom.dcmread(io.BytesIO(before.header)).file_meta
    assert (kept.PatientName, kept.Manufacturer, kept.PatientComments) == ("Doe^John", "ACME", "")
    assert kept.ReferencedSeriesSequence[0].SeriesInstanceUID == "1.2.3.4"
    assert kept[0xFFFC0001].value in ("behind the pixels", b"behind the pixels ")
    again = part10_of(after.header)
    assert [e.tag for e in again.elements] == [e.tag for e in after.elements]


@pytest.mark.parametrize("syntax", SYNTAXES[:3])
def test_pixel_data_put_back_at_the_cut_makes_a_file_again(syntax: str) -> None:
    data = file_of(syntax)
    after = applied(part10_of(data), OVERRIDES)
    assert after.pixel_data is not None
    element = data[after.pixel_data.start : after.pixel_data.end]
    behind = after.header[after.cut :].removeprefix(after.emptied)
    whole = pydicom.dcmread(io.BytesIO(after.header[: after.cut] + element + behind))
    assert whole.PatientName == "Doe^John"
    assert whole.PixelData == pydicom.dcmread(io.BytesIO(data)).PixelData


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_the_empty_pixel_data_element_stays_in_what_is_kept(syntax: str) -> None:
    before = part10_of(file_of(syntax))
    after = applied(before, OVERRIDES)
    assert after.emptied == before.emptied != b""
    assert pydicom.dcmread(io.BytesIO(after.header))["PixelData"].is_empty


def test_encapsulated_pixel_data_of_an_icon_stays_encapsulated() -> None:
    dataset, icon = slice_of(), pydicom.Dataset()
    icon.Rows = icon.Columns = 8
    icon.PixelData = pydicom.encaps.encapsulate([b"\xff\xd8\xff\xd9"])
    icon["PixelData"].VR, icon["PixelData"].is_undefined_length = "OB", True
    dataset.IconImageSequence = [icon]
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, dataset, enforce_file_format=True)
    after = applied(part10_of(stream.getvalue()), OVERRIDES)
    kept = pydicom.dcmread(io.BytesIO(after.header)).IconImageSequence[0]
    assert kept["PixelData"].is_undefined_length
    assert kept.PixelData == icon.PixelData


def test_nothing_to_override_leaves_the_file_as_it_is() -> None:
    part10 = part10_of(file_of(ExplicitVRLittleEndian))
    assert applied(part10, {}) is part10


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        (None, "Roe^Jane"),
        ("ISO_IR 100", "Müller^Jürgen"),
        ("ISO_IR 192", "Müller^Jürgen"),
        ("ISO_IR 144", "Люкceмбypг"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("GB18030", "Wang^XiaoDong=王^小东"),
    ],
)
def test_text_of_any_character_set_stays_what_it_is(charset: Any, name: str) -> None:
    extra = {} if charset is None else {"SpecificCharacterSet": charset}
    data = file_of(ExplicitVRLittleEndian, PatientName=name, **extra)
    part10 = part10_of(data)
    ascii_only = applied(part10, {"00080070": {"vr": "LO", "Value": ["ACME"]}})
    assert ascii_only.character_set == part10.character_set
    assert instance_record(ascii_only).patient["PatientName"] == name
    japanese = applied(part10, {"00080080": {"vr": "LO", "Value": ["大学病院"]}})
    record = instance_record(japanese)
    assert record.attributes["SpecificCharacterSet"] == ["ISO_IR 192"]
    assert record.patient["PatientName"] == name
    assert record.series["InstitutionName"] == "大学病院"
    assert record.warnings == ()
    kept = pydicom.dcmread(io.BytesIO(japanese.header))
    assert (str(kept.PatientName), kept.InstitutionName) == (name, "大学病院")


def test_items_with_a_character_set_of_their_own_become_unicode_too(writer: Any) -> None:
    latin = writer.element(0x00080005, "CS", b"ISO_IR 100") + writer.element(0x00080104, "LO", "über".encode("latin-1"))
    plain = writer.element(0x00080104, "LO", "Люкc".encode("iso8859-5"))
    data = writer.instance(
        (0x00080005, "CS", b"ISO_IR 144"), (0x00081032, "SQ", writer.item(latin) + writer.item(plain))
    )
    after = applied(part10_of(data), {"00080080": {"vr": "LO", "Value": ["é"]}})
    record = instance_record(after)
    assert record.study["ProcedureCodeSequence"] == [{"CodeMeaning": "über"}, {"CodeMeaning": "Люкc"}]


def test_text_that_cannot_be_decoded_is_not_changed_unseen(writer: Any) -> None:
    part10 = part10_of(writer.instance((0x00080005, "CS", b"ISO_IR 6 "), (0x00100020, "LO", b"\x1b$B\xff\xff")))
    with pytest.raises(DicomError, match=r"PatientID \(0010,0020\) in the file cannot be decoded"):
        applied(part10, {"00080080": {"vr": "LO", "Value": ["é"]}})


PROTECTED = {
    "study": ({"0020000D": {"vr": "UI", "Value": ["9.9"]}}, "StudyInstanceUID (0020,000D) .* identifies"),
    "series": ({"0020000E": {"vr": "UI", "Value": ["9.9"]}}, "SeriesInstanceUID"),
    "instance": ({"00080018": {"vr": "UI", "Value": ["9.9"]}}, "SOPInstanceUID"),
    "empty": ({"0020000D": {"vr": "UI"}}, "StudyInstanceUID"),
    "rows": ({"00280010": {"vr": "US", "Value": [63]}}, "Rows .* describes the pixel data"),
    "photometric": ({"00280004": {"vr": "CS", "Value": ["RGB"]}}, "PhotometricInterpretation"),
    "frames": ({"00280008": {"vr": "IS", "Value": ["1"]}}, "NumberOfFrames"),
    "signed": ({"00280103": {"vr": "US", "Value": [0]}}, "PixelRepresentation"),
    "pixels": ({"7FE00010": {"vr": "OW", "InlineBinary": "AAAA"}}, "PixelData .* belongs to the pixel data"),
    "offsets": ({"7FE00001": {"vr": "OV", "InlineBinary": "AAAA"}}, "ExtendedOffsetTable"),
    "meta": ({"00020010": {"vr": "UI", "Value": ["1.2.840.10008.1.2"]}}, "file meta information"),
    "creator": ({"00090010": {"vr": "LO", "Value": ["Other"]}}, "reserves the block for another creator"),
    "no-creator": ({"000B1001": {"vr": "LO", "Value": ["x"]}}, "needs its private creator"),
}


@pytest.mark.parametrize("name", PROTECTED)
def test_what_makes_an_instance_what_it_is_cannot_be_overridden(name: str) -> None:
    data_set, words = PROTECTED[name]
    dataset = slice_of()
    dataset.private_block(0x0009, "Mine", create=True).add_new(1, "LO", "x")
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, dataset, enforce_file_format=True)
    with pytest.raises(DicomError, match=words.replace("(", r"\(").replace(")", r"\)")):
        applied(part10_of(stream.getvalue()), data_set)


def test_what_the_file_says_itself_may_be_said_again() -> None:
    part10 = part10_of(file_of(ExplicitVRLittleEndian, pixels=np.zeros((2, 64, 64), "<u2")))
    dataset = pydicom.dcmread(io.BytesIO(file_of(ExplicitVRLittleEndian, pixels=np.zeros((2, 64, 64), "<u2"))))
    content = dataset.to_json_dict()
    del content["7FE00010"]
    content["00020010"] = {"vr": "UI", "Value": ["1.2.840.10008.1.2.1"]}
    after = applied(part10, content)
    assert instance_record(after).attributes == instance_record(part10).attributes


def test_a_value_without_room_in_its_encoding_is_refused() -> None:
    part10 = part10_of(file_of(ExplicitVRLittleEndian))
    with pytest.raises(DicomError, match="has room for 65535"):
        applied(part10, {"00104000": {"vr": "LT", "Value": ["x" * 70_000]}})
