"""The journal in a backup: segments as they grow, and, in a restore, its records up to a moment in segments of their own.

    journal/<writer>/<number> of all writers ─▶ grown files ─▶ records up to a sequence ─▶ journal/<new writer>/1, 2, …

What happened behind that sequence is no part of the restored installation: its own records go on from there.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Final

from hounsfield.imaging.backup.grown_files import GrowingFile, GrownFileReader, Parts
from hounsfield.imaging.backup.place import list_sizes
from hounsfield.storage.blobs.blobs import BlobLocation, Blobs, write_blob
from hounsfield.storage.journal.segments import (
    FOLDER,
    Ending,
    SealedRecord,
    SegmentError,
    SegmentName,
    SegmentReader,
    SegmentSealer,
)

_SEGMENT_BYTES: Final = 16 << 20
_WRITER_BYTES: Final = 16


def list_segments(place: BlobLocation, blobs: Blobs) -> list[GrowingFile]:
    """Return the segments of a journal as they are now; raises OSError."""
    return [
        GrowingFile(name, size, lambda offset, length, name=name: blobs.read(name, offset, length), is_final=True)  # type: ignore[misc]
        for name, size in sorted(list_sizes(place, f"{FOLDER}/"))
        if SegmentName.parse(name) is not None
    ]


def read_records(grown: Parts, reader: GrownFileReader, secret: bytes, damage: list[str]) -> Iterator[SealedRecord]:
    """Yield all records of a journal in a backup, each once, writer by writer.

    Parameters
    ----------
    grown : Parts
        The files of a generation that only grow.
    reader : GrownFileReader
        Reads them.
    secret : bytes
        The journal key.
    damage : list of str
        Gets what is wrong with segments.
    """
    seen: set[int] = set()
    for name, parts in sorted(grown.items()):
        segment = SegmentName.parse(name)
        if segment is None:
            continue
        try:
            opened = SegmentReader(secret, segment, b"".join(reader.read(parts)))
        except SegmentError as error:
            damage.append(f"{name}: {error}")
            continue
        for record in opened.records():
            if record.sequence not in seen:
                seen.add(record.sequence)
                yield record
        damage += (f"{name}: {what}" for what in opened.damage)


def write_records(records: Iterator[SealedRecord], target: Blobs, secret: bytes, until: int | None) -> int:
    """Write the records of a journal, up to a sequence where one is named, into segments of their own; returns their count.

    Raises
    ------
    OSError
        The place cannot be written.
    """
    writer, ending, count = secrets.token_hex(_WRITER_BYTES), Ending(), 0
    sealer = SegmentSealer(secret, writer, 1, ending)
    waiting = bytearray(sealer.beginning)

    def write() -> None:
        write_blob(target, str(sealer.name), bytes(waiting))

    for record in records:
        if until is not None and record.sequence > until:
            continue
        if len(waiting) >= _SEGMENT_BYTES:
            write()
            ending = Ending(sealer.name.number, sealer.count)
            sealer = SegmentSealer(secret, writer, ending.number + 1, ending)
            waiting = bytearray(sealer.beginning)
        waiting += sealer.seal(record.sequence, record.content)
        count += 1
    if count:
        write()
    return count
