"""Memo of results by the bytes they were made of, in bounded memory."""

from __future__ import annotations

from typing import Final, Generic, TypeVar

Key = TypeVar("Key")
Result = TypeVar("Result")

LONGEST: Final = 128
"""Bytes that a result may be made of to be remembered: long values seldom repeat, and are few."""

ENTRIES: Final = 8192
"""Results that are remembered, the elements of some thirty different series: a few MiB."""


class ResultMemo(Generic[Key, Result]):
    """Results by what they were made of.

    Everything is forgotten when it is full: a series fills it anew with its first file. Results are shared by all who
    ask, so nobody may change them. This is a dictionary and no cache of `cachetools`: a look-up takes 30 ns here and 140
    to 260 there, and the reader looks each element of a file up.

    Parameters
    ----------
    entries : int
        Results that are remembered at most.
    longest : int
        Bytes that a result may be made of.
    """

    __slots__ = ("_entries", "_longest", "_results", "get")

    def __init__(self, entries: int = ENTRIES, longest: int = LONGEST) -> None:
        self._entries = entries
        self._longest = longest
        self._results: dict[Key, Result] = {}
        self.get = self._results.get

    def keep(self, key: Key, result: Result, size: int) -> None:
        """Remember a result that was made of some bytes, unless there are too many of them.

        Parameters
        ----------
        key : hashable
            What the result follows from, all of it.
        result : object
            Never changed from now on.
        size : int
            Bytes that it was made of.
        """
        if size <= self._longest:
            if len(self._results) >= self._entries:
                self._results.clear()
            self._results[key] = result
