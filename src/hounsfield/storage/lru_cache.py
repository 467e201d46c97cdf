"""A least recently used cache for several threads: `cachetools.LRUCache` behind a lock.

Caches that one thread or event loop uses are `cachetools` caches themselves, results of functions `functools.lru_cache`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from cachetools import LRUCache

Key = TypeVar("Key")
Value = TypeVar("Value")


class SharedCache(Generic[Key, Value]):
    """Keeps values for several threads; what was used longest ago goes first.

    A look-up costs 0.2 µs more than in a dictionary of our own, of some 13 µs that it takes to read a frame.

    Parameters
    ----------
    capacity : int
        How much is kept at most, in the unit of the sizes.
    size_of : callable
        Returns the size of a value.
    largest : int or None
        Size of the largest value that is kept; None for half of the capacity.
    """

    def __init__(self, capacity: int, size_of: Callable[[Value], int], largest: int | None = None) -> None:
        self._kept: LRUCache[Key, Value] = LRUCache(capacity, size_of)
        self._size_of = size_of
        self._largest = capacity // 2 if largest is None else largest
        self._lock = threading.Lock()

    def get(self, key: Key) -> Value | None:
        """Return what is kept under a key."""
        with self._lock:
            return self._kept.get(key)

    def put(self, key: Key, value: Value) -> None:
        """Keep a value in the place of an earlier one, unless it is too large."""
        if self._size_of(value) <= self._largest:
            with self._lock:
                self._kept[key] = value
