"""Small slices and what the metadata document must show of them, read from the written files with pydicom."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pydicom
from pydicom.datadict import dictionary_VM
from pydicom.dataelem import DataElement

from support.state_machine.model import ModelInstance, Pixels, Slice

PATIENT = frozenset({"PatientID", "PatientName", "PatientBirthDate", "PatientSex", "PatientComments"})
STUDY = frozenset({"StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "StudyDescription", "AccessionNumber"})
SERIES = frozenset({"SeriesInstanceUID", "SeriesNumber", "Modality", "BodyPartExamined", "SeriesDescription"})


def slice_in(path: Path) -> Slice:
    """Read a file that `synthetic.slice_of` made; it must hold no elements of the levels but those above."""
    dataset = pydicom.dcmread(path)
    found: dict[str, dict[str, Any]] = {"Patient": {}, "Study": {}, "Series": {}}
    attributes = {element.keyword: shown(element) for element in dataset.file_meta}
    for element in dataset:
        keyword = element.keyword
        level = next((name for name, all_ in _LEVELS.items() if keyword in all_), None)
        if keyword != "PixelData":
            (attributes if level is None else found[level])[keyword] = shown(element)
    samples = dataset.pixel_array
    frames = samples if samples.ndim == 3 else samples[None]
    return Slice(found, dataset.SOPInstanceUID, ModelInstance(attributes, {}, Pixels(frames)))


_LEVELS = {"Patient": PATIENT, "Study": STUDY, "Series": SERIES}


def shown(element: DataElement) -> Any:
    """Return the value of an element as the document has it."""
    if element.is_empty:
        return None
    if dictionary_VM(element.tag) != "1":
        return [str(part) for part in ([element.value] if element.VM == 1 else element.value)]
    if isinstance(element.value, bytes):
        return base64.b64encode(element.value).decode()
    if element.VR == "IS":
        # Padded to an even length in the file, and kept so (docs/reference/api/import-jobs.md).
        digits = str(element.value)
        return digits + " " * (len(digits) % 2)
    return element.value if isinstance(element.value, int) else str(element.value)
