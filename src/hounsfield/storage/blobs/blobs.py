"""Blobs: immutable objects by name, in a local folder or an object store.

A blob is written once, becomes visible whole or not at all, and is durable when `BlobWriter.publish` returns. Names are made
by the archive itself (hexadecimal ids and slashes), never from input.
"""

from __future__ import annotations

import errno
import io
import os
import resource
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Final, Protocol

import obstore
from obstore.exceptions import BaseError as StoreError
from obstore.store import from_url

from hounsfield.storage.clock import to_ms
from hounsfield.storage.durable_files import make_folder_durably, make_shard_durably, sync_folder

_MOST_OPEN_FILES = 1024
_FULL_WORDS = ("507 Insufficient Storage", "XMinioStorageFull", "InsufficientStorage", "QuotaExceeded")
"""What object stores call it that they have no room left."""

_ANSWER_TIME: Final = timedelta(seconds=30)
"""How long one answer of an object store is waited for, and from when on nothing is tried again: a minute for both."""
_RETRIES: Final = 6
_OPEN_SECONDS = 60.0
_BEGINNING_BYTES: Final = 64 * 1024
"""So much before the first mark is kept, so that an upload can be begun anew."""
_HELD_BYTES: Final = 8 * 1024 * 1024


class BlobMissingError(Exception):
    """No blob of that name, or it is shorter than the asked range."""


class BlobsUnreachableError(OSError):
    """The object store does not answer, or refuses."""


class BlobWriter(Protocol):
    """One blob being written from front to back."""

    def write(self, data: bytes) -> None:
        """Append ``data``."""
        ...

    def mark(self) -> None:
        """Remember the end of what was written so far, for `rewind`; forgets an earlier mark."""
        ...

    def rewind(self) -> None:
        """Drop what was written since the last `mark`, which stays; ValueError where there is none."""
        ...

    def publish(self) -> None:
        """Make the blob durable and visible."""
        ...

    def abort(self) -> None:
        """Drop what was written, leaving nothing behind; harmless after `commit`."""
        ...


class Blobs(Protocol):
    """A place for blobs."""

    def create(self, name: str) -> BlobWriter:
        """Start a new blob."""
        ...

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Read exactly ``length`` bytes at ``offset``; raises `BlobMissingError`."""
        ...

    def size(self, name: str) -> int:
        """Return the length of a blob in bytes; raises `BlobMissingError`."""
        ...

    def delete(self, name: str) -> None:
        """Remove a blob; no error when there is none."""
        ...

    def names(self, prefix: str, *, before_ms: int | None = None) -> Iterator[str]:
        """List the blobs below a folder.

        Parameters
        ----------
        prefix : str
            Folder, with or without a slash at its end.
        before_ms : int or None
            Only what was written before this moment (milliseconds since 1970-01-01 UTC), then also files that were left behind
            before they were committed.
        """
        ...


def write_blob(place: Blobs, name: str, data: bytes) -> None:
    """Write a blob whose content is at hand; where that raises OSError, nothing is left of it."""
    writer = place.create(name)
    try:
        writer.write(data)
        writer.publish()
    finally:
        writer.abort()


@contextmanager
def _as_unreachable(path: Path) -> Iterator[None]:
    """Turn an error of the disk itself into one of the place that it is; that it is full or read-only stays what it is."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        raise BlobsUnreachableError(f"blob {path.name} could not be written: {error.strerror}") from error


class _FolderBlobWriter:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        with _as_unreachable(path):
            make_shard_durably(path.parent)
            self._file = self._aside.open("xb")
        self._mark: int | None = None

    def write(self, data: bytes) -> None:
        with _as_unreachable(self._path):
            self._file.write(data)

    def mark(self) -> None:
        self._mark = self._file.tell()

    def rewind(self) -> None:
        if self._mark is None:
            raise ValueError("nothing was marked")
        self._file.seek(self._mark)
        self._file.truncate()

    def publish(self) -> None:
        with _as_unreachable(self._path):
            self._file.flush()
            # What was written before a sync that fails may be lost although a later one succeeds: there is none.
            os.fsync(self._file.fileno())
            self._file.close()
            self._aside.rename(self._path)
            try:
                sync_folder(self._path.parent)
            except OSError:
                with suppress(OSError):
                    self._path.unlink()
                raise

    def abort(self) -> None:
        # It is closed also where a full disk refuses once more what waits to be written.
        with suppress(OSError):
            self._file.close()
        self._aside.unlink(missing_ok=True)


def _open_files() -> int:
    """Return how many files to keep open: no more than a quarter of what the process may have, as connections need some too."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST_OPEN_FILES if allowed == resource.RLIM_INFINITY else max(1, min(_MOST_OPEN_FILES, allowed // 4))


class FolderBlobs:
    """Blobs as files below a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._prefix = f"{root}/"
        # Blobs never change, so an open file stays good; one that falls out is closed when its last reader lets it go.
        self._open_file = lru_cache(maxsize=_open_files())(self._open_blob)
        # Another process may delete the blob; its bytes stay on the disk for as long as somebody has it open.
        self._close_all_at = time.monotonic() + _OPEN_SECONDS
        make_folder_durably(root)

    def create(self, name: str) -> BlobWriter:
        """Start a new file; it gets its name at commit."""
        if not name.startswith("packs/"):
            # What stands beside the packs is written again and again: the file that is open may be the former one.
            self._open_file.cache_clear()
        return _FolderBlobWriter(self._root / name)

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Read a range with one system call where the kernel gives it in one."""
        if time.monotonic() > self._close_all_at:
            self._open_file.cache_clear()
            self._close_all_at = time.monotonic() + _OPEN_SECONDS
        file = self._open_file(name)
        data = os.pread(file.fileno(), length, offset)
        while len(data) < length:
            more = os.pread(file.fileno(), length - len(data), offset + len(data))
            if not more:
                raise BlobMissingError(f"blob {name} ends before byte {offset + length}")
            data += more
        return data

    def _open_blob(self, name: str) -> io.FileIO:
        try:
            return io.FileIO(f"{self._prefix}{name}")
        except FileNotFoundError as error:
            raise BlobMissingError(f"blob {name} is missing") from error

    def size(self, name: str) -> int:
        """Return the size of the file in bytes."""
        try:
            return (self._root / name).stat().st_size
        except FileNotFoundError as error:
            raise BlobMissingError(f"blob {name} is missing") from error

    def delete(self, name: str) -> None:
        """Remove the file."""
        self._open_file.cache_clear()
        path = self._root / name
        path.unlink(missing_ok=True)
        if path.parent.exists():
            sync_folder(path.parent)

    def names(self, prefix: str, *, before_ms: int | None = None) -> Iterator[str]:
        """Walk the files below the folder ``prefix``."""
        for folder, _, files in os.walk(self._root / prefix):
            for file in files:
                path = Path(folder) / file
                if _written_before(path, before_ms) if before_ms is not None else not file.startswith("."):
                    yield str(path.relative_to(self._root))


def has_blob(place: Blobs, name: str) -> bool:
    """Return whether a place has a blob of a name; raises OSError where it does not answer."""
    try:
        place.size(name)
    except BlobMissingError:
        return False
    return True


def _written_before(path: Path, moment_ms: int) -> bool:
    try:
        return path.stat().st_mtime_ns // 1_000_000 < moment_ms
    except FileNotFoundError:
        return False


@contextmanager
def _as_os_error(name: str) -> Iterator[None]:
    """Turn a failure of the object store into an error of the disk; what is not found stays what it is."""
    try:
        yield
    except FileNotFoundError:
        raise
    except (StoreError, OSError) as error:
        # Writers raise an OSError without a number.
        message = f"blob {name} could not be reached: {type(error).__name__}"
        if any(word in str(error) for word in _FULL_WORDS):
            raise OSError(errno.ENOSPC, message) from error
        raise BlobsUnreachableError(message) from error


@contextmanager
def _in_a_bucket(name: str) -> Iterator[None]:
    """Raise that the bucket is missing where a writer finds something missing."""
    try:
        yield
    except FileNotFoundError as error:
        raise BlobsUnreachableError(f"blob {name} could not be written: there is no such bucket") from error


class _ObjectBlobWriter:
    """An upload, in parts when it grows large.

    Parts that were sent cannot be taken back. What is written behind a mark is therefore held here until the next mark, in
    memory and from `_HELD_BYTES` on in a temporary file. Where hardly anything stands before the mark nothing is held: the
    upload is aborted and begun anew.
    """

    def __init__(self, store: obstore.store.ObjectStore, name: str, storage_class: str) -> None:
        self._store = store
        self._name = name
        self._attributes: obstore.Attributes = {"Storage-Class": storage_class} if storage_class else {}
        self._upload = self._begun()
        self._beginning: bytearray | None = bytearray()
        self._marked = False
        self._held: SpooledTemporaryFile[bytes] | None = None

    def _begun(self) -> obstore.WritableFile:
        return obstore.open_writer(self._store, self._name, attributes=self._attributes)

    def write(self, data: bytes) -> None:
        if self._held is not None:
            self._held.write(data)
            return
        if self._beginning is not None and not self._marked:
            self._beginning += data
            if len(self._beginning) > _BEGINNING_BYTES:
                self._beginning = None
        self._send(data)

    def _send(self, data: bytes) -> None:
        with _in_a_bucket(self._name), _as_os_error(self._name):
            self._upload.write(data)

    def mark(self) -> None:
        if self._marked:
            # The beginning ends at the first mark.
            self._beginning = None
        self._marked = True
        self._send_held()
        if self._beginning is None:
            self._held = SpooledTemporaryFile(_HELD_BYTES)  # noqa: SIM115 - closed when it is sent or dropped

    def rewind(self) -> None:
        if not self._marked:
            raise ValueError("nothing was marked")
        if self._held is not None:
            self._held.seek(0)
            self._held.truncate()
            return
        self._abort_upload()
        self._upload = self._begun()
        self._send(bytes(self._beginning or b""))

    def _send_held(self) -> None:
        if self._held is None:
            return
        with self._held as held:
            self._held = None
            held.seek(0)
            while chunk := held.read(_HELD_BYTES):
                self._send(chunk)

    def publish(self) -> None:
        self._send_held()
        with _in_a_bucket(self._name), _as_os_error(self._name):
            self._upload.close()

    def abort(self) -> None:
        if self._held is not None:
            self._held.close()
            self._held = None
        self._abort_upload()

    def _abort_upload(self) -> None:
        # A writer that is only let go leaves its upload open, and the store keeps, and charges for, the parts.
        # Where the store cannot be reached for that, `hounsfield.storage.blobs.open_uploads` finds it a day later.
        with suppress(OSError, StoreError):
            self._upload.__exit__(OSError, OSError("aborted"), None)


class ObjectBlobs:
    """Blobs as objects of an S3-compatible, Google or Azure store, through obstore.

    Parameters
    ----------
    store : ObjectStore
        The store.
    storage_class : str
        Storage class of the objects that are written; empty for that of the store.
    """

    def __init__(self, store: obstore.store.ObjectStore, storage_class: str = "") -> None:
        self._store = store
        self._storage_class = storage_class

    def create(self, name: str) -> BlobWriter:
        """Start an upload, in parts when it grows large."""
        return _ObjectBlobWriter(self._store, name, self._storage_class)

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Read a range with one GET."""
        try:
            with _as_os_error(name):
                data = obstore.get_range(self._store, name, start=offset, length=length).to_bytes()
        except FileNotFoundError as error:
            raise BlobMissingError(f"blob {name} is missing") from error
        if len(data) != length:
            raise BlobMissingError(f"blob {name} ends before byte {offset + length}")
        return data

    def size(self, name: str) -> int:
        """Return the size of the object in bytes."""
        try:
            with _as_os_error(name):
                return obstore.head(self._store, name)["size"]
        except FileNotFoundError as error:
            raise BlobMissingError(f"blob {name} is missing") from error

    def delete(self, name: str) -> None:
        """Remove the object."""
        with _as_os_error(name), suppress(FileNotFoundError):
            obstore.delete(self._store, name)

    def names(self, prefix: str, *, before_ms: int | None = None) -> Iterator[str]:
        """List the objects below ``prefix``."""
        for page in obstore.list(self._store, prefix=prefix):
            for entry in page:
                if before_ms is None or to_ms(entry["last_modified"]) < before_ms:
                    yield entry["path"]


@dataclass(frozen=True, slots=True)
class BlobLocation:
    """Where the blobs are, in a form that can be sent to a worker process: a folder, or a URL with options."""

    folder: str | None = None
    url: str | None = None
    options: dict[str, str] = field(default_factory=dict)
    storage_class: str = ""

    @property
    def name(self) -> str:
        """Its folder, or its URL, for people."""
        return self.folder or self.url or ""

    def open(self) -> Blobs:
        """Connect to the place."""
        if self.folder is not None:
            return FolderBlobs(Path(self.folder))
        return ObjectBlobs(self.object_store(), self.storage_class)

    def object_store(self) -> obstore.store.ObjectStore:
        """Connect to the object store; raises ValueError for a place that has no URL."""
        if self.url is None:
            raise ValueError("a blob place needs a folder or a URL")
        allow_http = self.options.get("endpoint", "").startswith("http://")
        return from_url(  # type: ignore[no-any-return, call-overload]
            self.url,
            config=self.options,
            client_options={"allow_http": allow_http, "timeout": _ANSWER_TIME},
            retry_config={"max_retries": _RETRIES, "retry_timeout": _ANSWER_TIME},
        )
