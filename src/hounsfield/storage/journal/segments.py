"""Segments of the journal: sealed records, one behind another, written by one process.

    ┌────────┬─────────────────────────────────────┬──────────┬─────┐
    │ header │ mark · length · index · sealed bytes │ record 1 │ ... │
    └────────┴─────────────────────────────────────┴──────────┴─────┘
     magic,   AES-256-GCM under the key of the segment; the index is the nonce, and is authenticated
     writer,
     number   record 0 names the segment before and how many records it has: one that was cut off shows

A segment only grows. What a process that was killed left half written at its end is no damage; everything else that is not as
it was written is reported, and what stands behind it is read all the same.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from hounsfield.storage.keys.data_key import KEY_BYTES

FOLDER: Final = "journal"
_MAGIC: Final = b"HFJRNL\x00\x01"
_HEADER: Final = struct.Struct("<8s32sQ")
_FRAME: Final = struct.Struct("<4sII")
_MARK: Final = b"HFJR"
_SEQUENCE: Final = struct.Struct("<Q")
_LONGEST: Final = 1 << 30


class SegmentError(ValueError):
    """A segment cannot be read at all: it is none, or of a newer version."""


@dataclass(frozen=True, slots=True)
class SegmentName:
    """Which segment."""

    writer: str
    number: int

    def __str__(self) -> str:
        return f"{FOLDER}/{self.writer}/{self.number:016x}"

    @classmethod
    def parse(cls, name: str) -> SegmentName | None:
        """Return the segment that a blob is; None for any other blob."""
        parts = name.split("/")
        if len(parts) != 3 or parts[0] != FOLDER or len(parts[1]) != 32 or len(parts[2]) != 16:
            return None
        try:
            return cls(parts[1], int(parts[2], 16))
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class SealedRecord:
    """A record as it was opened.

    Attributes
    ----------
    sequence : int
        Its sequence; 0 for what the segment says of itself.
    content : bytes
        What was sealed.
    index : int
        Its place in the segment.
    start, end : int
        Where its sealed bytes are in those of the segment.
    """

    sequence: int
    content: bytes
    index: int
    start: int = 0
    end: int = 0


@dataclass(frozen=True, slots=True)
class Ending:
    """Number of a segment that has ended, and how many records it has; 0 where there is none."""

    number: int = 0
    count: int = 0


class SegmentSealer:
    """Makes the bytes of one segment, from its beginning.

    Parameters
    ----------
    secret : bytes
        The journal key.
    writer : str
        Who writes it: 32 digits that no other process has.
    number : int
        Its number among the segments of the writer.
    previous : Ending
        How the segment before it ended.
    """

    def __init__(self, secret: bytes, writer: str, number: int, previous: Ending) -> None:
        self.name = SegmentName(writer, number)
        self._cipher = segment_cipher(secret, self.name)
        self.count = 0
        head = _HEADER.pack(_MAGIC, writer.encode(), number)
        self.beginning = head + self.seal(0, orjson.dumps({"previous": [previous.number, previous.count]}))

    def seal(self, sequence: int, content: bytes) -> bytes:
        """Return the bytes of the next record."""
        index = self.count
        sealed = self._cipher.encrypt(_nonce(index), _SEQUENCE.pack(sequence) + content, _context(self.name, index))
        self.count += 1
        return _FRAME.pack(_MARK, len(sealed), index) + sealed


class SegmentReader:
    """Opens the records of a segment.

    Parameters
    ----------
    secret : bytes
        The journal key.
    name : SegmentName
        Which segment the bytes are said to be.
    data : bytes or mmap
        The bytes.

    Attributes
    ----------
    damage : list of str
        What is wrong with it, after all records were read.
    count : int
        How many records were read, with the one that the segment says of itself.
    previous : Ending
        How the segment before it ended.

    Raises
    ------
    SegmentError
        The bytes are no segment.
    """

    def __init__(self, secret: bytes, name: SegmentName, data: bytes | mmap.mmap) -> None:
        self.damage: list[str] = []
        self.count = 0
        self.previous = Ending()
        self._cipher: AESGCM | None = None
        self._data = data
        self._name = name
        if len(data) < _HEADER.size:
            # The process was killed before it had written the header.
            return
        magic, writer, number = _HEADER.unpack_from(data)
        if magic != _MAGIC:
            newer = magic[:6] == _MAGIC[:6]
            raise SegmentError("it is of a newer version" if newer else "it is no segment of a journal")
        if (writer, number) != (name.writer.encode(), name.number):
            raise SegmentError("it is another segment than its name says")
        self._cipher = segment_cipher(secret, name)

    def records(self) -> Iterator[SealedRecord]:
        """Yield the records that can be opened; what cannot is in `damage` afterwards."""
        cipher = self._cipher
        if cipher is None:
            return
        at, expected = _HEADER.size, 0
        while at < len(self._data):
            found = self._open(cipher, at)
            if found is None:
                following = self._next(cipher, at + 1)
                if following is None:
                    if not self._is_torn(at):
                        self.damage.append(f"it cannot be read from byte {at} on")
                    return
                self.damage.append(f"bytes {at} to {following} were changed")
                at = following
                continue
            if found.index != expected:
                self.damage.append(f"records {expected} to {found.index - 1} are not there")
            expected, at = found.index + 1, found.end
            self.count = expected
            if found.sequence == 0:
                self.previous = Ending(*orjson.loads(found.content)["previous"])
            else:
                yield found

    def _open(self, cipher: AESGCM, at: int) -> SealedRecord | None:
        """Open the record at a byte; None where there is none."""
        if at + _FRAME.size > len(self._data):
            return None
        mark, length, index = _FRAME.unpack_from(self._data, at)
        end = at + _FRAME.size + length
        if mark != _MARK or length > _LONGEST or end > len(self._data):
            return None
        start = at + _FRAME.size
        try:
            record = open_sealed(cipher, self._name, index, self._data[start:end])
        except InvalidTag:
            return None
        return replace(record, start=start, end=end)

    def _next(self, cipher: AESGCM, start: int) -> int | None:
        """Find the next record that opens behind a byte."""
        at = self._data.find(_MARK, start)
        while at >= 0:
            if self._open(cipher, at) is not None:
                return at
            at = self._data.find(_MARK, at + 1)
        return None

    def _is_torn(self, at: int) -> bool:
        """Return whether what stands at the end is a part of a record, as it is left by a kill, or by a loss of power."""
        if not any(memoryview(self._data)[at:]):
            return True
        rest = self._data[at : at + _FRAME.size]
        if not _MARK.startswith(rest[: len(_MARK)]):
            return False
        if len(rest) < _FRAME.size:
            return True
        length = int(_FRAME.unpack(rest)[1])
        return at + _FRAME.size + length > len(self._data)


def open_sealed(cipher: AESGCM, name: SegmentName, index: int, sealed: bytes) -> SealedRecord:
    """Open a record of a segment with its cipher; raises InvalidTag where it is not that one."""
    plain = cipher.decrypt(_nonce(index), sealed, _context(name, index))
    (sequence,) = _SEQUENCE.unpack_from(plain)
    return SealedRecord(sequence, plain[_SEQUENCE.size :], index)


def find_last_sequence(secret: bytes, name: SegmentName, tail: bytes) -> int | None:
    """Return the sequence of the last whole record in the last bytes of a segment; None where there is none in them."""
    cipher = segment_cipher(secret, name)
    at = tail.rfind(_MARK)
    while at >= 0:
        start = at + _FRAME.size
        if start <= len(tail):
            _, length, index = _FRAME.unpack_from(tail, at)
            with suppress(InvalidTag):
                return open_sealed(cipher, name, index, tail[start : start + length]).sequence
        at = tail.rfind(_MARK, 0, at)
    return None


def segment_cipher(secret: bytes, name: SegmentName) -> AESGCM:
    """Return what opens and seals the records of a segment, of the journal key."""
    salt = f"{name.writer}:{name.number}".encode()
    return AESGCM(HKDF(SHA256(), KEY_BYTES, salt, b"hounsfield journal").derive(secret))


def _nonce(index: int) -> bytes:
    return index.to_bytes(12, "big")


def _context(name: SegmentName, index: int) -> bytes:
    return f"journal:{name.writer}:{name.number}:{index}".encode()
