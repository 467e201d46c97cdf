"""Attempts to sign in that failed: who has failed often has to wait, whether or not the key exists.

failure ─▶ Attempts.note ─▶ by key from an address, by key, by address ─▶ Attempts.wait_seconds: 0, 0, 0, 1, 2, 4 … 60

Each API process counts for itself. Of several, each lets fewer attempts through and has longer waits, so that together they
let through as many as one.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from cachetools import TTLCache

_KEPT_SECONDS: Final = 900.0
_KEPT: Final = 20_000
_LONGEST_POWER: Final = 10
_NETWORK_BITS: Final = 64
"""Bits of an IPv6 address that are those of a site: whoever has one address has them all."""


class _Rule(NamedTuple):
    """How many failures pass before one waits, and how long at most."""

    free: int
    longest_seconds: int


_OF_KEY_FROM_ADDRESS: Final = _Rule(3, 60)
_OF_KEY: Final = _Rule(20, 10)
"""Mild: who knows a key of somebody else must not be able to keep them out."""
_OF_ADDRESS: Final = _Rule(20, 10)
"""Mild too: many people may share the address of a router or proxy, and one of them must not keep the others out."""


class Attempts:
    """Counts failures, in the memory of an API process.

    Parameters
    ----------
    processes : int
        How many API processes there are.
    clock : callable
        The time in seconds, never going back.
    """

    def __init__(self, processes: int = 1, clock: Callable[[], float] = time.monotonic) -> None:
        self._processes = processes
        self._clock = clock
        self._failed: TTLCache[str, tuple[int, float]] = TTLCache(_KEPT, _KEPT_SECONDS, clock)

    def wait_seconds(self, address: str, key: str = "") -> int:
        """Return how many seconds are to be waited before the next attempt; 0 where it may be made.

        Parameters
        ----------
        address : str
            Where it comes from.
        key : str
            Which access key is named; empty where none is.
        """
        now = self._clock()
        longest = max(self._until(name, rule) - now for name, rule in _counters(address, key))
        return 0 if longest <= 0 else int(longest) + 1

    def note(self, address: str, key: str = "") -> None:
        """Note that an attempt failed."""
        now = self._clock()
        for name, _ in _counters(address, key):
            count, _ = self._failed.get(name, (0, now))
            self._failed[name] = (count + 1, now)

    def forget(self, address: str, key: str = "") -> None:
        """Begin anew, since somebody signed in."""
        for name, _ in _counters(address, key):
            self._failed.pop(name, None)

    def _until(self, name: str, rule: _Rule) -> float:
        count, last = self._failed.get(name, (0, 0.0))
        above = count - max(1, rule.free // self._processes)
        if above < 0:
            return float("-inf")
        wait = min(1 << min(above, _LONGEST_POWER), rule.longest_seconds)
        return last + float(wait * self._processes)


def _counters(address: str, key: str) -> Iterator[tuple[str, _Rule]]:
    site = _site(address)
    yield f"address {site}", _OF_ADDRESS
    if key:
        yield f"key {key}", _OF_KEY
        yield f"key {key} from {site}", _OF_KEY_FROM_ADDRESS


def _site(address: str) -> str:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if found.version == 4:
        return address
    return str(ipaddress.ip_network((found, _NETWORK_BITS), strict=False))
