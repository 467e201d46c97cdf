"""Packs: one immutable blob holding many sealed records.

    ┌────────┬──────────┬──────────┬─────┬──────────────────────┬─────────┐
    │ header │ record 0 │ record 1 │ ... │ contents (sealed)    │ trailer │
    └────────┴──────────┴──────────┴─────┴──────────────────────┴─────────┘
     magic,     AES-256-GCM under the       kind, owner, ordinal,  offset and length
     ids        key of the pack             offset, length of      of the contents,
                                            every record           magic again

A record is found by its extent: (pack, offset, length). Its nonce is its offset, which is unique in a pack that is written
once under a key of its own; what the record is (kind, owner, ordinal) is authenticated with it, so that a wrong extent in
the database can never show one frame in the place of another. The contents make a pack readable without a database.
"""

from __future__ import annotations

import errno
import struct
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import TypeVar

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hounsfield.runtime.picklable_error import PicklableError
from hounsfield.storage.blobs.blobs import BlobMissingError, Blobs
from hounsfield.storage.blobs.large_reads import LARGE_BYTES, require_room
from hounsfield.storage.identifiers import new_id
from hounsfield.storage.keys.data_key import DataKey

Whole = TypeVar("Whole", bound=bytearray)

_MAGIC = b"HFPACK\x00\x01"
_HEADER = struct.Struct("<8s32s32s")
_TRAILER = struct.Struct("<QQ8s")
SEAL_BYTES = 16
"""How much longer a sealed record is than what was sealed."""


@dataclass(frozen=True, slots=True)
class Damage:
    """Where a pack turned out not to be what was written.

    Attributes
    ----------
    datastore_id, pack_id : str
        The pack.
    what : str
        What is wrong with it, without anything of a patient.
    owner : str
        The key that the record was written under; empty where it is not about one record.
    """

    datastore_id: str
    pack_id: str
    what: str
    owner: str = ""


class PackDamagedError(PicklableError):
    """A pack, or a record in it, is not what was written."""

    def __init__(self, damage: Damage) -> None:
        super().__init__(f"pack {damage.pack_id} is damaged: {damage.what}")
        self.damage = damage


class PackMissingError(PicklableError, BlobMissingError):
    """A pack is not there, or ends before a record that it had."""

    def __init__(self, damage: Damage) -> None:
        super().__init__(f"pack {damage.pack_id} is damaged: {damage.what}")
        self.damage = damage


class RecordKind(StrEnum):
    """What a record holds."""

    FRAME = "frame"
    """One stored image frame, as it is served."""
    BLOB = "blob"
    """Pixel data kept as one object, or a chunk of it, because no frames could be made of it."""
    FRAGMENT = "fragment"
    """The JSON of one instance for the metadata document, deflated."""
    DATASET = "dataset"
    """The DICOM file of one instance without its pixel data, deflated."""
    CONTENTS = "contents"


_DEFLATED = frozenset({RecordKind.FRAGMENT, RecordKind.DATASET, RecordKind.CONTENTS})


@dataclass(frozen=True, slots=True)
class Extent:
    """Where a record is: ``length`` sealed bytes at ``offset`` of a pack."""

    pack_id: str
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Label:
    """What a record is: its kind, the instance key it was written for, and its ordinal there."""

    kind: RecordKind
    owner: str
    ordinal: int = 0

    def to_bytes(self) -> bytes:
        """Return the bytes that are authenticated with the record."""
        return f"{self.kind}:{self.owner}:{self.ordinal}".encode()


def pack_name(datastore_id: str, pack_id: str) -> str:
    """Return the blob name of a pack."""
    return f"packs/{datastore_id}/{pack_id[:2]}/{pack_id}"


def delete_packs(blobs: Blobs, datastore_id: str, pack_ids: Iterable[str]) -> None:
    """Delete packs of a data store; those that are gone already are no error. Raises OSError."""
    for pack_id in sorted(pack_ids):
        blobs.delete(pack_name(datastore_id, pack_id))


class PackWriter:
    """Writes one pack, record by record; nothing is visible before `close`.

    Parameters
    ----------
    blobs : Blobs
        Where the pack goes.
    key : DataKey
        The key of the data store that the pack belongs to.
    pack_id : str
        Its id, which no other pack has or had; a new one where it is empty.
    """

    def __init__(self, blobs: Blobs, key: DataKey, pack_id: str = "") -> None:
        self.pack_id = pack_id or new_id()
        self._cipher = key.for_pack(self.pack_id)
        self._writer = blobs.create(pack_name(key.datastore_id, self.pack_id))
        self._contents: list[tuple[str, str, int, int, int]] = []
        self._mark = (0, 0)
        self._spent: set[int] = set()
        header = _HEADER.pack(_MAGIC, key.datastore_id.encode(), self.pack_id.encode())
        self._writer.write(header)
        self.size = len(header)

    def add(self, label: Label, data: bytes) -> Extent:
        """Seal and append one record."""
        return self.add_as_packed(label, zlib.compress(data, 1) if label.kind in _DEFLATED else data)

    def add_as_packed(self, label: Label, packed: bytes) -> Extent:
        """Seal and append one record that `read_as_packed` gave, and which is not to be deflated again."""
        while self.size in self._spent:
            # The offset is the nonce, and no two texts may be sealed with the same, also where one was taken back.
            self._writer.write(b"\0")
            self.size += 1
        offset = self.size
        sealed = self._cipher.encrypt(_nonce(offset), packed, label.to_bytes())
        self._writer.write(sealed)
        self.size += len(sealed)
        self._contents.append((label.kind, label.owner, label.ordinal, offset, len(sealed)))
        return Extent(self.pack_id, offset, len(sealed))

    def close(self) -> None:
        """Write the contents and make the pack durable."""
        extent = self.add(Label(RecordKind.CONTENTS, self.pack_id), orjson.dumps(self._contents))
        self._writer.write(_TRAILER.pack(extent.offset, extent.length, _MAGIC))
        self.size += _TRAILER.size
        self._writer.publish()

    def mark(self) -> None:
        """Remember what was added so far: what is added from here on can be taken back by `rewind`."""
        self._writer.mark()
        self._mark = (self.size, len(self._contents))

    def rewind(self) -> None:
        """Take back the records added since the last `mark`, so that they take no room; ValueError where there is none."""
        self._writer.rewind()
        size, count = self._mark
        self._spent.update(offset for _, _, _, offset, _ in self._contents[count:])
        del self._contents[count:]
        self.size = size

    def abort(self) -> None:
        """Drop the pack."""
        self._writer.abort()


def _nonce(offset: int) -> bytes:
    return offset.to_bytes(12, "big")


@lru_cache(maxsize=4096)
def _cipher(key: DataKey, pack_id: str) -> AESGCM:
    return key.for_pack(pack_id)


def _damaged(key: DataKey, extent: Extent, label: Label) -> PackDamagedError:
    what = f"{label.kind} {label.ordinal} at byte {extent.offset} was changed"
    return PackDamagedError(Damage(key.datastore_id, extent.pack_id, what, label.owner))


def _read(blobs: Blobs, key: DataKey, extent: Extent, label: Label) -> bytes:
    """Read sealed bytes from their pack, those of ``label`` or of several records that begin with it."""
    try:
        return blobs.read(pack_name(key.datastore_id, extent.pack_id), extent.offset, extent.length)
    except BlobMissingError as error:
        what = f"{label.kind} {label.ordinal} at byte {extent.offset} is missing"
        raise PackMissingError(Damage(key.datastore_id, extent.pack_id, what, label.owner)) from error
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        what = f"the disk does not give {label.kind} {label.ordinal} at byte {extent.offset}"
        raise PackDamagedError(Damage(key.datastore_id, extent.pack_id, what, label.owner)) from error


def _check_room(extent: Extent) -> None:
    if extent.length >= LARGE_BYTES:
        require_room((extent.pack_id, extent.offset), extent.length)


def open_record(sealed: bytes | memoryview, key: DataKey, extent: Extent, label: Label) -> bytes:
    """Decrypt the sealed bytes of a record and check that they are what ``label`` says.

    Raises
    ------
    PackDamagedError
        The bytes were changed, or another record is at that place.
    """
    plain = _decrypt(sealed, key, extent, label)
    return zlib.decompress(plain) if label.kind in _DEFLATED else plain


def _decrypt(sealed: bytes | memoryview, key: DataKey, extent: Extent, label: Label) -> bytes:
    try:
        return _cipher(key, extent.pack_id).decrypt(_nonce(extent.offset), sealed, label.to_bytes())
    except InvalidTag as error:
        raise _damaged(key, extent, label) from error


def read_record(blobs: Blobs, key: DataKey, extent: Extent, label: Label) -> bytes:
    """Read one record with one range read; raises `PackDamagedError`, `BlobMissingError`, and `RoomNeededError`."""
    _check_room(extent)
    sealed = _read(blobs, key, extent, label)
    return open_record(sealed, key, extent, label)


def read_record_within(
    blobs: Blobs,
    key: DataKey,
    extent: Extent,
    label: Label,
    before: bytes = b"",
    after: bytes = b"",
    make: Callable[[int], Whole] = bytearray,  # type: ignore[assignment]
) -> Whole:
    """Read one record into its place between other bytes, so that it need not be copied there.

    Parameters
    ----------
    blobs, key, extent, label
        As for `read_record`; the record must be of a kind that is stored as it is.
    before, after : bytes
        What stands before and behind it.
    make : callable
        Makes what it is read into, of a length.

    Returns
    -------
    bytearray
        ``before``, the record, ``after``.

    Raises
    ------
    PackDamagedError, BlobMissingError, RoomNeededError
        As `read_record` does.
    """
    if label.kind in _DEFLATED:
        raise ValueError(f"a record of the kind {label.kind} is not stored as it is")
    _check_room(extent)
    sealed = _read(blobs, key, extent, label)
    start, end = len(before), len(before) + extent.length - SEAL_BYTES
    whole = make(end + len(after))
    try:
        _cipher(key, extent.pack_id).decrypt_into(
            _nonce(extent.offset), sealed, label.to_bytes(), memoryview(whole)[start:end]
        )
    except InvalidTag as error:
        raise _damaged(key, extent, label) from error
    whole[:start] = before
    whole[end:] = after
    return whole


def read_records(blobs: Blobs, key: DataKey, wanted: list[tuple[Extent, Label]]) -> list[bytes]:
    """Read many records, those that lie near each other in one range read; the answers are in the asked order."""
    return _read_many(blobs, key, wanted, open_record)


def read_as_packed(blobs: Blobs, key: DataKey, wanted: list[tuple[Extent, Label]]) -> list[bytes]:
    """Read many records as `read_records` does, but leave deflated what was deflated to be sealed."""
    return _read_many(blobs, key, wanted, _decrypt)


def _read_many(
    blobs: Blobs,
    key: DataKey,
    wanted: list[tuple[Extent, Label]],
    opened: Callable[[memoryview, DataKey, Extent, Label], bytes],
) -> list[bytes]:
    order = sorted(range(len(wanted)), key=lambda i: (wanted[i][0].pack_id, wanted[i][0].offset))
    answers: list[bytes] = [b""] * len(wanted)
    for group in _near(wanted, order):
        (first, label), last = wanted[group[0]], wanted[group[-1]][0]
        for index in group:
            _check_room(wanted[index][0])
        together = Extent(first.pack_id, first.offset, last.offset + last.length - first.offset)
        data = memoryview(_read(blobs, key, together, label))
        for index in group:
            extent, label = wanted[index]
            start = extent.offset - first.offset
            answers[index] = opened(data[start : start + extent.length], key, extent, label)
    return answers


_NEAR_BYTES = 64 * 1024
_GROUP_BYTES = 16 * 1024 * 1024


def _near(wanted: list[tuple[Extent, Label]], order: list[int]) -> list[list[int]]:
    groups: list[list[int]] = []
    for index in order:
        extent = wanted[index][0]
        if groups:
            first, last = wanted[groups[-1][0]][0], wanted[groups[-1][-1]][0]
            gap = extent.offset - (last.offset + last.length)
            reach = extent.offset + extent.length - first.offset
            if extent.pack_id == last.pack_id and gap <= _NEAR_BYTES and reach <= _GROUP_BYTES:
                groups[-1].append(index)
                continue
        groups.append([index])
    return groups


def _size(blobs: Blobs, key: DataKey, pack_id: str) -> int:
    try:
        return blobs.size(pack_name(key.datastore_id, pack_id))
    except BlobMissingError as error:
        raise PackMissingError(Damage(key.datastore_id, pack_id, "it is missing")) from error


def read_contents(blobs: Blobs, key: DataKey, pack_id: str) -> list[tuple[Label, Extent]]:
    """List the records of a pack from the pack itself.

    Raises
    ------
    PackDamagedError
        It is not a pack, is cut short, or does not open with the key.
    """
    name = pack_name(key.datastore_id, pack_id)
    size = _size(blobs, key, pack_id)
    if size < _HEADER.size + _TRAILER.size + SEAL_BYTES:
        raise PackDamagedError(Damage(key.datastore_id, pack_id, "it is cut short"))
    offset, length, magic = _TRAILER.unpack(blobs.read(name, size - _TRAILER.size, _TRAILER.size))
    if magic != _MAGIC or offset + length + _TRAILER.size != size:
        raise PackDamagedError(Damage(key.datastore_id, pack_id, "it has no trailer"))
    extent = Extent(pack_id, offset, length)
    listing = orjson.loads(read_record(blobs, key, extent, Label(RecordKind.CONTENTS, pack_id)))
    return [
        (Label(RecordKind(kind), owner, ordinal), Extent(pack_id, start, size))
        for kind, owner, ordinal, start, size in listing
    ]


def check_structure(blobs: Blobs, key: DataKey, pack_id: str, contents: Sequence[tuple[Label, Extent]]) -> None:
    """Check what of a pack is neither a record nor read by `read_contents`: its header, and the bytes between records.

    Parameters
    ----------
    blobs, key, pack_id
        The pack.
    contents : Sequence of (Label, Extent)
        What `read_contents` gave of it.

    Raises
    ------
    PackDamagedError
        The header is of another pack, or something stands between records.
    PackMissingError
        The pack is gone.
    """
    name = pack_name(key.datastore_id, pack_id)
    size = _size(blobs, key, pack_id)
    (contents_offset, _, _) = _TRAILER.unpack(blobs.read(name, size - _TRAILER.size, _TRAILER.size))
    header = _HEADER.pack(_MAGIC, key.datastore_id.encode(), pack_id.encode())
    if blobs.read(name, 0, _HEADER.size) != header:
        raise PackDamagedError(Damage(key.datastore_id, pack_id, "it has no header, or that of another pack"))
    end = _HEADER.size
    for start, length in [*sorted((extent.offset, extent.length) for _, extent in contents), (contents_offset, 0)]:
        if start < end or (start > end and any(blobs.read(name, end, start - end))):
            raise PackDamagedError(Damage(key.datastore_id, pack_id, f"there is something at byte {end}"))
        end = start + length


def check_pack(blobs: Blobs, key: DataKey, pack_id: str) -> None:
    """Open every record of a pack, some at a time.

    Raises
    ------
    PackDamagedError
        The pack or a record in it is not what was written.
    BlobMissingError
        There is no such pack.
    """
    waiting: list[tuple[Extent, Label]] = []
    size = 0
    for label, extent in read_contents(blobs, key, pack_id):
        waiting.append((extent, label))
        size += extent.length
        if size >= _GROUP_BYTES:
            read_records(blobs, key, waiting)
            waiting, size = [], 0
    read_records(blobs, key, waiting)


def copy_pack(key: DataKey, pack_id: str, source: Blobs, target: Blobs) -> None:
    """Make sure that ``target`` has a pack of ``source``: durable, and every record of it read back and opened there.

    Parameters
    ----------
    key : DataKey
        The key of the data store that the pack belongs to.
    pack_id : str
        Which pack.
    source : Blobs
        Where it is.
    target : Blobs
        Where it is to be as well; a copy left by a process that died is taken when it is whole.

    Raises
    ------
    BlobMissingError
        The source has no such pack.
    PackDamagedError
        The pack is damaged at its source.
    OSError
        The target does not give back what was written.
    """
    name = pack_name(key.datastore_id, pack_id)
    size = _size(source, key, pack_id)
    if _is_whole(target, key, pack_id, size):
        return
    # Blobs never change while they have their name, and a place may rely on it: what is not whole goes first.
    target.delete(name)
    writer = target.create(name)
    try:
        for offset in range(0, size, _GROUP_BYTES):
            writer.write(source.read(name, offset, min(_GROUP_BYTES, size - offset)))
        writer.publish()
    finally:
        writer.abort()
    if not _is_whole(target, key, pack_id, size):
        target.delete(name)
        check_pack(source, key, pack_id)
        raise OSError(f"the copy of pack {pack_id} does not read back as it was written")


def _is_whole(blobs: Blobs, key: DataKey, pack_id: str, size: int) -> bool:
    try:
        if blobs.size(pack_name(key.datastore_id, pack_id)) != size:
            return False
        check_pack(blobs, key, pack_id)
    except (BlobMissingError, PackDamagedError):
        return False
    return True
