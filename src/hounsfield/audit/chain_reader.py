"""Reader of a chain: its files line by line, each line checked against the one before it.

files ─▶ CheckedLine … CheckedLine ─▶ ChainDamage where the first line is not as it was written
                                      └─ reading ends there: nothing after it can be trusted
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from hounsfield.audit.chain_files import ChainFile, head_file
from hounsfield.audit.hash_chain import BEGINNING, Line, LineDamagedError, LineKind, Position, Sealer, read_line

LONGEST_LINE: Final = 4 * 1024 * 1024
"""Bytes of a line at most; a record is far smaller."""


@dataclass(frozen=True, slots=True)
class CheckedLine:
    """A line that is as it was written, and where it is.

    Attributes
    ----------
    line : Line
        The line.
    file : ChainFile
        Its file.
    number : int
        Which line of the file it is, counted from 1.
    end : int
        Offset in bytes of its end in the file.
    """

    line: Line
    file: ChainFile
    number: int
    end: int


@dataclass(frozen=True, slots=True)
class ChainDamage:
    """Where a chain is not as it was written, and why.

    Attributes
    ----------
    file : ChainFile
        The file.
    number : int
        Which line of it, counted from 1.
    reason : str
        What is wrong.
    incomplete : int
        Bytes at the end of the file that are not a whole line, where nothing else is wrong; 0 otherwise.
    """

    file: ChainFile
    number: int
    reason: str
    incomplete: int = 0


def read_chain(
    sealer: Sealer, files: Sequence[ChainFile], after: Position = BEGINNING
) -> Iterator[CheckedLine | ChainDamage]:
    """Yield the lines of a chain, each checked; the last thing given is the damage, if there is any.

    Parameters
    ----------
    sealer : Sealer
        Of the chain.
    files : sequence of ChainFile
        Its files in their order.
    after : Position
        The line that was before the first.
    """
    expected = files[0].number if files else 1
    for file in files:
        if file.number != expected:
            yield ChainDamage(file, 1, f"file {expected} of the chain is missing")
            return
        expected += 1
        number = offset = 0
        with file.path.open("rb") as opened:
            while text := opened.readline(LONGEST_LINE):
                number += 1
                offset += len(text)
                checked = _checked(sealer, file, number, text, after)
                if isinstance(checked, ChainDamage):
                    yield checked
                    return
                after = checked.position
                yield CheckedLine(checked, file, number, offset)
        if number == 0:
            yield ChainDamage(file, 1, "the file is empty")
            return


def _checked(sealer: Sealer, file: ChainFile, number: int, text: bytes, after: Position) -> Line | ChainDamage:
    if not text.endswith(b"\n"):
        return ChainDamage(file, number, "the line is not complete", incomplete=len(text))
    try:
        line = read_line(text[:-1])
    except LineDamagedError as error:
        return ChainDamage(file, number, str(error))
    if (number == 1) != (line.kind is LineKind.FILE):
        return ChainDamage(file, number, "the file does not begin as it was written")
    if line.sequence != after.sequence + 1:
        return ChainDamage(file, number, f"line {after.sequence + 1} of the chain should be here, not {line.sequence}")
    if not sealer.follows(line, after):
        return ChainDamage(file, number, "the line, or what was before it, was changed")
    return line


@dataclass(frozen=True, slots=True)
class Head:
    """How far a chain is durable: up to a place, which is in the file of a number."""

    file: int
    at: Position


def read_head(folder: Path, key: bytes, chain: str) -> Head | None:
    """Return how far a chain is durable for certain, None where that is not there or was changed."""
    try:
        text = head_file(folder, chain).read_bytes()
        line = read_line(text.removesuffix(b"\n"))
    except (OSError, LineDamagedError):
        return None
    if line.kind is not LineKind.HEAD or not Sealer(key, f"{chain}.head").follows(line, BEGINNING):
        return None
    content = orjson.loads(line.body)
    return Head(content["file"], Position(content["sequence"], bytes.fromhex(content["mac"])))
