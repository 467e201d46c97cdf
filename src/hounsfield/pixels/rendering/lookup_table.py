"""Lookup tables (PS3.3 sections C.7.6.3.1.5, C.7.9.2, C.11.1 and C.11.2).

descriptor: entries, first input value, bits of an entry ─┐
data: entries, or segments that make them                 ─┴─▶ LookupTable
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hounsfield.pixels.errors import PixelError

_MOST_ENTRIES: Final = 1 << 16
_DISCRETE, _LINEAR, _INDIRECT = 0, 1, 2
_MOST_SEGMENTS: Final = 2 * _MOST_ENTRIES
_MOST_SEGMENT_BYTES: Final = 12 * _MOST_ENTRIES
"""Room for a segment of its own for each entry, also where it is called for by an indirect one."""


@dataclass(frozen=True, slots=True)
class LookupTable:
    """A lookup table; inputs before the first or behind the last entry get that entry.

    Attributes
    ----------
    first : int
        Input value of the first entry.
    bits : int
        Bits of an entry: outputs go from 0 to ``2**bits - 1``.
    data : bytes
        Entries, unsigned, 16 bit, little endian.
    """

    first: int
    bits: int
    data: bytes = field(repr=False)

    @property
    def entries(self) -> NDArray[np.uint16]:
        """Outputs, shape ``(entries,)``."""
        return np.frombuffer(self.data, "<u2")

    @property
    def largest(self) -> int:
        """Largest output that there can be."""
        return (1 << self.bits) - 1

    def __call__(self, values: NDArray[Any]) -> NDArray[np.uint16]:
        """Map values, which need not be integers."""
        entries = self.entries
        # Not in the type of the samples, where what is below the first entry would wrap around to the last ones.
        wide = np.nan_to_num(values.astype(np.float64)) if values.dtype.kind == "f" else values.astype(np.int64)
        places = np.clip(wide - self.first, 0, len(entries) - 1)
        return np.asarray(entries[places.astype(np.intp)])


def lookup_table(descriptor: tuple[int, int, int], data: bytes, *, segmented: bool = False) -> LookupTable:
    """Make a lookup table of the values of its elements.

    Parameters
    ----------
    descriptor : tuple of int
        Number of entries (0 is 65536), first input value, bits of an entry.
    data : bytes
        LUT Data, little endian: entries of 16 bits, or of 8 where there are so few bytes, whatever the descriptor says.
    segmented : bool
        Whether the data is segments (PS3.3 section C.7.9.2).

    Raises
    ------
    PixelError
        They are not those of a lookup table.
    """
    count, first, bits = descriptor
    count = count or _MOST_ENTRIES
    if not (1 <= count <= _MOST_ENTRIES and 1 <= bits <= 16):
        raise PixelError("a lookup table must have 1 to 65536 entries of 1 to 16 bits")
    if segmented:
        entries = _expanded(data, count, wide=bits > 8)
    elif len(data) >= 2 * count:
        entries = np.frombuffer(data, "<u2", count)
    elif len(data) >= count:
        entries, bits = np.frombuffer(data, "u1", count).astype("<u2"), min(bits, 8)
    else:
        raise PixelError(f"a lookup table of {count} entries has only {len(data)} bytes of data")
    # Some writers state fewer bits than their entries have.
    bits = max(bits, int(entries.max()).bit_length())
    return LookupTable(first, bits, np.ascontiguousarray(entries, "<u2").tobytes())


def _expanded(data: bytes, count: int, *, wide: bool) -> NDArray[np.uint16]:
    """Expand segments; what would become longer than the table is not expanded any further.

    Segments may have no entries, and indirect ones may call for them again and again: their number is bounded.
    """
    data = data[:_MOST_SEGMENT_BYTES]
    units = np.frombuffer(data[: len(data) // 2 * 2], "<u2") if wide else np.frombuffer(data, "u1")
    expansion = _Expansion(units.tolist(), wide, [])
    expansion.segments(0, len(units), count, None)
    if len(expansion.entries) < count:
        raise PixelError(f"the segments of a lookup table make {len(expansion.entries)} of its {count} entries")
    return np.array(expansion.entries[:count], "<u2")


@dataclass(slots=True)
class _Expansion:
    units: list[int]
    wide: bool
    entries: list[int]
    left: int = _MOST_SEGMENTS

    def segments(self, at: int, end: int, count: int, most: int | None) -> None:
        """Expand the segments from one unit to another, at most so many of them, up to a number of entries."""
        done = 0
        while at + 1 < end and len(self.entries) < count and (most is None or done < most):
            self.left -= 1
            if self.left < 0:
                raise PixelError(
                    f"a lookup table has more than {_MOST_SEGMENTS} segments, most of them without entries"
                )
            code, length = self.units[at : at + 2]
            if code == _DISCRETE:
                self.entries.extend(self.units[at + 2 : at + 2 + length])
                at += 2 + length
            elif code == _LINEAR and self.entries and at + 2 < end:
                steps = np.linspace(self.entries[-1], self.units[at + 2], length + 1)[1:]
                self.entries.extend(np.rint(steps).astype(int).tolist())
                at += 3
            elif code == _INDIRECT and most is None and at + (3 if self.wide else 5) < end:
                self.segments(self._offset(at + 2), end, count, length)
                at += 4 if self.wide else 6
            else:
                raise PixelError("the segments of a lookup table are not of the form of PS3.3 section C.7.9.2")
            done += 1

    def _offset(self, at: int) -> int:
        """Read the place of the segments that an indirect one stands for, a byte offset of 32 bits, as a unit."""
        if self.wide:
            return (self.units[at] | self.units[at + 1] << 16) // 2
        return int.from_bytes(bytes(self.units[at : at + 4]), "little")
