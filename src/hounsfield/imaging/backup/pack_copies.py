"""Copies of packs in a place of backups: made once, checked by size and code, never changed.

packs that are needed ─┬─ in a list of packs, and there with that size ─▶ counted
                       └─ else ─▶ threads: read, code, write ─▶ durable together ─▶ list of packs
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from hounsfield.imaging.backup.copying_threads import copy_by_threads
from hounsfield.imaging.backup.place import BackupPlace, PackDigest
from hounsfield.imaging.backup.sealed_objects import BackupKey
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
    piece : int
        Bytes that are read at once.
    place : BackupPlace
        Where they go.
    key : BackupKey
        Makes their codes.
    rate : RateLimit
        Bounds the bytes a second.
    stop : threading.Event
        Ends the work.
    """

    def __init__(
        self, source: Blobs, piece: int, place: BackupPlace, key: BackupKey, rate: RateLimit, stop: threading.Event
    ) -> None:
        self._source = source
        self._piece = piece
        self._place = place
        self._key = key
        self._rate = rate
        self._stop = stop
        self.missing: set[str] = set()
        """Packs that the source does not have, or does not give."""

    def copy(self, names: Sequence[str], copied: Callable[[str, PackDigest], None]) -> None:
        """Copy packs, and tell of each, by one thread.

        Raises
        ------
        OSError
            The source does not answer, or the place cannot be written.
        StoppedError
            The work was ended.
        """

        def ended(name: str, written: PackDigest | None) -> None:
            if written is None:
                self.missing.add(name)
            else:
                copied(name, written)

        copy_by_threads(iter(names), self._copy, _FOLDER_THREADS if self._place.is_folder else _BUCKET_THREADS, ended)

    def _copy(self, name: str) -> PackDigest | None:
        try:
            size = self._source.size(name)
        except BlobMissingError:
            return None
        code = self._key.begin_code()
        writer = self._place.create(name)
        try:
            for offset in range(0, size, self._piece):
                if self._stop.is_set():
                    raise StoppedError
                length = min(self._piece, size - offset)
                self._rate.wait(length)
                data = self._read(name, offset, length)
                if data is None:
                    return None
                code.update(data)
                writer.write(data)
            writer.publish()
        finally:
            writer.abort()
        return PackDigest(size, code.text())

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
    names: Sequence[str], known: Mapping[str, PackDigest], there: Mapping[str, int]
) -> tuple[dict[str, PackDigest], list[str]]:
    """Return which of the packs are there as a list says, and which are to be copied."""
    kept = {name: known[name] for name in names if name in known and there.get(name) == known[name].size}
    return kept, [name for name in names if name not in kept]
