"""Status of compaction: what waits, and what was done."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.tiering.noted_packs import SMALL_BYTES, NotedPack, NotedState, list_noted
from hounsfield.storage.db.compaction_tables import compactions, noted_packs
from hounsfield.storage.db.image_set_tables import datastores


@dataclass(frozen=True, slots=True)
class CompactionStatus:
    """How compaction stands in a data store.

    Attributes
    ----------
    datastore_id : str
        The data store.
    small_packs, small_bytes : int
        Packs below 64 MiB.
    packs_to_erase, dead_bytes : int
        Packs with records to erase, and bytes of these.
    dead_since : int or None
        When the first of them was released, in milliseconds of the time of the installation; None without any.
    waiting_packs, waiting_bytes : int
        Old packs that wait for the end of their grace time.
    left_packs : int
        Packs that could not be read, or whose image sets were being changed, which are left alone for a while.
    ran_at : int or None
        End of the last pass, in milliseconds since 1970-01-01 UTC; None before the first.
    packs_rewritten, packs_written, packs_deleted : int
        Since the beginning: packs whose records were brought to others, packs made, and old packs deleted.
    bytes_taken_in, bytes_written, bytes_deleted : int
        Since the beginning: bytes of small packs that others wrote, of packs made, and of old packs deleted.
    """

    datastore_id: str
    small_packs: int
    small_bytes: int
    packs_to_erase: int
    dead_bytes: int
    dead_since: int | None
    waiting_packs: int
    waiting_bytes: int
    left_packs: int
    ran_at: int | None
    packs_rewritten: int
    packs_written: int
    packs_deleted: int
    bytes_taken_in: int
    bytes_written: int
    bytes_deleted: int


def read_compaction_status(image_store: ImageStore) -> list[CompactionStatus]:
    """Return how compaction stands in each data store that it looked at, or that has packs for it."""
    packs: dict[str, list[NotedPack]] = defaultdict(list)
    now = image_store.queue.clock.now()
    with image_store.database.read() as connection:
        rows: dict[str, Any] = {row.datastore_id: row for row in connection.execute(select(compactions))}
        noted = connection.execute(select(noted_packs.c.datastore_id).distinct()).scalars().all()
        own = select(datastores.c.id).where(datastores.c.account_id == image_store.account_id)
        for datastore_id in sorted({*rows, *noted}.intersection(connection.execute(own).scalars())):
            packs[datastore_id] = list_noted(connection, datastore_id)
    return [_status(datastore_id, found, rows.get(datastore_id), now) for datastore_id, found in packs.items()]


def _status(datastore_id: str, packs: Iterable[NotedPack], row: Any, now: int) -> CompactionStatus:
    found = list(packs)
    kept = [pack for pack in found if pack.state is NotedState.KEPT]
    small = [pack for pack in kept if pack.bytes < SMALL_BYTES]
    dead = [pack for pack in kept if pack.dead_since is not None]
    old = [pack for pack in found if pack.state is NotedState.OLD]
    return CompactionStatus(
        datastore_id=datastore_id,
        small_packs=len(small),
        small_bytes=sum(pack.bytes for pack in small),
        packs_to_erase=len(dead),
        dead_bytes=sum(pack.dead_bytes for pack in dead),
        dead_since=min((pack.dead_since for pack in dead if pack.dead_since is not None), default=None),
        waiting_packs=len(old),
        waiting_bytes=sum(pack.bytes for pack in old),
        left_packs=sum(pack.again_at > now for pack in found),
        ran_at=None if row is None else row.ran_at or None,
        packs_rewritten=0 if row is None else row.packs_rewritten,
        packs_written=0 if row is None else row.packs_written,
        packs_deleted=0 if row is None else row.packs_deleted,
        bytes_taken_in=0 if row is None else row.bytes_taken_in,
        bytes_written=0 if row is None else row.bytes_written,
        bytes_deleted=0 if row is None else row.bytes_deleted,
    )
