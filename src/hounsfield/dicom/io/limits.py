"""Limits of what the reader takes from a file."""

from __future__ import annotations

from dataclasses import dataclass

MEBIBYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """Bounds that keep one file from taking the memory or the time of all others.

    Attributes
    ----------
    data_set_bytes : int
        Bytes of a file without its pixel data, all of which are held in memory.
    inflated_bytes : int
        Bytes of a deflated data set after inflation, pixel data included.
    depth : int
        Sequences within sequences; 1 is a sequence at the top level.
    elements : int
        Elements and items, those in sequences counted too.
    fragments : int
        Fragments of encapsulated pixel data that are stepped over in search of its end.
    """

    data_set_bytes: int = 256 * MEBIBYTE
    inflated_bytes: int = 512 * MEBIBYTE
    depth: int = 64
    elements: int = 1_000_000
    fragments: int = 4_000_000
