"""Cache on the local disk for packs that are in an object store, shared by the API processes of a machine.

    read(pack, offset, length) ─▶ file of that range? ─┬─ whole ─▶ its bytes
                                                       └─ none, or broken ─▶ object store ─▶ its bytes, kept in a file

What is kept are the bytes as they are in the pack, which are encrypted. A pack never changes, so a range of it never does.
A file is written aside and renamed; one that a crash left broken is told by its checksum, and read from the store again.
Nothing here is needed: where the disk takes nothing, reads go to the store.

    DIR / data store / pack / OFFSET-LENGTH     the bytes, then their length and checksum
    DIR / counts / PROCESS                      how often that process read here, and from the store
"""

from __future__ import annotations

import os
import secrets
import shutil
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Final

import orjson
import structlog

from hounsfield.runtime.supervised_threads import SupervisedThread
from hounsfield.storage.blobs.blobs import Blobs, BlobWriter

KEPT_UNREAD_SECONDS: Final = 7 * 24 * 3600.0
"""What nobody read for so long goes, and with it what is left of packs that are gone."""
_PACKS: Final = "packs/"
_TRAILER: Final = struct.Struct("<QI")
_LARGEST_PART: Final = 8
_SWEEP_SECONDS: Final = 3600.0
_LOOK_SECONDS: Final = 1.0
_SWEPT_PART: Final = 20
"""After every so large part of the capacity that a process has written, it looks what must go."""
_KEPT_AFTER_SWEEP: Final = 0.8
"""So four processes that write at the same time stay within the capacity together."""
_TOUCHED_SECONDS: Final = 60.0
_LEFT_SECONDS: Final = 3600.0
_ASIDE: Final = ".aside-"
_PAUSE_SECONDS: Final = 60.0
_COUNTS: Final = "counts"
_COUNTED_SECONDS: Final = 10.0

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class ReadCounts:
    """What a process has read since it began.

    Attributes
    ----------
    hits, misses : int
        Reads from the cache, and from the store.
    hit_bytes, missed_bytes : int
        Their bytes.
    broken : int
        Files that were not what was written.
    """

    hits: int = 0
    misses: int = 0
    hit_bytes: int = 0
    missed_bytes: int = 0
    broken: int = 0


def read_counts(folder: Path) -> tuple[int, ReadCounts]:
    """Return how many bytes the folder of a cache has, and what all processes of the last days have read together."""
    total = ReadCounts()
    for path in (folder / _COUNTS).glob("*"):
        # One that is being written, or was cut off, counts at the next look.
        with suppress(OSError, ValueError, TypeError):
            one = ReadCounts(**orjson.loads(path.read_bytes()))
            total = ReadCounts(*(a + b for a, b in zip(astuple(total), astuple(one), strict=True)))
    size = 0
    for path in folder.glob("*/*/*"):
        with suppress(OSError):
            size += path.stat().st_size
    return size, total


class ReadCache:
    """The folder of the cache.

    Parameters
    ----------
    folder : Path
        Where the files are; nothing else is there.
    capacity : int
        Bytes that all of them may have.
    floor : int
        Bytes of the file system that stay free.
    """

    def __init__(self, folder: Path, capacity: int, floor: int = 0) -> None:
        self.counts = ReadCounts()
        self._folder = folder
        self._capacity = capacity
        self._floor = floor
        self._written = 0
        self._writes_from = 0.0
        self._lock = threading.Lock()
        self._sweeping: SupervisedThread | None = None
        self._process = f"{os.getpid()}-{secrets.token_hex(4)}"

    def get(self, name: str, offset: int, length: int) -> bytes | None:
        """Return a range of a pack; None when it is not here, or is broken."""
        path = self._path(name, offset, length)
        try:
            with path.open("rb", buffering=0) as file:
                content = file.read(length + _TRAILER.size + 1)
                stat = os.fstat(file.fileno())
        except OSError:
            return None
        data, trailer = content[:length], content[length:]
        if trailer != _trailer(data):
            self.counts.broken += 1
            with suppress(OSError):
                path.unlink()
            return None
        now = time.time()
        if now - stat.st_mtime > _TOUCHED_SECONDS:
            with suppress(OSError):
                os.utime(path, (now, now))
        return data

    def put(self, name: str, offset: int, data: bytes) -> None:
        """Keep a range of a pack, unless the disk takes nothing, or it is too large."""
        if len(data) > self._capacity // _LARGEST_PART or time.monotonic() < self._writes_from:
            return
        path = self._path(name, offset, len(data))
        aside = path.with_name(f"{_ASIDE}{secrets.token_hex(8)}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            if shutil.disk_usage(path.parent).free - len(data) < self._floor:
                self._writes_from = time.monotonic() + _LOOK_SECONDS
                return
            try:
                aside.write_bytes(data + _trailer(data))
                aside.rename(path)
            except OSError:
                with suppress(OSError):
                    aside.unlink(missing_ok=True)
                raise
        except OSError as error:
            self._writes_from = time.monotonic() + _PAUSE_SECONDS
            _log.warning("read cache takes nothing", reason=error.strerror)
            return
        with self._lock:
            self._written += len(data)
            self._start_sweeping()

    def drop(self, name: str) -> None:
        """Remove what is kept of a pack."""
        shutil.rmtree(self._pack(name), ignore_errors=True)

    def sweep(self) -> int:
        """Remove what nobody read for long, and what was read longest ago until the rest fits; return the bytes that stay."""
        now = time.time()
        found: list[tuple[float, int, Path]] = []
        for path in self._folder.glob("*/*/*"):
            with suppress(OSError):
                stat = path.stat()
                left = path.name.startswith(_ASIDE) and now - stat.st_mtime > _LEFT_SECONDS
                # The clock may have been set: what is of a later time counts as read just now.
                old = now - stat.st_mtime > KEPT_UNREAD_SECONDS
                found.append((0.0 if left or old else min(stat.st_mtime, now), stat.st_size, path))
        found.sort(reverse=True)
        kept = sum(size for read_at, size, _ in found if read_at)
        while found and (kept > self._capacity * _KEPT_AFTER_SWEEP or not found[-1][0]):
            read_at, size, path = found.pop()
            kept -= size if read_at else 0
            with suppress(OSError):
                path.unlink()
        for counted in (self._folder / _COUNTS).glob("*"):
            with suppress(OSError):
                if now - counted.stat().st_mtime > KEPT_UNREAD_SECONDS:
                    counted.unlink()
        for folder in (*self._folder.glob("*/*"), *self._folder.glob("*")):
            with suppress(OSError):
                folder.rmdir()
        return kept

    def _start_sweeping(self) -> None:
        # Not before the first file: processes that only fork others have no threads.
        if self._sweeping is None:
            self._sweeping = SupervisedThread("read-cache", self._sweep_again_and_again)
            self._sweeping.start()

    def _sweep_again_and_again(self) -> None:
        while True:
            kept, until = self.sweep(), time.monotonic() + _SWEEP_SECONDS
            with self._lock:
                self._written = 0
            counts = self.counts
            _log.info("read cache", bytes=kept, **asdict(counts))
            counted_from = 0.0
            while time.monotonic() < until and self._written < self._capacity // _SWEPT_PART:
                if time.monotonic() >= counted_from:
                    self._write_counts()
                    counted_from = time.monotonic() + _COUNTED_SECONDS
                time.sleep(_LOOK_SECONDS)

    def _write_counts(self) -> None:
        """Write down for the status what this process has read; where the disk takes nothing, the status is older."""
        path = self._folder / _COUNTS / self._process
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            path.write_bytes(orjson.dumps(asdict(self.counts)))

    def _pack(self, name: str) -> Path:
        _, datastore_id, *_, pack_id = name.split("/")
        return self._folder / datastore_id / pack_id

    def _path(self, name: str, offset: int, length: int) -> Path:
        return self._pack(name) / f"{offset}-{length}"


class CachedBlobs:
    """Blobs of an object store, packs of which are read through a cache; everything else goes to the store.

    Parameters
    ----------
    blobs : Blobs
        The store.
    cache : ReadCache
        The cache.
    """

    def __init__(self, blobs: Blobs, cache: ReadCache) -> None:
        self._blobs = blobs
        self._cache = cache

    def create(self, name: str) -> BlobWriter:
        """Start a new blob in the store."""
        return self._blobs.create(name)

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Read a range from the cache, else from the store; raises `BlobMissingError`."""
        if not name.startswith(_PACKS):
            return self._blobs.read(name, offset, length)
        counts = self._cache.counts
        data = self._cache.get(name, offset, length)
        if data is not None:
            counts.hits += 1
            counts.hit_bytes += length
            return data
        data = self._blobs.read(name, offset, length)
        counts.misses += 1
        counts.missed_bytes += length
        self._cache.put(name, offset, data)
        return data

    def size(self, name: str) -> int:
        """Return the length of a blob in the store."""
        return self._blobs.size(name)

    def delete(self, name: str) -> None:
        """Remove a blob from the store, and what is kept of it here."""
        self._blobs.delete(name)
        if name.startswith(_PACKS):
            self._cache.drop(name)

    def names(self, prefix: str, *, before_ms: int | None = None) -> Iterator[str]:
        """List the blobs of the store."""
        return self._blobs.names(prefix, before_ms=before_ms)


def _trailer(data: bytes) -> bytes:
    return _TRAILER.pack(len(data), zlib.crc32(data))
