"""Edits of the metadata of real files: writing every value as it is changes no byte."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pydicom
import pytest

from hounsfield.dicom.healthimaging.document import Levels, instance_fragment
from hounsfield.dicom.healthimaging.record import InstanceRecord, instance_record
from hounsfield.dicom.io.byte_source import BytesSource
from hounsfield.dicom.io.part10 import read_part10
from hounsfield.dicom.values.errors import DicomError
from hounsfield.imaging.errors import InvalidRequestError
from hounsfield.imaging.imagesets.edits import edited_instance, edited_levels, parse_edits

INSTALLED = Path(pydicom.__path__[0]) / "data"


def records(root: Path) -> Iterator[tuple[Path, InstanceRecord]]:
    for path in sorted(path for path in root.rglob("*") if path.is_file() and path.stat().st_size < 10_000_000):
        try:
            yield path, instance_record(read_part10(BytesSource(path.read_bytes())))
        except DicomError:
            continue


def request_of(record: InstanceRecord, attributes: dict[str, Any]) -> bytes:
    """Write all values of an instance and its levels into one update."""
    instance = {"DICOM": attributes, "DICOMVRs": record.vrs}
    series = {"DICOM": record.series, "Instances": {record.sop_uid: instance}}
    return orjson.dumps(
        {
            "SchemaVersion": 1.1,
            "Patient": {"DICOM": record.patient},
            "Study": {"DICOM": record.study, "Series": {record.series_uid: series}},
        }
    )


@pytest.mark.parametrize("folder", ["test_files", "charset_files", "shared"])
def test_writing_every_value_again_changes_nothing(folder: str, request: pytest.FixtureRequest) -> None:
    root = request.getfixturevalue("shared_data") if folder == "shared" else INSTALLED / folder
    count = values = 0
    for path, record in records(root):
        fragment = instance_fragment(record, None, None, [])
        levels = Levels(record.patient, record.study, record.series)
        attributes = {key: value for key, value in record.attributes.items() if is_updatable(key, value)}
        if not set(record.study_uid + record.series_uid) <= set("0123456789."):
            continue
        try:
            edits = parse_edits(request_of(record, attributes), None)
        except InvalidRequestError as error:
            pytest.fail(f"{path.name}: {error}")
        assert edited_levels(levels, edits).to_json() == levels.to_json(), path.name
        change = edits.instances[record.series_uid, record.sop_uid]
        edited = edited_instance(fragment, change)
        assert orjson.loads(edited.fragment) == orjson.loads(fragment), path.name
        assert edited.fragment == fragment, path.name
        count += 1
        values += len(attributes)
    assert count > 10
    assert values > 50 * count / 4


def is_updatable(key: str, value: Any) -> bool:
    """Return whether an update may say a value again.

    File meta information never; the SOP Instance UID is repeated there, and not in all files is it the same; and of
    private elements that stand at the top and in sequences (group 200D of one maker) the document tells one value
    representation only.
    """
    tag = pydicom.datadict.tag_for_keyword(key)
    if (tag is not None and tag >> 16 == 2) or key == "SOPInstanceUID":
        return False
    return not key.startswith("200D") and not any(name.startswith("200D") for name in nested_keys(value))


def nested_keys(value: Any) -> Iterator[str]:
    """Return the keys of all objects in a value."""
    if isinstance(value, dict):
        yield from value
    for entry in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from nested_keys(entry)
