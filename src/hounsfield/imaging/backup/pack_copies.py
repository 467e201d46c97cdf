"""Copies of packs in a place of backups: made once, checked by size and checksum, never changed.

packs that are needed ─┬─ in a list of packs, and there with that size ─▶ counted
                       └─ else ─▶ threads: read, SHA-256, write ─▶ durable together ─▶ list of packs
"""

from __future__ import annotations

import errno
import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from typing import Final

from hounsfield.imaging.backup.place import PIECE_BYTES, BackupPlace, ObjectDigest
from hounsfield.jobs.runner import StoppedError
from hounsfield.runtime.rate_limit import RateLimit
from hounsfield.storage.blobs.blobs import BlobMissingError, Blobs

_FOLDER_THREADS: Final = 2
_BUCKET_THREADS: Final = 8


class PackCopier:
    """Copies packs by several threads.

    Parameters
    ----------
    source : Blobs
        Where packs are.
    place : BackupPlace
        Where they go.
    rate : RateLimit
        Bounds the bytes a second.
    stop : threading.Event
        Ends the work.
    """

    def __init__(self, source: Blobs, place: BackupPlace, rate: RateLimit, stop: threading.Event) -> None:
        self._source = source
        self._place = place
        self._rate = rate
        self._stop = stop
        self.missing: set[str] = set()
        """Packs that the source does not have, or does not give."""

    def copy(self, names: Sequence[str], copied: Callable[[str, ObjectDigest], None]) -> None:
        """Copy packs, and tell of each, by one thread.

        Raises
        ------
        OSError
            The source does not answer, or the place cannot be written.
        StoppedError
            The work was ended.
        """
        threads = _FOLDER_THREADS if self._place.is_folder else _BUCKET_THREADS
        rest = iter(names)
        pool = ThreadPoolExecutor(threads, thread_name_prefix="backup")
        try:
            under_way = {pool.submit(self._copy, name): name for name in islice(rest, threads * 2)}
            while under_way:
                done, _ = wait(under_way, return_when=FIRST_COMPLETED)
                for future in done:
                    self._tell(under_way.pop(future), future, copied)
                    if (name := next(rest, None)) is not None:
                        under_way[pool.submit(self._copy, name)] = name
        finally:
            pool.shutdown(cancel_futures=True)

    def _tell(
        self, name: str, future: Future[ObjectDigest | None], copied: Callable[[str, ObjectDigest], None]
    ) -> None:
        written = future.result()
        if written is None:
            self.missing.add(name)
        else:
            copied(name, written)

    def _copy(self, name: str) -> ObjectDigest | None:
        try:
            size = self._source.size(name)
        except BlobMissingError:
            return None
        digest = hashlib.sha256()
        writer = self._place.create(name)
        try:
            for offset in range(0, size, PIECE_BYTES):
                if self._stop.is_set():
                    raise StoppedError
                length = min(PIECE_BYTES, size - offset)
                self._rate.wait(length)
                data = self._read(name, offset, length)
                if data is None:
                    return None
                digest.update(data)
                writer.write(data)
            writer.publish()
        finally:
            writer.abort()
        return ObjectDigest(size, digest.hexdigest())

    def _read(self, name: str, offset: int, length: int) -> bytes | None:
        try:
            return self._source.read(name, offset, length)
        except BlobMissingError:
            return None
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return None


def split_known(
    names: Sequence[str], known: Mapping[str, ObjectDigest], there: Mapping[str, int]
) -> tuple[dict[str, ObjectDigest], list[str]]:
    """Return which of the packs are there as a list says, and which are to be copied."""
    kept = {name: known[name] for name in names if name in known and there.get(name) == known[name].size}
    return kept, [name for name in names if name not in kept]
