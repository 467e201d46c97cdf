"""The schema is the same by migration and by definition, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, create_engine, inspect

from hounsfield.storage.database import Database, open_embedded, open_postgresql
from hounsfield.storage.schema import bring_up_to_date, migrate, newest_revision
from hounsfield.storage.tables import metadata
from postgresql import PostgresqlServer


def differences(database: Database) -> list[object]:
    with database.read() as connection:
        context = MigrationContext.configure(connection)
        assert context.get_current_revision() == newest_revision()
        return list(compare_metadata(context, metadata))


def test_the_tables_are_made_as_defined_embedded(tmp_path: Path) -> None:
    database = open_embedded(tmp_path / "h.db", bytes(32))
    assert differences(database) == []
    database.close()
    again = open_embedded(tmp_path / "h.db", bytes(32))
    assert differences(again) == []
    again.close()


def test_the_tables_are_made_as_defined_postgresql(postgresql_url: str) -> None:
    database = open_postgresql(postgresql_url)
    assert differences(database) == []
    database.close()


def test_migrations_come_to_what_is_made_at_once_embedded(tmp_path: Path) -> None:
    assert described(f"sqlite:///{tmp_path / 'one.db'}", migrate) == described(
        f"sqlite:///{tmp_path / 'other.db'}", bring_up_to_date
    )


def test_migrations_come_to_what_is_made_at_once_postgresql(postgresql_server: PostgresqlServer) -> None:
    one, other = (
        postgresql_server.new_database().replace("postgresql://", "postgresql+psycopg://", 1) for _ in range(2)
    )
    assert described(one, migrate) == described(other, bring_up_to_date)


def described(url: str, make: Callable[[Connection], None]) -> dict[str, set[tuple[Any, ...]]]:
    """Make the tables in an empty database, and give what the database tells of them, and their rows, in no order."""
    engine = create_engine(url)
    queries = TOLD_BY[engine.dialect.name]
    with engine.begin() as connection:
        make(connection)
        found = {name: {tuple(row) for row in connection.exec_driver_sql(query)} for name, query in queries.items()}
        assert all(len(rows) > 10 for rows in found.values())
        found["rows"] = {
            (name, *sorted(item for item in row._mapping.items() if item[0] != "ms"))
            for name in inspect(connection).get_table_names()
            for row in connection.exec_driver_sql(f"SELECT * FROM {name}")
        }
    engine.dispose()
    assert {name for name, *_ in found["rows"]} == {"alembic_version", "identity_generation", "steady_clock"}
    return found


TOLD_BY = {
    "sqlite": {
        "columns": """
            SELECT t.name, c.name, c.type, c."notnull", c.dflt_value, c.pk, c.hidden
            FROM sqlite_master t, pragma_table_xinfo(t.name) c WHERE t.type = 'table'""",
        "references": """
            SELECT t.name, f."from", f."table", f."to", f.on_update, f.on_delete
            FROM sqlite_master t, pragma_foreign_key_list(t.name) f WHERE t.type = 'table'""",
        "indexes": """
            SELECT t.name, i."unique", i.origin, i.partial, c.seqno, c.name, c."desc", c.coll, c."key",
              CASE i.origin WHEN 'c' THEN i.name END,
              (SELECT substr(s.sql, instr(s.sql, ' WHERE ')) FROM sqlite_master s WHERE s.name = i.name AND i.partial)
            FROM sqlite_master t, pragma_index_list(t.name) i, pragma_index_xinfo(i.name) c WHERE t.type = 'table'""",
    },
    "postgresql": {
        "columns": """
            SELECT table_name, column_name, data_type, character_maximum_length, is_nullable, column_default,
              collation_name
            FROM information_schema.columns WHERE table_schema = 'public'""",
        "constraints": """
            SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)
            FROM pg_constraint WHERE connamespace = 'public'::regnamespace""",
        "indexes": "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'",
    },
}


def test_a_write_is_seen_by_the_next_reader_and_a_failed_one_by_nobody(tmp_path: Path) -> None:
    database = open_embedded(tmp_path / "h.db", bytes(32))
    statement = "INSERT INTO secrets (name, wrapped) VALUES ('n', x'00')"

    def write_and_fail() -> None:
        with database.write() as connection:
            connection.exec_driver_sql(statement)
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        write_and_fail()
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM secrets").scalar_one() == 0
    with database.write() as connection:
        connection.exec_driver_sql(statement)
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM secrets").scalar_one() == 1
    database.close()
