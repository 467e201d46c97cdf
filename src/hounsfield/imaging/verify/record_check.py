"""Check of the records that instances have in packs: the work of a worker process, without a database.

rows of instances ─▶ their records, by pack ─┬─ the pack says the same of them ─ no ─▶ finding
├─ they decrypt
├─ the JSON of an instance: what its row and its data set say
└─ frames: their checksums, at each resolution
"""

from __future__ import annotations

import errno
import threading
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import orjson
from cachetools import LRUCache

from hounsfield.dicom.healthimaging.record import instance_values
from hounsfield.dicom.io.byte_source import BytesSource
from hounsfield.dicom.io.part10 import read_part10
from hounsfield.dicom.values.dictionary import tag_of
from hounsfield.dicom.values.errors import DicomError
from hounsfield.imaging.instance_columns import InstanceColumns, read_columns
from hounsfield.imaging.staged_instance import FrameRun, PixelKind
from hounsfield.imaging.verify.findings import Finding, FindingKind
from hounsfield.pixels.codecs.checksum import LevelChecksum
from hounsfield.pixels.codecs.frame_check import find_wrong_resolutions, holds_unchanged
from hounsfield.pixels.errors import PixelError
from hounsfield.pixels.transfer_syntaxes import ChecksumType
from hounsfield.runtime.batches import in_batches
from hounsfield.storage.blobs.blobs import BlobMissingError, Blobs
from hounsfield.storage.blobs.packs import (
    Extent,
    Label,
    PackDamagedError,
    PackMissingError,
    RecordKind,
    check_structure,
    read_contents,
    read_records,
)
from hounsfield.storage.blobs.tiered_blobs import PackLocations
from hounsfield.storage.identifiers import frame_id
from hounsfield.storage.keys.data_key import DataKey

_BATCH_BYTES: Final = 8 << 20
_BATCH_RECORDS: Final = 256
_KEPT_PACKS: Final = 4
_WARNING_REASON: Final = 0x00081196


@dataclass(frozen=True, slots=True)
class InstanceRecords:
    """The records of a row of an instance, and what the row says of them.

    Attributes
    ----------
    image_set_id : str
        Image set of the row.
    key, source_key : str
        Key of the instance, and that which its records were written under.
    sop_uid, sop_class_uid : str
        Of the row.
    stored_transfer_syntax : str or None
        Of its frames.
    pixel_kind : PixelKind
        How its pixel data is kept.
    frame_count : int
        How many frames it has.
    fragment, dataset : Extent
        Where its JSON and its data set are.
    fragment_bytes : int
        Size of its JSON.
    columns : InstanceColumns or None
        What is indexed of it; None where the index is of an older form.
    runs : tuple of FrameRun
        Records of its pixel data that are to be checked.
    """

    image_set_id: str
    key: str
    source_key: str
    sop_uid: str
    sop_class_uid: str
    stored_transfer_syntax: str | None
    pixel_kind: PixelKind
    frame_count: int
    fragment: Extent
    dataset: Extent
    fragment_bytes: int
    columns: InstanceColumns | None
    runs: tuple[FrameRun, ...]

    @property
    def size(self) -> int:
        """Sealed bytes of all records that are checked."""
        return self.fragment.length + self.dataset.length + sum(sum(run.lengths) for run in self.runs)

    def with_runs(self, runs: Iterable[FrameRun]) -> InstanceRecords:
        """Return the same with some of the records of its pixel data."""
        return replace(self, runs=tuple(runs))

    @property
    def is_edited(self) -> bool:
        """Whether its JSON was edited: edits write it to a pack apart from the data set."""
        return self.fragment.pack_id != self.dataset.pack_id


@dataclass(frozen=True, slots=True)
class RecordCheck:
    """A task of a worker."""

    locations: PackLocations
    key: DataKey
    instances: tuple[InstanceRecords, ...]

    @property
    def size(self) -> int:
        """Sealed bytes that are read."""
        return sum(instance.size for instance in self.instances)


@dataclass(slots=True)
class RecordCheckResult:
    """What a task found, and how much it looked at."""

    findings: list[Finding] = field(default_factory=list)
    frames: int = 0
    records: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class _PackContents:
    """The records that a pack lists, or what is wrong with it."""

    extents: Mapping[Label, Sequence[Extent]]
    problem: tuple[FindingKind, str] | None = None


_kept_lock: Final = threading.Lock()
_kept: Final[LRUCache[tuple[str, str], _PackContents]] = LRUCache(_KEPT_PACKS)


def check_records(task: RecordCheck) -> RecordCheckResult:
    """Check the records of some instances.

    Raises
    ------
    OSError
        A place of packs cannot be reached.
    """
    return _Checker(task, task.locations.open()).run()


@dataclass(frozen=True, slots=True)
class _PixelRecord:
    """A record of the pixel data of an instance, which is that of a number in the task."""

    number: int
    instance: InstanceRecords
    extent: Extent
    label: Label

    @property
    def frame(self) -> int:
        """Number of the frame, 0 for a part of an object."""
        return self.label.ordinal + 1 if self.label.kind is RecordKind.FRAME else 0


@dataclass(frozen=True, slots=True)
class _MadeValues:
    """Values made of a data set, and what the JSON of an instance begins with when it has the same."""

    attributes: Mapping[str, Any]
    text: bytes


@dataclass(slots=True)
class _PixelObject:
    """Size and CRC-32 of the parts of an object that were read."""

    size: int = 0
    checksum: int = 0
    is_complete: bool = True

    def add(self, data: bytes | None) -> None:
        if data is None:
            self.is_complete = False
            return
        self.size += len(data)
        self.checksum = zlib.crc32(data, self.checksum)


class _Checker:
    def __init__(self, task: RecordCheck, blobs: Blobs) -> None:
        self._task = task
        self._blobs = blobs
        self._contents: dict[str, _PackContents] = {}
        self._result = RecordCheckResult()

    def run(self) -> RecordCheckResult:
        fragments = self._read_small(RecordKind.FRAGMENT)
        datasets = self._read_small(RecordKind.DATASET)
        documents: list[Mapping[str, Any] | None] = []
        for number, instance in enumerate(self._task.instances):
            fragment = fragments.get(number)
            documents.append(
                None if fragment is None else self._check_document(instance, fragment, datasets.get(number))
            )
        self._check_pixels(documents)
        return self._result

    def _find(
        self, instance: InstanceRecords, kind: FindingKind, what: str, *, frame: int = 0, pack_id: str = ""
    ) -> None:
        datastore_id = self._task.key.datastore_id
        self._result.findings.append(
            Finding(datastore_id, instance.image_set_id, instance.key, frame, pack_id, kind, what)
        )

    # Packs and records

    def _listed(self, instance: InstanceRecords, label: Label, extent: Extent, frame: int = 0) -> None:
        """Compare what a row says of a record with what its pack says."""
        pack = self._pack(extent.pack_id)
        if pack.problem is not None:
            kind, what = pack.problem
            datastore_id = self._task.key.datastore_id
            found = Finding(datastore_id, instance.image_set_id, "", 0, extent.pack_id, kind, what)
            if found not in self._result.findings:
                self._result.findings.append(found)
            return
        places = pack.extents.get(label, ())
        if extent in places:
            return
        what = (
            f"the pack has no {label.kind} {label.ordinal} that is at byte {extent.offset} with {extent.length} bytes"
        )
        if places:
            what += f", but one at byte {places[0].offset} with {places[0].length} bytes"
        self._find(instance, FindingKind.RECORD_MISSING, what, frame=frame, pack_id=extent.pack_id)

    def _pack(self, pack_id: str) -> _PackContents:
        known = self._contents.get(pack_id)
        if known is None:
            known = self._contents[pack_id] = _kept_pack(self._blobs, self._task.key, pack_id)
        return known

    def _read(self, wanted: Iterable[_PixelRecord]) -> Iterator[tuple[_PixelRecord, bytes | None]]:
        """Read records, some at a time, near ones together; one that is damaged is a finding and comes as None."""
        for batch in in_batches(wanted, lambda record: record.extent.length, _BATCH_BYTES, _BATCH_RECORDS):
            yield from zip(batch, self._read_batch(batch), strict=True)

    def _read_batch(self, batch: Sequence[_PixelRecord]) -> Iterable[bytes | None]:
        wanted = [(record.extent, record.label) for record in batch]
        self._count(wanted)
        try:
            return read_records(self._blobs, self._task.key, wanted)
        except (PackDamagedError, BlobMissingError):
            return [
                self._read_one(record.instance, record.extent, record.label, frame=record.frame) for record in batch
            ]

    def _count(self, batch: Sequence[tuple[Extent, Label]]) -> None:
        self._result.records += len(batch)
        self._result.bytes += sum(extent.length for extent, _ in batch)

    def _read_one(self, instance: InstanceRecords, extent: Extent, label: Label, *, frame: int = 0) -> bytes | None:
        try:
            return read_records(self._blobs, self._task.key, [(extent, label)])[0]
        except (PackDamagedError, PackMissingError) as error:
            if self._pack(extent.pack_id).problem is None or isinstance(error, PackDamagedError):
                self._find(instance, FindingKind.RECORD_DAMAGED, error.damage.what, frame=frame, pack_id=extent.pack_id)
        except zlib.error:
            what = f"{label.kind} {label.ordinal} at byte {extent.offset} does not inflate"
            self._find(instance, FindingKind.RECORD_DAMAGED, what, frame=frame, pack_id=extent.pack_id)
        return None

    def _read_small(self, kind: RecordKind) -> dict[int, bytes]:
        """Read the JSON, or the data set, of all instances, near ones together."""
        instances = self._task.instances
        wanted = [
            (
                instance.fragment if kind is RecordKind.FRAGMENT else instance.dataset,
                Label(kind, instance.source_key),
            )
            for instance in instances
        ]
        for instance, (extent, label) in zip(instances, wanted, strict=True):
            self._listed(instance, label, extent)
        self._count(wanted)
        try:
            return dict(enumerate(read_records(self._blobs, self._task.key, wanted)))
        except (PackDamagedError, BlobMissingError, zlib.error):
            found = ((number, self._read_one(instance, *wanted[number])) for number, instance in enumerate(instances))
            return {number: data for number, data in found if data is not None}

    # The JSON of an instance

    def _check_document(
        self, instance: InstanceRecords, fragment: bytes, dataset: bytes | None
    ) -> Mapping[str, Any] | None:
        """Compare the JSON of an instance with its row and with its data set; gives what it says of frames."""
        made = None if dataset is None else self._make_values(instance, dataset)
        try:
            if made is not None and fragment.startswith(made.text):
                # Nearly always; then there is no need to read the same once more.
                attributes = made.attributes
                document: dict[str, Any] = orjson.loads(b"{" + fragment[len(made.text) + 1 :])
            else:
                document = orjson.loads(fragment)
                attributes = document["DICOM"]
                if made is not None and not instance.is_edited:
                    self._compare_values(instance, document, orjson.loads(made.text + b"}"))
            frames = document["ImageFrames"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            self._find(instance, FindingKind.DOCUMENT_WRONG, "the JSON of the instance cannot be read")
            return None
        for what, here, there in (
            ("size", len(fragment), instance.fragment_bytes),
            ("SOP Instance UID", attributes.get("SOPInstanceUID"), instance.sop_uid),
            ("transfer syntax", document.get("StoredTransferSyntaxUID"), instance.stored_transfer_syntax),
            ("number of frames", len(frames), instance.frame_count),
        ):
            if here != there:
                self._find(instance, FindingKind.ROW_WRONG, f"the row has another {what} than the JSON of the instance")
        if instance.columns is not None and read_columns(attributes) != instance.columns:
            self._find(instance, FindingKind.INDEX_WRONG, "the row is indexed by other values than the JSON has")
        ids = [frame.get("ID") for frame in frames]
        if ids != [frame_id(instance.source_key, ordinal) for ordinal in range(len(frames))]:
            self._find(instance, FindingKind.DOCUMENT_WRONG, "the JSON of the instance names other frames")
        return document

    def _make_values(self, instance: InstanceRecords, dataset: bytes) -> _MadeValues | None:
        """Make the values of the JSON anew out of the data set."""
        try:
            values, vrs = instance_values(read_part10(BytesSource(dataset)))
        except DicomError:
            self._find(instance, FindingKind.DOCUMENT_WRONG, "the data set cannot be read")
            return None
        return _MadeValues(values, orjson.dumps({"DICOM": values, "DICOMVRs": vrs})[:-1])

    def _compare_values(self, instance: InstanceRecords, document: Mapping[str, Any], made: Mapping[str, Any]) -> None:
        """Compare values that are not the same in every character.

        A warning of the import is in the JSON only. A dictionary that has grown since gives elements other names, or values
        of another representation.
        """
        here, there = _by_tag(document["DICOM"]), _by_tag(made["DICOM"])
        vrs = [_by_tag(one["DICOMVRs"]) for one in (document, made)]
        names = sorted(
            f"{name:08X}" if isinstance(name, int) else name
            for name in here.keys() | there.keys()
            if name != _WARNING_REASON and here.get(name) != there.get(name) and vrs[0].get(name) == vrs[1].get(name)
        )
        if names:
            listed = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
            self._find(instance, FindingKind.DOCUMENT_WRONG, f"the data set has other values than the JSON: {listed}")

    # Pixel data

    def _check_pixels(self, documents: Sequence[Mapping[str, Any] | None]) -> None:
        objects: dict[int, _PixelObject] = {}
        for record, data in self._read(self._pixel_records()):
            document = documents[record.number]
            if record.instance.pixel_kind.in_frames:
                if data is not None and document is not None:
                    self._check_frame(record, document, data)
            else:
                objects.setdefault(record.number, _PixelObject()).add(data)
        for number, found in objects.items():
            self._check_object(self._task.instances[number], documents[number], found)

    def _pixel_records(self) -> Iterator[_PixelRecord]:
        for number, instance in enumerate(self._task.instances):
            kind = RecordKind.FRAME if instance.pixel_kind.in_frames else RecordKind.BLOB
            for run in instance.runs:
                offset = run.first_offset
                for ordinal, length in enumerate(run.lengths, run.first_ordinal):
                    extent, label = Extent(run.pack_id, offset, length), Label(kind, instance.source_key, ordinal)
                    record = _PixelRecord(number, instance, extent, label)
                    self._listed(instance, label, extent, record.frame)
                    yield record
                    offset += length

    def _check_frame(self, record: _PixelRecord, document: Mapping[str, Any], data: bytes) -> None:
        frames = document["ImageFrames"]
        if record.label.ordinal >= len(frames):
            return
        self._result.frames += 1
        decompressed = document.get("ChecksumType") == ChecksumType.DECOMPRESSED
        what = _find_wrong_frame(data, frames[record.label.ordinal], decompressed=decompressed)
        if what:
            pack_id = record.extent.pack_id
            self._find(record.instance, FindingKind.FRAME_WRONG, what, frame=record.frame, pack_id=pack_id)

    def _check_object(self, instance: InstanceRecords, document: Mapping[str, Any] | None, found: _PixelObject) -> None:
        entries = [] if document is None else document["ImageFrames"]
        if not found.is_complete or not entries:
            return
        self._result.frames += 1
        (level,) = entries[0]["PixelDataChecksumFromBaseToFullResolution"]
        if (found.size, found.checksum) != (entries[0]["FrameSizeInBytes"], level["Checksum"]):
            self._find(instance, FindingKind.FRAME_WRONG, "the object has another checksum or size", frame=1)


def _by_tag(values: Mapping[str, Any]) -> dict[int | str, Any]:
    """Return values by their tags, in sequences too; by their names where these are of no tag."""
    return {name if (tag := tag_of(name)) is None else tag: _named_by_tags(value) for name, value in values.items()}


def _named_by_tags(value: Any) -> Any:
    if isinstance(value, dict):
        return _by_tag(value)
    return [_named_by_tags(one) for one in value] if isinstance(value, list) else value


def _find_wrong_frame(data: bytes, entry: Mapping[str, Any], *, decompressed: bool) -> str:
    """Return what is wrong with a frame; nothing where it is as it was stored."""
    if len(data) != entry["FrameSizeInBytes"]:
        return f"the frame has {len(data)} bytes, its metadata say {entry['FrameSizeInBytes']}"
    levels = [
        LevelChecksum(level["Width"], level["Height"], level["Checksum"])
        for level in entry["PixelDataChecksumFromBaseToFullResolution"]
    ]
    if not decompressed:
        return "" if holds_unchanged(data, levels[-1]) else "the frame has another checksum"
    try:
        wrong = find_wrong_resolutions(data, levels)
    except PixelError as error:
        return f"the frame does not decode: {error}"
    sizes = ", ".join(f"{level.width} × {level.height}" for level in wrong)
    return f"the frame has another checksum at {sizes} pixels" if wrong else ""


def _kept_pack(blobs: Blobs, key: DataKey, pack_id: str) -> _PackContents:
    """Read what a pack lists, or take what the task before read, which often was about the same pack."""
    name = (key.datastore_id, pack_id)
    with _kept_lock:
        kept = _kept.get(name)
    if kept is None:
        kept = _read_pack(blobs, key, pack_id)
        if kept.problem is None:
            with _kept_lock:
                _kept[name] = kept
    return kept


def _read_pack(blobs: Blobs, key: DataKey, pack_id: str) -> _PackContents:
    try:
        contents = read_contents(blobs, key, pack_id)
        check_structure(blobs, key, pack_id, contents)
    except PackMissingError as error:
        return _PackContents({}, (FindingKind.PACK_MISSING, error.damage.what))
    except PackDamagedError as error:
        return _PackContents({}, (FindingKind.PACK_DAMAGED, error.damage.what))
    except (BlobMissingError, ValueError, zlib.error):
        return _PackContents({}, (FindingKind.PACK_DAMAGED, "it cannot be read"))
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        return _PackContents({}, (FindingKind.PACK_DAMAGED, "the disk does not give all of it"))
    # Compaction brings edits of an instance together: the JSON of each has the same label.
    extents: dict[Label, list[Extent]] = {}
    for label, extent in contents:
        extents.setdefault(label, []).append(extent)
    return _PackContents(extents)
