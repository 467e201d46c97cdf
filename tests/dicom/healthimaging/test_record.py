"""The record of an instance: levels, keys, limits and warnings."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from hounsfield.dicom.healthimaging.levels import PATIENT_KEYWORDS, SERIES_KEYWORDS, STUDY_KEYWORDS, Level, level_of
from hounsfield.dicom.healthimaging.record import Grouping, InstanceRecord, instance_record
from hounsfield.dicom.io.part10 import BytesSource, DicomError, read_part10
from hounsfield.dicom.values.warnings import ImportWarning, WarningCode, find_gravest


def record(data: bytes) -> InstanceRecord:
    return instance_record(read_part10(BytesSource(data)))


def test_level_lists_are_those_of_the_guide() -> None:
    assert (len(PATIENT_KEYWORDS), len(STUDY_KEYWORDS), len(SERIES_KEYWORDS)) == (46, 50, 44)
    assert len({*PATIENT_KEYWORDS, *STUDY_KEYWORDS, *SERIES_KEYWORDS}) == 140
    assert level_of(0x00100010) is Level.PATIENT
    assert level_of(0x00101010) is Level.STUDY
    assert level_of(0x00280120) is Level.SERIES
    assert level_of(0x00080005) is level_of(0x00091001) is Level.INSTANCE


def test_ct_small(installed: Path) -> None:
    found = record((installed / "test_files" / "CT_small.dcm").read_bytes())
    assert found.patient == {
        "OtherPatientIDsSequence": [
            {"PatientID": "ABCD1234", "TypeOfPatientID": "TEXT"},
            {"PatientID": "1234ABCD", "TypeOfPatientID": "TEXT"},
        ],
        "PatientBirthDate": None,
        "PatientID": "1CT1",
        "PatientName": "CompressedSamples^CT1",
        "PatientSex": "O",
    }
    assert list(found.study) == sorted(found.study)
    assert list(found.series) == sorted(found.series)
    assert found.study["StudyDate"] == "20040119"
    assert found.series["SoftwareVersions"] == ["05"]
    assert found.series["SeriesNumber"] == "1 "
    assert found.series["PixelPaddingValue"] == -2000
    assert list(found.attributes)[:5] == [
        "FileMetaInformationGroupLength",
        "FileMetaInformationVersion",
        "MediaStorageSOPClassUID",
        "MediaStorageSOPInstanceUID",
        "TransferSyntaxUID",
    ]
    assert found.attributes["FileMetaInformationGroupLength"] == 192
    assert found.attributes["FileMetaInformationVersion"] == "AAE="
    assert found.attributes["TransferSyntaxUID"] == "1.2.840.10008.1.2.1"
    assert found.attributes["ImageType"] == ["ORIGINAL", "PRIMARY", "AXIAL"]
    assert found.attributes["PixelSpacing"] == ["0.661468", "0.661468 "]
    assert found.attributes["SliceThickness"] == "5.000000"
    assert found.attributes["AcquisitionNumber"] == "2 "
    assert found.attributes["Rows"] == 128
    assert "PixelData" not in found.attributes
    assert found.vrs["00090010"] == "LO"
    assert found.attributes["00090010"] == "GEMS_IDEN_01"
    assert all(len(key) == 8 for key in found.vrs)
    assert found.grouping == Grouping(
        study_date="20040119",
        accession_number="",
        patient_id="1CT1",
        study_uid="1.3.6.1.4.1.5962.1.2.1.20040119072730.12322",
        study_id="1CT1",
        series_uid="1.3.6.1.4.1.5962.1.3.1.1.20040119072730.12322",
        series_number="1",
    )
    assert found.sop_class_uid == "1.2.840.10008.5.1.4.1.1.2"


def test_record_travels_between_processes(installed: Path) -> None:
    found = record((installed / "test_files" / "CT_small.dcm").read_bytes())
    assert pickle.loads(pickle.dumps(found)) == found


def test_big_endian_meta_information_is_little_endian(writer: Any) -> None:
    found = record(writer.instance((0x00280010, "US", b"\1\2"), syntax="1.2.840.10008.1.2.2"))
    assert found.attributes["Rows"] == 258
    assert found.attributes["FileMetaInformationGroupLength"] < 1000


@pytest.mark.parametrize(
    ("tag", "keyword"),
    [(0x00080018, "SOPInstanceUID"), (0x0020000D, "StudyInstanceUID"), (0x0020000E, "SeriesInstanceUID")],
)
@pytest.mark.parametrize("empty", [b"", b"\0\0"])
def test_missing_identifiers(writer: Any, tag: int, keyword: str, empty: bytes) -> None:
    with pytest.raises(DicomError, match=f"^DICOM attribute {keyword} does not exist$"):
        record(writer.instance((tag, "UI", empty)))


def test_sop_class_comes_from_the_meta_information_when_missing(writer: Any) -> None:
    assert record(writer.instance()).sop_class_uid == "1.2.840.10008.5.1.4.1.1.2"


@pytest.mark.parametrize(
    ("tag", "vr", "limit", "keyword"),
    [
        (0x00100010, "PN", 256, "PatientName"),
        (0x00100020, "LO", 256, "PatientID"),
        (0x00100030, "DA", 18, "PatientBirthDate"),
        (0x00100040, "CS", 16, "PatientSex"),
        (0x00080050, "SH", 256, "AccessionNumber"),
        (0x00200010, "SH", 256, "StudyID"),
        (0x00081030, "LO", 256, "StudyDescription"),
        (0x00080020, "DA", 18, "StudyDate"),
        (0x00080030, "TM", 28, "StudyTime"),
        (0x0020000D, "UI", 256, "StudyInstanceUID"),
    ],
)
def test_limits_of_the_service(writer: Any, tag: int, vr: str, limit: int, keyword: str) -> None:
    found = record(writer.instance((tag, vr, b"1" * limit + b" ")))
    assert keyword in {**found.patient, **found.study}
    with pytest.raises(DicomError, match=f"{keyword} has {limit + 1} characters, but at most {limit}") as caught:
        record(writer.instance((tag, vr, b"1" * (limit + 1))))
    assert "1111" not in str(caught.value)


def test_limits_count_characters_not_bytes(writer: Any) -> None:
    name = ("山" * 200).encode()
    found = record(writer.instance((0x00080005, "CS", b"ISO_IR 192"), (0x00100010, "PN", name)))
    assert found.patient["PatientName"] == "山" * 200


def test_counts_have_a_largest_value(writer: Any) -> None:
    assert record(writer.instance((0x00201206, "IS", b"1000000 "))).attributes["NumberOfStudyRelatedSeries"]
    with pytest.raises(DicomError, match="NumberOfStudyRelatedSeries must not be greater than 1000000"):
        record(writer.instance((0x00201206, "IS", b"1000001 ")))


@pytest.mark.parametrize(
    ("tag", "uid", "valid"),
    [
        (0x00080018, b"1.2.3..4", False),
        (0x00080018, b"1.02.3", False),
        (0x00080018, b"1." + b"2" * 63, False),
        (0x00080018, b"1." + b"2" * 62, True),
        (0x00080018, b"abc", False),
        (0x0020000D, b"0.02.3", True),
        (0x0020000D, b"1." + b"2" * 200, True),
        (0x0020000D, b"1.2.", False),
        (0x0018100B, b"1.2\\01.2", True),
        (0x00081155, b"1.2\\1..2", False),
    ],
)
def test_uid_rules(writer: Any, tag: int, uid: bytes, valid: bool) -> None:
    found = record(writer.instance((tag, "UI", uid)))
    assert [warning.code for warning in found.warnings] == ([] if valid else [WarningCode.INVALID_UID_FORMAT])
    assert found.attributes.get("WarningReason") == (None if valid else 0xB201)
    if not valid:
        assert f"({tag >> 16:04X},{tag & 0xFFFF:04X})" in found.warnings[0].message


@pytest.mark.parametrize(
    ("tag", "vr", "raw", "valid"),
    [
        (0x00080020, "DA", b"2020-01-01", False),
        (0x00080020, "DA", b"20200101  ", True),
        (0x00080070, "LO", b"x" * 65, False),
        (0x00080070, "LO", b"x" * 64 + b" ", True),
        (0x00100010, "PN", b"x" * 64 + b"=" + b"y" * 64, True),
        (0x00100010, "PN", b"x" * 65, False),
        (0x00280030, "DS", b"0.12345678901234\\0.12345678901234", True),
        (0x00280030, "DS", b"0.123456789012345\\1", False),
        (0x00104000, "LT", b"x\\" * 5200, False),
    ],
)
def test_value_lengths(writer: Any, tag: int, vr: str, raw: bytes, valid: bool) -> None:
    found = record(writer.instance((tag, vr, raw)))
    assert [warning.code for warning in found.warnings] == ([] if valid else [WarningCode.INVALID_DICOM_VALUE_LENGTH])


def test_many_violations_are_summed_up(writer: Any) -> None:
    bad = b"".join(writer.element(0x00091000 + number, "UI", b"1..2") for number in range(40))
    items = writer.item(writer.element(0x00090010, "LO", b"C ") + bad) * 100
    found = record(writer.instance((0x00081115, "SQ", items)))
    assert len(found.warnings) == 17
    assert found.warnings[-1].message.startswith("24 more elements")


def test_undecodable_text_is_a_warning_without_the_text(writer: Any) -> None:
    found = record(writer.instance((0x00080005, "CS", b"ISO_IR 192"), (0x00100010, "PN", b"Secret\xff")))
    assert found.patient["PatientName"] == "Secret\ufffd"
    assert [warning.code for warning in found.warnings] == [WarningCode.COERCION_OF_DATA_ELEMENTS]
    assert "(0010,0010)" in found.warnings[0].message
    assert "Secret" not in found.warnings[0].message


def test_unknown_character_set_is_a_warning(writer: Any) -> None:
    found = record(writer.instance((0x00080005, "CS", b"KLINGON ")))
    assert [warning.code for warning in found.warnings] == [WarningCode.COERCION_OF_DATA_ELEMENTS]


def test_elements_out_of_order_and_twice(writer: Any) -> None:
    uids = writer.identity()
    data = writer.file(
        uids[0x0020000E]
        + uids[0x0020000D]
        + writer.element(0x00080060, "CS", b"CT")
        + uids[0x00080018]
        + writer.element(0x00080060, "CS", b"MR")
        + writer.element(0x00080008, "CS", b"A ")
    )
    found = record(data)
    assert found.series["Modality"] == "MR"
    assert list(found.attributes)[-2:] == ["ImageType", "SOPInstanceUID"]


def test_added_warnings_set_warning_reason_in_tag_order(writer: Any) -> None:
    plain = record(writer.instance((0x00080016, "UI", b"1.2\0"), (0x00280010, "US", b"\1\0")))
    assert plain.with_warnings(()) is plain
    light = ImportWarning(WarningCode.INVALID_UID_FORMAT, "light")
    grave = ImportWarning(WarningCode.FRAMES_EXTRACTION_FAILURE, "grave")
    warned = plain.with_warnings([light, grave])
    assert warned.warnings == (light, grave)
    assert warned.attributes["WarningReason"] == 0xB110
    keys = list(warned.attributes)
    assert keys[keys.index("SOPInstanceUID") + 1] == "WarningReason"
    assert "WarningReason" not in plain.attributes
    assert list(warned.with_warnings([light]).attributes) == keys


def test_warning_reason_comes_last_when_nothing_follows(writer: Any) -> None:
    warned = record(writer.instance()).with_warnings([ImportWarning(WarningCode.OTHER, "x")])
    assert list(warned.attributes)[-1] == "WarningReason"


@pytest.mark.parametrize(
    ("code", "number", "name", "type_name"),
    [
        (WarningCode.COERCION_OF_DATA_ELEMENTS, 45056, "COERCION_OF_DATA_ELEMENTS", "CoercionOfDataElements"),
        (WarningCode.INVALID_OFFSET_TABLE, 45330, "INVALID_OFFSET_TABLE", "InvalidOffsetTable"),
        (WarningCode.INVALID_UID_FORMAT, 45569, "INVALID_UID_FORMAT", "InvalidUidFormat"),
        (WarningCode.INVALID_DICOM_VALUE_LENGTH, 45570, "INVALID_DICOM_VALUE_LENGTH", "InvalidDicomValueLength"),
        (WarningCode.OTHER, 49151, "OTHER", "Other"),
    ],
)
def test_warning_codes(code: WarningCode, number: int, name: str, type_name: str) -> None:
    assert (int(code), code.name, code.type_name) == (number, name, type_name)


def test_every_code_has_a_rank() -> None:
    for code in WarningCode:
        assert find_gravest([ImportWarning(WarningCode.INVALID_UID_FORMAT, ""), ImportWarning(code, "")]) is code
    assert find_gravest([]) is None


def test_a_private_tag_at_two_depths_has_the_vr_of_the_data_set(writer: Any) -> None:
    inside = writer.element(0x00090010, "LO", b"ACME") + writer.element(0x00091001, "US", b"\x07\x00")
    creator, private = (0x00090010, "LO", b"ACME"), (0x00091001, "LO", b"text")
    found = record(writer.instance(creator, private, (0x00400555, "SQ", writer.item(inside))))
    assert found.attributes["00091001"] == "text"
    assert found.vrs["00091001"] == "LO"
