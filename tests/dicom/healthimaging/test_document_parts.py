"""Metadata documents taken apart again: whatever is in them, the parts are those that were put together."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hounsfield.dicom.healthimaging.document import Levels, image_set_document
from hounsfield.dicom.healthimaging.document_parts import split_document

MARKERS = st.sampled_from(['":{"DICOM":{', '\\":{"DICOM":{', '"', "\\", "\\\\", "}}}}}", '"},"1.2":{"DICOM":{', "é山"])
TEXTS = st.lists(st.one_of(MARKERS, st.text(max_size=4)), max_size=5).map("".join)
VALUES = st.recursive(
    st.one_of(st.none(), st.integers(-9, 9), TEXTS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(st.dictionaries(st.sampled_from(["Modality", "00091001"]), inner, max_size=2), max_size=2),
    ),
    max_leaves=6,
)
DATA_SETS = st.dictionaries(st.sampled_from(["PatientName", "StudyID", "KVP", "00091001"]), VALUES, max_size=3)


@given(
    patient=DATA_SETS,
    study=DATA_SETS,
    series=DATA_SETS,
    series_uid=TEXTS,
    instances=st.dictionaries(TEXTS, DATA_SETS, max_size=4),
)
def test_a_document_comes_apart_into_what_it_was_made_of(
    patient: dict[str, Any],
    study: dict[str, Any],
    series: dict[str, Any],
    series_uid: str,
    instances: dict[str, dict[str, Any]],
) -> None:
    levels = Levels(patient, study, {**series, "SeriesInstanceUID": series_uid})
    contents = {uid: {"DICOM": values, "DICOMVRs": {}, "ImageFrames": []} for uid, values in instances.items()}
    fragments = [(uid, orjson.dumps(content)) for uid, content in contents.items()]
    parts = split_document(b"".join(image_set_document("a" * 32, "b" * 32, levels, fragments)))
    assert parts.levels == levels
    assert {uid: parts.instance(uid) for uid in parts.ranges} == contents
    assert [(uid, parts.fragment(uid)) for uid in parts.ranges] == fragments


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b'{"Patient":{"DICOM":{}}}'])
def test_something_else_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match="no metadata document"):
        split_document(text)
