"""Inserting rows that may be there already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def insert_missing(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> int:
    """Insert rows, but leave those as they are that are there already, by any unique key.

    Parameters
    ----------
    connection : Connection
        A write transaction.
    table : Table
        Where they go.
    rows : Sequence of Mapping
        The rows, all with the same columns.

    Returns
    -------
    int
        How many there were not.
    """
    made = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = made(table).on_conflict_do_nothing()
    return sum(max(connection.execute(statement, dict(row)).rowcount, 0) for row in rows)
