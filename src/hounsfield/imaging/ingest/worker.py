"""What a worker process does with DICOM files: read, transcode and verify frames, and write packs. No database.

    object ─▶ read_part10 ─▶ record ─┬─▶ frames ─▶ transcode or keep ─▶ pack: frame records
                                     └─▶ JSON fragment, data set      ─▶ pack: at its end, those of all its instances together

Frames are worked one by one. A bad file is an outcome, never an exception; an exception means that the image store itself
could not read or write, and the files are tried again.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hounsfield.dicom.healthimaging.document import Levels, instance_fragment
from hounsfield.dicom.healthimaging.record import InstanceRecord, instance_record
from hounsfield.dicom.io.byte_source import ByteSource
from hounsfield.dicom.io.part10 import Part10, header_with_offset_table, read_part10
from hounsfield.dicom.values.errors import DicomDirectory, DicomError
from hounsfield.imaging.ingest.file_results import FileErrorType, FileOutcome, FileResult, InputFile
from hounsfield.imaging.ingest.metadata_files import ImportMetadata, with_metadata
from hounsfield.imaging.ingest.pixel_writer import StoredPixels, as_stored, store_pixels
from hounsfield.imaging.instance_columns import instance_index
from hounsfield.imaging.quotas import exceeds
from hounsfield.imaging.staged_instance import Place, StagedInstance
from hounsfield.pixels.errors import FramesError
from hounsfield.pixels.transfer_syntaxes import LosslessFormat
from hounsfield.storage.blobs.blobs import BlobPlace, Blobs
from hounsfield.storage.blobs.packs import Label, PackWriter, RecordKind
from hounsfield.storage.buckets.buckets import BucketError, Buckets, ObjectChangedError, ObjectEntry, ObjectReader
from hounsfield.storage.identifiers import new_instance_key
from hounsfield.storage.keys.data_key import DataKey

if TYPE_CHECKING:
    # Workers know neither: what they need of them is in the context.
    from hounsfield.imaging.datastores import Datastore
    from hounsfield.imaging.image_store import ImageStore

_SECONDS_PER_FILE = 300
_BYTES_PER_SECOND = 500_000
_MOST_WAITING_BYTES = 32 * 1024 * 1024


class InputUnreadableError(Exception):
    """An object of the input could not be read, which may pass."""


@dataclass(frozen=True, slots=True)
class IngestContext:
    """What a worker needs to know besides the files."""

    buckets: Buckets
    bucket: str
    blob_place: BlobPlace
    key: DataKey
    lossless_format: LosslessFormat
    bytes_per_file: int
    metadata_bytes: int
    metadata: ImportMetadata | None = None

    @classmethod
    def of(
        cls,
        image_store: ImageStore,
        datastore: Datastore,
        key: DataKey,
        bucket: str = "",
        metadata: ImportMetadata | None = None,
        buckets: Buckets | None = None,
    ) -> IngestContext:
        """Give the context for a data store; ``bucket``, ``metadata`` and ``buckets`` are those of an import job."""
        return cls(
            buckets=image_store.buckets if buckets is None else buckets,
            bucket=bucket,
            blob_place=image_store.blob_place,
            key=key,
            lossless_format=datastore.lossless_format,
            bytes_per_file=image_store.quotas.bytes_per_file,
            metadata_bytes=image_store.quotas.metadata_bytes,
            metadata=metadata,
        )


def warm_up() -> None:
    """Do once in each worker what the first file would otherwise pay for; importing this module is most of it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def ingest_batch(context: IngestContext, files: Sequence[InputFile]) -> list[FileResult]:
    """Read, transcode, verify and store some files; one pack for each series among them.

    Raises
    ------
    InputUnreadableError
        An object could not be read.
    OSError
        A pack could not be written.
    """
    packs = SeriesPacks(context.blob_place.open(), context.key)
    results = []
    try:
        for file in files:
            failed = _ingest(context, file, packs)
            if failed is not None:
                results.append(failed)
            if packs.waiting_bytes > _MOST_WAITING_BYTES:
                results.extend(packs.close())
        results.extend(packs.close())
    except BucketError as error:
        raise InputUnreadableError(str(error)) from error
    finally:
        packs.abort()
    return sorted(results, key=lambda result: result.ordinal)


def _ingest(context: IngestContext, file: InputFile, packs: SeriesPacks) -> FileResult | None:
    try:
        with opened(context, file) as source:
            part10, record = read_record(context, source)
            packs.put(context, file.ordinal, part10, record)
    except DicomDirectory:
        return FileResult(file.ordinal, FileOutcome.SKIPPED)
    except (DicomError, FramesError, ObjectChangedError) as error:
        return FileResult(file.ordinal, FileOutcome.FAILED, None, FileErrorType.CUSTOMER, str(error))
    return None


@contextlib.contextmanager
def opened(context: IngestContext, file: InputFile) -> Iterator[ObjectReader]:
    """Open an input file, and end this process should the file take absurdly long, which only that file then pays for."""
    reader = context.buckets.open(context.bucket).open(ObjectEntry(file.key, file.size, file.etag))
    try:
        with time_limit(file.size):
            yield reader
    finally:
        reader.close()


@contextlib.contextmanager
def time_limit(size: int) -> Iterator[None]:
    """End this process should a file of so many bytes take absurdly long."""
    signal.alarm(_SECONDS_PER_FILE + size // _BYTES_PER_SECOND)
    try:
        yield
    finally:
        signal.alarm(0)


def read_record(context: IngestContext, source: ByteSource) -> tuple[Part10, InstanceRecord]:
    """Read a file, put the metadata files of the job over it, and make its record; raises `DicomError`."""
    if exceeds(source.size, context.bytes_per_file):
        raise DicomError(f"The file has {source.size} bytes, the quota is {context.bytes_per_file}")
    part10 = read_part10(source)
    if context.metadata is not None:
        part10 = with_metadata(part10, context.metadata, context.buckets.open(context.bucket))
    return part10, instance_record(part10)


@dataclass(frozen=True, slots=True)
class FinishedInstance:
    """An instance whose pixel data is in a pack already, and the two records still to be written."""

    key: str
    record: InstanceRecord
    levels: str
    pixels: StoredPixels
    fragment: bytes
    dataset: bytes


def finish_instance(
    context: IngestContext, key: str, part10: Part10, record: InstanceRecord, pixels: StoredPixels
) -> FinishedInstance:
    """Make the JSON fragment of an instance; raises `DicomError` when it is beyond the metadata quota."""
    corrected = as_stored(part10, pixels)
    if corrected is not part10:
        part10, record = corrected, instance_record(corrected)
    record = record.with_warnings(pixels.warnings)
    fragment = instance_fragment(record, pixels.transfer_syntax, pixels.checksum_type, pixels.entries)
    if exceeds(len(fragment), context.metadata_bytes):
        raise DicomError(
            f"The metadata of the instance has {len(fragment)} bytes, the quota is {context.metadata_bytes}"
        )
    levels = Levels(record.patient, record.study, record.series).to_json().decode()
    header = header_with_offset_table(part10, pixels.offset_table) if pixels.offset_table else part10.header
    return FinishedInstance(key, record, levels, pixels, fragment, header)


class SeriesPack:
    """The pack of one series in one batch."""

    def __init__(self, blobs: Blobs, key: DataKey) -> None:
        self.writer = PackWriter(blobs, key)
        self._waiting: list[tuple[int, FinishedInstance]] = []
        self.waiting_bytes = 0

    def add(self, ordinal: int, instance: FinishedInstance) -> None:
        """Keep the small records of an instance for the end of the pack, where one read gets those of all instances."""
        self._waiting.append((ordinal, instance))
        self.waiting_bytes += len(instance.fragment) + len(instance.dataset)

    def close(self) -> list[FileResult]:
        """Write what waits and make the pack durable."""
        if not self._waiting:
            self.writer.abort()
            return []
        places = []
        for kind in (RecordKind.FRAGMENT, RecordKind.DATASET):
            for _, instance in self._waiting:
                data = instance.fragment if kind is RecordKind.FRAGMENT else instance.dataset
                extent = self.writer.add(Label(kind, instance.key), data)
                places.append(Place(extent.offset, extent.length))
        self.writer.close()
        count = len(self._waiting)
        return [
            FileResult(ordinal, FileOutcome.STAGED, self._staged(instance, places[i], places[count + i]))
            for i, (ordinal, instance) in enumerate(self._waiting)
        ]

    def _staged(self, instance: FinishedInstance, fragment: Place, dataset: Place) -> StagedInstance:
        record, pixels = instance.record, instance.pixels
        return StagedInstance(
            key=instance.key,
            sop_uid=record.sop_uid,
            sop_class_uid=record.sop_class_uid,
            grouping=record.grouping,
            levels=instance.levels,
            stored_transfer_syntax=pixels.transfer_syntax,
            pixel_kind=pixels.kind,
            frame_count=len(pixels.entries),
            pack_id=self.writer.pack_id,
            fragment=fragment,
            dataset=dataset,
            runs=pixels.runs,
            warnings=record.warnings,
            fragment_bytes=len(instance.fragment),
            index=instance_index(record.attributes),
        )


class SeriesPacks:
    """The packs of one batch, one for each series in it."""

    def __init__(self, blobs: Blobs, key: DataKey) -> None:
        self._blobs = blobs
        self._key = key
        self._packs: dict[str, SeriesPack] = {}

    def of(self, series_uid: str) -> SeriesPack:
        """Give the pack of a series, begun when it is asked for first."""
        if series_uid not in self._packs:
            self._packs[series_uid] = SeriesPack(self._blobs, self._key)
        return self._packs[series_uid]

    def put(self, context: IngestContext, ordinal: int, part10: Part10, record: InstanceRecord) -> None:
        """Store an instance in the pack of its series; raises `DicomError`, `FramesError`."""
        pack, key = self.of(record.series_uid), new_instance_key()
        try:
            pixels = store_pixels(part10, key, pack.writer, context.lossless_format)
            finished = finish_instance(context, key, part10, record, pixels)
        except (DicomError, FramesError, ObjectChangedError):
            # What was written of the file would stay in the pack of its neighbours.
            pack.writer.rewind()
            raise
        pack.add(ordinal, finished)

    @property
    def waiting_bytes(self) -> int:
        """How much is held in memory for the ends of the packs."""
        return sum(pack.waiting_bytes for pack in self._packs.values())

    def close(self) -> list[FileResult]:
        """Make all packs durable; the next instance of a series begins a new one."""
        results = []
        for uid in list(self._packs):
            results.extend(self._packs[uid].close())
            del self._packs[uid]
        return results

    def abort(self) -> None:
        """Drop the packs that are not closed."""
        for pack in self._packs.values():
            pack.writer.abort()
