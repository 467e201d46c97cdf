"""A database that somebody else has locked for writing, while all may read it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg

from hounsfield.bootstrap.installation import open_database, open_keyring
from hounsfield.settings import Settings
from hounsfield.storage.db.image_set_tables import metadata
from support.servers import ServerProcess


@contextmanager
def locked_for_writing(server: ServerProcess) -> Iterator[None]:
    """Hold the one lock of the embedded database, or locks on all tables of PostgreSQL that let others read."""
    url = server.environment.get("HOUNSFIELD_DATABASE_URL", "")
    if url:
        with psycopg.connect(url) as connection:
            # Nobody who has locked rows already waits for a table in another order.
            names = ", ".join(sorted(metadata.tables))
            connection.execute(f"LOCK TABLE {names} IN EXCLUSIVE MODE")
            yield
            connection.rollback()
        return
    settings = Settings(data=server.data)
    database = open_database(settings, open_keyring(settings))
    try:
        with closing(database.engine.raw_connection()) as connection:
            connection.execute("PRAGMA busy_timeout = 60000")
            connection.execute("BEGIN IMMEDIATE")
            yield
            connection.execute("ROLLBACK")
    finally:
        database.close()
