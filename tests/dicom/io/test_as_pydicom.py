"""Every real file at hand is read as pydicom reads it."""

from __future__ import annotations

import base64
import math
import warnings
from pathlib import Path

import pydicom
import pytest
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.valuerep import PersonName

from hounsfield.dicom.healthimaging.levels import level_of
from hounsfield.dicom.healthimaging.record import instance_record
from hounsfield.dicom.io.part10 import BytesSource, DicomDirectory, DicomError, Part10, read_part10
from hounsfield.dicom.values.charsets import CharacterSet
from hounsfield.dicom.values.decode import ValueDecoder, is_encoding_only
from hounsfield.dicom.values.dictionary import key_of
from hounsfield.dicom.values.elements import PIXEL_TAGS, Element

NO_DELIMITER = {"emri_small_jpeg_2k_lossless_too_short.dcm"}
"""pydicom gives up on files whose last fragment has no sequence delimiter behind it; we do not."""


def read(path: Path) -> tuple[Part10, bytes]:
    data = path.read_bytes()
    return read_part10(BytesSource(data)), data


def oracle(path: Path) -> Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(path, force=True, stop_before_pixels=path.name in NO_DELIMITER)
        for _ in dataset.iterall():
            pass
    return dataset


def same_structure(ours: tuple[Element, ...], theirs: Dataset, where: str) -> None:
    wanted = {element.tag: element for element in theirs if not (where == "" and element.tag in PIXEL_TAGS)}
    found = {element.tag: element for element in ours}
    assert sorted(found) == sorted(wanted), where
    for tag, element in found.items():
        place = f"{where}/{tag:08X}"
        vr = str(wanted[tag].VR)
        assert element.vr == {"OB or OW": "OW", "US or OW": "OW"}.get(vr, vr), place
        if element.vr == "SQ":
            assert isinstance(element.value, tuple)
            assert len(element.value) == len(wanted[tag].value), place
            for index, (item, other) in enumerate(zip(element.value, wanted[tag].value, strict=True)):
                same_structure(item, other, f"{place}[{index}]")


def expected(element: DataElement) -> object:
    """What the document should say, derived from pydicom's typed values; text is compared stripped."""
    value = element.value
    if element.VR == "SQ":
        return [expected_set(item) for item in value]
    if isinstance(value, (MultiValue, list)):
        return [scalar(element.VR, part) for part in value] or None
    if isinstance(value, bytes):
        return None if len(value) > 1 << 20 else base64.b64encode(value).decode()
    if value is None or value == "":
        return "" if element.VR in {"OB", "OW", "OF", "OD", "OL", "OV", "UN"} else None
    return scalar(element.VR, value)


def scalar(vr: str, value: object) -> object:
    if vr == "AT":
        return f"{int(value):08X}"  # type: ignore[call-overload]
    if vr in {"DS", "IS"}:
        return str(getattr(value, "original_string", value)).strip()
    if isinstance(value, PersonName):
        return str(value).strip(" \0")
    if isinstance(value, str) or vr in {"DA", "TM", "DT"}:
        return str(getattr(value, "original_string", value)).strip(" \0")
    return value


def expected_set(dataset: Dataset) -> dict[str, object]:
    return {key_of(element.tag): expected(element) for element in dataset if not is_encoding_only(element.tag)}


def normal(value: object) -> object:
    """Fold what is ours by decision, not by decoding: lists of one, padding of DS and IS, words for NaN."""
    if isinstance(value, dict):
        return {key: normal(part) for key, part in value.items()}
    if isinstance(value, list):
        parts = [normal(part) for part in value]
        if parts and all(isinstance(part, dict) for part in parts):
            return parts
        return parts[0] if len(parts) == 1 else parts or None
    if isinstance(value, str):
        # pydicom leaves out an empty last component group of a person name; we keep the name as written.
        return value.strip(" \0").rstrip("=") or None
    if isinstance(value, float) and math.isnan(value):
        return "NaN"
    return value


def test_refused_files(refused_path: Path, refusal: str) -> None:
    with pytest.raises(DicomError) as caught:
        read(refused_path)
    assert refusal in str(caught.value)
    assert isinstance(caught.value, DicomDirectory) == ("DICOMDIR" in refused_path.name)


def test_elements_and_representations_are_those_of_pydicom(dicom_path: Path) -> None:
    part10, _ = read(dicom_path)
    dataset = oracle(dicom_path)
    same_structure(part10.meta, dataset.file_meta, "meta")
    same_structure(part10.elements, dataset, "")
    assert part10.transfer_syntax == dataset.file_meta.TransferSyntaxUID
    pixels = [element for element in dataset if element.tag in PIXEL_TAGS]
    assert (part10.pixel_data is not None) == bool(pixels) or dicom_path.name in NO_DELIMITER
    if part10.pixel_data is not None and pixels:
        place = part10.pixel_data
        assert place.tag == pixels[0].tag
        assert (place.length is None) == bool(pixels[0].is_undefined_length)
        stop = place.end - 8 if place.length is None else place.offset + place.length
        assert part10.source.read(place.offset, stop - place.offset) == pixels[0].value


def test_values_are_those_of_pydicom(dicom_path: Path) -> None:
    part10, _ = read(dicom_path)
    dataset = oracle(dicom_path)
    decoder = ValueDecoder(little_endian=part10.little_endian)
    ours = decoder.data_set(part10.elements, CharacterSet())
    theirs = expected_set(dataset)
    theirs.pop("PixelData", None)
    theirs.pop("FloatPixelData", None)
    theirs.pop("DoubleFloatPixelData", None)
    assert list(ours) == list(theirs)
    for key, value in theirs.items():
        if part10.little_endian or not _is_words(dataset, key):
            assert normal(ours[key]) == normal(value), key


def _is_words(dataset: Dataset, key: str) -> bool:
    element = dataset[key] if key in dataset else dataset[int(key, 16)]
    return element.VR in {"OW", "OF", "OL", "OD", "OV", "SQ"}


def test_header_and_pixel_data_joined_are_the_file(dicom_path: Path) -> None:
    part10, data = read(dicom_path)
    place = part10.pixel_data
    again = read_part10(BytesSource(part10.header))
    assert (again.meta, again.elements) == (part10.meta, part10.elements)
    left = again.pixel_data
    if place is None or left is None:
        assert left is place
        assert part10.header == data or part10.transfer_syntax.endswith(".1.99")
        return
    undefined = place.length is None
    assert (left.tag, left.vr, left.length) == (place.tag, place.vr, None if undefined else 0)
    if not part10.transfer_syntax.endswith(".1.99"):
        pixels = data[place.start : place.end]
        assert part10.header[: part10.cut] + pixels + part10.header[part10.cut + left.end - left.start :] == data


def test_record_holds_every_element_once(dicom_path: Path) -> None:
    part10, _ = read(dicom_path)
    if any(part10.text(tag) is None for tag in (0x00080018, 0x0020000D, 0x0020000E)):
        with pytest.raises(DicomError, match="UID does not exist"):
            instance_record(part10)
        return
    record = instance_record(part10)
    levels = [record.patient, record.study, record.series, record.attributes]
    tags = {element.tag for element in part10.meta + part10.elements if not is_encoding_only(element.tag)}
    keys = [key for level in levels for key in level if key != "WarningReason"]
    assert sorted(keys) == sorted(key_of(tag) for tag in tags if key_of(tag) != "WarningReason")
    for tag in tags:
        assert key_of(tag) in getattr(
            record, {"Instance": "attributes"}.get(level_of(tag).value, level_of(tag).value.lower())
        )
    assert record.sop_uid
    assert record.grouping.series_uid == record.series_uid
