"""The schema is the same by migration and by definition, on both databases."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from hounsfield.storage.database import Database, newest_revision, open_embedded, open_postgresql
from hounsfield.storage.tables import metadata


def differences(database: Database) -> list[object]:
    with database.read() as connection:
        context = MigrationContext.configure(connection)
        assert context.get_current_revision() == newest_revision()
        return list(compare_metadata(context, metadata))


def test_migrations_make_the_tables_as_defined_embedded(tmp_path: Path) -> None:
    database = open_embedded(tmp_path / "h.db", bytes(32))
    assert differences(database) == []
    database.close()
    again = open_embedded(tmp_path / "h.db", bytes(32))
    assert differences(again) == []
    again.close()


def test_migrations_make_the_tables_as_defined_postgresql(postgresql_url: str) -> None:
    database = open_postgresql(postgresql_url)
    assert differences(database) == []
    database.close()


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
