"""Choice of the packs that are rewritten together: a rule that bounds how often a byte is written anew.

    records to erase: much of a pack, or for long ─▶ at once, several packs into one
    small packs:      together 64 MiB or more     ─▶ large ones, which are never merged again
                      fewer                       ─▶ only where the new pack is 4 times as large as the largest of them

So a byte is written anew at most once for each step of 4 from its first pack to 64 MiB, and once more to the end: for a slice
of 256 KiB 5 times, from 256 bytes on, which no pack is below, 10 times. What is left in a data store is fewer than 64 MiB of
data and fewer than 64 MiB of edits, each in 43 packs at most.

Erasing comes to that: at most 3 bytes are written for each byte that is erased at once, and for records that waited for the
time, each pack at most once in that time.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Final

from hounsfield.imaging.tiering.noted_packs import SMALL_BYTES, NotedPack

GROWTH: Final = 4
"""How many times as large as each of its parts a pack must become that is still small."""
LEAST_BYTES: Final = 256
"""Packs that have fewer bytes left count as so large."""
_MUCH: Final = 4
"""Records to erase are much from one in so many bytes on."""


def choose_packs(packs: Sequence[NotedPack], *, now: int, after_ms: int, erase_after_ms: int) -> list[NotedPack]:
    """Choose the packs to be rewritten into one.

    Parameters
    ----------
    packs : Sequence of NotedPack
        Those of one data store that rows name.
    now : int
        The time of the installation, in milliseconds.
    after_ms : int
        How long a small pack is left alone; 0 for not at all, also where who noted it had a clock that is ahead.
    erase_after_ms : int
        How long records to erase wait for others in their pack; 0 as above.

    Returns
    -------
    list of NotedPack
        All with edits only, or all without; empty where there is nothing to do.
    """
    due = [pack for pack in packs if pack.again_at <= now]
    for only_edits in (False, True):
        own = [pack for pack in due if pack.only_edits is only_edits]
        erased = [pack for pack in own if _is_erased(pack, now, erase_after_ms)]
        if erased:
            return _enough(erased)
        small = [pack for pack in own if pack.live_bytes < SMALL_BYTES and _is_over(pack.noted_at, after_ms, now)]
        merged = _mergeable(small)
        if merged:
            return _enough(merged)
    return []


def _is_erased(pack: NotedPack, now: int, erase_after_ms: int) -> bool:
    if pack.dead_since is None:
        return False
    return _is_over(pack.dead_since, erase_after_ms, now) or pack.dead_bytes * _MUCH >= pack.bytes


def _is_over(since: int, wait_ms: int, now: int) -> bool:
    return wait_ms == 0 or since + wait_ms <= now


def _mergeable(small: Sequence[NotedPack]) -> list[NotedPack]:
    """Return as many packs as may be merged, from the smallest on."""
    ordered = sorted(small, key=_weight)
    if len(ordered) < 2:
        return []
    totals = list(accumulate(pack.live_bytes for pack in ordered))
    if totals[-1] >= SMALL_BYTES:
        return ordered
    for count in range(len(ordered), 1, -1):
        if totals[count - 1] >= GROWTH * _weight(ordered[count - 1]):
            return ordered[:count]
    return []


def _enough(packs: Sequence[NotedPack]) -> list[NotedPack]:
    """Return packs for one new pack, those of an image set together, the image set that waits longest first."""
    first: dict[str, int] = {}
    for pack in packs:
        first[pack.image_set_id] = min(pack.noted_at, first.get(pack.image_set_id, pack.noted_at))
    ordered = sorted(packs, key=lambda pack: (first[pack.image_set_id], pack.image_set_id, pack.noted_at, pack.pack_id))
    chosen: list[NotedPack] = []
    size = 0
    for pack in ordered:
        if chosen and size >= SMALL_BYTES:
            break
        chosen.append(pack)
        size += pack.live_bytes
    return chosen


def _weight(pack: NotedPack) -> int:
    return max(pack.live_bytes, LEAST_BYTES)
