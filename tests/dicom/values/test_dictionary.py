"""The dictionary: what is newer than pydicom's, and what it is for."""

from __future__ import annotations

from typing import Any

from pydicom.datadict import DicomDictionary  # type: ignore[attr-defined]
from pydicom.valuerep import STANDARD_VR

from hounsfield.dicom.io.part10 import BytesSource, read_part10
from hounsfield.dicom.values.dictionary import ENTRIES, TAGS
from hounsfield.dicom.values.dictionary_supplement import EDITION, SUPPLEMENT
from hounsfield.dicom.values.elements import Element

IMPLICIT = "1.2.840.10008.1.2"


def test_the_supplement_has_what_pydicom_lacks() -> None:
    caught_up = [f"{tag:08X}" for tag in SUPPLEMENT if tag in DicomDictionary]
    assert not caught_up, f"pydicom has caught up with {EDITION}: take these out of the supplement"
    keywords = {keyword for _, _, keyword in SUPPLEMENT.values()}
    assert len(keywords) == len(SUPPLEMENT)
    assert not keywords & {entry[4] for entry in DicomDictionary.values()}
    assert {vr for vr, _, _ in SUPPLEMENT.values()} <= {str(vr) for vr in STANDARD_VR}
    assert all(TAGS[keyword] == tag and ENTRIES[tag].vr == vr for tag, (vr, _, keyword) in SUPPLEMENT.items())


def test_a_new_sequence_in_implicit_vr_is_one(writer: Any) -> None:
    tag = TAGS["PersonNamesToUseSequence"]
    item = writer.element(TAGS["NameToUse"], "LT", b"Kit ", explicit=False)
    for items in (writer.item(item), writer.item(item, defined=False)):
        part10 = read_part10(BytesSource(writer.file(writer.element(tag, "SQ", items, explicit=False), IMPLICIT)))
        assert part10.elements == (Element(tag, "SQ", ((Element(TAGS["NameToUse"], "LT", b"Kit "),),)),)
        assert not part10.warnings
