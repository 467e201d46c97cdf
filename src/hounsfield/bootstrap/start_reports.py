"""Start reports of processes to the supervisor: that they work, or why they cannot.

serve ─fork─▶ runner ──────────────┐
      └─fork─▶ api ─fork─▶ API process ─▶ one pipe ─▶ serve: ready, or refused and why
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass, field

_AT_ONCE = 64 * 1024
_LONGEST = 2048
_writing: int | None = None
"""The end of the pipe that children inherit."""
_worked: set[str] = set()
"""Names of processes that this one, or one that it comes from, knows to have worked."""


@dataclass(slots=True)
class StartReports:
    """The reports of this process's children, and of theirs.

    Attributes
    ----------
    ready : set of str
        Names of those that work.
    refusals : list of str
        Why others cannot, in the order in which they told; taken out by whoever says it.
    """

    ready: set[str] = field(default_factory=set)
    refusals: list[str] = field(default_factory=list)
    _reading: int | None = None
    _rest: bytes = b""

    def receive(self) -> None:
        """Begin to receive; children that are forked from now on report here."""
        global _writing
        self._reading, _writing = os.pipe()
        for end in (self._reading, _writing):
            os.set_blocking(end, False)

    def look(self) -> None:
        """Take what was told since the last look."""
        if self._reading is None:
            return
        with suppress(BlockingIOError):
            while piece := os.read(self._reading, _AT_ONCE):
                self._rest += piece
        *lines, self._rest = self._rest.split(b"\n")
        for line in lines:
            told = json.loads(line)
            if "refused" in told:
                self.refusals.append(told["refused"])
            else:
                self.ready.add(told["ready"])


def is_received() -> bool:
    """Return whether a process that this one comes from receives reports."""
    return _writing is not None


def report_ready(name: str) -> None:
    """Report that a process of a name works."""
    _worked.add(name)
    _report({"ready": name})


def has_worked(name: str) -> bool:
    """Return whether a process of that name worked before, as far as this one, or the one it was forked from, was told."""
    return name in _worked


def report_refusal(why: str) -> None:
    """Report why this process cannot work."""
    _report({"refused": why[:_LONGEST]})


def _report(told: dict[str, str]) -> None:
    # Short enough to be one piece; where it finds no room, the first process has other worries.
    if _writing is not None:
        with suppress(OSError):
            os.write(_writing, json.dumps(told).encode() + b"\n")
