"""A runner that stands still, so that what it was asked for stays under way."""

from __future__ import annotations

from contextlib import closing

import psutil

from hounsfield.bootstrap.installation import open_database, open_keyring
from hounsfield.settings import Settings
from hounsfield.storage.db.database import Database
from support.processes import runners
from support.servers import ServerProcess, wait_for


def suspended(server: ServerProcess) -> psutil.Process:
    """Suspend the runner between two transactions: it would hold on to their locks, and everybody else would wait for them."""
    settings = Settings(data=server.data, database_url=server.environment.get("HOUNSFIELD_DATABASE_URL", ""))
    database = open_database(settings, open_keyring(settings))

    def stopped() -> psutil.Process | None:
        (runner,) = wait_for(lambda: runners(server), "the runner to be up")
        runner.suspend()
        wait_for(lambda: runner.status() == psutil.STATUS_STOPPED, "the runner to stand still")
        if _is_unlocked(database):
            return runner
        runner.resume()
        return None

    try:
        return wait_for(stopped, "the runner to hold no lock")
    finally:
        database.close()


def _is_unlocked(database: Database) -> bool:
    """Return whether nobody is in the middle of a transaction that changes something."""
    if database.engine.dialect.name == "postgresql":
        with database.engine.connect() as connection:
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            return connection.exec_driver_sql(f"{waiting} AND state LIKE 'idle in transaction%%'").scalar_one() == 0
    with closing(database.engine.raw_connection()) as connection:
        connection.execute("PRAGMA busy_timeout = 500")
        try:
            connection.execute("BEGIN IMMEDIATE")
        except database.engine.dialect.loaded_dbapi.OperationalError:
            return False
        connection.execute("ROLLBACK")
    return True
