"""Plan of a rewrite: which records of the packs chosen are written, in which order, and which packs stay as they are.

    contents of packs ─▶ records that rows name ─▶ image sets that they are of ─┬─ not where they belong, or archived ─▶ left
                                                                                └─ otherwise: their records, in order

All is read in one snapshot, and nothing is written.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, select

from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.states import StorageTier
from hounsfield.imaging.tiering.noted_packs import NotedPack
from hounsfield.imaging.tiering.pack_references import find_named_records, read_places
from hounsfield.storage.blobs.packs import Extent, Label, RecordKind
from hounsfield.storage.db.database import in_groups
from hounsfield.storage.db.image_set_tables import image_sets

_ORDER: Final = {RecordKind.FRAME: 0, RecordKind.BLOB: 0, RecordKind.FRAGMENT: 1, RecordKind.DATASET: 2}
_FREQUENT: Final = StorageTier.FREQUENT_ACCESS

Contents = Sequence[tuple[Label, Extent]]


@dataclass(frozen=True, slots=True)
class RewritePlan:
    """What is to be rewritten.

    Attributes
    ----------
    contents : Mapping of str to Contents
        The records of each pack.
    records : tuple of (Extent, Label)
        Those that rows name, in the order in which they are written.
    left : tuple of str
        Packs that must stay as they are because of where their image sets have their packs.
    """

    contents: Mapping[str, Contents]
    records: tuple[tuple[Extent, Label], ...]
    left: tuple[str, ...]

    @property
    def source_keys(self) -> list[str]:
        """The keys that the records were written under, those of an image set together."""
        return list(dict.fromkeys(label.owner for _, label in self.records))


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the records of an instance key are written: beside which image set, and at which place there.

    ``users`` are all image sets that they are of.
    """

    image_set_id: str
    instance_order: int
    users: set[str]


def plan_rewrite(image_store: ImageStore, chosen: Sequence[NotedPack], contents: Mapping[str, Contents]) -> RewritePlan:
    """Plan the rewrite of packs into one.

    Parameters
    ----------
    image_store : ImageStore
        Where they are.
    chosen : Sequence of NotedPack
        The packs.
    contents : Mapping of str to Contents
        What those of them have that can be read.
    """
    with image_store.database.read_snapshot() as connection:
        named = find_named_records(connection, set(contents), owners_of(contents))
        places = _find_places(connection, {label.owner for label, _ in named})
        left = _find_misplaced(connection, chosen, named, places) if image_store.tiers is not None else []

    def order(record: tuple[Label, Extent]) -> tuple[Any, ...]:
        label, extent = record
        place = places[label.owner]
        return (
            _ORDER[label.kind],
            place.image_set_id,
            place.instance_order,
            label.owner,
            label.ordinal,
            extent.pack_id,
            extent.offset,
        )

    records = tuple((extent, label) for label, extent in sorted(named, key=order))
    return RewritePlan(contents, records, tuple(left))


def owners_of(contents: Mapping[str, Contents]) -> set[str]:
    """Return the keys that all records of packs were written under, also of those that no row names."""
    return {label.owner for records in contents.values() for label, _ in records}


def _find_places(connection: Connection, source_keys: Collection[str]) -> dict[str, _Place]:
    """Find the place of each instance key: its own instance is before copies of it."""
    found: dict[str, _Place] = {}
    for some in in_groups(sorted(source_keys)):
        for row in read_places(connection, some):
            known = found.get(row.source_key)
            users = set() if known is None else known.users
            users.add(row.image_set_id)
            if known is None or row.key == row.source_key:
                found[row.source_key] = _Place(row.image_set_id, row.instance_order, users)
    return found


def _find_misplaced(
    connection: Connection,
    chosen: Sequence[NotedPack],
    named: Collection[tuple[Label, Extent]],
    places: Mapping[str, _Place],
) -> list[str]:
    """Find the packs that must stay as they are because of where their image sets have their packs.

    Packs in the archive location are not merged. What is erased of them is, when no pack of their image sets is under way:
    the new pack begins in the first location, and the pack mover brings it after the others.
    """
    tiers: dict[str, tuple[str, str]] = {}
    for some in in_groups(sorted({user for place in places.values() for user in place.users})):
        columns = image_sets.c
        query = select(columns.id, columns.storage_tier, columns.placed_tier).where(columns.id.in_(some))
        tiers.update((row.id, (row.storage_tier, row.placed_tier)) for row in connection.execute(query))
    users: dict[str, set[str]] = {}
    for label, extent in named:
        users.setdefault(extent.pack_id, set()).update(places[label.owner].users)
    left = []
    for pack in chosen:
        found = [tiers[user] for user in users.get(pack.pack_id, ()) if user in tiers]
        settled = all(tier == placed for tier, placed in found)
        if not settled or (pack.dead_since is None and any(tier != _FREQUENT for tier, _ in found)):
            left.append(pack.pack_id)
    return left
