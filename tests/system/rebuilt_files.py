"""Real files imported so that each of them can be rebuilt, and what a rebuilt file is compared by."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from import_folders import import_folder
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from hounsfield.imaging.archive import Archive
from hounsfield.imaging.instance_reading import StoredInstance, find_instance
from hounsfield.imaging.renditions import dicom_file
from hounsfield.settings import Settings
from hounsfield.stores import open_archive
from servers import ServerProcess, active_datastore

BIG_ENDIAN = "1.2.840.10008.1.2.2"
PIXELS = {0x7FE00008, 0x7FE00009, 0x7FE00010}
OFFSETS = {0x7FE00001, 0x7FE00002, 0x7FE00003}
_WORDS = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}


def opened_archive(server: ServerProcess) -> Archive:
    """Open the stores of a server beside it, as another process of the same installation would."""
    return open_archive(Settings(data=server.data))[0]


@dataclass(frozen=True)
class ImportedFile:
    """A file and the instance that was made of it."""

    path: Path
    instance: StoredInstance


def import_each(
    server: ServerProcess, client: Any, archive: Archive, root: Path, name: str, **datastore: Any
) -> list[ImportedFile]:
    """Import all instances below a folder; files of one SOP instance go to data stores of their own."""
    found: list[ImportedFile] = []
    for number, paths in enumerate(_without_repetitions(root)):
        folder = f"{name}-{number}"
        bucket = server.bucket("input") / folder
        bucket.mkdir()
        by_name = {f"{index:04d}.dcm": path for index, path in enumerate(paths)}
        for target, path in by_name.items():
            (bucket / target).write_bytes(path.read_bytes())
        datastore_id = active_datastore(client, **datastore)
        outcome = import_folder(server, client, datastore_id, folder, 240)
        for line in outcome.success:
            path = by_name[Path(line["inputFile"]).name]
            header = pydicom.dcmread(path, stop_before_pixels=True)
            uids = [str(header[keyword].value) for keyword in _UIDS]
            instance = find_instance(archive, datastore_id, *uids, line["importResponse"]["imageSetId"])
            found.append(ImportedFile(path, instance))
    return sorted(found, key=lambda file: file.path)


_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")


def _without_repetitions(root: Path) -> list[list[Path]]:
    groups: dict[int, list[Path]] = defaultdict(list)
    seen: dict[str, int] = defaultdict(int)
    for path in sorted(root.rglob("*")):
        if not path.is_file() or path.name.startswith("DICOMDIR"):
            continue
        try:
            header = pydicom.dcmread(path, stop_before_pixels=True)
            uid = str(header.SOPInstanceUID)
            if any(keyword not in header for keyword in _UIDS):
                continue
        except Exception:
            continue
        groups[seen[uid]].append(path)
        seen[uid] += 1
    return [groups[number] for number in sorted(groups)]


def file_bytes(archive: Archive, instance: StoredInstance, transfer_syntax: str | None = None) -> tuple[bytes, str]:
    """Rebuild a file, check its size, and give it with its transfer syntax."""
    file = dicom_file(archive, instance, transfer_syntax)
    data = b"".join(file.chunks)
    assert file.size in {None, len(data)}, f"{file.size} bytes were promised, {len(data)} came"
    return data, file.transfer_syntax


def rebuilt(archive: Archive, instance: StoredInstance, transfer_syntax: str | None = None) -> Dataset:
    """Rebuild a file and let pydicom read it."""
    data, syntax = file_bytes(archive, instance, transfer_syntax)
    dataset = pydicom.dcmread(BytesIO(data))
    assert dataset.file_meta.TransferSyntaxUID == syntax
    assert dataset.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID
    return dataset


def differences(
    original: Dataset,
    rebuilt: Dataset,
    *,
    big_endian: bool = False,
    ignored: frozenset[int] = frozenset(),
    where: str = "",
) -> list[str]:
    """Compare two data sets element by element: tag, VR, value; but for pixel data, group lengths and trailing padding."""
    found = []
    tags = {int(element.tag) for dataset in (original, rebuilt) for element in dataset}
    for tag in sorted(tags):
        if tag in ignored or tag == 0xFFFCFFFC or not tag & 0xFFFF or (not where and tag in PIXELS):
            continue
        name = f"{where}{tag:08X}"
        if tag not in original or tag not in rebuilt:
            found.append(f"{name} only in {'the original' if tag in original else 'the rebuilt file'}")
            continue
        before, after = original[tag], rebuilt[tag]
        if before.VR != after.VR:
            found.append(f"{name}: {before.VR} became {after.VR}")
        elif before.VR == "SQ":
            found += _items(before.value, after.value, name, big_endian=big_endian)
        elif not same_value(before, after, big_endian=big_endian):
            found.append(f"{name} {before.VR}: {str(before.value)[:60]!r} became {str(after.value)[:60]!r}")
    return found


def _items(before: Sequence, after: Sequence, name: str, *, big_endian: bool) -> list[str]:
    if len(before) != len(after):
        return [f"{name}: {len(before)} items became {len(after)}"]
    pairs = enumerate(zip(before, after, strict=True))
    return [
        line for index, pair in pairs for line in differences(*pair, big_endian=big_endian, where=f"{name}/{index}/")
    ]


def same_value(before: DataElement, after: DataElement, *, big_endian: bool) -> bool:
    """Compare values; bytes with their padding, words in little endian order, numbers that are none as equal."""
    left, right = before.value, after.value
    if isinstance(left, bytes) and isinstance(right, bytes):
        width = _WORDS.get(str(before.VR), 1) if big_endian else 1
        if width > 1:
            left = np.frombuffer(left, f"u{width}").byteswap().tobytes()
        return left + bytes(len(left) % 2) == right
    return _plain(left) == _plain(right)


def _plain(value: Any) -> Any:
    if isinstance(value, float) and math.isnan(value):
        return "NaN"
    if isinstance(value, pydicom.multival.MultiValue):
        return [_plain(one) for one in value]
    if value is None or value == "":
        return ""
    return value
