"""The metadata document: key order, joined fragments, frames."""

from __future__ import annotations

import json
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hounsfield.dicom.healthimaging.document import (
    FrameEntry,
    Levels,
    document_size,
    image_set_document,
    instance_fragment,
)
from hounsfield.dicom.healthimaging.record import InstanceRecord, instance_record
from hounsfield.dicom.io.part10 import BytesSource, read_part10

STORE, IMAGE_SET = "a" * 32, "b" * 32


@pytest.fixture
def record(installed: Path) -> InstanceRecord:
    return instance_record(read_part10(BytesSource((installed / "test_files" / "CT_small.dcm").read_bytes())))


def levels(record: InstanceRecord) -> Levels:
    return Levels(record.patient, record.study, record.series)


def test_document_as_the_service_writes_it(record: InstanceRecord) -> None:
    frames = [FrameEntry("c" * 32, [(256, 188, 2598394845), (512, 375, 1227709180)], 451, 1466, 168371)]
    fragment = instance_fragment(record, "1.2.840.10008.1.2.4.202", "DECOMPRESSED", frames)
    text = b"".join(image_set_document(STORE, IMAGE_SET, levels(record), [(record.sop_uid, fragment)]))
    document = json.loads(text)
    assert list(document) == ["SchemaVersion", "DatastoreID", "ImageSetID", "Patient", "Study"]
    assert (document["SchemaVersion"], document["DatastoreID"], document["ImageSetID"]) == ("1.1", STORE, IMAGE_SET)
    assert document["Patient"] == {"DICOM": record.patient}
    assert list(document["Study"]) == ["DICOM", "Series"]
    assert document["Study"]["DICOM"] == record.study
    series = document["Study"]["Series"][record.series_uid]
    assert list(series) == ["DICOM", "Instances"]
    assert series["DICOM"] == record.series
    instance = series["Instances"][record.sop_uid]
    assert list(instance) == ["DICOM", "DICOMVRs", "StoredTransferSyntaxUID", "ChecksumType", "ImageFrames"]
    assert instance["DICOM"] == record.attributes
    assert list(instance["DICOM"]) == list(record.attributes)
    assert instance["DICOMVRs"] == record.vrs
    assert json.dumps(instance["ImageFrames"]) == json.dumps(
        [
            {
                "ID": "c" * 32,
                "PixelDataChecksumFromBaseToFullResolution": [
                    {"Width": 256, "Height": 188, "Checksum": 2598394845},
                    {"Width": 512, "Height": 375, "Checksum": 1227709180},
                ],
                "MinPixelValue": 451,
                "MaxPixelValue": 1466,
                "FrameSizeInBytes": 168371,
            }
        ]
    )


def test_instance_without_pixel_data(record: InstanceRecord) -> None:
    fragment = orjson.loads(instance_fragment(record, None, None, []))
    assert list(fragment) == ["DICOM", "DICOMVRs", "ImageFrames"]
    assert fragment["ImageFrames"] == []


def test_frames_stored_as_they_came_have_no_pixel_values(record: InstanceRecord) -> None:
    fragment = orjson.loads(instance_fragment(record, "x", "COMPRESSED", [FrameEntry("0" * 32, [], None, None, 1)]))
    frame = fragment["ImageFrames"][0]
    assert frame["MinPixelValue"] is frame["MaxPixelValue"] is None


@pytest.mark.parametrize("count", [0, 1, 2, 3000])
def test_instances_keep_their_order_over_chunks(record: InstanceRecord, count: int) -> None:
    uids = sorted(f"1.2.{number}" for number in range(count))
    fragment = b'{"DICOM":{"X":"' + b"y" * 100 + b'"}}'
    chunks = list(image_set_document(STORE, IMAGE_SET, levels(record), ((uid, fragment) for uid in uids)))
    document = json.loads(b"".join(chunks))
    assert list(document["Study"]["Series"][record.series_uid]["Instances"]) == uids
    assert max(map(len, chunks)) < 1 << 18
    assert len(chunks) > 1 or count < 1000


def test_a_slide_of_many_frames(record: InstanceRecord) -> None:
    frames = [FrameEntry(f"{number:032x}", [(256, 256, number)], 0, 255, number) for number in range(100_000)]
    fragment = orjson.loads(instance_fragment(record, "x", "DECOMPRESSED", frames))
    assert len(fragment["ImageFrames"]) == 100_000
    assert fragment["ImageFrames"][-1]["ID"] == f"{99_999:032x}"


def test_levels_round_trip(record: InstanceRecord) -> None:
    written = levels(record)
    again = Levels.from_json(written.to_json())
    assert again == written
    assert list(again.series) == list(written.series)


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'"x"', b'{"Patient": {}}'])
def test_levels_refuse_other_json(data: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Levels.from_json(data)


level = st.dictionaries(st.text(max_size=20), st.text(max_size=40) | st.none(), max_size=4)


@given(
    levels=st.builds(Levels, level, level, level | level.map(lambda values: {**values, "SeriesInstanceUID": "1.2"})),
    instances=st.dictionaries(st.text(max_size=64), st.binary(max_size=100), max_size=6),
)
def test_the_size_of_a_document_is_known_without_making_it(levels: Levels, instances: dict[str, bytes]) -> None:
    document = b"".join(image_set_document(STORE, IMAGE_SET, levels, instances.items()))
    assert document_size(levels, [(uid, len(fragment)) for uid, fragment in instances.items()]) == len(document)
