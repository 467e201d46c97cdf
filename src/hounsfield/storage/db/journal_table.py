"""Table of journal records that are not yet durable in the journal (`hounsfield.storage.journal`)."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Connection, Integer, LargeBinary, Table, func, select, text

from hounsfield.storage.db.image_set_tables import metadata

journal_outbox = Table(
    "journal_outbox",
    metadata,
    Column("sequence", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("content", LargeBinary, nullable=False),
)
"""The row of the highest sequence is never deleted: on SQLite the next record is one higher."""

ORIGIN: Final = b'\x00{"w":0,"s":0,"c":[["origin"]]}'
"""The first record of a database that is made: all that happens in it is in the journal."""


def highest_sequence(connection: Connection) -> int:
    """Return the sequence of the last record that the transaction sees; 0 where there is none."""
    return int(connection.execute(select(func.max(journal_outbox.c.sequence))).scalar() or 0)


def continue_sequence(connection: Connection) -> None:
    """Let the next record be one higher than the highest, where rows were written with sequences of their own."""
    if connection.dialect.name == "postgresql":
        highest = highest_sequence(connection)
        if highest:
            connection.execute(
                text("SELECT setval(pg_get_serial_sequence('journal_outbox', 'sequence'), :highest)"),
                {"highest": highest},
            )
