"""Pages of the embedded database that are not as they were written, as after a disk that failed."""

from __future__ import annotations

import random
from contextlib import closing

from hounsfield.bootstrap.installation import database_file, open_database, open_keyring
from hounsfield.settings import Settings
from support.servers import ServerProcess


def damage_table(server: ServerProcess, table: str, chance: random.Random) -> int:
    """Change some bytes of the first page of a table and of its indexes; the server must not run.

    Returns
    -------
    int
        How many pages were changed.
    """
    settings = Settings(data=server.data)
    database = open_database(settings, open_keyring(settings))
    assert database.fold_log(5.0), "somebody uses the database"
    with closing(database.engine.raw_connection()) as connection:
        (page_size,) = connection.execute("PRAGMA page_size").fetchone()
        page_bytes = int(page_size)
        query = "SELECT rootpage FROM sqlite_master WHERE tbl_name = ? AND rootpage > 0"
        pages = [page for (page,) in connection.execute(query, (table,)).fetchall()]
    database.close()
    with database_file(settings).open("r+b") as file:
        for page in pages:
            file.seek((page - 1) * page_bytes + chance.randrange(16, page_bytes - 160))
            file.write(chance.randbytes(64))
    return len(pages)
