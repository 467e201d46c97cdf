"""Checkpoints of the journal as objects: their names, and their records."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import Final

from hounsfield.storage.blobs.blobs import BlobMissingError, Blobs
from hounsfield.storage.journal.changes import ChangeKind, ChangeRecord
from hounsfield.storage.journal.segments import FOLDER, SegmentError, SegmentName, SegmentReader

CHECKPOINTS: Final = f"{FOLDER}/checkpoints"
"""Folder of the checkpoints, beside those of the writers of segments."""
_PIECE: Final = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class CheckpointName:
    """Which checkpoint.

    Attributes
    ----------
    base : int
        Sequence up to which it has everything.
    id : str
        32 digits that no other has.
    """

    base: int
    id: str

    def __str__(self) -> str:
        return f"{CHECKPOINTS}/{self.base:016x}-{self.id}"

    @classmethod
    def parse(cls, name: str) -> CheckpointName | None:
        """Return the checkpoint that a blob is; None for any other blob."""
        folder, _, file = name.rpartition("/")
        base, _, identifier = file.partition("-")
        if folder != CHECKPOINTS or len(base) != 16 or len(identifier) != 32:
            return None
        try:
            return cls(int(base, 16), identifier)
        except ValueError:
            return None


def checkpoint_names(place: Blobs) -> list[CheckpointName]:
    """List the checkpoints of a journal, the newest first; raises OSError."""
    names = (CheckpointName.parse(name) for name in place.names(f"{CHECKPOINTS}/"))
    return sorted((name for name in names if name is not None), key=lambda name: (-name.base, name.id))


class CheckpointReader:
    """The records of a checkpoint.

    Parameters
    ----------
    blobs : Blobs
        The place of the journal.
    secret : bytes
        The journal key.
    name : CheckpointName
        Which one.

    Attributes
    ----------
    damage : list of str
        What is wrong with it, once all records were read.
    is_whole : bool
        Whether its end was read.

    Raises
    ------
    SegmentError
        It is no checkpoint.
    BlobMissingError
        It is gone.
    """

    def __init__(self, blobs: Blobs, secret: bytes, name: CheckpointName) -> None:
        self.name = name
        self.damage: list[str] = []
        self.is_whole = False
        self._copy = TemporaryFile()  # noqa: SIM115 - closed with the reader
        size = blobs.size(str(name))
        for offset in range(0, size, _PIECE):
            self._copy.write(blobs.read(str(name), offset, min(_PIECE, size - offset)))
        self._copy.flush()
        if size == 0:
            raise SegmentError("it is empty")
        data = mmap.mmap(self._copy.fileno(), 0, access=mmap.ACCESS_READ)
        self._reader = SegmentReader(secret, SegmentName(name.id, name.base), data)

    def records(self) -> Iterator[ChangeRecord]:
        """Yield the records in their order."""
        for record in self._reader.records():
            try:
                found = ChangeRecord.unpack(record.sequence, record.content)
            except ValueError as error:
                self.damage.append(f"record {record.index}: {error}")
                continue
            if [ChangeKind.CHECKPOINT_END] in found.changes:
                self.is_whole = True
            else:
                yield found
        self.damage += self._reader.damage

    def check(self) -> bool:
        """Read it through; tells whether it is whole and as it was written."""
        for _ in self.records():
            pass
        whole = self.is_whole and not self.damage
        self.damage = []
        return whole


def newest_checkpoint(blobs: Blobs, secret: bytes) -> tuple[CheckpointReader | None, list[tuple[str, str]]]:
    """Find the newest checkpoint that is whole; gives also the names of those that are not, and why.

    Raises
    ------
    OSError
        The place cannot be reached.
    """
    wrong = []
    for name in checkpoint_names(blobs):
        try:
            reader = CheckpointReader(blobs, secret, name)
        except (SegmentError, BlobMissingError) as error:
            wrong.append((str(name), str(error)))
            continue
        if reader.check():
            return reader, wrong
        wrong.append((str(name), "it was changed, or is cut short"))
    return None, wrong
