"""Notes of damaged packs for the log (`hounsfield.imaging.tiering.damage_log`)."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Final

from hounsfield.storage.blobs.packs import Damage

REPEATED_SECONDS: Final = 300.0
"""How long nothing more is said of a pack that was told of."""
_MOST_WAITING: Final = 50
_MOST_REMEMBERED: Final = 10_000


class DamageNotes:
    """Remembers which packs were told of; for several threads, and never waits."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told: dict[str, float] = {}
        self._waiting: deque[Damage] = deque()
        self._left_out = 0
        self._busy = False

    def put(self, damage: Damage) -> bool:
        """Note a damage; True when somebody must now begin to tell of what waits."""
        with self._lock:
            now = time.monotonic()
            if self._told.get(damage.pack_id, 0.0) > now:
                return False
            if len(self._told) >= _MOST_REMEMBERED:
                self._told = {pack: until for pack, until in self._told.items() if until > now}
            if len(self._waiting) >= _MOST_WAITING or len(self._told) >= _MOST_REMEMBERED:
                self._left_out += 1
                return False
            self._told[damage.pack_id] = now + REPEATED_SECONDS
            self._waiting.append(damage)
            begins, self._busy = not self._busy, True
            return begins

    def take(self) -> Damage | None:
        """Return what is to be told next; None when there is nothing more, and nobody tells from then on."""
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            self._busy = False
            return None

    def left_out(self) -> int:
        """Return how many damages were not noted, because too many waited, since this was asked last."""
        with self._lock:
            count, self._left_out = self._left_out, 0
            return count
