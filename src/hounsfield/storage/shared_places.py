"""The shared places: packs and buckets as a worker on another machine must find them.

A node puts together what it knows of the places; a worker compares that with what it sees. A folder that is on one machine only
would otherwise be written to on another, and nobody would find the packs.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from hounsfield.storage.blobs.blobs import BlobLocation, BlobMissingError, Blobs


@dataclass(frozen=True, slots=True)
class SharedPlaces:
    """What a worker must find.

    Attributes
    ----------
    packs : BlobLocation
        Where new packs go.
    marker : str
        Name of the blob that tells that place from all others.
    mark : bytes
        Its content.
    archived : BlobLocation or None
        A second place of packs.
    buckets : str
        Folder of the bucket folders; empty where buckets are behind an S3 endpoint.
    """

    packs: BlobLocation
    marker: str
    mark: bytes = field(repr=False)
    archived: BlobLocation | None = None
    buckets: str = ""

    def find_fault(self) -> str:
        """Return what this process does not find, and what to do; empty when all is there."""
        for place in (self.packs, self.archived):
            if place is not None and place.folder is not None and not _is_usable(place.folder):
                return f"the folder of the packs, {place.folder}, is not there or may not be written to; {_ADVICE}"
        if read_mark(self.packs.open(), self.marker) != self.mark:
            return f"the place of the packs, {self.packs.name}, is another one there; {_ADVICE}"
        if self.buckets and not Path(self.buckets).is_dir():
            return f"the folder of the buckets, {self.buckets}, is not there; {_ADVICE}"
        return ""


_LONGEST_MARK: Final = 4096
_ADVICE: Final = "share the file system with it under the same name and for the same user, or use an object store"


def read_mark(blobs: Blobs, marker: str) -> bytes:
    """Return the mark of a place of packs, empty where there is none; raises OSError where it does not answer."""
    try:
        return blobs.read(marker, 0, min(blobs.size(marker), _LONGEST_MARK))
    except BlobMissingError:
        return b""


def _is_usable(folder: str) -> bool:
    return Path(folder).is_dir() and os.access(folder, os.W_OK | os.X_OK)
