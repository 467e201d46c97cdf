"""A PostgreSQL database that refuses to write to a table, for a reason of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg


@contextmanager
def writes_fail(url: str, table: str, state: str) -> Iterator[None]:
    """Let every insert into a table end with an error by its code (PostgreSQL, appendix A), such as 53100 for a full disk."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            f"CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION 'as a test' USING ERRCODE = '{state}'; END $$"
        )
        connection.execute(f"CREATE TRIGGER refuse BEFORE INSERT ON {table} EXECUTE FUNCTION refuse()")
        try:
            yield
        finally:
            connection.execute("DROP FUNCTION refuse CASCADE")
