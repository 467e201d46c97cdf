"""Files that only grow, such as those of the audit trail and the journal: a backup adds what they have more than before.

    file, 900 bytes there ─▶ last part read again, the same? ─▶ bytes 900 … ─┐
                                          └─ no: its end was written anew ───┴─▶ collected ─▶ sealed ─▶ grown/<generation>/<n>

New parts of many files share an object. The list of the parts of all files belongs to the generation.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Final

import orjson
from cachetools import LRUCache

from hounsfield.imaging.backup.errors import BackupDamagedError
from hounsfield.imaging.backup.place import BackupPlace
from hounsfield.imaging.backup.sealed_objects import BackupKey
from hounsfield.storage.blobs.blobs import BlobMissingError

_OBJECT_BYTES: Final = 16 << 20
_KEPT_OBJECTS: Final = 4


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a file that only grows.

    Attributes
    ----------
    name : str
        The object that it is in.
    at : int
        Where it begins there.
    offset, length : int
        Where it begins in the file, and how long it is.
    sha256 : str
        Checksum of its bytes, in hexadecimal digits.
    """

    name: str
    at: int
    offset: int
    length: int
    sha256: str


Parts = Mapping[str, Sequence[Part]]
"""The parts of each file, by its name in the backup, in their order."""


@dataclass(frozen=True, slots=True)
class GrowingFile:
    """A file that only grows.

    Attributes
    ----------
    name : str
        What it is called in the backup.
    size : int
        Up to where it is copied.
    read : callable
        Returns bytes of it, by offset and length.
    is_final : bool
        Whether what it has once is never written anew, so that it need not be looked at again.
    """

    name: str
    size: int
    read: Callable[[int, int], bytes]
    is_final: bool = False


class GrownFiles:
    """Collects what files have more than at the backup before.

    Parameters
    ----------
    place : BackupPlace
        Where objects go.
    key : BackupKey
        Seals them.
    generation : str
        The generation.
    before : Parts
        The parts of the generation before.
    """

    def __init__(self, place: BackupPlace, key: BackupKey, generation: str, before: Parts) -> None:
        self._place = place
        self._key = key
        self._generation = generation
        self._before = before
        self._waiting = bytearray()
        self._objects = 0
        self.parts: dict[str, list[Part]] = {}
        """The parts of all files so far."""
        self.copied_bytes = 0

    def add(self, file: GrowingFile) -> None:
        """Copy what is new of a file.

        Raises
        ------
        FileNotFoundError, BlobMissingError
            The file is gone, and what it had is not there.
        OSError
            It cannot be read, or the place cannot be written.
        """
        kept = list(self._before.get(file.name, ()))
        try:
            while kept and not self._holds(file, kept[-1]):
                kept.pop()
            offset = _end(kept)
            while offset < file.size:
                data = file.read(offset, min(_OBJECT_BYTES, file.size - offset))
                if not data:
                    break
                kept.append(self._collect(data, offset))
                offset += len(data)
        except (FileNotFoundError, BlobMissingError):
            # Retention removed it meanwhile; then it is whole here, or it is not needed.
            kept = list(self._before.get(file.name, ()))
            if _end(kept) < file.size:
                raise
        self.parts[file.name] = kept

    def _holds(self, file: GrowingFile, part: Part) -> bool:
        end = part.offset + part.length
        if end > file.size:
            return False
        return file.is_final or hashlib.sha256(file.read(part.offset, part.length)).hexdigest() == part.sha256

    def _collect(self, data: bytes, offset: int) -> Part:
        if len(self._waiting) + len(data) > _OBJECT_BYTES:
            self.flush()
        part = Part(self._name, len(self._waiting), offset, len(data), hashlib.sha256(data).hexdigest())
        self._waiting += data
        self.copied_bytes += len(data)
        return part

    @property
    def _name(self) -> str:
        return f"grown/{self._generation}/{self._objects + 1:06d}"

    def flush(self) -> None:
        """Write what was collected; raises OSError."""
        if self._waiting:
            self._place.write(self._name, self._key.seal(bytes(self._waiting), self._name), durable=False)
            self._objects += 1
            self._waiting.clear()


def _end(parts: Sequence[Part]) -> int:
    return parts[-1].offset + parts[-1].length if parts else 0


def parts_text(parts: Parts) -> bytes:
    """Return the list of parts as it is kept."""
    return orjson.dumps({name: [astuple(part) for part in of_file] for name, of_file in parts.items()})


def read_parts(text: bytes) -> dict[str, list[Part]]:
    """Read the list of parts; raises `BackupDamagedError`."""
    try:
        return {name: [Part(*entry) for entry in of_file] for name, of_file in orjson.loads(text).items()}
    except (AttributeError, TypeError, orjson.JSONDecodeError) as error:
        raise BackupDamagedError("the list of grown files in the backup is not of its form") from error


class GrownFileReader:
    """Reads files that only grow from a backup.

    Parameters
    ----------
    place : BackupPlace
        The backup.
    key : BackupKey
        Opens it.
    """

    def __init__(self, place: BackupPlace, key: BackupKey) -> None:
        self._place = place
        self._key = key
        self._objects: LRUCache[str, bytes] = LRUCache(_KEPT_OBJECTS)

    def read(self, parts: Sequence[Part]) -> Iterator[bytes]:
        """Yield the bytes of a file, part by part; raises `BackupDamagedError` and `BackupIncompleteError`."""
        offset = 0
        for part in parts:
            data = self._object(part.name)[part.at : part.at + part.length]
            if part.offset != offset or hashlib.sha256(data).hexdigest() != part.sha256:
                raise BackupDamagedError(f"{part.name} of the backup has not the part that its list names")
            offset += len(data)
            yield data

    def _object(self, name: str) -> bytes:
        if name not in self._objects:
            self._objects[name] = self._key.open(self._place.read(name), name)
        return self._objects[name]
