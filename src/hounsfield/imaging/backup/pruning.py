"""Pruning: old generations go, then the packs and parts of files that no generation that stays needs.

newest N, and those of the last days ─▶ stay
all others ─▶ manifest first ─▶ what is left of them ─▶ packs and parts that nobody lists any more

Without its manifest a generation does not exist, so whatever ends this leaves nothing half: the next run removes the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hounsfield.imaging.backup.errors import BackupDamagedError, BackupIncompleteError
from hounsfield.imaging.backup.grown_files import read_parts
from hounsfield.imaging.backup.manifests import (
    GENERATIONS,
    generation_time,
    list_generations,
    manifest_name,
    read_manifest,
)
from hounsfield.imaging.backup.pack_lists import read_pack_list
from hounsfield.imaging.backup.place import BackupPlace
from hounsfield.imaging.backup.sealed_objects import BackupKey


@dataclass(frozen=True, slots=True)
class Retention:
    """Which generations stay.

    Attributes
    ----------
    count : int or None
        So many of the newest.
    days : int or None
        Those of the last days.
    """

    count: int | None = None
    days: int | None = None

    def choose(self, generations: Sequence[str], now: datetime) -> list[str]:
        """Return the generations that go, of all in their order; the newest always stays."""
        if self.count is None and self.days is None:
            return []
        stay = set(generations[-max(self.count or 1, 1) :])
        if self.days is not None:
            since = now - timedelta(days=self.days)
            stay.update(each for each in generations if generation_time(each) >= since)
        return [each for each in generations if each not in stay]


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was removed.

    Attributes
    ----------
    generations : sequence of str
        Generations that are no more.
    packs : int
        Packs.
    unreadable : str
        A generation that stays and whose list cannot be read, so that no pack was removed; empty where there is none.
    """

    generations: Sequence[str]
    packs: int
    unreadable: str = ""


def prune(place: BackupPlace, key: BackupKey, retention: Retention) -> Pruned:
    """Remove old generations and what was cut short, with what only they needed; nobody else may be writing there.

    Raises
    ------
    OSError
        The place cannot be read, or something cannot be removed.
    """
    complete, unfinished = list_generations(place)
    going = retention.choose(complete, datetime.now(UTC))
    for generation in going:
        place.delete(manifest_name(generation))
    for generation in (*going, *unfinished):
        place.delete_all(place.sizes(f"{GENERATIONS}/{generation}/"))
    place.delete_empty_folders(GENERATIONS)
    stay = [each for each in complete if each not in going]
    needed: set[str] = set()
    for generation in stay:
        try:
            needed.update(_needed(place, key, generation))
        except (BackupDamagedError, BackupIncompleteError):
            return Pruned(going, 0, generation)
    packs = [name for name in place.sizes("packs/") if name not in needed]
    place.delete_all(packs)
    place.delete_all(name for name in place.sizes("grown/") if name not in needed)
    return Pruned(going, len(packs))


def _needed(place: BackupPlace, key: BackupKey, generation: str) -> Iterable[str]:
    manifest = read_manifest(place, generation, key)
    for name in manifest.pack_lists:
        yield from (pack for pack, _ in read_pack_list(place, key, name))
    for name in manifest.grown:
        for parts in read_parts(key.open(place.read(name), name)).values():
            yield from (part.name for part in parts)
