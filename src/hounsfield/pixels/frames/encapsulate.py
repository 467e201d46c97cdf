"""Encapsulation of pixel data (PS3.5 section A.4), with its offset table.

item(basic offset table) item(frame 0) item(frame 1) …          offsets below 4 GiB
extended offset table · item(empty) item(frame 0) …             beyond
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

_ITEM_HEADER: Final = 8
_LARGEST_OFFSET: Final = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class OffsetTables:
    """Offset tables of frames of one fragment each.

    Attributes
    ----------
    basic : bytes
        Value of the first item; empty when the offsets do not fit into it.
    extended, lengths : bytes or None
        Values of Extended Offset Table (7FE0,0001) and Extended Offset Table Lengths (7FE0,0002), where needed.
    """

    basic: bytes
    extended: bytes | None = None
    lengths: bytes | None = None


def padded_size(size: int) -> int:
    """Return the size of a fragment with its padding to even length."""
    return size + size % 2


def offset_tables(sizes: Sequence[int]) -> OffsetTables:
    """Make the offset tables of frames.

    Parameters
    ----------
    sizes : Sequence of int
        Size of each frame in bytes, without padding.

    Returns
    -------
    OffsetTables
        The extended tables when a frame begins beyond what 32 bits can tell (PS3.3 section C.7.6.3.1.8).
    """
    lengths = np.asarray(sizes, np.uint64)
    steps = lengths + lengths % np.uint64(2) + np.uint64(_ITEM_HEADER)
    offsets = np.concatenate([np.zeros(1, np.uint64), np.cumsum(steps)[:-1]]) if len(sizes) else steps
    if not len(sizes) or int(offsets[-1]) <= _LARGEST_OFFSET:
        return OffsetTables(offsets.astype("<u4").tobytes())
    return OffsetTables(b"", offsets.astype("<u8").tobytes(), lengths.astype("<u8").tobytes())


def encapsulated_size(tables: OffsetTables, sizes: Sequence[int] | array[int]) -> int:
    """Return the size of all items in bytes, without the sequence delimiter."""
    return _ITEM_HEADER + len(tables.basic) + sum(padded_size(size) + _ITEM_HEADER for size in sizes)
