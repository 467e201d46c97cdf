"""Frames of encapsulated pixel data: which fragments belong to which frame (PS3.5 section A.4).

    extended offset table ┐
    basic offset table    ├─ the first that fits the fragments ─▶ first fragment of each frame
    one fragment a frame  │
    sizes of native frames│
    ends of codestreams   ┘

An offset table that does not fit is passed over with a warning when frames are found without it all the same. A number of
frames that does not agree is passed over where the codestreams show how many there are, each with its beginning and its end.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from hounsfield.pixels.errors import FrameProblem, FramesError
from hounsfield.pixels.frames.fragments import Fragments, scan_fragments
from hounsfield.pixels.leniencies import PixelLeniency, PixelNote

_END_MARKER = b"\xff\xd9"
_END_WINDOW = 10
"""An end marker may be followed by some padding."""

_START_MARKERS = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0cjP  ", b"\x00\x00\x00\x0cJXL ", b"\xff\x0a")

Integers = NDArray[np.int64]


class EncapsulatedFrames:
    """The frames of encapsulated pixel data.

    Parameters
    ----------
    read : Callable[[int, int], bytes]
        Gives the bytes at an offset of the file: ``read(offset, size)``.
    value_offset, value_end : int
        Where the value of the pixel data element lies.
    count : int
        Frames there must be.
    extended_offset_table : tuple[bytes, bytes] | None
        Values of Extended Offset Table (7FE0,0001) and Extended Offset Table Lengths (7FE0,0002).
    frame_bytes : int or None
        Size of a frame where all have the same: those that are native.

    Raises
    ------
    FramesError
        The fragments cannot be told apart, or are not those of so many frames.
    """

    __slots__ = ("_first", "_fragments", "_frame_bytes", "_read", "_sizes", "notes")

    def __init__(
        self,
        read: Callable[[int, int], bytes],
        value_offset: int,
        value_end: int,
        count: int,
        extended_offset_table: tuple[bytes, bytes] | None,
        frame_bytes: int | None = None,
    ) -> None:
        self._read = read
        self._frame_bytes = frame_bytes
        self._fragments = scan_fragments(read, value_offset, value_end)
        self._sizes: Integers | None = None
        self.notes: tuple[PixelNote, ...] = ()
        self._first = self._find(count, extended_offset_table)

    def __len__(self) -> int:
        return len(self._first)

    def __getitem__(self, index: int) -> bytes:
        count = len(self._first)
        if not 0 <= index < count:
            raise IndexError(f"frame {index} of {count}")
        first = int(self._first[index])
        last = int(self._first[index + 1]) if index + 1 < count else len(self._fragments)
        data = b"".join(self._fragment(number) for number in range(first, last))
        return data if self._sizes is None else data[: int(self._sizes[index])]

    def _fragment(self, number: int) -> bytes:
        size = self._fragments.lengths[number]
        data = self._read(self._fragments.starts[number], size)
        if len(data) < size:
            raise FramesError(
                FrameProblem.EXTRACTION, f"the file ends {size - len(data)} bytes too early for fragment {number}"
            )
        return data

    def _find(self, count: int, extended: tuple[bytes, bytes] | None) -> Integers:
        """Find the first fragment of each frame."""
        fragments = self._fragments
        first, notes = self._by_tables(count, extended)
        if first is None:
            first = self._without_table(count)
        # A table that is sound but has another number of frames is to be believed where the codestreams agree with it.
        unlike = any(note.leniency is PixelLeniency.BASIC_OFFSET_TABLE for note in notes)
        if first is None or (count == 1 and len(fragments) > 1) or (unlike and _table_fit(fragments) is not None):
            first, notes = self._counted(count, first, notes)
        end = fragments.irregular_end
        self.notes = (*(() if end is None else (PixelNote(end),)), *notes)
        return first

    def _by_tables(self, count: int, extended: tuple[bytes, bytes] | None) -> tuple[Integers | None, list[PixelNote]]:
        notes: list[PixelNote] = []
        if extended is not None and extended[0]:
            first, self._sizes = _extended_fit(self._fragments, count, extended)
            if first is not None:
                return first, notes
            notes.append(PixelNote(PixelLeniency.EXTENDED_OFFSET_TABLE))
        if self._fragments.offset_table != b"":
            first = _table_fit(self._fragments)
            if first is not None and len(first) == count:
                return first, notes
            notes.append(PixelNote(PixelLeniency.BASIC_OFFSET_TABLE))
        return None, notes

    def _counted(self, count: int, first: Integers | None, notes: list[PixelNote]) -> tuple[Integers, list[PixelNote]]:
        """Look how many codestreams there are; what is called one frame may be several, which decoding would lose.

        Raises
        ------
        FramesError
            Nothing tells the frames apart for certain.
        """
        shown, by_table = self._shown(), _table_fit(self._fragments)
        if shown is not None and len(shown) != count:
            if self._fragments.irregular_end not in (None, PixelLeniency.NO_DELIMITER):
                raise self._mismatch(count, notes)
            others = [note for note in notes if note.leniency is not PixelLeniency.BASIC_OFFSET_TABLE]
            return shown, [*others, PixelNote(PixelLeniency.NUMBER_OF_FRAMES, total=len(shown))]
        several = shown is None and by_table is not None and len(by_table) > 1
        if first is None or (several and len(first) == 1):
            raise self._mismatch(count, notes)
        return first, notes

    def _without_table(self, count: int) -> Integers | None:
        total = len(self._fragments)
        if total == count:
            return np.arange(count)
        if count == 1 and total:
            return np.zeros(1, np.int64)
        if total < count:
            return None
        if self._frame_bytes is not None:
            return self._by_size(self._frame_bytes, count)
        ends, starts = self._seams()
        for seams in (ends & starts, starts, ends):
            if int(seams.sum()) == count - 1:
                return _after(seams)
        return None

    def _by_size(self, frame_bytes: int, count: int) -> Integers | None:
        """Find frames of one size, each padded to even length; None where the fragments do not add up to them."""
        ends = np.cumsum(np.asarray(self._fragments.lengths, np.int64))
        wanted = np.arange(1, count + 1) * (frame_bytes + frame_bytes % 2)
        last = np.searchsorted(ends, wanted)
        if last[-1] != len(ends) - 1 or (ends[last] != wanted).any():
            return None
        return np.concatenate([np.zeros(1, np.int64), last[:-1] + 1])

    def _shown(self) -> Integers | None:
        """Find frames by their codestreams alone, each of which must have its beginning and its end; None where they do not."""
        fragments = self._fragments
        if not len(fragments):
            return None
        last = len(fragments) - 1
        beginning = self._read(fragments.starts[0], min(8, fragments.lengths[0]))
        window = min(_END_WINDOW, fragments.lengths[last])
        end = self._read(fragments.starts[last] + fragments.lengths[last] - window, window)
        whole = beginning.startswith(_START_MARKERS) and _END_MARKER in end
        if not whole and not _begins_run_length(beginning):
            return None
        ends, starts = self._seams()
        return _after(ends) if np.array_equal(ends, starts) else None

    def _mismatch(self, count: int, notes: list[PixelNote]) -> FramesError:
        message = f"NumberOfFrames is {count}, but the {len(self._fragments)} fragments do not show so many codestreams"
        extended = any(note.leniency is PixelLeniency.EXTENDED_OFFSET_TABLE for note in notes)
        broken = self._fragments.offset_table != b"" and _table_fit(self._fragments) is None
        if len(self._fragments) > count and (extended or broken):
            return FramesError(FrameProblem.OFFSET_TABLE, f"the offset table does not fit the fragments; {message}")
        return FramesError(FrameProblem.NUMBER_MISMATCH, message)

    def _seams(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Look at both sides of each seam between fragments: does a codestream end before it, does one start after it."""
        fragments = self._fragments
        total = len(fragments)
        ends, starts = np.zeros(total - 1, np.bool_), np.zeros(total - 1, np.bool_)
        for number in range(total - 1):
            window = min(_END_WINDOW, fragments.lengths[number])
            seam = fragments.starts[number] + fragments.lengths[number]
            around = self._read(seam - window, window + 8 + 8)
            ends[number] = _END_MARKER in around[:window]
            starts[number] = around[window + 8 :].startswith(_START_MARKERS)
            if _begins_run_length(around[window + 8 :]):
                ends[number] = starts[number] = True
        return ends, starts


def _after(seams: NDArray[np.bool_]) -> Integers:
    """Return the first fragment of each frame where frames end at some seams between fragments."""
    return np.concatenate([np.zeros(1, np.int64), np.flatnonzero(seams) + 1])


def _begins_run_length(fragment: bytes) -> bool:
    """Return whether a fragment begins with an RLE header: 1 to 15 segments, the first after 64 bytes (PS3.5 section G.5)."""
    return fragment[1:8] == b"\0\0\0\x40\0\0\0" and 1 <= fragment[0] <= 15


def _extended_fit(
    fragments: Fragments, count: int, extended: tuple[bytes, bytes]
) -> tuple[Integers, Integers] | tuple[None, None]:
    """First fragments and sizes of frames by the extended offset table (PS3.3 section C.7.6.3.1.8), if it fits."""
    if any(len(part) != count * 8 for part in extended) or len(fragments) != count:
        return None, None
    offsets, sizes = (np.frombuffer(part, "<u8") for part in extended)
    lengths = np.asarray(fragments.lengths, np.uint64)
    if (offsets != _relative(fragments)).any() or (sizes > lengths).any() or (lengths - sizes > 1).any():
        return None, None
    return np.arange(count), sizes.astype(np.int64)


def _table_fit(fragments: Fragments) -> Integers | None:
    """First fragments of frames by the basic offset table, None if it does not fit."""
    table = fragments.offset_table
    if not table or len(table) % 4 or not len(fragments):
        return None
    offsets = np.frombuffer(table, "<u4").astype(np.uint64)
    relative = _relative(fragments)
    first = np.searchsorted(relative, offsets)
    if (
        offsets[0] != 0
        or first[-1] >= len(relative)
        or (np.diff(first) <= 0).any()
        or (relative[first] != offsets).any()
    ):
        return None
    return first.astype(np.int64)


def _relative(fragments: Fragments) -> NDArray[np.uint64]:
    """Offsets of the item headers of fragments as offset tables count them."""
    return np.asarray(fragments.starts, np.uint64) - np.uint64(fragments.base + 8)
