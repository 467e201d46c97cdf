"""Data sets written anew: real files of every kind come back element by element, in Explicit VR LE, JSON and XML."""

from __future__ import annotations

import json
import struct
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pydicom
import pytest
from pydicom.dataset import Dataset

from hounsfield.dicom.io.byte_order import to_little_endian
from hounsfield.dicom.io.dataset_writer import write_data_set
from hounsfield.dicom.io.file_meta import IMPLEMENTATION_CLASS_UID, preamble_and_meta
from hounsfield.dicom.io.part10 import BytesSource, Part10, read_part10
from hounsfield.dicom.json.writer import bulk_values, json_object, path_digest
from hounsfield.dicom.json.xml import write_native_model
from hounsfield.dicom.values.charsets import CharacterSet, character_set
from hounsfield.dicom.values.decode import is_encoding_only
from hounsfield.dicom.values.elements import PIXEL_DATA, Element

LATIN = CharacterSet()
BLANK_PADDED = {"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UR", "UT"}
XML = "{http://dicom.nema.org/PS3.19/models/NativeDICOM}"


def read(data: bytes) -> Part10:
    return read_part10(BytesSource(data))


def little(part10: Part10) -> tuple[Element, ...]:
    return part10.elements if part10.little_endian else to_little_endian(part10.elements)


def kept(elements: tuple[Element, ...]) -> list[Element]:
    """What must come back: in tag order, the last of a tag, values of even length, nothing about the encoding."""
    by_tag = {element.tag: element for element in elements if not is_encoding_only(element.tag)}
    return [Element(tag, by_tag[tag].vr, _even(by_tag[tag])) for tag in sorted(by_tag)]


def _even(element: Element) -> Any:
    if isinstance(element.value, tuple):
        return tuple(tuple(kept(item)) for item in element.value)
    blank = element.vr in BLANK_PADDED
    return element.value + (b" " if blank else b"\0") * (len(element.value) % 2)


def uri(path: tuple[int, ...]) -> str:
    return f"http://host/{path_digest('key', path)}"


def test_every_file_comes_back_in_explicit_little_endian(dicom_path: Path) -> None:
    part10 = read(dicom_path.read_bytes())
    elements = little(part10)
    file = preamble_and_meta(part10.meta, "1.2", "1.2.3", "1.2.840.10008.1.2.1") + write_data_set(elements)
    again = read(file)
    assert again.explicit_vr
    assert list(again.elements) == kept(elements)
    assert pydicom.dcmread(BytesIO(file)).file_meta.ImplementationClassUID == IMPLEMENTATION_CLASS_UID


def test_file_meta_keeps_what_tells_not_of_the_file(installed: Path) -> None:
    part10 = read((installed / "test_files" / "CT_small.dcm").read_bytes())
    own = (
        Element(0x00020016, "AE", b"SENDER"),
        Element(0x00020100, "UI", b"1.2.9\0"),
        Element(0x00020102, "OB", b"\1\2"),
    )
    meta = preamble_and_meta((*part10.meta, *own), "1.2.840.10008.5.1.4.1.1.2", "1.2.3", "1.2.840.10008.1.2.1")
    found = pydicom.dcmread(BytesIO(meta + write_data_set(part10.elements))).file_meta
    assert found.SourceApplicationEntityTitle == "SENDER"
    assert (found.PrivateInformationCreatorUID, found.PrivateInformation) == ("1.2.9", b"\1\2")
    assert found.MediaStorageSOPInstanceUID == "1.2.3"
    assert found.ImplementationVersionName == "HOUNSFIELD"
    assert found.FileMetaInformationGroupLength == len(meta) - 132 - 12


def test_what_a_short_length_cannot_say_becomes_unknown() -> None:
    value = b"1\\" * 40000
    file = meta() + write_data_set([Element(0x00189087, "DS", value)])
    assert struct.pack("<HH2s2xL", 0x0018, 0x9087, b"UN", 80000) in file
    assert pydicom.dcmread(BytesIO(file))[0x00189087].value == value


def test_an_encapsulated_icon_keeps_its_undefined_length() -> None:
    items = struct.pack("<HHL", 0xFFFE, 0xE000, 0) + struct.pack("<HHL4s", 0xFFFE, 0xE000, 4, b"\xff\xd8\xff\xd9")
    inside = Element(0x00880200, "SQ", ((Element(PIXEL_DATA, "OB", items),),))
    (again,) = read(meta() + write_data_set([inside])).elements
    assert again == inside
    (item,) = again.value
    assert write_data_set(item)[8:12] == b"\xff\xff\xff\xff"
    looks_like_items = Element(0x00880200, "SQ", ((Element(PIXEL_DATA, "OW", items[:-2]),),))
    assert read(meta() + write_data_set([looks_like_items])).elements == (looks_like_items,)


def meta() -> bytes:
    return preamble_and_meta((), "1.2", "1.2.3", "1.2.840.10008.1.2.1")


def test_json_of_every_file_is_what_pydicom_reads_in_it(dicom_path: Path) -> None:
    """pydicom reads the JSON back; what it makes of it, written again, is what it makes of the file."""
    part10 = read(dicom_path.read_bytes())
    elements = tuple(element for element in little(part10) if element.tag >> 16 != 0x7FE0)
    text = json_object(elements, part10.character_set, uri)
    model = json.loads(text)
    assert list(model) == [f"{element.tag:08X}" for element in kept(elements)]
    for element in kept(elements):
        member = model[f"{element.tag:08X}"]
        assert member["vr"] == element.vr
        assert len(set(member) - {"vr"}) <= 1
        assert bool(set(member) - {"vr"}) == _has_content(element, part10), element
    if dicom_path.name in {"badVR.dcm", "emri_small_jpeg_2k_lossless_too_short.dcm"}:
        return  # pydicom has no integer strings that are none, and reads no elements of the second one
    dataset = Dataset.from_json(text.decode(), bulk_data_uri_handler=lambda *_: b"")
    assert [int(element.tag) for element in dataset] == [element.tag for element in kept(elements)]
    file = pydicom.dcmread(dicom_path, force=True)
    for element in dataset:
        if element.VR not in {"SQ", "OB", "OW", "OF", "OD", "OL", "OV", "UN"} and element.tag != 0x00080005:
            assert plain(element.value) == plain(file[element.tag].value), element.tag


def plain(value: Any) -> list[Any]:
    """Values with their padding off, numbers as they are and not as they were written."""
    values = list(value) if isinstance(value, pydicom.multival.MultiValue | list) else [value]
    return [] if values in ([None], [""]) else [_plain(one) for one in values]


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return round(float(value), 6 - len(str(abs(int(value)))))
    return int(value) if isinstance(value, int) else str(value or "").strip()


def _has_content(element: Element, part10: Part10) -> bool:
    if isinstance(element.value, tuple):
        return bool(element.value)
    if element.vr in {"UN", "OB", "OW", "OF", "OD", "OL", "OV"}:
        return bool(element.value)
    if element.vr in {"US", "SS", "UL", "SL", "FL", "FD", "AT", "UV", "SV"}:
        size = {"US": 2, "SS": 2, "FD": 8, "UV": 8, "SV": 8}.get(element.vr, 4)
        return len(element.value) >= size
    return bool(element.value.strip(b" \0"))


@pytest.mark.parametrize(
    ("vr", "value", "expected"),
    [
        ("PN", "Ya^Ta=山^太=や^た", [{"Alphabetic": "Ya^Ta", "Ideographic": "山^太", "Phonetic": "や^た"}]),
        ("PN", "=山田", [{"Ideographic": "山田"}]),
        ("PN", "A^B\\\\C", [{"Alphabetic": "A^B"}, None, {"Alphabetic": "C"}]),
        ("LO", "a\\\\b ", ["a", None, "b"]),
        ("LT", "one\\two ", ["one\\two"]),
        ("CS", "", None),
        ("UI", "1.2.3\0", ["1.2.3"]),
    ],
)  # fmt: skip
def test_text_in_json(vr: str, value: str, expected: Any) -> None:
    charset = character_set(b"ISO_IR 192")
    member = json.loads(json_object((Element(0x00091001, vr, value.encode()),), charset, uri))["00091001"]
    assert member.get("Value") == expected


@pytest.mark.parametrize(
    ("vr", "value", "expected"),
    [
        ("DS", b"1.50", "[1.50]"), ("DS", b"+1.5 ", "[1.5]"), ("DS", b".5\\5.\\-.25", "[0.5,5.0,-0.25]"),
        ("DS", b"1e3", "[1e3]"),
        ("DS", b"1\\\\2", "[1,null,2]"), ("DS", b"nan", '["nan"]'), ("DS", b"1,5", '["1,5"]'), ("DS", b"1_0", '["1_0"]'),
        ("DS", b"1e999", '["1e999"]'), ("IS", b"007", "[7]"), ("IS", b"-3 ", "[-3]"), ("IS", b"12x", '["12x"]'),
        ("US", b"\1\2\3\4", "[513,1027]"), ("SS", b"\xff\xff", "[-1]"), ("US", b"\1", None),
        ("UV", struct.pack("<2Q", 1 << 53, (1 << 53) + 1), '[9007199254740992,"9007199254740993"]'),
        ("FL", struct.pack("<2f", 0.1, 1), "[0.1,1.0]"), ("FD", struct.pack("<d", 0.1), "[0.1]"),
        ("FL", struct.pack("<4f", 0.1, float("nan"), float("inf"), -float("inf")), '[0.1,"NaN","inf","-inf"]'),
        ("AT", b"\x18\x00\x65\x10", '["00181065"]'),
    ],
)  # fmt: skip
def test_numbers_in_json(vr: str, value: bytes, expected: str | None) -> None:
    text = json_object((Element(0x00091001, vr, value),), LATIN, uri).decode()
    assert text == f'{{"00091001":{{"vr":"{vr}"' + (f',"Value":{expected}' if expected else "") + "}}"


def test_large_bytes_are_given_by_uri_and_found_again() -> None:
    large, small = b"\1" * (1 << 20 | 2), b"\2" * (1 << 20)
    elements = (
        Element(0x00091001, "OB", large),
        Element(0x00091002, "UN", small),
        Element(0x00091003, "SQ", ((), (Element(0x00091001, "OW", large),))),
        Element(0x00091004, "UT", b"x" * (1 << 20 | 2)),
        Element(PIXEL_DATA, "OW", large),
    )
    model = json.loads(json_object(elements, LATIN, uri))
    assert "7FE00010" not in model
    assert len(model["00091002"]["InlineBinary"]) > 1 << 20
    assert len(model["00091004"]["Value"][0]) == 1 << 20 | 2
    uris = [model["00091001"]["BulkDataURI"], model["00091003"]["Value"][1]["00091001"]["BulkDataURI"]]
    assert len(set(uris)) == 2
    assert [uri(path) for path, value in bulk_values(elements) if value == large] == uris


def test_the_character_set_of_json_is_unicode() -> None:
    text = Element(0x00100010, "PN", "Мюллер".encode("iso8859-5"))
    item = (Element(0x00080005, "CS", b"ISO_IR 100"), Element(0x00100010, "PN", "Müller".encode("latin-1")))
    elements = (Element(0x00080005, "CS", b"ISO_IR 144"), Element(0x00081140, "SQ", (item, (text,))), text)
    model = json.loads(json_object(elements, character_set(b"ISO_IR 144"), uri))
    assert model["00080005"]["Value"] == ["ISO_IR 192"]
    names = [entry["00100010"]["Value"][0]["Alphabetic"] for entry in (*model["00081140"]["Value"], model)]
    assert names == ["Müller", "Мюллер", "Мюллер"]


def test_of_an_element_that_comes_twice_the_last_counts() -> None:
    elements = (Element(0x00091001, "LO", b"b"), Element(0x00080060, "CS", b"CT"), Element(0x00091001, "LO", b"a"))
    model = json.loads(json_object(elements, LATIN, uri))
    assert list(model) == ["00080060", "00091001"]
    assert model["00091001"]["Value"] == ["a"]


def test_xml_of_every_file_has_all_elements(dicom_path: Path) -> None:
    part10 = read(dicom_path.read_bytes())
    elements = little(part10)
    model = json_object(elements, part10.character_set, uri)
    root = ET.fromstring(write_native_model(model))
    assert root.tag == f"{XML}NativeDicomModel"
    attributes = root.findall(f"{XML}DicomAttribute")
    assert [attribute.get("tag") for attribute in attributes] == list(json.loads(model))
    for attribute, member in zip(attributes, json.loads(model).values(), strict=True):
        values = len(member.get("Value", ())) + ("InlineBinary" in member) + ("BulkDataURI" in member)
        assert len(attribute) == values


def test_xml_names_creators_keywords_and_parts_of_names() -> None:
    elements = (
        Element(0x00090010, "LO", b'A "creator" & co'),
        Element(0x00091001, "LO", b"<\x01>"),
        Element(0x00100010, "PN", b"Roe^Jane^^Dr"),
        Element(0x00101030, "DS", b"070.50"),
        Element(0x00281050, "DS", b"40.50\\80"),
        Element(0x00091101, "LO", b"nobody's"),
    )
    root = ET.fromstring(write_native_model(json_object(elements, LATIN, uri)))
    by_tag = {attribute.get("tag"): attribute for attribute in root}
    assert by_tag["00091001"].get("privateCreator") == 'A "creator" & co'
    assert by_tag["00091001"][0].text == "<�>"
    assert "privateCreator" not in by_tag["00091101"].attrib
    assert by_tag["00100010"].get("keyword") == "PatientName"
    name = {part.tag.removeprefix(XML): part.text for part in by_tag["00100010"][0][0]}
    assert name == {"FamilyName": "Roe", "GivenName": "Jane", "NamePrefix": "Dr"}
    assert [value.text for value in by_tag["00281050"]] == ["40.50", "80"]
