"""Cache of element runs that repeat byte for byte: a slice differs from the one before in a few elements only.

    known · known · known · NEW · known · known …      the first data set that shares elements with another one
    └──── run ──────────┘         └──── run ─────      later ones: one comparison, all elements of the run at once

A run begins at an element and ends before the first one that was not known. One that does not come again as it was ends
from then on before the element that differs.
"""

from __future__ import annotations

import sys
from bisect import bisect_left
from typing import Final, TypeAlias

from pydicom.valuerep import EXPLICIT_VR_LENGTH_32

from hounsfield.dicom.values.elements import Element
from hounsfield.dicom.values.memo import ResultMemo

MOST_ELEMENTS: Final = 64
"""Elements of one run."""

_MOST_RUNS: Final = 1024
_LONG: Final = frozenset(str(vr) for vr in EXPLICIT_VR_LENGTH_32)

Run: TypeAlias = "tuple[bytes, tuple[Element, ...]]"
"""Bytes and elements of a run, explicit VR."""


class ElementRuns:
    """Runs by the bytes of their first element, in bounded memory: everything is forgotten when it is full."""

    __slots__ = ("_runs",)

    def __init__(self) -> None:
        self._runs: ResultMemo[bytes, Run] = ResultMemo(_MOST_RUNS, sys.maxsize)

    def at(self, first: bytes, data: bytes, position: int, end: int) -> Run | None:
        """Find the run that begins at a position, up to where it is what the data has there.

        Parameters
        ----------
        first : bytes
            The element at the position.
        data : bytes
            Holds the data set.
        position, end : int
            Where the element begins and the data set ends.
        """
        run = self._runs.get(first)
        if run is None or data.startswith(run[0], position, end):
            return run
        return self._shortened(first, run, data[position:end])

    def keep(self, first: bytes, run: Run) -> None:
        """Remember a run that begins with an element."""
        self._runs.keep(first, run, len(run[0]))

    def _shortened(self, first: bytes, run: Run, data: bytes) -> Run:
        """End a run before the element that differs."""
        content, elements = run
        same = bisect_left(range(len(content)), True, key=lambda end: not data.startswith(content[: end + 1]))  # noqa: FBT003
        size = len(first)
        count = 1
        for _, vr, value in elements[1:]:
            after = size + (12 if vr in _LONG else 8) + len(value)
            if after > same:
                break
            size, count = after, count + 1
        shorter = content[:size], elements[:count]
        self.keep(first, shorter)
        return shorter
