"""Blobs in two locations: frequent and archived.

    create ─▶ frequent      read, size ─▶ frequent, else archived      delete ─▶ both

No row says where a blob is: whoever reads asks one place and then the other. While a blob is moved it is in both, and it is
deleted in one only when it is whole in the other, so that a reader finds it at any moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

from hounsfield.storage.blobs.blobs import BlobLocation, BlobMissingError, Blobs, BlobWriter

_MOST_REMEMBERED = 10_000


class BlobArchivedError(Exception):
    """The blob is in a place that must not be waited for in the event loop; ask again in a thread."""


class TieredBlobs:
    """Two places for blobs as one.

    Parameters
    ----------
    frequent : Blobs
        Where new blobs go, and where a blob is looked for first.
    archived : Blobs
        Where a blob is looked for next.
    far : bool
        Whether ``archived`` is a store behind a network, which is not waited for in the event loop.
    """

    def __init__(self, frequent: Blobs, archived: Blobs, *, far: bool) -> None:
        self.frequent = frequent
        self.archived = archived
        self._far = far
        self._seen_archived: set[str] = set()

    def create(self, name: str) -> BlobWriter:
        """Start a new blob among those read often."""
        return self.frequent.create(name)

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Read a range from wherever the blob is; raises `BlobMissingError` and `BlobArchivedError`."""
        if name not in self._seen_archived:
            try:
                return self.frequent.read(name, offset, length)
            except BlobMissingError:
                self._check_may_wait(name)
        return self._read_archived(name, offset, length)

    def _read_archived(self, name: str, offset: int, length: int) -> bytes:
        self._check_may_wait(name)
        # The blob may come back between a look at the one place and a look at the other, and may leave again.
        for place in (self.archived, self.frequent):
            try:
                data = place.read(name, offset, length)
            except BlobMissingError:
                continue
            self._remember(name, archived=place is self.archived)
            return data
        self._seen_archived.discard(name)
        return self.archived.read(name, offset, length)

    def _remember(self, name: str, *, archived: bool) -> None:
        """Spare the next reader a question that costs a round trip when the places are behind a network."""
        if not archived:
            self._seen_archived.discard(name)
            return
        if len(self._seen_archived) >= _MOST_REMEMBERED:
            self._seen_archived.clear()
        self._seen_archived.add(name)

    def _check_may_wait(self, name: str) -> None:
        if not self._far:
            return
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return
        raise BlobArchivedError(f"blob {name} may be in a place behind the network")

    def size(self, name: str) -> int:
        """Return the length of a blob in bytes; raises `BlobMissingError`."""
        for place in (self.frequent, self.archived, self.frequent):
            try:
                return place.size(name)
            except BlobMissingError:
                continue
        return self.archived.size(name)

    def delete(self, name: str) -> None:
        """Remove a blob from both places; no error when it is in neither."""
        self.frequent.delete(name)
        self.archived.delete(name)

    def names(self, prefix: str, *, before_ms: int | None = None) -> Iterator[str]:
        """List the names in either place, each once."""
        found = set(self.frequent.names(prefix, before_ms=before_ms))
        yield from found
        yield from (name for name in self.archived.names(prefix, before_ms=before_ms) if name not in found)


@dataclass(frozen=True, slots=True)
class PackLocations:
    """Where the packs are, in a form that can be sent to a worker process."""

    frequent: BlobLocation
    archived: BlobLocation | None

    def open(self) -> Blobs:
        """Connect to the places."""
        first = self.frequent.open()
        if self.archived is None:
            return first
        return TieredBlobs(first, self.archived.open(), far=False)
