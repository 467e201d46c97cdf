"""Real files stored so that each of them can be rebuilt, and what a rebuilt file is compared by."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import requests
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from hounsfield.bootstrap.image_store import open_image_store
from hounsfield.imaging.image_set_access import UNLIMITED
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.retrieve.instances import StoredInstance, find_instance
from hounsfield.imaging.retrieve.transcoding import available_transfer_syntaxes, dicom_file
from hounsfield.settings import Settings
from support.clients.dicomweb import root, session, store
from support.imaging.import_folders import sop_instances
from support.servers import ServerProcess, active_datastore

BIG_ENDIAN = "1.2.840.10008.1.2.2"
PIXELS = {0x7FE00008, 0x7FE00009, 0x7FE00010}
OFFSETS = {0x7FE00001, 0x7FE00002, 0x7FE00003}
_SMALL = 1 << 20
_WORDS = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}


def opened_image_store(server: ServerProcess) -> ImageStore:
    """Open the stores of a server beside it, as another process of the same installation would."""
    return open_image_store(Settings(data=server.data))[0]


@dataclass(frozen=True)
class StoredFile:
    """A file, the instance that was made of it, and where it is retrieved from."""

    path: Path
    instance: StoredInstance
    url: str
    web: requests.Session
    known: dict[str | None, tuple[bytes, str]] = field(default_factory=dict, compare=False)
    """What was retrieved already, where it is small."""

    def get(self, accept: str, below: str = "") -> requests.Response:
        """Retrieve the instance, or something below it."""
        path, question, query = self.url.partition("?")
        return self.web.get(f"{path}{below}{question}{query}", headers={"Accept": accept}, timeout=120)

    def part10(self, transfer_syntax: str | None = None) -> tuple[bytes, str]:
        """Retrieve the file, once where it is small, and give it with its transfer syntax."""
        if transfer_syntax in self.known:
            return self.known[transfer_syntax]
        wanted = "" if transfer_syntax is None else f"; transfer-syntax={transfer_syntax}"
        answer = self.get(f"application/dicom{wanted}")
        assert answer.status_code == 200, answer.text
        assert int(answer.headers.get("Content-Length", len(answer.content))) == len(answer.content)
        kind, given = answer.headers["Content-Type"].split("; transfer-syntax=")
        assert kind == "application/dicom"
        if len(answer.content) < _SMALL:
            self.known[transfer_syntax] = answer.content, given
        return answer.content, given

    def dataset(self, transfer_syntax: str | None = None) -> Dataset:
        """Retrieve the file and let pydicom read it."""
        return _read(*self.part10(transfer_syntax))

    @property
    def transfer_syntaxes(self) -> tuple[str, ...]:
        """Those that it can be asked for in; the search tells only of the one that it is stored in."""
        bits = pydicom.dcmread(self.path, stop_before_pixels=True, specific_tags=["BitsAllocated"]).get("BitsAllocated")
        return available_transfer_syntaxes(self.instance, bits)


def store_each(
    server: ServerProcess, client: Any, image_store: ImageStore, root_folder: Path, **datastore: Any
) -> list[StoredFile]:
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
            image_set_id, is_primary = members[sop]
            url = f"{root(server, datastore_id)}/studies/{study}/series/{series}/instances/{sop}"
            instance = find_instance(image_store, UNLIMITED, datastore_id, study, series, sop, image_set_id)
            found.append(StoredFile(path, instance, url if is_primary else f"{url}?imageSetId={image_set_id}", web))
    return sorted(found, key=lambda file: file.path)


def _members(client: Any, datastore_id: str) -> dict[str, tuple[str, bool]]:
    """Give image set, and whether it is primary, of each instance of a data store by its SOP Instance UID."""
    pages = client.get_paginator("search_image_sets").paginate(datastoreId=datastore_id)
    return {
        uid: (entry["imageSetId"], entry["isPrimary"])
        for page in pages
        for entry in page["imageSetsMetadataSummaries"]
        for uid in sop_instances(client, datastore_id, entry["imageSetId"])
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


def file_bytes(
    image_store: ImageStore, instance: StoredInstance, transfer_syntax: str | None = None
) -> tuple[bytes, str]:
    """Rebuild a file, check its size, and give it with its transfer syntax."""
    file = dicom_file(image_store, instance, transfer_syntax)
    data = b"".join(file.chunks)
    assert file.size in {None, len(data)}, f"{file.size} bytes were promised, {len(data)} came"
    return data, file.transfer_syntax


def rebuilt(image_store: ImageStore, instance: StoredInstance, transfer_syntax: str | None = None) -> Dataset:
    """Rebuild a file and let pydicom read it."""
    return _read(*file_bytes(image_store, instance, transfer_syntax))


def _read(data: bytes, syntax: str) -> Dataset:
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
