"""The index of an audit folder: a hash chain that lists all chains, so that none can be removed unseen.

process starts ─▶ started ─┐
process ends   ─▶ ended ───┼─▶ index.jsonl, itself a chain of sealed lines, one writer at a time by a lock
old files go   ─▶ removed ─┘
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from hounsfield.audit.chain_files import INDEX
from hounsfield.audit.file_locks import locked
from hounsfield.audit.hash_chain import BEGINNING, Line, LineDamagedError, LineKind, Position, Sealer, read_line
from hounsfield.storage.durable_files import make_folder_durably, sync_folder

_LONGEST_ENTRY: Final = 4096


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """An entry of the index.

    Attributes
    ----------
    kind : LineKind
        ``started``, ``ended`` or ``removed``.
    chain : str
        The chain it is about.
    time : str
        When it was written, as 2026-03-14T09:15:30Z.
    at : Position
        Of ``ended``: the last line of the chain. Of ``removed``: the last line that was removed.
    file : int
        Of ``ended``: number of the last file. Of ``removed``: of the last file that was removed.
    clean : bool
        Of ``ended``: whether the process itself ended its chain.
    incomplete_bytes : int
        Of ``ended``: bytes of a record that was being written when the process was ended, which were cut off.
    """

    kind: LineKind
    chain: str
    time: str
    at: Position = BEGINNING
    file: int = 0
    clean: bool = True
    incomplete_bytes: int = 0

    def body(self) -> bytes:
        """Return the entry as JSON."""
        content: dict[str, object] = {"chain": self.chain, "time": self.time}
        if self.kind is not LineKind.STARTED:
            content |= {"file": self.file, "sequence": self.at.sequence, "mac": self.at.mac.hex()}
        if self.kind is LineKind.ENDED:
            content |= {"clean": self.clean, "incompleteBytes": self.incomplete_bytes}
        return orjson.dumps(content)


def read_entry(line: Line) -> IndexEntry:
    """Return the entry of a line whose code was checked."""
    content = orjson.loads(line.body)
    return IndexEntry(
        line.kind,
        content["chain"],
        content["time"],
        Position(content.get("sequence", 0), bytes.fromhex(content.get("mac", ""))),
        content.get("file", 0),
        content.get("clean", True),
        content.get("incompleteBytes", 0),
    )


class ChainIndex:
    """The index of one audit folder.

    Parameters
    ----------
    folder : Path
        The audit folder; made when it is not there.
    key : bytes
        The key of the installation's audit trail.
    """

    def __init__(self, folder: Path, key: bytes) -> None:
        self.folder = folder
        self.sealer = Sealer(key, "index")
        self._path = folder / INDEX
        self._lock = folder / "index.lock"

    @property
    def path(self) -> Path:
        """Where the index is."""
        return self._path

    def append(self, entry: IndexEntry) -> Position:
        """Add an entry durably; gives its place in the index."""
        make_folder_durably(self.folder)
        with locked(self._lock):
            return self._append(entry)

    def _append(self, entry: IndexEntry) -> Position:
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            start = max(0, size - _LONGEST_ENTRY)
            tail = os.pread(descriptor, size - start, start)
            complete = tail.rfind(b"\n") + 1
            if complete < len(tail):
                # Whoever wrote this died before the entry was whole, and so before anybody counted on it.
                os.ftruncate(descriptor, start + complete)
            line, position = self.sealer.seal(_end_of(tail[:complete]), entry.kind, entry.body())
            os.write(descriptor, line)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        sync_folder(self.folder)
        return position

    def lines(self) -> Iterator[bytes]:
        """Yield the lines as they are, each with its line break where it has one."""
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return
        yield from content.splitlines(keepends=True)

    def entries(self) -> list[IndexEntry]:
        """Return the entries up to the first that is not as it was written; `verify` tells what is wrong with that."""
        entries: list[IndexEntry] = []
        at = BEGINNING
        for text in self.lines():
            try:
                line = read_line(text.removesuffix(b"\n"))
            except LineDamagedError:
                break
            if not self.sealer.follows(line, at):
                break
            at = line.position
            entries.append(read_entry(line))
        return entries


def _end_of(lines: bytes) -> Position:
    """Return the place of the last line; one that is damaged is replaced by the beginning, and the index stays damaged."""
    last = lines[:-1].rpartition(b"\n")[2]
    if not last:
        return BEGINNING
    try:
        return read_line(last).position
    except LineDamagedError:
        return BEGINNING
