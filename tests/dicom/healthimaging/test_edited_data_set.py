"""Edits brought into a data set: what the metadata document shows is what the data set has, and all else is untouched."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hounsfield.dicom.healthimaging.edited_data_set import Amendment, apply_amendment, compute_amendment
from hounsfield.dicom.io.byte_order import to_little_endian
from hounsfield.dicom.io.dataset_writer import write_data_set
from hounsfield.dicom.io.file_meta import preamble_and_meta
from hounsfield.dicom.io.part10 import BytesSource, read_part10
from hounsfield.dicom.values.charsets import character_set
from hounsfield.dicom.values.decode import JsonValue, ValueDecoder
from hounsfield.dicom.values.elements import SPECIFIC_CHARACTER_SET, Element
from hounsfield.dicom.values.errors import DicomError

JAPANESE = b"\\ISO 2022 IR 87"
NAME = Element(0x00100010, "PN", b"Roe^Jane")


def values(elements: tuple[Element, ...]) -> tuple[dict[str, JsonValue], dict[str, str]]:
    """Decode a data set as the metadata document does."""
    terms = next((e.value for e in elements if e.tag == SPECIFIC_CHARACTER_SET and isinstance(e.value, bytes)), b"")
    decoder = ValueDecoder(little_endian=True)
    found: dict[str, JsonValue] = {}
    decoder.add(found, elements, character_set(terms))
    return found, decoder.vrs


def dataset(elements: tuple[Element, ...]) -> pydicom.Dataset:
    """Let pydicom read a data set."""
    return pydicom.dcmread(
        BytesIO(preamble_and_meta((), "1.2", "1.2.3", "1.2.840.10008.1.2.1") + write_data_set(elements))
    )


def with_charset(terms: bytes, *elements: Element) -> tuple[Element, ...]:
    return (Element(SPECIFIC_CHARACTER_SET, "CS", terms), *elements)


def test_every_element_made_anew_is_what_it_was(dicom_path: Path) -> None:
    """All values of a real file go through the document and back; only what the document does not hold may differ."""
    part10 = read_part10(BytesSource(dicom_path.read_bytes()))
    elements = part10.elements if part10.little_endian else to_little_endian(part10.elements)
    before, vrs = values(elements)
    before.pop("SpecificCharacterSet", None)
    small = {key: value for key, value in before.items() if not lost(value)}
    bare = tuple(e for e in elements if e.tag == SPECIFIC_CHARACTER_SET)
    made = apply_amendment(bare, Amendment(small, vrs=vrs))
    found, found_vrs = values(made)
    assert without_character_sets(found) == without_character_sets(small)
    assert found_vrs == {key: vr for key, vr in vrs.items() if key in found_vrs}
    originals = {element.tag: element for element in elements}
    for element in made:
        if element.tag != SPECIFIC_CHARACTER_SET and " " not in element.vr:
            assert (element.vr == "SQ") == (originals[element.tag].vr == "SQ")
    assert apply_amendment(elements, compute_amendment(before, before, vrs)) is elements


def without_character_sets(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_character_sets(entry) for key, entry in value.items() if key != "SpecificCharacterSet"}
    return [without_character_sets(entry) for entry in value] if isinstance(value, list) else value


def lost(value: JsonValue) -> bool:
    """Return whether text has characters that were replaced when it was read."""
    if isinstance(value, dict):
        return any(map(lost, value.values()))
    return any(map(lost, value)) if isinstance(value, list) else isinstance(value, str) and "\ufffd" in value


texts = st.text("abcXYZ äß山Я^=.", max_size=12).map(str.strip)
CHOICES: dict[str, Any] = {
    "PatientName": texts.filter(lambda text: text.strip("^= ") == text),
    "PatientComments": texts,
    "StudyDescription": texts,
    "OtherPatientNames": st.lists(texts, min_size=1, max_size=3).filter(any),
    "PatientWeight": st.sampled_from(["70", "70.5 "]),
    "Rows": st.integers(0, 65535),
    "SmallestImagePixelValue": st.integers(-32768, 65535),
    "FrameIncrementPointer": st.sampled_from([["00181063"], ["00181063", "00189074"]]),
    "FloatPixelPaddingValue": st.sampled_from([0.5, "NaN", "-Infinity", 3]),
    "00091001": st.sampled_from(["AAE=", "AAEC/w=="]),
    "00091002": texts,
    "ReferencedImageSequence": st.lists(
        st.fixed_dictionaries({}, optional={"ReferencedSOPInstanceUID": st.just("1.2"), "PatientComments": texts}), max_size=2
    ),
}  # fmt: skip
VRS = {"00091001": "OB", "00091002": "LO"}
documents = st.fixed_dictionaries({}, optional=CHOICES).map(
    lambda found: {key: None if value == "" else value for key, value in found.items()}
)


def nulled(value: Any) -> Any:
    """The document has null for what is empty."""
    if isinstance(value, dict):
        return {key: nulled(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [nulled(entry) if isinstance(entry, dict) else entry for entry in value]
    return None if value == "" else value


@given(documents, documents, st.sampled_from([b"", b"ISO_IR 100", b"ISO_IR 192", JAPANESE, b"GB18030", b"NONSENSE"]))
def test_a_difference_leads_from_one_document_to_the_other(
    before: dict[str, JsonValue], after: dict[str, JsonValue], terms: bytes
) -> None:
    before, after = nulled(before), nulled(after)
    elements = apply_amendment(with_charset(terms), Amendment(before, vrs=VRS))
    assert document(elements) == before
    changed = apply_amendment(elements, compute_amendment(before, after, VRS))
    assert document(changed) == after
    assert [e.tag for e in changed] == sorted(e.tag for e in changed)
    assert document(apply_amendment(changed, compute_amendment(after, before, VRS))) == before


def document(elements: tuple[Element, ...]) -> dict[str, JsonValue]:
    found, _ = values(elements)
    found.pop("SpecificCharacterSet", None)
    return found


def test_what_is_not_edited_stays_byte_for_byte() -> None:
    odd = (
        Element(0x00080060, "CS", b"CT  "),
        NAME,
        Element(0x00280030, "DS", b" 0.50\\.5"),
        Element(0x00280120, "SS", b"\xff\xff"),
        Element(0x00291010, "UN", b"\1\2"),
    )
    changed = apply_amendment(odd, Amendment({"Rows": 5}, frozenset({"Modality"})))
    assert changed == (odd[1], Element(0x00280010, "US", b"\5\0"), *odd[2:])


@pytest.mark.parametrize("terms", [b"", b"ISO_IR 6", b"ISO_IR 100", b"ISO_IR 144", JAPANESE, b"ISO_IR 999"])
def test_text_beyond_the_character_set_makes_the_data_set_unicode(terms: bytes) -> None:
    old = "Müller" if terms == b"ISO_IR 100" else "Мюллер" if terms == b"ISO_IR 144" else "Mueller"
    raw = old.encode(character_set(terms).encodings[0])
    own = (Element(SPECIFIC_CHARACTER_SET, "CS", b"ISO_IR 101"), Element(0x00104000, "LT", "Łódź".encode("iso8859-2")))
    item = (Element(0x00104000, "LT", raw),)
    elements = with_charset(terms, Element(0x00081140, "SQ", (own, item)), Element(0x00100010, "PN", raw))
    changed = dataset(apply_amendment(elements, Amendment({"PatientComments": "山田 Ö Я"})))
    assert changed.SpecificCharacterSet == "ISO_IR 192"
    assert str(changed.PatientName) == old
    assert changed.PatientComments == "山田 Ö Я"
    first, second = changed.ReferencedImageSequence
    assert (first.SpecificCharacterSet, first.PatientComments) == ("ISO_IR 101", "Łódź")
    assert second.PatientComments == old


def test_text_within_the_character_set_leaves_it() -> None:
    elements = with_charset(b"ISO_IR 144", Element(0x00100010, "PN", "Мюллер".encode("iso8859-5")))
    changed = apply_amendment(elements, Amendment({"PatientComments": "Привет"}))
    assert changed[:2] == elements
    assert dataset(changed).PatientComments == "Привет"


@pytest.mark.parametrize(
    ("term", "kept"),
    [("ISO_IR 192", "ISO_IR 192"), ("ISO_IR 144", "ISO_IR 192"), ("ISO_IR 148", "ISO_IR 148"), ("BOGUS", "ISO_IR 192")],
)
def test_an_edited_character_set_is_the_one_of_all_text(term: str, kept: str) -> None:
    elements = with_charset(b"ISO_IR 100", Element(0x00100010, "PN", "Müller".encode("latin-1")))
    changed = dataset(apply_amendment(elements, Amendment({"SpecificCharacterSet": [term], "PatientComments": "Übel"})))
    assert changed.SpecificCharacterSet == kept
    assert (str(changed.PatientName), changed.PatientComments) == ("Müller", "Übel")


def test_without_its_character_set_a_data_set_stays_readable() -> None:
    removal = Amendment(removed=frozenset({"SpecificCharacterSet"}))
    assert apply_amendment(with_charset(b"ISO_IR 100", NAME), removal) == (NAME,)
    umlaut = with_charset(b"ISO_IR 100", Element(0x00100010, "PN", "Müller".encode("latin-1")))
    assert str(dataset(apply_amendment(umlaut, removal)).PatientName) == "Müller"


def test_us_or_ss_follows_the_pixels_and_the_value() -> None:
    signed = (Element(0x00280103, "US", b"\1\0"),)
    assert apply_amendment(signed, Amendment({"SmallestImagePixelValue": 5}))[-1] == Element(0x00280106, "SS", b"\5\0")
    assert apply_amendment(signed, Amendment({"SmallestImagePixelValue": 60000}))[-1].vr == "US"
    assert apply_amendment((), Amendment({"SmallestImagePixelValue": -5}))[0] == Element(0x00280106, "SS", b"\xfb\xff")
    assert apply_amendment((), Amendment({"SmallestImagePixelValue": 5}))[0].vr == "US"


@pytest.mark.parametrize(
    ("key", "value"),
    [("Rows", "many"), ("PixelSpacing!", "1"), ("00091001", "not base64"), ("FrameIncrementPointer", "xyz")],
)
def test_what_is_no_value_of_an_element_is_refused(key: str, value: JsonValue) -> None:
    with pytest.raises(DicomError):
        apply_amendment((), Amendment({key: value}, vrs=VRS))
