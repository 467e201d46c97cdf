"""The place of a backup: a folder or a prefix of a bucket, in which objects are written once.

    backup.json                            whose backup it is
    keys/<keyring>.json                    master keys, wrapped by a passphrase or a key of a key service
    packs/<data store>/<xx>/<pack>         as beside the database
    grown/<area>/<file>/<offset>-<…>       what files that only grow had more than at the backup before, sealed
    generations/<time>-<id>/…              tables, list of packs, small files
    generations/<time>-<id>/manifest.json  last

In a folder, packs get their names before they are durable, and all become so at once in `BackupPlace.settle`: one wait for
the disk instead of one for each. Whoever finds a pack that no manifest names does not rely on it.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import obstore
from obstore.exceptions import BaseError as StoreError

from hounsfield.imaging.backup.errors import BackupDamagedError, BackupError, BackupIncompleteError
from hounsfield.storage.blobs.blobs import BlobLocation, BlobMissingError, Blobs, BlobWriter, has_blob
from hounsfield.storage.durable_files import FULL_ERRNOS, REFUSING_ERRNOS, make_folder_durably

_FILE_PIECE_BYTES: Final = 128 << 10
"""What stays near the processor between read, code and write; with twice as much, a write can take three times as long."""
_OBJECT_PIECE_BYTES: Final = 8 << 20
_DELETED_AT_ONCE: Final = 1000
_MOST_BYTES: Final = 1 << 30
"""More than any object that is read as a whole; what claims to be larger is none of ours."""


@dataclass(frozen=True, slots=True)
class PackDigest:
    """A pack as it was copied: its size, and its code (`hounsfield.imaging.backup.sealed_objects.StreamCode`)."""

    size: int
    code: str


@dataclass(frozen=True, slots=True)
class ObjectDigest:
    """An object as it was written: its size, and its SHA-256 in hexadecimal digits."""

    size: int
    sha256: str


class _AsideWriter:
    """Writes a file of a folder that is durable only after `BackupPlace.settle`."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path = path
        self._aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        self._descriptor = os.open(self._aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]

    def publish(self) -> None:
        self._close()
        self._aside.rename(self._path)

    def abort(self) -> None:
        self._close()
        self._aside.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)


class BackupPlace:
    """A place for backups.

    Parameters
    ----------
    location : BlobLocation
        Where it is.
    make : bool
        Whether a folder that is not there is made.

    Raises
    ------
    BackupError
        It cannot be reached.
    """

    def __init__(self, location: BlobLocation, *, make: bool) -> None:
        self.name = location.name
        self._location = location
        self._folder = None if location.folder is None else Path(location.folder)
        self._store: obstore.store.ObjectStore | None = None
        if self._folder is not None and make and not self._folder.exists():
            # Of this user alone, and with it all that is below; one that is there has the rights that it was given.
            make_folder_durably(self._folder)
        if self._folder is not None and not make and not self._folder.is_dir():
            raise BackupError(f"{self.name} is no folder; name the folder of the backup, or the mount that it is on")
        try:
            self.blobs: Blobs = location.open()
            if self._folder is None:
                self._store = location.object_store()
        except (StoreError, ValueError) as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise BackupError(f"{self.name} cannot be a place of backups: {reason}") from error

    @property
    def location(self) -> BlobLocation:
        """Where it is."""
        return self._location

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder, not a bucket."""
        return self._folder is not None

    def sizes(self, folder: str) -> dict[str, int]:
        """Return the sizes in bytes of all objects below a folder, by their names; raises OSError."""
        return dict(list_sizes(self._location, folder))

    def read(self, name: str) -> bytes:
        """Return a whole object.

        Raises
        ------
        BackupIncompleteError
            There is no such object.
        BackupDamagedError
            It cannot be read.
        """
        try:
            size = self.blobs.size(name)
            if size > _MOST_BYTES:
                raise BackupDamagedError(f"{name} of the backup has {size} bytes, which is no object of a backup")
            return self.blobs.read(name, 0, size) if size else b""
        except BlobMissingError as error:
            raise BackupIncompleteError(f"{name} is missing in the backup {self.name}") from error
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            raise BackupDamagedError(f"the disk does not give {name} of the backup {self.name}") from error

    def has(self, name: str) -> bool:
        """Return whether there is an object of a name."""
        return has_blob(self.blobs, name)

    def write(self, name: str, data: bytes, *, durable: bool = True) -> ObjectDigest:
        """Write an object, durable at once or, where that is enough, after `settle`."""
        writer = self.blobs.create(name) if durable else self.create(name)
        try:
            writer.write(data)
            writer.publish()
        finally:
            writer.abort()
        return ObjectDigest(len(data), hashlib.sha256(data).hexdigest())

    def create(self, name: str) -> BlobWriter | _AsideWriter:
        """Start an object that is durable only after `settle`."""
        return self.blobs.create(name) if self._folder is None else _AsideWriter(self._folder / name)

    def settle(self) -> None:
        """Make everything durable that was written; raises OSError."""
        if self._folder is not None:
            sync_file_system(self._folder)

    def delete(self, name: str) -> None:
        """Remove an object; no error when there is none."""
        self.blobs.delete(name)

    def delete_all(self, names: Iterable[str]) -> None:
        """Remove many objects, not durably; what comes back after a crash is removed the next time. Raises OSError."""
        if self._folder is not None:
            for name in names:
                (self._folder / name).unlink(missing_ok=True)
            return
        rest = iter(names)
        while some := list(islice(rest, _DELETED_AT_ONCE)):
            try:
                obstore.delete(self._store, some)  # type: ignore[arg-type]
            except FileNotFoundError:
                continue
            except (StoreError, OSError) as error:
                raise OSError(f"{self.name} does not remove objects: {type(error).__name__}") from error

    def delete_unfinished(self) -> None:
        """Remove what writers of a folder left that died."""
        for folder in ("packs", "grown", "generations", "keys"):
            for path, _, files in os.walk(self._folder / folder) if self._folder is not None else ():
                for file in files:
                    if file.startswith("."):
                        (Path(path) / file).unlink(missing_ok=True)

    def delete_empty_folders(self, folder: str) -> None:
        """Remove folders below one that hold nothing any more."""
        for path, _, _ in os.walk(self._folder / folder, topdown=False) if self._folder is not None else ():
            with suppress(OSError):
                Path(path).rmdir()


def list_sizes(place: BlobLocation, folder: str) -> Iterator[tuple[str, int]]:
    """Yield all objects of a place below a folder, with their sizes in bytes; raises OSError."""
    if place.folder is None:
        try:
            for page in obstore.list(place.object_store(), prefix=folder):
                yield from ((entry["path"], entry["size"]) for entry in page)
        except (StoreError, OSError) as error:
            raise OSError(f"{place.url} does not list its objects: {type(error).__name__}") from error
        return
    root = Path(place.folder)
    for path, _, files in os.walk(root / folder):
        for file in files:
            if not file.startswith("."):
                found = Path(path) / file
                with suppress(FileNotFoundError):
                    yield str(found.relative_to(root)), found.stat().st_size


def piece_bytes(place: BlobLocation) -> int:
    """Return how much is read at once: of files what stays near the processor, of objects what is worth a request."""
    return _OBJECT_PIECE_BYTES if place.folder is None else _FILE_PIECE_BYTES


def explain_trouble(name: str, error: OSError) -> str:
    """Return what to do where a place of backups cannot be written to or read from."""
    if error.errno in FULL_ERRNOS:
        return (
            f"there is no room left in {name}; what was copied stays, make room and run the command again: "
            "it copies only what is missing"
        )
    if error.errno in REFUSING_ERRNOS:
        return f"{name} cannot be used: {error.strerror}; see that it may be written to"
    return f"{name} cannot be used: {error.strerror or error}; run the command again, it goes on from what is there"


def sync_file_system(folder: Path) -> None:
    """Make everything durable on the file system of a folder (Linux: syncfs); raises OSError."""
    call = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if call is None:
        os.sync()
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if call(descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(folder))
    finally:
        os.close(descriptor)
