"""Packs that compaction has to do with, as rows.

small pack found ─▶ KEPT ──its records are in another pack──▶ OLD ──grace over, no row names it──▶ deleted, forgotten
storage released ─▶ KEPT, with records to erase; or OLD at once
pack being made  ─▶ WRITTEN ──its rows are there──▶ KEPT, or forgotten when it is large and every record of it is named
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, func, select, update

from hounsfield.imaging.image_store import ImageStore
from hounsfield.storage.blobs.packs import Extent, Label, RecordKind
from hounsfield.storage.db.compaction_tables import noted_packs
from hounsfield.storage.db.database import in_groups
from hounsfield.storage.db.insert_missing import insert_missing

SMALL_BYTES: Final = 64 * 1024 * 1024
"""A pack of fewer bytes is small."""


class NotedState(StrEnum):
    """What a noted pack is."""

    KEPT = "kept"
    """Rows name it; it is small, or has records to erase."""
    WRITTEN = "written"
    """Compaction writes it, or died meanwhile."""
    OLD = "old"
    """No row names it any more; it goes after the grace time."""


@dataclass(frozen=True, slots=True)
class NotedPack:
    """A row; times are those of the installation, in milliseconds."""

    pack_id: str
    datastore_id: str
    image_set_id: str
    state: NotedState
    only_edits: bool
    bytes: int
    dead_bytes: int
    dead_since: int | None
    noted_at: int
    again_at: int = 0

    @property
    def live_bytes(self) -> int:
        """Bytes that are left without the records to erase."""
        return max(self.bytes - self.dead_bytes, 0)


def list_noted(
    connection: Connection, datastore_id: str, states: Iterable[NotedState] = tuple(NotedState)
) -> list[NotedPack]:
    """List the noted packs of a data store in some states, the oldest first."""
    columns = noted_packs.c
    query = select(noted_packs).where(
        columns.datastore_id == datastore_id, columns.state.in_([state.value for state in states])
    )
    return [_read(row) for row in connection.execute(query.order_by(columns.noted_at, columns.pack_id))]


def list_noted_ids(image_store: ImageStore, datastore_id: str) -> set[str]:
    """Return the packs of a data store that compaction has to do with: none of them is an orphan."""
    query = select(noted_packs.c.pack_id).where(noted_packs.c.datastore_id == datastore_id)
    with image_store.database.read() as connection:
        return set(connection.execute(query).scalars())


def find_noted(connection: Connection, pack_ids: Collection[str]) -> set[str]:
    """Return which of some packs are noted, in whatever state."""
    found: set[str] = set()
    for some in in_groups(sorted(pack_ids)):
        found.update(connection.execute(select(noted_packs.c.pack_id).where(noted_packs.c.pack_id.in_(some))).scalars())
    return found


def note_packs(connection: Connection, packs: Sequence[NotedPack]) -> int:
    """Note packs that are not noted yet; return how many there were."""
    return insert_missing(connection, noted_packs, [_values(pack) for pack in packs])


def note_unused(connection: Connection, datastore_id: str, pack_ids: Collection[str], now: int) -> None:
    """Note packs that no row names any more, whose bytes go now or, where that fails, with the old ones."""
    packs = [
        NotedPack(
            name,
            datastore_id,
            "",
            NotedState.OLD,
            only_edits=False,
            bytes=0,
            dead_bytes=0,
            dead_since=None,
            noted_at=now,
        )
        for name in sorted(pack_ids)
    ]
    note_packs(connection, packs)
    set_state(connection, pack_ids, NotedState.OLD, now)


def note_dead_records(connection: Connection, pack: NotedPack) -> None:
    """Note that a pack has more records to erase than before: ``dead_bytes`` of them, since ``dead_since`` at least."""
    if note_packs(connection, [pack]):
        return
    columns = noted_packs.c
    connection.execute(
        update(noted_packs)
        .where(columns.pack_id == pack.pack_id)
        .values(
            dead_bytes=columns.dead_bytes + pack.dead_bytes,
            dead_since=func.coalesce(columns.dead_since, pack.dead_since),
        )
    )


def note_dead_of_kept(
    connection: Connection,
    datastore_id: str,
    pack_id: str,
    contents: Sequence[tuple[Label, Extent]],
    dead_bytes: int,
    now: int,
) -> None:
    """Note what of a pack that rows name is to be erased.

    Parameters
    ----------
    connection : Connection
        A write transaction.
    datastore_id, pack_id : str
        The pack.
    contents : Sequence of (Label, Extent)
        All its records.
    dead_bytes : int
        How many bytes are to be erased; 0 leaves it as it is.
    now : int
        The time of the installation, in milliseconds.
    """
    if not dead_bytes:
        return
    only_edits = all(label.kind is RecordKind.FRAGMENT for label, _ in contents)
    size = max(extent.offset + extent.length for _, extent in contents)
    pack = NotedPack(pack_id, datastore_id, "", NotedState.KEPT, only_edits, size, dead_bytes, now, now)
    note_dead_records(connection, pack)


def note_begun(connection: Connection, pack_ids: Collection[str], now: int) -> None:
    """Note that some records of packs are in other packs from now on: what is left behind is to be erased some day."""
    columns = noted_packs.c
    for some in in_groups(sorted(pack_ids)):
        connection.execute(
            update(noted_packs)
            .where(columns.pack_id.in_(some))
            .values(dead_since=func.coalesce(columns.dead_since, now))
        )


def set_state(connection: Connection, pack_ids: Collection[str], state: NotedState, now: int) -> None:
    """Bring noted packs into another state, from now on."""
    for some in in_groups(sorted(pack_ids)):
        connection.execute(
            update(noted_packs)
            .where(noted_packs.c.pack_id.in_(some))
            .values(state=state.value, noted_at=now, again_at=0)
        )


def set_again(connection: Connection, pack_ids: Collection[str], again_at: int) -> None:
    """Leave noted packs alone until a moment."""
    for some in in_groups(sorted(pack_ids)):
        connection.execute(update(noted_packs).where(noted_packs.c.pack_id.in_(some)).values(again_at=again_at))


def forget_packs(connection: Connection, pack_ids: Collection[str]) -> None:
    """Forget noted packs."""
    for some in in_groups(sorted(pack_ids)):
        connection.execute(delete(noted_packs).where(noted_packs.c.pack_id.in_(some)))


def forget_if_settled(connection: Connection, pack_id: str) -> None:
    """Forget a pack that is neither small nor has records to erase."""
    columns = noted_packs.c
    connection.execute(
        delete(noted_packs).where(
            columns.pack_id == pack_id, columns.bytes >= SMALL_BYTES, columns.dead_since.is_(None)
        )
    )


def _values(pack: NotedPack) -> dict[str, Any]:
    return {
        "pack_id": pack.pack_id,
        "datastore_id": pack.datastore_id,
        "image_set_id": pack.image_set_id,
        "state": pack.state.value,
        "only_edits": pack.only_edits,
        "bytes": pack.bytes,
        "dead_bytes": pack.dead_bytes,
        "dead_since": pack.dead_since,
        "noted_at": pack.noted_at,
        "again_at": pack.again_at,
    }


def _read(row: Row[Any]) -> NotedPack:
    return NotedPack(
        pack_id=row.pack_id,
        datastore_id=row.datastore_id,
        image_set_id=row.image_set_id,
        state=NotedState(row.state),
        only_edits=row.only_edits,
        bytes=row.bytes,
        dead_bytes=row.dead_bytes,
        dead_since=row.dead_since,
        noted_at=row.noted_at,
        again_at=row.again_at,
    )
