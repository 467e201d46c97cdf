"""The packs of a share: one for each series, frames first, the small records of all its instances at the end."""

from __future__ import annotations

from dataclasses import dataclass

from hounsfield.dicom.healthimaging.document import Levels, instance_fragment
from hounsfield.dicom.healthimaging.record import InstanceRecord, instance_record
from hounsfield.dicom.io.part10 import Part10, header_with_offset_table
from hounsfield.dicom.values.errors import DicomError
from hounsfield.imaging.ingest.context import IngestContext
from hounsfield.imaging.ingest.files import FileResult
from hounsfield.imaging.ingest.pixel_writer import StoredPixels, describe_as_stored, store_pixels
from hounsfield.imaging.instance_columns import read_columns
from hounsfield.imaging.quotas import exceeds
from hounsfield.imaging.staged_instance import PackRange, StagedInstance
from hounsfield.pixels.errors import FramesError
from hounsfield.storage.blobs.blobs import Blobs
from hounsfield.storage.blobs.packs import Label, PackWriter, RecordKind
from hounsfield.storage.buckets.buckets import ObjectChangedError
from hounsfield.storage.identifiers import new_instance_key
from hounsfield.storage.keys.data_key import DataKey


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
    corrected = describe_as_stored(part10, pixels)
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
                places.append(PackRange(extent.offset, extent.length))
        self.writer.close()
        count = len(self._waiting)
        return [
            FileResult(ordinal, self._staged(instance, places[i], places[count + i]))
            for i, (ordinal, instance) in enumerate(self._waiting)
        ]

    def _staged(self, instance: FinishedInstance, fragment: PackRange, dataset: PackRange) -> StagedInstance:
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
            index=read_columns(record.attributes),
        )


class SeriesPacks:
    """The packs of one batch, one for each series in it."""

    def __init__(self, blobs: Blobs, key: DataKey) -> None:
        self._blobs = blobs
        self._key = key
        self._packs: dict[str, SeriesPack] = {}

    def of(self, series_uid: str) -> SeriesPack:
        """Return the pack of a series, begun when it is asked for first."""
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
        """Bytes held in memory for the ends of the packs."""
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
