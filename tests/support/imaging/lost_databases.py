"""A database that is lost, and what there was in it."""

from __future__ import annotations

from contextlib import suppress

import psutil
from sqlalchemy import select

from hounsfield.bootstrap.installation import open_database, open_keyring
from hounsfield.settings import Settings
from hounsfield.storage.db.image_set_tables import image_sets
from support.servers import ServerProcess


def settings_of(server: ServerProcess) -> Settings:
    """Return the settings of a server that matter to its database."""
    return Settings(data=server.data, database_url=server.environment.get("HOUNSFIELD_DATABASE_URL", ""))


def all_image_sets(server: ServerProcess) -> dict[str, str]:
    """Return the data store of every image set, deleted ones too."""
    settings = settings_of(server)
    database = open_database(settings, open_keyring(settings))
    try:
        with database.read() as connection:
            rows = connection.execute(select(image_sets.c.id, image_sets.c.datastore_id))
            return {row.id: row.datastore_id for row in rows}
    finally:
        database.close()


def is_quiet(server: ServerProcess) -> bool:
    """Return whether no change of an image set is under way."""
    settings = settings_of(server)
    database = open_database(settings, open_keyring(settings))
    try:
        with database.read() as connection:
            locked = select(image_sets.c.id).where(image_sets.c.state == "LOCKED").limit(1)
            return connection.execute(locked).first() is None
    finally:
        database.close()


def kill(server: ServerProcess) -> None:
    """Kill all processes of a server at once, as nothing prepares them for."""
    assert server.process is not None
    first = psutil.Process(server.process.pid)
    for process in [first, *first.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    server.stop()


def lose_database(server: ServerProcess) -> None:
    """Delete the embedded database of a server that is stopped."""
    for path in server.data.glob("hounsfield.db*"):
        path.unlink()
