"""Runs of records: pixel data of an instance that follows each other in a pack, as one row of ``frame_runs``."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from hounsfield.storage.blobs.packs import Extent


def run_row(
    source_key: str, first_ordinal: int, pack_id: str, first_offset: int, lengths: Sequence[int]
) -> dict[str, Any]:
    """Return the row of a run.

    Parameters
    ----------
    source_key : str
        What the records were written under.
    first_ordinal : int
        Ordinal of the first record.
    pack_id : str
        The pack.
    first_offset : int
        Where the first record is in it.
    lengths : Sequence of int
        Sealed length of each record in bytes.
    """
    return {
        "source_key": source_key,
        "first_ordinal": first_ordinal,
        "pack_id": pack_id,
        "first_offset": first_offset,
        "lengths": array("I", lengths).tobytes(),
    }


def run_extents(run: Any) -> Iterator[tuple[int, Extent]]:
    """Yield the records of a row of ``frame_runs``: ordinal and place of each."""
    offset = run.first_offset
    lengths = array("I", run.lengths[: len(run.lengths) // 4 * 4])
    for ordinal, length in enumerate(lengths, run.first_ordinal):
        yield ordinal, Extent(run.pack_id, offset, length)
        offset += length


def frame_runs_of(pixels: Iterable[tuple[int, Extent]], most: int) -> Iterator[tuple[int, Extent, list[int]]]:
    """Yield the records of pixel data in runs that follow each other in a pack: first ordinal, first place, lengths.

    Parameters
    ----------
    pixels : Iterable of (int, Extent)
        By ordinal.
    most : int
        How many records a run has at most.
    """
    first, start, lengths, following = 0, Extent("", 0, 0), list[int](), (-1, "", -1)
    for ordinal, extent in pixels:
        if (ordinal, extent.pack_id, extent.offset) == following and len(lengths) < most:
            lengths.append(extent.length)
        else:
            if lengths:
                yield first, start, lengths
            first, start, lengths = ordinal, extent, [extent.length]
        following = (ordinal + 1, extent.pack_id, extent.offset + extent.length)
    if lengths:
        yield first, start, lengths
