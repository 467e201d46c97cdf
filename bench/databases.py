"""Which databases a benchmark measures: the embedded one, and PostgreSQL where the environment names an empty database."""

from __future__ import annotations

import os
from collections.abc import Callable

from sqlalchemy import text

from bench.report import Report
from bench.scale import Run
from bench.server import Server
from hounsfield.storage.db.database import Database

POSTGRESQL = "BENCH_POSTGRESQL_URL"


def on_each_database(
    setting: Run, report: Report, name: str, measure: Callable[[Run, Report, Server, str], None]
) -> None:
    """Measure with a server on each database; ``name`` is that of the folder, ``measure`` gets the server and a label."""
    folder = setting.folder(name)
    measure(setting, report, Server(folder / "embedded"), "embedded")
    url = os.environ.get(POSTGRESQL)
    if url:
        measure(setting, report, Server(folder / "postgresql", database_url=url), "PostgreSQL")
    else:
        report.note(f"PostgreSQL was not measured: {POSTGRESQL} names no empty database")


def gather_statistics(database: Database) -> None:
    """Let PostgreSQL gather the statistics that its planner goes by; an embedded database has none."""
    if database.engine.dialect.name == "postgresql":
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))
