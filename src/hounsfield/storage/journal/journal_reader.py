"""The journal of an installation, read from its segments without a database.

    segments of all writers ─▶ each checked, and copied as it is to a temporary file ─▶ where each record is, by its sequence
                                                                                 ─▶ records in their order, opened one by one

Memory is needed for the places of records, not for what is in them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from tempfile import TemporaryFile

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hounsfield.storage.blobs.blobs import BlobMissingError, Blobs
from hounsfield.storage.journal.changes import ChangeKind, ChangeRecord
from hounsfield.storage.journal.segments import (
    FOLDER,
    Ending,
    SealedRecord,
    SegmentError,
    SegmentName,
    SegmentReader,
    open_sealed,
    segment_cipher,
)


@dataclass(frozen=True, slots=True)
class JournalDamage:
    """What is wrong with the journal.

    Attributes
    ----------
    segment : str
        Blob name of the segment; empty where it is about no single one.
    what : str
        What is wrong, without anything of a patient.
    """

    segment: str
    what: str


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the sealed bytes of a record are in the temporary file, and what they are."""

    segment: SegmentName
    index: int
    offset: int
    length: int


class JournalReader:
    """All records of a journal.

    Parameters
    ----------
    blobs : Blobs
        The place of the journal.
    secret : bytes
        The journal key.

    Attributes
    ----------
    damage : list of JournalDamage
        What is wrong with the segments.
    begins_with_database : bool
        Whether the first record is that of a database that was made: nothing happened before.

    Raises
    ------
    OSError
        The place cannot be read.
    """

    def __init__(self, blobs: Blobs, secret: bytes) -> None:
        self._blobs = blobs
        self._secret = secret
        self._copy = TemporaryFile()  # noqa: SIM115 - closed by `close`
        self._places: dict[int, _Place] = {}
        self._opened: tuple[SegmentName, AESGCM] | None = None
        self.damage: list[JournalDamage] = []
        self._scan()
        self._copy.flush()
        first = self._open(1) if 1 in self._places else None
        self.begins_with_database = first is not None and [ChangeKind.ORIGIN] in first.changes

    def __enter__(self) -> JournalReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the temporary file go."""
        self._copy.close()

    @property
    def last_sequence(self) -> int:
        """The highest sequence there is; 0 where there is none."""
        return max(self._places, default=0)

    def _scan(self) -> None:
        endings: dict[str, dict[int, int]] = {}
        previous: list[tuple[SegmentName, Ending]] = []
        for blob in sorted(self._blobs.names(f"{FOLDER}/")):
            name = SegmentName.parse(blob)
            if name is None:
                continue
            try:
                reader = self._scan_segment(name)
            except SegmentError as error:
                self.damage.append(JournalDamage(blob, str(error)))
                continue
            except BlobMissingError:
                self.damage.append(JournalDamage(blob, "it went while it was read"))
                continue
            endings.setdefault(name.writer, {})[name.number] = reader.count
            previous.append((name, reader.previous))
        for name, ending in previous:
            found = endings[name.writer].get(ending.number, 0)
            if found < ending.count:
                missing = SegmentName(name.writer, ending.number)
                self.damage.append(
                    JournalDamage(str(missing), f"it has {found} records, and had {ending.count} when it ended")
                )

    def _scan_segment(self, name: SegmentName) -> SegmentReader:
        # No segment is much longer than the bound at which the next is begun, but for the longest single record.
        data = self._blobs.read(str(name), 0, self._blobs.size(str(name)))
        reader = SegmentReader(self._secret, name, data)
        start = self._copy.tell()
        for record in reader.records():
            place = _Place(name, record.index, start + record.start, record.end - record.start)
            known = self._places.setdefault(record.sequence, place)
            if known.segment != name and self._differs(record):
                self.damage.append(
                    JournalDamage(
                        str(name),
                        f"record {record.sequence} is another one in {known.segment}: the database was put back from "
                        "an older copy, or lost what it had answered",
                    )
                )
        self._copy.write(data)
        self.damage += (JournalDamage(str(name), what) for what in reader.damage)
        return reader

    def _differs(self, record: SealedRecord) -> bool:
        """Return whether a record is another one than that which is known of its sequence."""
        self._copy.flush()
        known = self._open(record.sequence)
        try:
            return known is not None and known != ChangeRecord.unpack(record.sequence, record.content)
        except ValueError:
            return True

    def records(self, after: int = 0, *, until_ms: int | None = None) -> Iterator[ChangeRecord]:
        """Yield the records behind a sequence, in their order.

        Parameters
        ----------
        after : int
            The sequence; 0 for all records.
        until_ms : int or None
            Moment in milliseconds since 1970-01-01 UTC by the wall clock: the first record that is later ends it.
        """
        for sequence in self._behind(after):
            record = self._open(sequence)
            if record is None:
                continue
            if until_ms is not None and record.wall_ms > until_ms:
                return
            yield record

    def missing(self, after: int = 0) -> list[tuple[int, int]]:
        """List the gaps in the sequences behind one, each by its first and its last.

        A transaction that PostgreSQL could not commit leaves a gap too, and so does one that a process was killed in before
        anybody was answered.
        """
        gaps = []
        expected = after + 1
        for sequence in self._behind(after):
            if sequence > expected:
                gaps.append((expected, sequence - 1))
            expected = sequence + 1
        return gaps

    def _behind(self, after: int) -> list[int]:
        return sorted(one for one in self._places if one > after)

    def _open(self, sequence: int) -> ChangeRecord | None:
        place = self._places[sequence]
        sealed = os.pread(self._copy.fileno(), place.length, place.offset)
        if self._opened is None or self._opened[0] != place.segment:
            self._opened = (place.segment, segment_cipher(self._secret, place.segment))
        record = open_sealed(self._opened[1], place.segment, place.index, sealed)
        try:
            return ChangeRecord.unpack(sequence, record.content)
        except ValueError as error:
            self.damage.append(JournalDamage(str(place.segment), f"record {place.index}: {error}"))
            return None
