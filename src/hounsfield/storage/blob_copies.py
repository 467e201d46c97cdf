"""Copying a blob from one place to another, and proving that the copy is whole before anybody relies on it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from hounsfield.storage.blobs import BlobMissingError, Blobs

_CHUNK_BYTES = 8 * 1024 * 1024


class CopyDamagedError(OSError):
    """A copy does not read back as what was written."""


def copy_verified(name: str, source: Blobs, target: Blobs) -> None:
    """Make sure that ``target`` has the blob, durable and read back equal; a copy that is there already is checked too.

    Parameters
    ----------
    name : str
        Which blob.
    source : Blobs
        Where it is.
    target : Blobs
        Where it is to be as well.

    Raises
    ------
    BlobMissingError
        The source has no such blob.
    CopyDamagedError
        What the target gives back is not what the source has.
    """
    size = source.size(name)
    wanted = _digest(source, name, size)
    if _is_there(target, name, size, wanted):
        return
    writer = target.create(name)
    try:
        for chunk in _chunks(source, name, size):
            writer.write(chunk)
        writer.commit()
    finally:
        writer.abort()
    if not _is_there(target, name, size, wanted):
        raise CopyDamagedError(f"blob {name} does not read back as it was written")


def _is_there(place: Blobs, name: str, size: int, digest: bytes) -> bool:
    try:
        return place.size(name) == size and _digest(place, name, size) == digest
    except BlobMissingError:
        return False


def _digest(place: Blobs, name: str, size: int) -> bytes:
    digest = hashlib.sha256()
    for chunk in _chunks(place, name, size):
        digest.update(chunk)
    return digest.digest()


def _chunks(place: Blobs, name: str, size: int) -> Iterator[bytes]:
    for offset in range(0, size, _CHUNK_BYTES):
        yield place.read(name, offset, min(_CHUNK_BYTES, size - offset))
