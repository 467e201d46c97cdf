"""Files of a chain read backwards: the newest record first, without reading what is before.

A record stands where its call ended, and tells when it began. What is given with it is a time that never grows from one record
to the one before, and that is not before the call began: the latest beginning among the records around it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Final

from hounsfield.audit.chain_files import ChainFile, chain_files
from hounsfield.audit.hash_chain import record_in

_BLOCK_BYTES: Final = 256 * 1024
_TAIL_BYTES: Final = 16 * 1024
_HEAD_BYTES: Final = 4 * 1024
_TIME_LENGTH: Final = len("2026-03-14T09:15:30Z")
EVENT_TIME: Final = b'"eventTime":"'
"""What is before the time at which a call began, in the line of its record."""
_OPENED: Final = b'"opened":"'


@dataclass(frozen=True, slots=True)
class FileTimes:
    """Of a file: when it was opened, when its last record was written at the earliest, and its size in bytes."""

    opened: str
    last: str
    size: int


@dataclass(frozen=True, slots=True)
class RecordLine:
    """A line with a record.

    Attributes
    ----------
    time : str
        When it was written, more or less, as 2026-03-14T09:15:30Z.
    start : int
        Offset in bytes at which it begins.
    text : bytes
        The line as it is, not checked.
    """

    time: str
    start: int
    text: bytes

    @property
    def body(self) -> bytes | None:
        """The record in it; None where the line is not of the form of one."""
        return record_in(self.text)


def files_with_times(folder: Path) -> Iterator[tuple[ChainFile, FileTimes]]:
    """Yield the files of all chains with their times; one that goes away meanwhile was older than it must be kept."""
    for file in chain_files(folder):
        try:
            times = _read_times(file.path, file.path.stat().st_size)
        except OSError:
            continue
        yield file, times


@lru_cache(maxsize=4096)
def _read_times(path: Path, size: int) -> FileTimes:
    # A file only grows, so what was read of one of this size stays true.
    opened = _opened(path)
    latest = max((line.time for line in _lines(path, max(0, size - _TAIL_BYTES), size)), default=opened)
    return FileTimes(opened, max(opened, latest), size)


@lru_cache(maxsize=4096)
def _opened(path: Path) -> str:
    with path.open("rb") as opened:
        head = opened.read(_HEAD_BYTES)
    return _text_after(_OPENED, head, 0, len(head))


def read_backwards(path: Path, end: int, not_after: str) -> Iterator[RecordLine]:
    """Yield the records of a file, the last one first.

    Parameters
    ----------
    path : Path
        The file; nothing is yielded of one that is gone.
    end : int
        Offset in bytes of the end of a line, before which records are read.
    not_after : str
        Latest time to tell.
    """
    size = _BLOCK_BYTES
    while end > 0:
        start = max(0, end - size)
        # What comes before the block says more about when its first records were written than they do.
        known = list(_lines(path, max(0, start - _TAIL_BYTES), end))
        lines = [line for line in known if line.start > start or start == 0]
        if not lines and start > 0:
            size *= 2
            continue
        size = _BLOCK_BYTES
        latest = [*accumulate((line.time for line in known), max)][len(known) - len(lines) :]
        for line, time in zip(reversed(lines), reversed(latest), strict=True):
            not_after = min(not_after, time)
            yield RecordLine(not_after, line.start, line.text)
        end = lines[0].start if start > 0 else 0


def _lines(path: Path, start: int, end: int) -> Iterator[RecordLine]:
    """Yield the whole lines with a record in a part of a file, with the time that each tells."""
    try:
        with path.open("rb") as opened:
            block = os.pread(opened.fileno(), end - start, start)
    except FileNotFoundError:
        return
    at = 0 if start == 0 else block.find(b"\n") + 1
    while (line_end := block.find(b"\n", at) + 1) > 0:
        time = _text_after(EVENT_TIME, block, at, line_end)
        if time:
            yield RecordLine(time, start + at, block[at : line_end - 1])
        at = line_end


def _text_after(name: bytes, block: bytes, start: int, end: int) -> str:
    """Return the time after a name in a part of a block; empty where it is not there."""
    found = block.find(name, start, end)
    if found < 0:
        return ""
    return block[found + len(name) : found + len(name) + _TIME_LENGTH].decode("ascii", "replace")
