"""Writer of the chain of one process: files of mode 0600, rotated, each ending where the next begins.

open ─▶ file line · records … · end line ─rotate─▶ file line · records … · end line ─close─▶ ended, in the index
                      └─sync─▶ fsync ─▶ head: how far the chain is durable, at most once a second

Room for the next records is taken on the disk before they are there. While no more can be had, the chain `is_short`: what is
left is for records that must not be missing, and the file is not followed by another.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import orjson

from hounsfield.audit.chain_files import chain_file, head_file, host_name, live_file, new_chain_name
from hounsfield.audit.chain_index import ChainIndex, IndexEntry
from hounsfield.audit.file_locks import try_lock
from hounsfield.audit.hash_chain import BEGINNING, LineKind, Position, Sealer
from hounsfield.storage.disk_reservation import is_full, reserve_space
from hounsfield.storage.durable_files import make_folder_durably, write_file_durably

HEAD_SECONDS: Final = 1.0
"""How often at most it is written down how far a chain is durable."""

RESERVE_BYTES: Final = 1024 * 1024
"""Room that is kept free for the records of changes: about a thousand of them."""

_STEP_BYTES: Final = 64 * 1024
"""Room that is taken at once."""


def utc_text() -> str:
    """Return the present time as 2026-03-14T09:15:30Z."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def head_bytes(key: bytes, chain: str, file: int, at: Position) -> bytes:
    """Return the sealed line that says how far a chain is durable: up to a place, which is in the file of a number."""
    body = orjson.dumps({"file": file, "sequence": at.sequence, "mac": at.mac.hex()})
    return Sealer(key, f"{chain}.head").seal(BEGINNING, LineKind.HEAD, body)[0]


class ChainWriter:
    """Writes the chain of this process; one thread at a time.

    Parameters
    ----------
    folder : Path
        The audit folder.
    key : bytes
        The key of the installation's audit trail.
    role : str
        What the process does: letters only.
    file_bytes : int
        Size from which a file is followed by the next.
    file_seconds : float
        Age from which a file is followed by the next.

    Raises
    ------
    OSError
        The folder cannot be written.
    """

    def __init__(self, folder: Path, key: bytes, role: str, *, file_bytes: int, file_seconds: float) -> None:
        self.folder = folder
        self.chain = new_chain_name(role)
        self._role = role
        self._key = key
        self._file_bytes = file_bytes
        self._file_seconds = file_seconds
        self._sealer = Sealer(key, self.chain)
        self._index = ChainIndex(folder, key)
        self._position = BEGINNING
        self._synced = BEGINNING
        self._number = 0
        self._size = self._synced_size = 0
        self._descriptor = -1
        self._opened_at = self._head_at = 0.0
        self._head = BEGINNING
        self._unsynced: list[bytes] = []
        self._written = 0
        self._broken = False
        self._roomy = True
        self._short = False
        self._room_until = 0
        make_folder_durably(folder)
        lock = try_lock(live_file(folder, self.chain))
        if lock is None:
            raise FileExistsError(f"{self.chain} is written by another process")
        self._lock = lock
        # A chain that is not in the index and has no record is one whose process died here.
        self._begin_file()
        self._write_head()
        self._index.append(IndexEntry(LineKind.STARTED, self.chain, utc_text()))

    @property
    def unsynced(self) -> int:
        """How many records were added and are not durable for certain."""
        return len(self._unsynced)

    @property
    def is_settled(self) -> bool:
        """Whether all that was added is durable, and that it is has been written down; else `sync` is to be called again."""
        return not self._unsynced and self._head == self._synced

    @property
    def is_short(self) -> bool:
        """Whether there is room left only for what must not be missing, as it was when last written to."""
        return self._short

    def add(self, records: Sequence[bytes]) -> None:
        """Add records; `write` brings them into the file, `sync` makes them durable."""
        self._unsynced.extend(records)

    def write(self) -> None:
        """Write what was added.

        Raises
        ------
        OSError
            It could not be written. Nothing is lost: the next `write` or `sync` begins after what is durable for certain.
        """
        try:
            if self._broken:
                self._rewind()
            if self._descriptor < 0:
                self._begin_file()
            self._take_room()
            full = self._size >= self._file_bytes or time.monotonic() - self._opened_at >= self._file_seconds
            if full and not self._short:
                self._end_file(more=True)
                self._begin_file()
                self._take_room()
            lines = []
            position = self._position
            for record in self._unsynced[self._written :]:
                line, position = self._sealer.seal(position, LineKind.RECORD, record)
                lines.append(line)
            self._put(b"".join(lines), position)
            self._written = len(self._unsynced)
        except OSError:
            self._broken = True
            raise

    def sync(self) -> None:
        """Write what was added and make it durable; raises as `write` does."""
        self.write()
        try:
            if self._synced != self._position:
                os.fsync(self._descriptor)
            self._all_synced()
            if self._head != self._synced and time.monotonic() - self._head_at >= HEAD_SECONDS:
                self._try_head()
        except OSError:
            self._broken = True
            raise

    def _rewind(self) -> None:
        """Go back to what is durable for certain."""
        # Where a file was ended and the next could not be begun, there is nothing to go back from.
        if self._descriptor >= 0:
            os.ftruncate(self._descriptor, self._synced_size)
            self._room_until = 0
            self._position, self._size = self._synced, self._synced_size
        self._written = 0
        self._broken = False

    def _all_synced(self) -> None:
        self._synced, self._synced_size = self._position, self._size
        del self._unsynced[: self._written]
        self._written = 0

    def close(self) -> None:
        """Write what was added and end the chain; raises OSError."""
        self.write()
        self._end_file(more=False)
        self._index.append(
            IndexEntry(LineKind.ENDED, self.chain, utc_text(), at=self._position, file=self._number, clean=True)
        )
        head_file(self.folder, self.chain).unlink(missing_ok=True)
        live_file(self.folder, self.chain).unlink(missing_ok=True)
        os.close(self._lock)

    def _begin_file(self) -> None:
        """Begin the next file; where that fails, the same is tried again the next time."""
        path = chain_file(self.folder, self.chain, self._number + 1)
        line, position = self._sealer.seal(self._position, LineKind.FILE, self._description())
        # Aside first, so that nobody ever sees a file without its first line.
        write_file_durably(path, line)
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        self._descriptor = descriptor
        self._number += 1
        self._position = self._synced = position
        self._size = self._synced_size = len(line)
        self._room_until = 0
        self._opened_at = time.monotonic()

    def _description(self) -> bytes:
        return orjson.dumps(
            {
                "version": 1,
                "chain": self.chain,
                "number": self._number + 1,
                "opened": utc_text(),
                "host": host_name(),
                "role": self._role,
                "pid": os.getpid(),
            }
        )

    def _end_file(self, *, more: bool) -> None:
        body = orjson.dumps({"number": self._number, "closed": utc_text(), "more": more})
        line, position = self._sealer.seal(self._position, LineKind.END, body)
        self._put(line, position)
        # What was taken for further records is given back.
        os.ftruncate(self._descriptor, self._size)
        os.fsync(self._descriptor)
        self._all_synced()
        os.close(self._descriptor)
        self._descriptor = -1

    def _take_room(self) -> None:
        """See to room for the next records; raises OSError where the disk fails otherwise than by being full."""
        if not self._roomy or self._room_until - self._size >= RESERVE_BYTES:
            return
        try:
            self._roomy = reserve_space(self._descriptor, self._size, RESERVE_BYTES + _STEP_BYTES)
            self._room_until = self._size + RESERVE_BYTES + _STEP_BYTES
            self._short = False
        except OSError as error:
            if not is_full(error):
                raise
            self._short = True

    def _try_head(self) -> None:
        """Write down how far the chain is durable; on a full disk that is made up for later."""
        try:
            self._write_head()
        except OSError as error:
            if not is_full(error):
                raise
            self._head_at = time.monotonic()

    def _put(self, data: bytes, position: Position) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
        self._size += len(data)
        self._position = position

    def _write_head(self) -> None:
        head = head_bytes(self._key, self.chain, self._number, self._synced)
        write_file_durably(head_file(self.folder, self.chain), head)
        self._head, self._head_at = self._synced, time.monotonic()
