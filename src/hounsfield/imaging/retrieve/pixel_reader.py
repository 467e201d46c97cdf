"""The stored pixel records of an instance: where they are, and reading many of them a few at a time."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.retrieve.image_frame import read_frame_runs
from hounsfield.imaging.retrieve.instances import StoredInstance
from hounsfield.imaging.retrieve.moved_records import find_pixel_record, read_or_look_again
from hounsfield.imaging.staged_instance import FrameRun
from hounsfield.runtime.batches import in_batches
from hounsfield.storage.blobs.packs import SEAL_BYTES, Extent, Label, RecordKind, read_records

_BATCH_BYTES: Final = 8 << 20
_BATCH_RECORDS: Final = 64


@dataclass(frozen=True, slots=True)
class StoredPixels:
    """The pixel records of an instance.

    Attributes
    ----------
    image_store : ImageStore
        Where they are.
    instance : StoredInstance
        Whose they are.
    runs : tuple of FrameRun
        Their places, by ordinal.
    """

    image_store: ImageStore
    instance: StoredInstance
    runs: tuple[FrameRun, ...]

    @property
    def sizes(self) -> array[int]:
        """Size of each record in bytes."""
        return array("I", (length - SEAL_BYTES for run in self.runs for length in run.lengths))

    def read(self) -> Iterator[bytes]:
        """Return all records in order; only a few are in memory at a time."""
        return _read(self.image_store, self.instance, self._places())

    def _places(self) -> Iterator[tuple[int, Extent]]:
        for run in self.runs:
            offset = run.first_offset
            for ordinal, length in enumerate(run.lengths, run.first_ordinal):
                yield ordinal, Extent(run.pack_id, offset, length)
                offset += length


def find_stored_pixels(image_store: ImageStore, instance: StoredInstance) -> StoredPixels:
    """Find all pixel records of an instance."""
    return StoredPixels(image_store, instance, tuple(read_frame_runs(image_store, instance.source_key)))


def read_pixel_records(image_store: ImageStore, instance: StoredInstance, ordinals: Iterable[int]) -> Iterator[bytes]:
    """Return some records in the order asked for, without looking at the places of all others."""
    return _read(
        image_store, instance, ((ordinal, _find_extent(image_store, instance, ordinal)) for ordinal in ordinals)
    )


def _find_extent(image_store: ImageStore, instance: StoredInstance, ordinal: int) -> Extent:
    extent = image_store.frame_index.find(image_store.database, instance.source_key, ordinal)
    if extent is None:
        raise LookupError(f"record {ordinal} of instance {instance.source_key} has no place")
    return extent


def _read(image_store: ImageStore, instance: StoredInstance, places: Iterable[tuple[int, Extent]]) -> Iterator[bytes]:
    kind = RecordKind.FRAME if instance.pixel_kind.in_frames else RecordKind.BLOB
    records = ((extent, Label(kind, instance.source_key, ordinal)) for ordinal, extent in places)
    for batch in in_batches(records, lambda record: record[0].length, _BATCH_BYTES, _BATCH_RECORDS):
        yield from _read_batch(image_store, instance, batch)


def _read_batch(image_store: ImageStore, instance: StoredInstance, batch: list[tuple[Extent, Label]]) -> list[bytes]:
    return read_or_look_again(
        partial(read_records, image_store.blobs, instance.image_set.key),
        batch,
        lambda: [(find_pixel_record(image_store, label, extent), label) for extent, label in batch],
    )
