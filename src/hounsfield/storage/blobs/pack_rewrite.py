"""Rewriting packs: records of several packs sealed anew into one.

    records in the order to be written ─▶ some at a time: read, decrypt, seal at their new place, digest
                                                  └─▶ durable ─▶ read back, decrypt ─▶ the same digests?

A record keeps what it is (kind, owner, ordinal) and every byte of its content. Its sealed bytes are new: they depend on the
pack and on the offset. What it was rewritten from stays where it is.
"""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from hounsfield.runtime.batches import in_batches
from hounsfield.storage.blobs.blobs import BlobMissingError, Blobs
from hounsfield.storage.blobs.packs import (
    Extent,
    Label,
    PackDamagedError,
    PackWriter,
    pack_name,
    read_as_packed,
    read_contents,
)
from hounsfield.storage.keys.data_key import DataKey

_AT_ONCE_BYTES: Final = 2 * 1024 * 1024
"""So much is read and sealed in one go: whoever waits for the processor does not wait long."""

Record = tuple[Extent, Label]


@dataclass(frozen=True, slots=True)
class PackRewrite:
    """A pack to be written.

    Attributes
    ----------
    key : DataKey
        The key of the data store of all packs.
    pack_id : str
        The id of the new pack, which no other pack has or had.
    records : tuple of (Extent, Label)
        Where its records are, in the order in which they are to be in it.
    """

    key: DataKey
    pack_id: str
    records: tuple[Record, ...]


@dataclass(frozen=True, slots=True)
class RewrittenPack:
    """A pack that is durable: where each record is now, in the order of its `PackRewrite`, and its size in bytes."""

    extents: tuple[Extent, ...]
    size: int


def rewrite_pack(blobs: Blobs, task: PackRewrite, pace: Callable[[int], None]) -> RewrittenPack:
    """Write a pack, and read it back.

    Parameters
    ----------
    blobs : Blobs
        Where the records are, and where the pack goes.
    task : PackRewrite
        What is to be written.
    pace : callable
        Waits until so many bytes may be read.

    Raises
    ------
    PackDamagedError, PackMissingError
        A record cannot be read where it is; nothing is written.
    OSError
        The pack cannot be written, or does not give back what was written; then it is deleted.
    """
    writer = PackWriter(blobs, task.key, task.pack_id)
    extents: list[Extent] = []
    digests: list[bytes] = []
    try:
        for group in _groups(task.records):
            pace(sum(extent.length for extent, _ in group))
            for (_, label), packed in zip(group, read_as_packed(blobs, task.key, group), strict=True):
                digests.append(hashlib.sha256(packed).digest())
                extents.append(writer.add_as_packed(label, packed))
        writer.close()
    finally:
        writer.abort()
    written = [(extent, label) for extent, (_, label) in zip(extents, task.records, strict=True)]
    if not _holds(blobs, task, written, digests, pace):
        blobs.delete(pack_name(task.key.datastore_id, task.pack_id))
        raise OSError(errno.EIO, f"pack {task.pack_id} does not read back as it was written")
    return RewrittenPack(tuple(extents), writer.size)


def _holds(
    blobs: Blobs, task: PackRewrite, written: Sequence[Record], digests: Sequence[bytes], pace: Callable[[int], None]
) -> bool:
    """Return whether a pack lists and gives what was written."""
    try:
        if [(extent, label) for label, extent in read_contents(blobs, task.key, task.pack_id)] != list(written):
            return False
        found: list[bytes] = []
        for group in _groups(written):
            pace(sum(extent.length for extent, _ in group))
            found += [hashlib.sha256(packed).digest() for packed in read_as_packed(blobs, task.key, group)]
    except (BlobMissingError, PackDamagedError):
        return False
    return found == list(digests)


def _groups(records: Sequence[Record]) -> Iterator[list[Record]]:
    return in_batches(records, lambda record: record[0].length, _AT_ONCE_BYTES)
