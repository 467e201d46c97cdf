"""Edits of metadata without a server: what they make of a document, and the algebra of setting, removing and going back."""

from __future__ import annotations

import json
import re
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hounsfield.dicom.healthimaging.document import Levels
from hounsfield.dicom.healthimaging.levels import PATIENT_KEYWORDS, SERIES_KEYWORDS, STUDY_KEYWORDS
from hounsfield.dicom.values.dictionary import TAGS, tag_of
from hounsfield.imaging.errors import InvalidRequestError
from hounsfield.imaging.imagesets.edits import EditedContent, check_edits, edited_instance, edited_levels, parse_edits
from hounsfield.imaging.imagesets.instance_rows import reverted_rows
from hounsfield.imaging.imagesets.workflow import make_showable

SERIES, SOP = "1.2.3", "1.2.3.4"
LEVELS = Levels(
    {"PatientID": "P", "PatientName": "A^B"},
    {"StudyInstanceUID": "1.2"},
    {"Modality": "CT", "SeriesInstanceUID": SERIES},
)
FRAGMENT = orjson.dumps(
    {
        "DICOM": {
            "MediaStorageSOPInstanceUID": SOP,
            "ImageType": ["ORIGINAL", "PRIMARY"],
            "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2",
            "SOPInstanceUID": SOP,
            "00190010": "MINE",
            "00191001": "7",
            "InstanceNumber": "1",
            "Rows": 64,
        },
        "DICOMVRs": {"00190010": "LO", "00191001": "IS"},
        "StoredTransferSyntaxUID": "1.2.840.10008.1.2.4.202",
        "ChecksumType": "DECOMPRESSED",
        "ImageFrames": [{"ID": "0" * 32, "MinPixelValue": -3}],
    }
)


def blob(content: dict[str, Any]) -> bytes:
    return json.dumps({"SchemaVersion": "1.1", **content}).encode()


def of_instance(content: dict[str, Any]) -> bytes:
    return blob({"Study": {"Series": {SERIES: {"Instances": {SOP: content}}}}})


def instance_edit(updatable: dict[str, Any] | None = None, removable: dict[str, Any] | None = None) -> bytes:
    """Edit the instance and return its new fragment."""
    edits = parse_edits(
        None if updatable is None else of_instance(updatable), None if removable is None else of_instance(removable)
    )
    return edited_instance(FRAGMENT, edits.instances[SERIES, SOP]).fragment


TEXT_LEVELS = [
    keyword
    for keyword in (*PATIENT_KEYWORDS, *STUDY_KEYWORDS, *SERIES_KEYWORDS)
    if keyword.endswith(("Name", "Description", "Comments")) and not keyword.startswith(("Names", "Admitting"))
]
PATIENT_TEXTS = [keyword for keyword in TEXT_LEVELS if keyword in PATIENT_KEYWORDS]
TEXTS = st.text("ABC xyz^äö", max_size=12)


@given(st.dictionaries(st.sampled_from(PATIENT_TEXTS), TEXTS, min_size=1))
def test_updating_twice_is_updating_once_and_nothing_else_changes(values: dict[str, str]) -> None:
    edits = parse_edits(blob({"Patient": {"DICOM": values}}), None)
    once = edited_levels(LEVELS, edits)
    assert edited_levels(once, edits) == once
    assert (once.study, once.series) == (LEVELS.study, LEVELS.series)
    assert list(once.patient) == sorted(once.patient)
    assert {key: value for key, value in once.patient.items() if key not in values} == {
        key: value for key, value in LEVELS.patient.items() if key not in values
    }
    stored = {key: str(once.patient[key] or "").strip() for key in values}
    assert stored == {key: value.strip() for key, value in values.items()}


@given(st.dictionaries(st.sampled_from([k for k in PATIENT_TEXTS if k != "PatientName"]), TEXTS, min_size=1))
def test_removing_what_was_added_gives_back_the_document(values: dict[str, str]) -> None:
    added = edited_levels(LEVELS, parse_edits(blob({"Patient": {"DICOM": values}}), None))
    removed = edited_levels(added, parse_edits(None, blob({"Patient": {"DICOM": dict.fromkeys(values)}})))
    assert removed.to_json() == LEVELS.to_json()


INSTANCE_KEYWORDS = ["InstanceNumber", "AcquisitionNumber", "AcquisitionDate", "KVP", "PatientAddress", "ImageComments"]


@given(st.dictionaries(st.sampled_from(INSTANCE_KEYWORDS), st.from_regex(r"[0-9]{1,8}", fullmatch=True), min_size=1))
def test_an_instance_stays_in_tag_order_and_comes_back_byte_for_byte(values: dict[str, str]) -> None:
    changed = instance_edit({"DICOM": values})
    attributes = orjson.loads(changed)["DICOM"]
    tags = [tag_of(key) for key in attributes]
    assert tags == sorted(tags)
    assert values.items() <= attributes.items()
    origin = orjson.loads(FRAGMENT)["DICOM"]
    back = parse_edits(
        of_instance({"DICOM": {key: origin[key] for key in values if key in origin}}),
        of_instance({"DICOM": {key: None for key in values if key not in origin}, "DICOMVRs": {}}),
    )
    assert edited_instance(changed, back.instances[SERIES, SOP]).fragment == FRAGMENT


def test_frames_and_their_description_are_never_touched() -> None:
    origin, changed = orjson.loads(FRAGMENT), orjson.loads(instance_edit({"DICOM": {"InstanceNumber": "5"}}))
    for member in ("StoredTransferSyntaxUID", "ChecksumType", "ImageFrames", "DICOMVRs"):
        assert changed[member] == origin[member]


@pytest.mark.parametrize("code", [*range(1, 0x20), *range(0x7F, 0xA0)])
def test_control_characters_are_what_only_a_forced_update_stores(code: int) -> None:
    """PS3.5 Table 6.2-1: none in a line of text; TAB, LF, FF and CR in texts of several lines."""
    for keyword, allowed in (("PatientName", ""), ("EthnicGroup", ""), ("PatientComments", "\t\n\f\r")):
        text = f"a{chr(code)}b"
        edits = parse_edits(blob({"Patient": {"DICOM": {keyword: text}}}), None)
        assert any("control character" in one for one in edits.objections) is (chr(code) not in allowed), keyword


@pytest.mark.parametrize("vrs", ["PatientName", "PatientComments", "PatientID", "PatientBirthDate"])
def test_a_zero_character_is_refused_also_when_forced(vrs: str) -> None:
    for text in ("\0", "a\0b", "ab\0"):
        with pytest.raises(InvalidRequestError, match="zero character"):
            parse_edits(blob({"Patient": {"DICOM": {vrs: text}}}), None)
    with pytest.raises(InvalidRequestError, match="zero character"):
        parse_edits(blob({"Study": {"Series": {f"{SERIES}\0": {"DICOM": {}}}}}), None)
    with pytest.raises(InvalidRequestError, match="zero character"):
        parse_edits(None, blob({"Study": {"Series": {SERIES: {"Instances": {"1.2\0": {}}}}}}))


def test_the_sop_instance_uid_goes_to_the_file_meta_information() -> None:
    edits = parse_edits(of_instance({"DICOM": {"SOPInstanceUID": "1.9", "SOPClassUID": "1.8"}}), None)
    edited = edited_instance(FRAGMENT, edits.instances[SERIES, SOP])
    assert (edited.sop_uid, edited.sop_class_uid) == ("1.9", "1.8")
    assert orjson.loads(edited.fragment)["DICOM"]["MediaStorageSOPInstanceUID"] == "1.9"


def test_value_representations_come_and_go_with_their_elements() -> None:
    item = [{"CodeValue": "1", "0019100A": 4}]
    nested = {"DICOM": {"AnatomicRegionSequence": item}, "DICOMVRs": {"0019100A": "SL"}}
    changed = orjson.loads(instance_edit(nested, {"DICOM": {"00191001": None}}))
    assert changed["DICOMVRs"] == {"00190010": "LO", "0019100A": "SL"}
    assert changed["DICOM"]["AnatomicRegionSequence"] == item


@pytest.mark.parametrize(
    ("keyword", "given_value", "stored"),
    [
        ("InstanceNumber", 12, "12"),
        ("InstanceNumber", "", None),
        ("KVP", 1.5, "1.5"),
        ("Rows", 512, 512),
        ("ImageType", "DERIVED", ["DERIVED"]),
        ("ImageType", ["DERIVED", ""], ["DERIVED", ""]),
        ("ImageType", [], None),
        ("ImageComments", "two\\parts ", "two\\parts"),
        ("FrameIncrementPointer", "0018106a", ["0018106A"]),
        ("RedPaletteColorLookupTableData", "AAE=", "AAE="),
        ("SmallestImagePixelValue", -5, -5),
        ("ExposureTimeInms", 3, 3),
        ("ExposureTimeInms", None, None),
    ],
)
def test_values_get_the_form_of_the_document(keyword: str, given_value: Any, stored: Any) -> None:
    assert orjson.loads(instance_edit({"DICOM": {keyword: given_value}}))["DICOM"][keyword] == stored


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("InstanceNumber", True),
        ("InstanceNumber", {"a": 1}),
        ("Rows", "64"),
        ("Rows", 1.5),
        ("Rows", True),
        ("Rows", -1),
        ("ExposureTimeInms", "three"),
        ("FrameIncrementPointer", "0018"),
        ("RedPaletteColorLookupTableData", "*"),
        ("AnatomicRegionSequence", "x"),
        ("AnatomicRegionSequence", ["x"]),
        ("AnatomicRegionSequence", [{"NoSuchKeyword": 1}]),
        ("AnatomicRegionSequence", [{"00191001": 1}]),
        ("ImageType", [1]),
    ],
)
def test_a_value_of_another_json_type_is_refused_whatever_is_forced(keyword: str, value: Any) -> None:
    with pytest.raises(InvalidRequestError) as error:
        parse_edits(of_instance({"DICOM": {keyword: value}}), None)
    assert keyword in str(error.value) or "DICOMVRs" in str(error.value) or "NoSuchKeyword" in str(error.value)


@pytest.mark.parametrize(("depth", "fits"), [(60, True), (70, False), (900, False), (20_000, False)])
def test_sequences_are_followed_to_a_bounded_depth(depth: int, fits: bool) -> None:
    nested = b'[{"UDISequence":' * depth + b"[]" + b"}]" * depth
    request = b'{"Study":{"Series":{"1.2.3":{"DICOM":{"UDISequence":' + nested + b"}}}}}"
    if fits:
        assert parse_edits(request, None).objections == ("UDISequence is a sequence",)
    else:
        with pytest.raises(InvalidRequestError):
            parse_edits(request, None)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda x: (
            st.lists(x)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "SchemaVersion",
                        "Patient",
                        "Study",
                        "Series",
                        "Instances",
                        "DICOM",
                        "DICOMVRs",
                        SERIES,
                        SOP,
                        "PatientName",
                        "Modality",
                        "Rows",
                        "00191001",
                        "x",
                    ]
                ),
                x,
            )
        ),
        max_leaves=12,
    )
)
def test_whatever_json_comes_the_answer_is_edits_or_a_refusal(content: Any) -> None:
    for blobs in ((as_json(content), None), (None, as_json(content))):
        try:
            edits = parse_edits(*blobs)
        except InvalidRequestError:
            continue
        else:
            assert edits.patient or edits.study or not edits.whole_study


def as_json(content: Any) -> bytes:
    return json.dumps(content).encode()


@given(st.binary(max_size=60))
def test_whatever_bytes_come_the_answer_is_a_refusal(data: bytes) -> None:
    with pytest.raises(InvalidRequestError):
        parse_edits(data, None)


def test_all_level_keywords_belong_where_they_are_listed() -> None:
    content = EditedContent(is_primary=False, levels=LEVELS, sop_uids=[SOP], instance_count=2)
    for member, keywords in (("Patient", PATIENT_KEYWORDS), ("Study", STUDY_KEYWORDS)):
        for keyword in keywords:
            if keyword == "StudyInstanceUID":
                continue
            check_edits(parse_edits(blob({member: {"DICOM": {keyword: None}}}), None), content, forced=True)
            with pytest.raises(InvalidRequestError, match="belongs to the level"):
                parse_edits(of_instance({"DICOM": {keyword: None}}), None)
    assert "PatientAddress" in TAGS


def test_no_message_holds_a_value() -> None:
    secret = "Geheim^Name"
    requests = [
        blob({"Patient": {"DICOM": {"PatientBirthDate": secret}}}),
        blob({"Patient": {"DICOM": {"PatientSex": secret * 30}}}),
        blob({"Patient": {"DICOM": {secret: "1"}}}),
        blob({secret: {}}),
        blob({"Study": {"Series": {secret: {"DICOM": {"Modality": "MR"}}}}}),
        blob({"Study": {"Series": {SERIES: {"Instances": {secret: {"DICOM": {"Rows": 1}}}}}}}),
    ]
    content = EditedContent(is_primary=True, levels=LEVELS, sop_uids=[SOP], instance_count=2)
    for request in requests:
        with pytest.raises(InvalidRequestError) as error:
            check_edits(parse_edits(request, None), content, forced=False)
        assert "Geheim" not in str(error.value)


class Row:
    """A row of an instance as the database gives it."""

    def __init__(self, key: str, first_version: int, fragment: int) -> None:
        self.key, self.first_version, self.fragment = key, first_version, fragment

    def _asdict(self) -> dict[str, Any]:
        return {"key": self.key, "fragment": self.fragment, "first_version": self.first_version, "last_version": None}


ROWS = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 2))


@given(ROWS, ROWS)
def test_going_back_ends_and_begins_exactly_what_differs(now: dict[str, int], then: dict[str, int]) -> None:
    changes = reverted_rows(
        [Row(key, 3, fragment) for key, fragment in now.items()],  # type: ignore[misc]
        [Row(key, 1, fragment) for key, fragment in then.items()],  # type: ignore[misc]
    )
    left = {key: fragment for key, fragment in now.items() if (key, 3) not in changes.ended}
    assert left | {row["key"]: row["fragment"] for row in changes.entering} == then
    assert not left.keys() & {row["key"] for row in changes.entering}
    assert {key for key, _ in changes.ended} == {key for key in now if now[key] != then.get(key)}


@given(st.text(min_size=1, max_size=3000))
def test_messages_keep_to_the_characters_of_the_model(text: str) -> None:
    shown = make_showable(text)
    assert 1 <= len(shown) <= 2048
    assert re.fullmatch(r"[\w -:`]+", shown, re.ASCII)
