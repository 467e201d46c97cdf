"""Anchors of audit folders: rows that say how long each folder's index has been.

process begins its chain ─▶ last entry of the index ─▶ database ─▶ `verify`: is the index still there, and at least that long?
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from hounsfield.audit.chain_files import host_name
from hounsfield.audit.chain_index import ChainIndex
from hounsfield.audit.hash_chain import LineDamagedError, Position, read_line
from hounsfield.storage.db.audit_tables import audit_indexes
from hounsfield.storage.db.database import Database


@dataclass(frozen=True, slots=True)
class Anchor:
    """A place in the index of an audit folder.

    Attributes
    ----------
    first_mac : str
        Code of its first entry, 64 hexadecimal digits, by which the index is known.
    host : str
        The machine that wrote it.
    at : Position
        The place.
    """

    first_mac: str
    host: str
    at: Position


def make_anchor(index: ChainIndex) -> Anchor | None:
    """Return the end of an index as it is now; None where it is empty or damaged."""
    lines = list(index.lines())
    if not lines or not lines[-1].endswith(b"\n"):
        return None
    try:
        first, last = read_line(lines[0][:-1]), read_line(lines[-1][:-1])
    except LineDamagedError:
        return None
    return Anchor(first.mac.hex(), host_name(), last.position)


def write_anchor(database: Database, anchor: Anchor) -> None:
    """Keep an anchor; one that is further on already stays."""
    try:
        _write(database, anchor)
    except IntegrityError:
        # On PostgreSQL another process that starts at the same time may have been first; then there is a row.
        _write(database, anchor)


def _write(database: Database, anchor: Anchor) -> None:
    with database.write() as connection:
        known = connection.execute(
            select(audit_indexes.c.sequence).where(audit_indexes.c.first_mac == anchor.first_mac)
        ).scalar()
        values = {"host": anchor.host, "sequence": anchor.at.sequence, "mac": anchor.at.mac}
        if known is None:
            connection.execute(insert(audit_indexes).values(first_mac=anchor.first_mac, **values))
        elif known < anchor.at.sequence:
            # Asked again by the statement itself: another process may have been further on in between.
            behind = (audit_indexes.c.first_mac == anchor.first_mac, audit_indexes.c.sequence < anchor.at.sequence)
            connection.execute(update(audit_indexes).where(*behind).values(**values))


def read_anchors(database: Database) -> list[Anchor]:
    """Return all anchors."""
    with database.read() as connection:
        rows = connection.execute(select(audit_indexes).order_by(audit_indexes.c.first_mac)).all()
    return [Anchor(row.first_mac, row.host, Position(row.sequence, row.mac)) for row in rows]
