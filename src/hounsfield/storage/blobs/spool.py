"""Spooled files: received and not yet stored; small ones in memory, large ones in an encrypted file.

    bytes as they arrive ─▶ SpoolWriter ─┬─ up to `MEMORY_BYTES` ─▶ SpooledFile(data)
                                         └─ beyond               ─▶ SpooledFile(path, key): AES-256 in counter mode

The key of a spool file is made for it and kept in memory alone: what is left of it after a crash is noise. A `SpooledFile`
can be sent to a worker process.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from hounsfield.storage.identifiers import new_id

MEMORY_BYTES = 2 * 1024 * 1024
_BLOCK_BYTES = 16
_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class SpooledFile:
    """A file that was received.

    Attributes
    ----------
    size : int
        Length in bytes.
    data : bytes or None
        The bytes, where they are in memory.
    path : str
        Where they are otherwise.
    key : bytes
        What opens them there.
    """

    size: int
    data: bytes | None = field(default=None, repr=False)
    path: str = ""
    key: bytes = field(default=b"", repr=False)

    def open(self) -> SpoolReader:
        """Open it for reading."""
        return SpoolReader(self)

    def forget(self) -> None:
        """Remove it; nothing happens when it is gone already."""
        if self.path:
            Path(self.path).unlink(missing_ok=True)


class SpoolReader:
    """Random access to a spooled file."""

    def __init__(self, file: SpooledFile) -> None:
        self.size = file.size
        self._data = file.data
        self._key = file.key
        self._file: BinaryIO | None = None if file.data is not None else Path(file.path).open("rb")  # noqa: SIM115

    def read(self, offset: int, length: int) -> bytes:
        """Read up to ``length`` bytes; fewer only at the end."""
        if self._data is not None:
            return self._data[offset : offset + length]
        if self._file is None:
            raise ValueError("the file was closed")
        skipped = offset % _BLOCK_BYTES
        self._file.seek(offset - skipped)
        sealed = self._file.read(skipped + max(0, min(length, self.size - offset)))
        return _stream(self._key, offset // _BLOCK_BYTES).update(sealed)[skipped:]

    def close(self) -> None:
        """Let go of the file."""
        self._data = None
        if self._file is not None:
            self._file.close()
            self._file = None


class SpoolWriter:
    """Takes one file as it arrives.

    Parameters
    ----------
    folder : Path
        Where large files wait.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._size = 0
        self._file: BinaryIO | None = None
        self._path: Path | None = None
        self._key = b""
        self._cipher: CipherContext | None = None

    @property
    def full(self) -> bool:
        """Whether so much waits that `flush` should be called, which writes to disk."""
        return self._waiting_bytes > MEMORY_BYTES

    def write(self, data: bytes) -> None:
        """Take the next bytes into memory."""
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        self._size += len(data)

    def flush(self) -> None:
        """Write what waits to disk."""
        if self._file is None or self._cipher is None:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._path = self._folder / new_id()
            self._key = secrets.token_bytes(_KEY_BYTES)
            self._cipher = _stream(self._key, 0)
            self._file = os.fdopen(os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb")
        for data in self._waiting:
            self._file.write(self._cipher.update(data))
        self._waiting.clear()
        self._waiting_bytes = 0

    def finish(self) -> SpooledFile:
        """Return the file, of which all has arrived."""
        if self._file is None:
            data = b"".join(self._waiting)
            return SpooledFile(len(data), data)
        self.flush()
        self._file.close()
        self._file = None
        return SpooledFile(self._size, None, str(self._path), self._key)

    def abort(self) -> None:
        """Drop what has arrived."""
        self._waiting.clear()
        if self._file is not None:
            # It is closed also where a full disk refuses once more what waits to be written.
            with suppress(OSError):
                self._file.close()
            self._file = None
        if self._path is not None:
            self._path.unlink(missing_ok=True)


def remove_spooled_files(folder: Path) -> None:
    """Remove what a run that ended left; call it before anything is received."""
    if folder.is_dir():
        for path in folder.iterdir():
            path.unlink(missing_ok=True)


def _stream(key: bytes, block: int) -> CipherContext:
    # Every key encrypts one file, so the counter can begin with zero.
    return Cipher(AES(key), CTR(block.to_bytes(_BLOCK_BYTES, "big"))).encryptor()
