"""A cache bounded by the sizes of what it keeps; what was used longest ago goes first."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class WeightedCache(Generic[Key, Value]):
    """Keeps values for several threads.

    Parameters
    ----------
    capacity : int
        How much is kept, in the unit of the sizes.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._kept: OrderedDict[Key, tuple[Value, int]] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def get(self, key: Key) -> Value | None:
        """Return what is kept under a key."""
        with self._lock:
            found = self._kept.get(key)
            if found is None:
                return None
            self._kept.move_to_end(key)
            return found[0]

    def put(self, key: Key, value: Value, size: int) -> None:
        """Keep a value in the place of an earlier one, unless it is larger than half of what is kept at most."""
        if size > self._capacity // 2:
            return
        with self._lock:
            _, before = self._kept.pop(key, (None, 0))
            self._size -= before
            self._kept[key] = (value, size)
            self._size += size
            while self._size > self._capacity:
                _, (_, dropped) = self._kept.popitem(last=False)
                self._size -= dropped
