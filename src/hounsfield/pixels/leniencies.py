"""Leniencies of pixel data: what is read although PS3.5 does not allow it, and the warning for it.

    fragments, frames ─▶ PixelNote(leniency, frames) ─▶ warnings of the instance

Every leniency has a row in `PixelLeniency`; all else that is wrong leaves pixel data without frames.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Final, NamedTuple

_MOST_NAMED: Final = 32
"""Frames that are named; more are counted."""


class PixelLeniency(Enum):
    """Irregular pixel data that is read; the value is what is said of it."""

    BASIC_OFFSET_TABLE = (
        "PixelData (7FE0,0010) has a basic offset table that does not fit its fragments; frames were found without it."
    )
    EXTENDED_OFFSET_TABLE = (
        "ExtendedOffsetTable (7FE0,0001) does not fit the fragments; the frames were found without it."
    )
    NUMBER_OF_FRAMES = (
        "NumberOfFrames (0028,0008) does not agree with PixelData (7FE0,0010), which has {total} frames; corrected."
    )
    NO_DELIMITER = "PixelData (7FE0,0010) has no sequence delimiter (FFFE,E0DD) where the file ends."
    ZEROS = "PixelData (7FE0,0010) ends in zeros instead of a sequence delimiter (FFFE,E0DD); they were left out."
    ITEM_DELIMITER = (
        "PixelData (7FE0,0010) ends in an item delimiter (FFFE,E00D) instead of a sequence delimiter (FFFE,E0DD)."
    )
    NO_END_MARKER = (
        "PixelData (7FE0,0010) has JPEG codestreams without an end marker, all of whose samples are there: {frames}."
    )
    SHORT_RUN_LENGTH = (
        "PixelData (7FE0,0010) has RLE segments without their last byte, which is decoded as 0; all frames are kept as "
        "they came: {frames}."
    )
    DAMAGED_FRAMES = (
        "PixelData (7FE0,0010) has frames that cannot be decoded; all frames are kept as they came: {frames}."
    )


class PixelNote(NamedTuple):
    """One leniency that pixel data needed: for some of its frames, by their numbers from 1 on, or for all of it."""

    leniency: PixelLeniency
    frames: tuple[int, ...] = ()
    total: int = 0

    def text(self) -> str:
        """Say what was wrong; names elements and frames, never values of samples."""
        return self.leniency.value.format(frames=_named(self.frames), total=self.total)


def merge_notes(notes: Iterable[PixelNote]) -> tuple[PixelNote, ...]:
    """Make one note of those that parts of the same pixel data needed alike."""
    found: dict[PixelLeniency, PixelNote] = {}
    for note in notes:
        before = found.get(note.leniency)
        found[note.leniency] = note if before is None else before._replace(frames=before.frames + note.frames)
    return tuple(found.values())


def _named(frames: tuple[int, ...]) -> str:
    more = f" and {len(frames) - _MOST_NAMED} more" if len(frames) > _MOST_NAMED else ""
    return ("frame " if len(frames) == 1 else "frames ") + ", ".join(map(str, frames[:_MOST_NAMED])) + more
