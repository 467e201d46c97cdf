"""Sealed lines: each carries a code over itself and over the code of the line before it.

    {"sequence":7,"kind":"record","mac":"…","body":{…}}
                                    │
          HMAC-SHA-256(key, code of line 6 ‖ name of the chain ‖ 7 ‖ record ‖ body)

Without the key no line can be changed, left out, put elsewhere or added, not even between two chains. What was cut off at
the end does not show in the lines that are left: `chain_files` and `chain_index` keep the position of the last one.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

MAC_BYTES: Final = 32
_LINE: Final = re.compile(
    rb'\{"sequence":([1-9][0-9]{0,17}),"kind":"([a-z]{1,16})","mac":"([0-9a-f]{64})","body":(\{[^\n]*\})\}'
)


class LineKind(StrEnum):
    """What a line tells."""

    FILE = "file"
    """A file of a chain begins."""
    RECORD = "record"
    """An event happened; the body is its CloudTrail record."""
    END = "end"
    """A file of a chain ends."""
    HEAD = "head"
    """How far a chain is durable."""
    STARTED = "started"
    """A process began a chain."""
    ENDED = "ended"
    """A chain is complete; nothing comes after the position named."""
    REMOVED = "removed"
    """The oldest files of a chain were removed, because they were older than they must be kept."""


class LineDamagedError(ValueError):
    """A line is not what was written."""


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a chain: that of its line with this number, counted from 1, and the code of that line.

    Attributes
    ----------
    sequence : int
        Number of the line; 0 before the first.
    mac : bytes
        Its code, 32 bytes.
    """

    sequence: int
    mac: bytes


BEGINNING: Final = Position(0, bytes(MAC_BYTES))


@dataclass(frozen=True, slots=True)
class Line:
    """A line as it was read: of the right form, its code not checked."""

    sequence: int
    kind: LineKind
    mac: bytes
    body: bytes

    @property
    def position(self) -> Position:
        """Its place in the chain."""
        return Position(self.sequence, self.mac)


class Sealer:
    """Seals and checks the lines of one chain.

    Parameters
    ----------
    key : bytes
        The key of the installation's audit trail, 32 bytes.
    chain : str
        Name of the chain, without blanks.
    """

    def __init__(self, key: bytes, chain: str) -> None:
        self._base = hmac.new(key, digestmod="sha256")
        self._chain = chain.encode()

    def seal(self, after: Position, kind: LineKind, body: bytes) -> tuple[bytes, Position]:
        """Make the line that follows another.

        Parameters
        ----------
        after : Position
            Where the chain ends now.
        kind : LineKind
            What the line tells.
        body : bytes
            A JSON object without line breaks.

        Returns
        -------
        bytes, Position
            The line with its line break, and its place.
        """
        sequence = after.sequence + 1
        mac = self._mac(after.mac, sequence, kind, body)
        line = b'{"sequence":%d,"kind":"%s","mac":"%s","body":%s}\n' % (
            sequence,
            kind.encode(),
            mac.hex().encode(),
            body,
        )
        return line, Position(sequence, mac)

    def follows(self, line: Line, after: Position) -> bool:
        """Return whether a line is the one that was written after another."""
        if line.sequence != after.sequence + 1:
            return False
        return hmac.compare_digest(self._mac(after.mac, line.sequence, line.kind, line.body), line.mac)

    def _mac(self, before: bytes, sequence: int, kind: LineKind, body: bytes) -> bytes:
        code = self._base.copy()
        code.update(b"%s%s %d %s " % (before, self._chain, sequence, kind.encode()))
        code.update(body)
        return code.digest()


def read_line(line: bytes) -> Line:
    """Read a line without its line break; raises `LineDamagedError` when it is not of the form of one."""
    found = _LINE.fullmatch(line)
    if found is None:
        raise LineDamagedError("the line is not of the form that was written")
    try:
        kind = LineKind(found[2].decode())
    except ValueError:
        raise LineDamagedError("the line is of a kind that is never written") from None
    return Line(int(found[1]), kind, bytes.fromhex(found[3].decode()), found[4])


def record_in(line: bytes) -> bytes | None:
    """Return the record in a line, with or without its line break; None where the line has none, or is damaged."""
    try:
        found = read_line(line.removesuffix(b"\n"))
    except LineDamagedError:
        return None
    return found.body if found.kind is LineKind.RECORD else None
