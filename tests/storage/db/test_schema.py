"""The schema is the same by migration and by definition, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Text, create_engine, insert, inspect, select

from hounsfield.storage.db.database import Database
from hounsfield.storage.db.engines import open_embedded, open_postgresql
from hounsfield.storage.db.image_set_tables import datastores, image_sets, metadata, tags
from hounsfield.storage.db.schema import bring_up_to_date, migrate, newest_revision
from hounsfield.storage.db.study_tables import studies
from hounsfield.storage.db.tag_table import image_set_tags
from support.services.postgresql import PostgresqlServer


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


@pytest.mark.parametrize("kind", ["embedded", "postgresql"])
def test_tags_of_before_are_in_the_index_of_tags(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Of image sets that are there; of keys that differ only in case, the one that conditions read."""
    url = f"sqlite:///{tmp_path / 'before.db'}"
    if kind == "postgresql":
        url = (
            request.getfixturevalue("postgresql_server")
            .new_database()
            .replace("postgresql://", "postgresql+psycopg://", 1)
        )
    engine = create_engine(url)
    prefix = "arn:aws:medical-imaging:us-east-1:000000000000:datastore/" + "d" * 32
    with engine.begin() as connection:
        migrate(connection, "0012")
        texts = {column.name: "" for column in image_sets.c if isinstance(column.type, Text) and not column.nullable}
        common = {
            "datastore_id": "d" * 32,
            "state": "ACTIVE",
            "latest_version": 1,
            "instance_count": 1,
            "created_at": 5,
        }
        common |= {"last_accessed_at": 5, "storage_tier": "FREQUENT_ACCESS", **texts, "study_uid": "1.2"}
        store = {
            "account_id": "0" * 12,
            "name": "d",
            "status": "ACTIVE",
            "lossless_format": "HTJ2K",
            "wrapped_key": b"k",
        }
        connection.execute(insert(datastores).values(id="d" * 32, **store, created_at=1, updated_at=1))
        for name, primary, deleted in (("a", True, None), ("b", False, None), ("c", True, 9)):
            row = {**common, "id": name * 32, "is_primary": primary, "updated_at": 7, "deleted_at": deleted}
            connection.execute(insert(image_sets).values(row))
        values = {column.name: "" for column in studies.c if isinstance(column.type, Text)} | {"study_uid": "1.2"}
        counts = {"updated_at": 8, "series_count": 1, "instance_count": 1, "image_set_id": "a" * 32}
        connection.execute(insert(studies).values(**values, **counts, datastore_id="d" * 32))
        for name, key, value in (
            ("a", "Ward", "3"),
            ("a", "ward", "4"),
            ("b", "Team", "x"),
            ("c", "ward", "3"),
        ):
            row = {"resource_arn": f"{prefix}/imageset/{name * 32}", "tag_key": key, "tag_value": value}
            connection.execute(insert(tags).values(row))
        connection.execute(insert(tags).values(resource_arn=prefix, tag_key="ward", tag_value="9"))
        migrate(connection)
        found = {tuple(row) for row in connection.execute(select(image_set_tags))}
    engine.dispose()
    repeated = (7, 5, "", "", 8)
    assert found == {
        ("a" * 32, "ward", "3", "d" * 32, "1.2", True, *repeated),
        ("b" * 32, "team", "x", "d" * 32, "1.2", False, *repeated),
    }


def described(url: str, make: Callable[[Connection], None]) -> dict[str, set[tuple[Any, ...]]]:
    """Make the tables in an empty database, and return what the database tells of them, and their rows, in no order."""
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
