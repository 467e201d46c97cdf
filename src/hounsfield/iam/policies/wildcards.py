"""Wildcard patterns: ``*`` for any characters, ``?`` for one (IAM User Guide, "Using wildcards in resource ARNs").

pattern "a*b?c*" ─▶ pieces "a", "b?c", "" ─▶ first at the start, last at the end, the others one after the other in between

Every piece is looked for where it first occurs; whatever the pattern, the time is bounded by the product of both lengths.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

ANY: Final = "*"
ONE: Final = "?"
_SPECIAL: Final = re.compile(r"([*?])")


@dataclass(frozen=True, slots=True)
class LiteralText:
    """Characters of a pattern that stand for themselves, also ``*`` and ``?``."""

    text: str


Part: TypeAlias = "str | LiteralText"
"""A part of a pattern: text in which ``*`` and ``?`` are wildcards, or text in which nothing is."""

_Piece: TypeAlias = "tuple[int, str | re.Pattern[str]]"


@dataclass(frozen=True, slots=True)
class WildcardPattern:
    """A pattern, ready to be compared.

    Attributes
    ----------
    pieces : tuple
        What stands between the ``*``: length and text, or length and expression where it has a ``?``.
    """

    pieces: tuple[_Piece, ...]

    @classmethod
    def of(cls, *parts: Part) -> WildcardPattern:
        """Make a pattern of parts that follow each other."""
        pieces: list[list[Part]] = [[]]
        for part in parts:
            if isinstance(part, LiteralText):
                pieces[-1].append(part)
                continue
            for token in _SPECIAL.split(part):
                if token == ANY:
                    pieces.append([])
                elif token:
                    pieces[-1].append(token)
        kept = [pieces[0], *(piece for piece in pieces[1:-1] if piece), *pieces[1:][-1:]]
        return cls(tuple(_piece(piece) for piece in kept))

    @property
    def prefix(self) -> str:
        """What every text of this pattern begins with; empty where a wildcard comes early."""
        _, first = self.pieces[0]
        return first if isinstance(first, str) else ""

    def match(self, text: str) -> bool:
        """Return whether the whole text is of this pattern; upper and lower case differ."""
        length, first = self.pieces[0]
        if len(self.pieces) == 1:
            return text == first if isinstance(first, str) else first.fullmatch(text) is not None
        if not (text.startswith(first) if isinstance(first, str) else first.match(text)):
            return False
        position = length
        for size, piece in self.pieces[1:-1]:
            found = _find(piece, text, position)
            if found < 0:
                return False
            position = found + size
        size, last = self.pieces[-1]
        begin = len(text) - size
        if begin < position:
            return False
        return text.endswith(last) if isinstance(last, str) else last.fullmatch(text, begin) is not None


def _find(piece: str | re.Pattern[str], text: str, position: int) -> int:
    if isinstance(piece, str):
        return text.find(piece, position)
    found = piece.search(text, position)
    return found.start() if found else -1


def _piece(parts: Sequence[Part]) -> _Piece:
    if ONE not in parts:
        text = "".join(part.text if isinstance(part, LiteralText) else part for part in parts)
        return len(text), text
    length, expression = 0, ""
    for part in parts:
        text = part.text if isinstance(part, LiteralText) else part
        length += len(text)
        expression += "." if part == ONE else re.escape(text)
    return length, re.compile(expression, re.DOTALL)
