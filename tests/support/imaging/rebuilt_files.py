"""Real files stored so that each of them can be rebuilt, and what a rebuilt file is compared by."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian

from support.clients.dicomweb import root, session, store, values
from support.imaging.import_folders import sop_instances
from support.imaging.retrieved import RetrievedInstance
from support.servers import ServerProcess, active_datastore

BIG_ENDIAN = "1.2.840.10008.1.2.2"
PIXELS = {0x7FE00008, 0x7FE00009, 0x7FE00010}
OFFSETS = {0x7FE00001, 0x7FE00002, 0x7FE00003}
_WORDS = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}


@dataclass(frozen=True)
class StoredFile:
    """A file, and the instance that was made of it."""

    path: Path
    instance: RetrievedInstance
    transfer_syntaxes: list[str]
    """Those that it can be asked for in, what is stored first."""
    stored_as: str
    frames: int
    """How many of its frames can be had decoded."""


def store_each(server: ServerProcess, client: Any, root_folder: Path, **datastore: Any) -> list[StoredFile]:
    """Store all instances below a folder by STOW-RS; files of one SOP instance go to data stores of their own."""
    found: list[StoredFile] = []
    web = session(server)
    for paths in _without_repetitions(root_folder):
        datastore_id = active_datastore(client, **datastore)
        for start in range(0, len(paths), _AT_ONCE):
            answer = store(server, datastore_id, [path.read_bytes() for path in paths[start : start + _AT_ONCE]])
            assert answer.status_code in {200, 202, 409}, answer.text
        members = _members(client, datastore_id)
        for path in paths:
            header = pydicom.dcmread(path, stop_before_pixels=True)
            study, series, sop = (str(header[keyword].value) for keyword in _UIDS)
            if sop not in members:
                continue
            image_set_id, frames = members[sop]
            url = f"{root(server, datastore_id)}/studies/{study}/series/{series}/instances/{sop}"
            instance = RetrievedInstance(url, web, image_set_id)
            model = instance.metadata()
            (stored_as,), syntaxes = values(model, "00020010"), values(model, "00083002")
            decoded = frames if str(ExplicitVRLittleEndian) in syntaxes else 0
            found.append(StoredFile(path, instance, syntaxes, stored_as, decoded))
    return sorted(found, key=lambda file: file.path)


def _members(client: Any, datastore_id: str) -> dict[str, tuple[str | None, int]]:
    """Return image set, None for a primary one, and number of frames of each instance by its SOP Instance UID."""
    pages = client.get_paginator("search_image_sets").paginate(datastoreId=datastore_id)
    return {
        uid: (None if entry["isPrimary"] else entry["imageSetId"], len(instance["ImageFrames"]))
        for page in pages
        for entry in page["imageSetsMetadataSummaries"]
        for uid, instance in sop_instances(client, datastore_id, entry["imageSetId"]).items()
    }


_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
_AT_ONCE = 25


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
