"""Look-up in an audit folder, newest first and by pages; nothing is verified here, see `verify`.

    files of all chains ─▶ each read backwards ─┐
                                                ├─▶ merged by time ─▶ filter ─▶ page, and where the next begins
    so many bytes a page at most ───────────────┘

What is written meanwhile is in none of the pages that follow.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from hounsfield.audit.backwards import RecordLine, files_with_times, read_backwards
from hounsfield.audit.find import RecordFilter

MOST_BYTES: Final = 32 * 1024 * 1024
"""What one page reads at most, more or less."""
_LONGEST_CALL: Final = timedelta(hours=1)
"""How much later than it began the record of a call is looked for."""
_AFTER_ALL: Final = "9999"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a look-up goes on.

    Attributes
    ----------
    time : str
        Everything that was written later was looked at.
    unread : Mapping of str to int
        By the name of a file that was begun, the bytes of its beginning that were not looked at.
    """

    time: str
    unread: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class FoundRecords:
    """One page of a look-up.

    Attributes
    ----------
    records : list of bytes
        Records as JSON, newest first.
    end : Place or None
        Where the next page begins; None when there is no more.
    """

    records: list[bytes]
    end: Place | None


def look_up_records(
    folder: Path, wanted: RecordFilter, *, after: Place | None = None, limit: int = 50, most_bytes: int = MOST_BYTES
) -> FoundRecords:
    """Return the newest records that say what is asked for, or the next ones.

    Parameters
    ----------
    folder : Path
        The audit folder.
    wanted : RecordFilter
        What they must say.
    after : Place or None
        Where the page before this one ended.
    limit : int
        At most so many records.
    most_bytes : int
        Bytes that are looked at before the page ends, though it may have fewer records than ``limit``, or none.
    """
    search = _Search(wanted, after or Place(_AFTER_ALL, {}))
    files = search.files(folder)
    records: list[bytes] = []
    end: Place | None = None
    for name, line in search.lines(files):
        body = line.body if wanted.may_match(line.text) else None
        if body is not None and wanted.matches(body):
            if len(records) == limit:
                return FoundRecords(records, end)
            records.append(body)
        search.looked_at(name, line)
        if len(records) == limit and end is None:
            end = search.place()
        if search.bytes_read > most_bytes:
            return FoundRecords(records, end or search.place())
    return FoundRecords(records, None)


@dataclass(frozen=True, slots=True)
class _File:
    """A file in which there may be something."""

    name: str
    path: Path
    opened: str
    last: str
    end: int


@dataclass(slots=True)
class _Search:
    """One page of a look-up, under way."""

    wanted: RecordFilter
    after: Place
    bytes_read: int = 0
    _time: str = field(init=False)
    _since: str = field(init=False)
    _opened: dict[str, str] = field(default_factory=dict)
    _unread: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._time = self.after.time
        self._since = _moved(self.wanted.since, -_LONGEST_CALL)

    def files(self, folder: Path) -> list[_File]:
        """Return the files in which there may be something."""
        found = []
        until = min(_moved(self.wanted.until, _LONGEST_CALL) or _AFTER_ALL, self.after.time)
        for file, times in files_with_times(folder):
            name = file.path.name
            unread = self.after.unread.get(name)
            if unread is None and (times.opened > until or times.last < self._since):
                continue
            self._opened[name] = times.opened
            if unread is not None:
                self._unread[name] = unread
            last = min(times.last, self.after.time)
            found.append(_File(name, file.path, times.opened, last, times.size if unread is None else unread))
        return found

    def lines(self, files: Sequence[_File]) -> Iterator[tuple[str, RecordLine]]:
        """Yield the records that come next, each with the name of its file; the first and the last of a file have no text."""
        newest_first = heapq.merge(*map(self._lines_of, files), key=lambda found: found[1].time, reverse=True)
        for name, line in newest_first:
            if line.time < self._since:
                return
            yield name, line

    def looked_at(self, name: str, line: RecordLine) -> None:
        """Note that a line, and all after it in its file, was looked at."""
        self._time = line.time
        if line.text or line.start == 0:
            self._unread[name] = line.start
        self.bytes_read += len(line.text)

    def place(self) -> Place:
        """Return where the next page begins."""
        # A file that was opened later than all that is still to come need not be told: it is passed over by its time.
        unread = {
            name: unread for name, unread in self._unread.items() if unread > 0 or self._opened[name] <= self._time
        }
        return Place(self._time, unread)

    def _lines_of(self, file: _File) -> Iterator[tuple[str, RecordLine]]:
        new = file.name not in self.after.unread
        # Nothing of the file is read until it is its turn. It is not begun by that: what is written meanwhile is at its end.
        yield file.name, RecordLine(file.last, file.end, b"")
        last = file.last
        for line in read_backwards(file.path, file.end, _AFTER_ALL if new else last):
            # A call may have begun before the file was opened, its record was written after that.
            time = max(line.time, file.opened)
            if time > self.after.time:
                # It was written after the first page, or that page would have begun the file.
                continue
            last = min(last, time)
            yield file.name, RecordLine(last, line.start, line.text)
        yield file.name, RecordLine(last, 0, b"")


def _moved(bound: str, by: timedelta) -> str:
    """Return a bound of the time, which may be the beginning of a time, later or earlier; as it is where it is no time."""
    begun = bound.removesuffix("Z")
    try:
        moment = datetime.fromisoformat(begun + "0000-01-01T00:00:00"[len(begun) :]).replace(tzinfo=UTC)
        return f"{moment + by:%Y-%m-%dT%H:%M:%SZ}"
    except (ValueError, OverflowError):
        return bound
