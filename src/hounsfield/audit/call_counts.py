"""Calls counted by operation and hour, from the files of an audit folder.

    files, newest first ─▶ what was not counted before ─▶ counts of each file, kept ─▶ sum over a span of time

A file only grows, so each byte is read once by a process. One count reads a bounded part and says how much is left; the next
goes on from there.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from cachetools import LRUCache

from hounsfield.audit.backwards import EVENT_TIME, FileTimes, files_with_times
from hounsfield.audit.chain_files import ChainFile

MOST_BYTES: Final = 32 * 1024 * 1024
"""What one call reads at most, more or less."""
_MOST_FILES: Final = 1024
_BLOCK_BYTES: Final = 1024 * 1024
_NAME: Final = b'"eventName":"'
_CODE: Final = b'"errorCode":"'
_PARAMETERS: Final = b'"requestParameters":'
"""What callers choose follows, such as the keys of tags, which may be those of a record."""
_RESOURCES: Final = b'"resources":['
_DATASTORE: Final = b":datastore/"
_TYPE: Final = b'"eventType":"'
_SERVICE_EVENT: Final = b'"eventType":"AwsServiceEvent"'
_HOUR_LENGTH: Final = len("2026-03-14T09")
_ID_LENGTH: Final = 32


class CountedCalls(NamedTuple):
    """What calls that are counted together have in common.

    Attributes
    ----------
    hour : str
        When they arrived, as 2026-03-14T09, in UTC.
    operation : str
        Name of the operation.
    datastore_id : str
        The data store they were about; empty for none.
    error : str
        Code of the error; empty for those that were answered as asked.
    """

    hour: str
    operation: str
    datastore_id: str
    error: str


@dataclass(frozen=True, slots=True)
class CallCounts:
    """Counted calls.

    Attributes
    ----------
    counts : Mapping of CountedCalls to int
        How many there were.
    left_bytes : int
        Bytes of files with calls of the span that are not read yet; 0 when all calls are counted.
    total_bytes : int
        Bytes of all those files.
    """

    counts: Mapping[CountedCalls, int]
    left_bytes: int
    total_bytes: int


@dataclass(slots=True)
class _FileCounts:
    """What was counted of a file, up to the end of a line, and how far it was read."""

    end: int = 0
    read: int = 0
    counts: Counter[CountedCalls] = field(default_factory=Counter)


class CallCounter:
    """Counts the calls of an audit folder, and keeps what was counted of each file; for all threads of a process.

    Parameters
    ----------
    folder : Path
        The audit folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._known: LRUCache[Path, _FileCounts] = LRUCache(_MOST_FILES)

    def count(self, since: str, until: str, most_bytes: int = MOST_BYTES) -> CallCounts:
        """Count the calls of some hours.

        Parameters
        ----------
        since, until : str
            The first hour, and that after the last, as 2026-03-14T09.
        most_bytes : int
            Bytes after which no further file is begun.
        """
        total: Counter[CountedCalls] = Counter()
        left = size = 0
        with self._lock:
            for file, times in self._files(since, until):
                known = self._known.setdefault(file.path, _FileCounts())
                if most_bytes > 0:
                    most_bytes -= _count_more(file.path, known, min(times.size, known.end + most_bytes))
                left += max(0, times.size - known.read)
                size += times.size
                for calls, number in known.counts.items():
                    if since <= calls.hour < until:
                        total[calls] += number
        return CallCounts(total, left, size)

    def _files(self, since: str, until: str) -> list[tuple[ChainFile, FileTimes]]:
        """Return the files in which there may be calls of a span, newest first."""
        found = []
        for file, times in files_with_times(self._folder):
            if times.last[:_HOUR_LENGTH] >= since and times.opened[:_HOUR_LENGTH] <= until:
                found.append((file, times))
        return sorted(found, key=lambda entry: entry[1].last, reverse=True)


def _count_more(path: Path, known: _FileCounts, end: int) -> int:
    """Count the lines of a file up to an offset, or a little further; gives how many bytes were read."""
    start = known.end
    try:
        with path.open("rb") as opened:
            while known.end < end:
                block = os.pread(opened.fileno(), _BLOCK_BYTES, known.end)
                whole = block.rfind(b"\n") + 1
                known.read = known.end + len(block)
                if whole == 0:
                    # A line that is being written, or whose process died.
                    break
                for line in block[:whole].splitlines():
                    calls = _calls_of(line)
                    if calls is not None:
                        known.counts[calls] += 1
                known.end += whole
    except FileNotFoundError:
        pass
    return known.end - start


def _calls_of(line: bytes) -> CountedCalls | None:
    """Return what the call of a line is counted with; None for a line that has none."""
    at = line.find(EVENT_TIME)
    named = line.find(_NAME, at)
    if at < 0 or named < 0 or line.startswith(_SERVICE_EVENT, line.rfind(_TYPE)):
        return None
    hour = line[at + len(EVENT_TIME) : at + len(EVENT_TIME) + _HOUR_LENGTH]
    resources = line.rfind(_RESOURCES)
    datastore = line.find(_DATASTORE, resources, line.find(b"]", resources)) if resources > named else -1
    identifier = line[datastore + len(_DATASTORE) :][:_ID_LENGTH] if datastore > 0 else b""
    parameters = line.find(_PARAMETERS, named)
    code = line.find(_CODE, named, parameters if parameters > 0 else len(line))
    return CountedCalls(
        hour.decode("ascii", "replace"),
        _value_at(line, named + len(_NAME)),
        identifier.decode("ascii", "replace"),
        _value_at(line, code + len(_CODE)) if code > 0 else "",
    )


def _value_at(line: bytes, start: int) -> str:
    """Return the text up to the next quotation mark."""
    return line[start : line.find(b'"', start)].decode("utf-8", "replace")
