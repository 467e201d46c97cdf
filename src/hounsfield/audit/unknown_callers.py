"""Rate limit for records of unknown callers: a few each second are recorded one by one, the rest are counted.

    address ─▶ network ─▶ tokens of the network, tokens of all ─yes─▶ a record of its own
                                                               └no──▶ counted ─every 10 s─▶ one record for all

Whoever has no key can send requests without end. What they leave behind must not be without end too.
"""

from __future__ import annotations

import ipaddress
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from cachetools import LRUCache

TELL_SECONDS: Final = 10.0
"""How long calls are counted before the count is recorded: what is lost at most when a process is killed."""

BURST_SECONDS: Final = 10.0
"""Seconds whose records somebody may leave at once who left none before."""

MOST_BY_ALL: Final = 4
"""How many networks together may leave as many records as they like; more share them."""

_MOST_NETWORKS: Final = 4_096
_MOST_NAMED: Final = 32
_HOST_BITS: Final = 64


@dataclass(slots=True)
class _Tokens:
    """Tokens that come back as time goes by."""

    per_second: float
    left: float
    at: float

    def take(self, now: float) -> bool:
        self.left = min(self.per_second * BURST_SECONDS, self.left + (now - self.at) * self.per_second)
        self.at = now
        if self.left < 1:
            return False
        self.left -= 1
        return True


@dataclass(frozen=True, slots=True)
class CallCount:
    """Calls that left no record of their own.

    Attributes
    ----------
    count : int
        How many.
    networks : Mapping of str to int
        How many came from which address (IPv6: from which network of 64 bits), those with the most.
    """

    count: int
    networks: Mapping[str, int]


class UnknownCallers:
    """Decides which calls of strangers are recorded one by one, and counts the others.

    Parameters
    ----------
    per_second : float
        Records a second that the calls from one address may leave; 0 lets all be counted.
    clock : callable
        Gives seconds that only grow.
    """

    def __init__(self, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._clock = clock
        self._lock = threading.Lock()
        self._tokens: LRUCache[str, _Tokens] = LRUCache(_MOST_NETWORKS)
        self._all = self._new(per_second * MOST_BY_ALL)
        self._counts: Counter[str] = Counter()
        self._count = 0
        self._since = 0.0

    def admit(self, address: str) -> bool:
        """Return whether a call from an address gets a record of its own; it is counted where not."""
        network = network_of(address)
        with self._lock:
            now = self._clock()
            own = self._tokens.get(network)
            if own is None:
                own = self._tokens[network] = self._new(self._per_second)
            if own.take(now) and self._all.take(now):
                return True
            if not self._count:
                self._since = now
            self._count += 1
            if network in self._counts or len(self._counts) < _MOST_NETWORKS:
                self._counts[network] += 1
            return False

    @property
    def due_in(self) -> float | None:
        """Seconds until the count is to be recorded; None while there is nothing to tell."""
        with self._lock:
            return max(0.0, self._since + TELL_SECONDS - self._clock()) if self._count else None

    def take(self) -> CallCount | None:
        """Return what was counted, and begin anew; None where nothing was."""
        with self._lock:
            if not self._count:
                return None
            counted = CallCount(self._count, dict(self._counts.most_common(_MOST_NAMED)))
            self._count = 0
            self._counts.clear()
            return counted

    def _new(self, per_second: float) -> _Tokens:
        return _Tokens(per_second, per_second * BURST_SECONDS, self._clock())


@lru_cache(maxsize=_MOST_NETWORKS)
def network_of(address: str) -> str:
    """Return what counts as one caller: an IPv4 address, or the network of 64 bits of an IPv6 address."""
    try:
        read = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(read, ipaddress.IPv4Address):
        return str(read)
    if read.ipv4_mapped is not None:
        return str(read.ipv4_mapped)
    return str(ipaddress.ip_network((read, _HOST_BITS), strict=False))
