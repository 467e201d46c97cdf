"""DICOM JSON is read as pydicom writes it, and what the standard does not allow is refused."""

from __future__ import annotations

import json
import math
import warnings
from pathlib import Path
from typing import Any

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from hounsfield.dicom.healthimaging.record import instance_record
from hounsfield.dicom.io.part10 import BytesSource, read_part10
from hounsfield.dicom.json.metadata_file import MOST_BYTES, MetadataFile, check_size
from hounsfield.dicom.json.reader import elements_of_json
from hounsfield.dicom.values.charsets import CharacterSet
from hounsfield.dicom.values.decode import ValueDecoder
from hounsfield.dicom.values.dictionary import tag_of
from hounsfield.dicom.values.errors import DicomError

UTF_8 = CharacterSet(("UTF8",))


def decoded(data_set: object, *, little_endian: bool = True) -> dict[str, Any]:
    """Read a data set and return its values as in the metadata document."""
    decoder = ValueDecoder(little_endian=little_endian)
    return dict(decoder.data_set(elements_of_json(data_set, little_endian=little_endian), UTF_8))  # type: ignore[arg-type]


def normal(value: object) -> object:
    """Bring a value into a form in which what JSON cannot tell apart is the same: numbers as text, padding, nothing."""
    if isinstance(value, dict):
        return {key: normal(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [normal(entry) for entry in value] or None
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            return float(value)
        except ValueError:
            return str(value).strip().rstrip("=^").strip() or None
    return value


def test_data_sets_that_pydicom_writes_are_read(dicom_path: Path) -> None:
    part10 = read_part10(BytesSource(dicom_path.read_bytes()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(dicom_path, force=True, stop_before_pixels=True)
        content = dataset.to_json_dict(suppress_invalid_tags=True)
    own = ValueDecoder(little_endian=part10.little_endian).data_set(part10.elements, part10.character_set)
    read = decoded(content, little_endian=part10.little_endian)
    # pydicom writes words in the byte order of the file, where the standard wants little endian.
    swapped = set() if part10.little_endian else {key for key, entry in content.items() if entry["vr"] == "OW"}
    for key, value in read.items():
        if key in own and value is not None and f"{tag_of(key):08X}" not in swapped:
            assert same(normal(value), normal(own[key])), key


def same(one: object, other: object) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-6) or (math.isnan(one) and math.isnan(other))
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, str) and isinstance(other, str):
        # Binary values of odd length are padded.
        return one == other or (one.startswith(other) and one[len(other) :].strip("A") == "")
    if isinstance(one, dict) and isinstance(other, dict):
        return all(same(one[key], other[key]) for key in one.keys() & other.keys())
    return one == other


@pytest.mark.parametrize("little_endian", [True, False])
def test_every_value_representation(little_endian: bool) -> None:
    attributes = {
        "00080005": {"vr": "CS", "Value": ["ISO_IR 192"]},
        "00080008": {"vr": "CS", "Value": ["ORIGINAL", None, "AXIAL"]},
        "00080119": {"vr": "UC", "Value": ["für alle", "z"]},
        "00081190": {"vr": "UR", "Value": ["http://a/b?c"]},
        "00081197": {"vr": "US", "Value": [65535]},
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎"}]},
        "00101030": {"vr": "DS", "Value": [72.5]},
        "0020000D": {"vr": "UI", "Value": ["1.2.3"]},
        "00200013": {"vr": "IS", "Value": [7.0]},
        "00209165": {"vr": "AT", "Value": ["0020000d"]},
        "00189073": {"vr": "FD", "Value": [1.5]},
        "00189087": {"vr": "FD", "Value": ["NaN"]},
        "00720076": {"vr": "FL", "Value": [1, "-inf", 2.5]},
        "00286020": {"vr": "US", "Value": [1, 2]},
        "00720078": {"vr": "UL", "Value": [4294967295]},
        "0072007C": {"vr": "SL", "Value": [-2147483648]},
        "00720082": {"vr": "SV", "Value": ["-9223372036854775808", 5]},
        "00720083": {"vr": "UV", "Value": ["18446744073709551615"]},
        "00720065": {"vr": "OB", "InlineBinary": "AQID"},
        "00720069": {"vr": "OW", "InlineBinary": "AQIDBA=="},
        "00081111": {"vr": "SQ", "Value": [{"00081150": {"vr": "UI", "Value": ["1.2"]}}, None]},
        "00081115": {"vr": "SQ"},
        "00104000": {"vr": "LT", "Value": ["one\\two\r\n"]},
        "00102160": {"vr": "SH"},
    }
    assert decoded(attributes, little_endian=little_endian) == {
        "ImageType": ["ORIGINAL", "", "AXIAL"],
        "LongCodeValue": ["für alle", "z"],
        "RetrieveURL": "http://a/b?c",
        "FailureReason": 65535,
        "PatientName": "Yamada^Tarou=山田^太郎",
        "PatientWeight": "72.5",
        "StudyInstanceUID": "1.2.3",
        "InstanceNumber": "7 ",
        "DimensionIndexPointer": "0020000D",
        "AcquisitionDuration": 1.5,
        "DiffusionBValue": "NaN",
        "SelectorFLValue": [1, "-Infinity", 2.5],
        "FrameNumbersOfInterest": [1, 2],
        "SelectorULValue": [4294967295],
        "SelectorSLValue": [-2147483648],
        "SelectorSVValue": [-9223372036854775808, 5],
        "SelectorUVValue": [18446744073709551615],
        "SelectorOBValue": "AQIDAA==",
        "SelectorOWValue": "AQIDBA==",
        "ReferencedPerformedProcedureStepSequence": [{"ReferencedSOPClassUID": "1.2"}, {}],
        "ReferencedSeriesSequence": [],
        "PatientComments": "one\\two\r\n",
        "EthnicGroup": None,
    }


WRONG = {
    "not-an-object": ([], "must be a JSON object"),
    "keyword": ({"PatientName": {"vr": "PN"}}, "eight hexadecimal digits"),
    "short-tag": ({"0010001": {"vr": "PN"}}, "eight hexadecimal digits"),
    "no-vr": ({"00100010": {"Value": ["SECRET"]}}, "PatientName (0010,0010) must have a vr"),
    "unknown-vr": ({"00100010": {"vr": "XX"}}, "must have a vr"),
    "list-vr": ({"00100010": {"vr": ["PN"]}}, "must have a vr"),
    "other-vr": ({"00100010": {"vr": "LO"}}, "has the vr LO, the dictionary says PN"),
    "member": ({"00100010": {"vr": "PN", "value": ["SECRET"]}}, "Value or InlineBinary"),
    "no-list": ({"00100020": {"vr": "LO", "Value": "SECRET"}}, "list as its Value"),
    "both": ({"00720065": {"vr": "OB", "Value": [1], "InlineBinary": ""}}, "not have both"),
    "bulk": ({"00720065": {"vr": "OB", "BulkDataURI": "http://SECRET"}}, "BulkDataURI"),
    "binary-value": ({"00720065": {"vr": "OB", "Value": [1]}}, "must be InlineBinary"),
    "binary-text": ({"00100020": {"vr": "LO", "InlineBinary": "QQ=="}}, "must not be InlineBinary"),
    "no-base64": ({"00720065": {"vr": "OB", "InlineBinary": "SECRET!"}}, "not base64"),
    "base64-type": ({"00720065": {"vr": "OB", "InlineBinary": 5}}, "not base64"),
    "base64-unicode": ({"00720065": {"vr": "OB", "InlineBinary": "ü"}}, "not base64"),
    "range": ({"00280010": {"vr": "US", "Value": [65536]}}, "no number US can hold"),
    "negative": ({"00280010": {"vr": "US", "Value": [-1]}}, "no number US can hold"),
    "fraction": ({"00280010": {"vr": "US", "Value": [1.5]}}, "no number US can hold"),
    "text-number": ({"00280010": {"vr": "US", "Value": ["SECRET"]}}, "no number US can hold"),
    "bool": ({"00280010": {"vr": "US", "Value": [True]}}, "no number US can hold"),
    "null-number": ({"00280010": {"vr": "US", "Value": [None]}}, "no number US can hold"),
    "float-range": ({"00720076": {"vr": "FL", "Value": [1e300]}}, "no number FL can hold"),
    "float-text": ({"00189073": {"vr": "FD", "Value": ["SECRET"]}}, "no number FD can hold"),
    "integer-text": ({"00720083": {"vr": "UV", "Value": ["SECRET"]}}, "no number UV can hold"),
    "tag": ({"00209165": {"vr": "AT", "Value": ["SECRET"]}}, "no tag"),
    "name-string": ({"00100010": {"vr": "PN", "Value": ["SECRET"]}}, "members Alphabetic"),
    "name-member": ({"00100010": {"vr": "PN", "Value": [{"SECRET": "x"}]}}, "members Alphabetic"),
    "name-equals": ({"00100010": {"vr": "PN", "Value": [{"Alphabetic": "SEC=RET"}]}}, "separates component groups"),
    "string": ({"00100020": {"vr": "LO", "Value": [5]}}, "not a string"),
    "integer-string": ({"00200013": {"vr": "IS", "Value": [1.5]}}, "not an integer"),
    "backslash": ({"00100020": {"vr": "LO", "Value": ["SEC\\RET"]}}, "backslash"),
    "escape": ({"00100020": {"vr": "LO", "Value": ["\x1b$BSECRET"]}}, "control character"),
    "zero": ({"00100020": {"vr": "LO", "Value": ["SECRET\0"]}}, "control character"),
    "repertoire": ({"00100040": {"vr": "CS", "Value": ["Ü"]}}, "default repertoire"),
    "two-texts": ({"00104000": {"vr": "LT", "Value": ["SECRET", "b"]}}, "has one value"),
    "item": ({"00081111": {"vr": "SQ", "Value": ["SECRET"]}}, "must be a JSON object"),
    "command": ({"00000010": {"vr": "SH"}}, "no element of a data set"),
    "delimiter": ({"FFFEE000": {"vr": "UN"}}, "no element of a data set"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_the_standard_does_not_allow_is_refused_without_a_value(name: str) -> None:
    data_set, words = WRONG[name]
    with pytest.raises(DicomError) as caught:
        elements_of_json(data_set, little_endian=True)  # type: ignore[arg-type]
    assert words in str(caught.value)
    assert "SECRET" not in str(caught.value)


def test_sequences_are_bounded() -> None:
    data_set: dict[str, Any] = {}
    for _ in range(65):
        data_set = {"00081111": {"vr": "SQ", "Value": [data_set]}}
    with pytest.raises(DicomError, match="nested deeper than 64"):
        elements_of_json(data_set, little_endian=True)


@given(st.lists(st.text(st.characters(blacklist_characters="\\", blacklist_categories=["Cc", "Cs"])), min_size=2))
def test_any_text_comes_back(values: list[str]) -> None:
    read = decoded({"00081080": {"vr": "LO", "Value": values}})["AdmittingDiagnosesDescription"]
    wanted = [value.strip(" \0") for value in values]
    assert (read or [""] * len(values)) == wanted


def test_a_file_is_one_data_set_or_a_list_of_them() -> None:
    one, other = {"vr": "UI", "Value": ["1.1"]}, {"vr": "UI", "Value": ["1.2"]}
    name, age = {"vr": "LO", "Value": ["a"]}, {"vr": "AS", "Value": ["030Y"]}
    file = MetadataFile(dumped([{"00100020": name}, {"00080018": one, "00101010": age}, {"00101010": age}]))
    common = {"00100020": name, "00101010": age}
    assert list(file.data_sets("1.1")) == [common, {"00080018": one, "00101010": age}]
    assert list(file.data_sets("1.3")) == [common]
    single = MetadataFile(b"\xef\xbb\xbf" + dumped({"00080018": other, "00101010": age}))
    assert list(single.data_sets("1.1")) == []
    assert len(list(single.data_sets("1.2"))) == 1


def dumped(content: object) -> bytes:
    return json.dumps(content).encode()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b'{"a":"\xff"}', "not JSON"),
        (b'"text"', "must be a data set or a list"),
        (b"[[]]", "must be a data set or a list"),
        (b'[{"PatientName": {}}]', "eight hexadecimal digits"),
        (b'{"00080018": {"vr": "UI", "Value": []}}', "SOPInstanceUID"),
        (b'{"00080018": {"vr": "UI", "Value": [5]}}', "SOPInstanceUID"),
        (b"[" * 100_000 + b"]" * 100_000, "not JSON"),
        (b"[" + b"{}," * 600_000 + b"{}]", "members and values"),
        (b'{"00081111":' + b'{"vr":"SQ","Value":[{"00081111":' * 200 + b'{"vr":"SQ"}' + b"}]}" * 200 + b"}", "deep"),
    ],
)
def test_malformed_files_are_refused(data: bytes, words: str) -> None:
    with pytest.raises(DicomError, match=words):
        MetadataFile(data)


def test_a_file_too_large_is_refused_before_it_is_read() -> None:
    with pytest.raises(DicomError, match=str(MOST_BYTES)):
        check_size(MOST_BYTES + 1)
    check_size(MOST_BYTES)


def test_the_document_of_a_data_set_is_the_same_by_json_and_by_dicom(installed: Path) -> None:
    """What comes in as JSON is in the record what the same data set is as a file."""
    path = installed / "test_files" / "CT_small.dcm"
    dataset: Dataset = pydicom.dcmread(path, stop_before_pixels=True)
    part10 = read_part10(BytesSource(path.read_bytes()))
    record = instance_record(part10)
    read = decoded(dataset.to_json_dict())
    assert {key: read[key] for key in record.patient} == record.patient
