"""Files that only grow, such as those of the audit trail: each backup adds what they have more than at the one before.

    file, 900 bytes there ─▶ last part read again, the same? ─▶ bytes 900 … ─▶ sealed ─▶ grown/<area>/<file>/<offset>-<…>
                                                          └─ no: its end was cut and written anew ─▶ from that part on

The list of the parts of all files belongs to the generation.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from hounsfield.imaging.backup.errors import BackupDamagedError
from hounsfield.imaging.backup.place import BackupPlace
from hounsfield.imaging.backup.sealed_objects import BackupKey

_PART_BYTES: Final = 16 << 20


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a file that only grows: its object, where it begins, its length, and the SHA-256 of its bytes."""

    name: str
    offset: int
    length: int
    sha256: str


Parts = Mapping[str, Sequence[Part]]
"""The parts of each file, by ``<area>/<file>``, in their order."""


@dataclass(frozen=True, slots=True)
class GrowingFile:
    """A file that only grows: how it is called in the backup, where it is, and up to where it is copied."""

    name: str
    path: Path
    size: int


class GrownFiles:
    """Copies what files have more than at the backup before.

    Parameters
    ----------
    place : BackupPlace
        Where parts go.
    key : BackupKey
        Seals them.
    before : Parts
        The parts of the generation before.
    """

    def __init__(self, place: BackupPlace, key: BackupKey, before: Parts) -> None:
        self._place = place
        self._key = key
        self._before = before
        self.copied_bytes = 0

    def copy(self, generation: str, file: GrowingFile) -> list[Part]:
        """Copy what is new of a file; gives all its parts.

        Raises
        ------
        FileNotFoundError
            The file is gone, and its parts are not there.
        OSError
            It cannot be read, or the place cannot be written.
        """
        try:
            opened = file.path.open("rb")
        except FileNotFoundError:
            # Retention removed it meanwhile; what the backup has of it is whole, or it is not needed.
            if self._covered(self._before.get(file.name, ())) >= file.size:
                return list(self._before[file.name])
            raise
        with opened as source:
            kept = list(self._before.get(file.name, ()))
            while kept and not self._holds(source.read, source.seek, kept[-1], file.size):
                kept.pop()
            offset = self._covered(kept)
            while offset < file.size:
                source.seek(offset)
                data = source.read(min(_PART_BYTES, file.size - offset))
                if not data:
                    break
                name = f"grown/{file.name}/{offset:012d}-{generation}"
                self._place.write(name, self._key.seal(data, name))
                kept.append(Part(name, offset, len(data), hashlib.sha256(data).hexdigest()))
                offset += len(data)
                self.copied_bytes += len(data)
        return kept

    def _holds(self, read: Any, seek: Any, part: Part, size: int) -> bool:
        if part.offset + part.length > size:
            return False
        seek(part.offset)
        return hashlib.sha256(read(part.length)).hexdigest() == part.sha256

    @staticmethod
    def _covered(parts: Sequence[Part]) -> int:
        return parts[-1].offset + parts[-1].length if parts else 0


def parts_text(parts: Parts) -> bytes:
    """Return the list of parts as it is kept."""
    listed = {
        name: [[part.name, part.offset, part.length, part.sha256] for part in of_file]
        for name, of_file in parts.items()
    }
    return orjson.dumps(listed)


def read_parts(text: bytes) -> dict[str, list[Part]]:
    """Read the list of parts; raises `BackupDamagedError`."""
    try:
        return {name: [Part(*entry) for entry in of_file] for name, of_file in orjson.loads(text).items()}
    except (AttributeError, TypeError, orjson.JSONDecodeError) as error:
        raise BackupDamagedError("the list of grown files in the backup is not of its form") from error


def read_file(place: BackupPlace, key: BackupKey, parts: Sequence[Part]) -> Iterator[bytes]:
    """Yield the bytes of a file, part by part; raises `BackupDamagedError`."""
    offset = 0
    for part in parts:
        data = key.open(place.read(part.name), part.name)
        if part.offset != offset or hashlib.sha256(data).hexdigest() != part.sha256:
            raise BackupDamagedError(f"{part.name} of the backup is not the part that its list names")
        offset += len(data)
        yield data
