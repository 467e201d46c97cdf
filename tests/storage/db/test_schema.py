"""The schema is the same by migration and by definition, on both databases."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Engine, MetaData, Text, create_engine, insert, inspect, select, text

from hounsfield.storage.db.database import Database
from hounsfield.storage.db.engines import open_embedded, open_postgresql
from hounsfield.storage.db.image_set_tables import datastores, frame_runs, image_sets, instances, metadata, tags
from hounsfield.storage.db.schema import (
    COMPATIBLE_SINCE,
    NewerSchemaError,
    bring_up_to_date,
    is_up_to_date,
    migrate,
    newest_revision,
)
from hounsfield.storage.db.schema_table import schema_upgrades
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


def url_of(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """Return the address of an empty database of a kind."""
    if kind == "embedded":
        return f"sqlite:///{tmp_path / 'before.db'}"
    made: str = request.getfixturevalue("postgresql_server").new_database()
    return made.replace("postgresql://", "postgresql+psycopg://", 1)


def make_datastore(connection: Connection) -> None:
    """Make a data store as it was before."""
    store = {"account_id": "0" * 12, "name": "d", "status": "ACTIVE", "lossless_format": "HTJ2K", "wrapped_key": b"k"}
    connection.execute(insert(datastores).values(id="d" * 32, **store, created_at=1, updated_at=1))


def make_image_set(connection: Connection, identifier: str, **values: Any) -> None:
    """Make an image set of the data store as it was before."""
    texts = {column.name: "" for column in image_sets.c if isinstance(column.type, Text) and not column.nullable}
    common = {"datastore_id": "d" * 32, "state": "ACTIVE", "latest_version": 1, "instance_count": 1, "created_at": 5}
    common |= {"last_accessed_at": 5, "storage_tier": "FREQUENT_ACCESS", **texts, "study_uid": "1.2", "updated_at": 7}
    connection.execute(insert(image_sets).values({**common, "id": identifier, **values}))


@pytest.mark.parametrize("kind", ["embedded", "postgresql"])
def test_image_sets_of_before_have_their_frames_and_bytes(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Those of the latest version; a copy has the size of what it shares with its source."""
    engine = create_engine(url_of(kind, tmp_path, request))
    with engine.begin() as connection:
        migrate(connection, "0014")
        make_datastore(connection)
        for number, name in enumerate("ab"):
            make_image_set(connection, name * 32, is_primary=not number)
        common = {"datastore_id": "d" * 32, "sop_uid": "1.2.3", "sop_class_uid": "1.2", "pixel_kind": "frames"}
        common |= dict.fromkeys(("fragment_pack_id", "dataset_pack_id"), "p" * 32)
        common |= {"fragment_offset": 0, "fragment_length": 10, "dataset_offset": 0, "dataset_length": 100}
        for key, source, image_set, first, last, frames in (
            ("k1", "k1", "a", 1, 1, 3),
            ("k1", "k1", "a", 2, None, 3),
            ("k2", "k2", "a", 1, None, 1),
            ("k3", "k1", "b", 1, None, 3),
            ("k4", "k4", "b", 1, None, 0),
        ):
            row = {**common, "key": key, "source_key": source, "image_set_id": image_set * 32, "frame_count": frames}
            names = ", ".join((*row, "first_version", "last_version"))
            marks = ", ".join(f":{name}" for name in (*row, "first_version", "last_version"))
            statement = text(f"INSERT INTO instances ({names}) VALUES ({marks})")
            connection.execute(statement, {**row, "first_version": first, "last_version": last})
        for source, ordinal, lengths in (("k1", 0, [1000, 2000]), ("k1", 2, [4000]), ("k2", 0, [70000])):
            run = {"pack_id": "p" * 32, "first_offset": 0, "lengths": array("I", lengths).tobytes()}
            connection.execute(insert(frame_runs).values(source_key=source, first_ordinal=ordinal, **run))
        migrate(connection)
        sizes = dict(connection.execute(select(instances.c.key, instances.c.pixel_bytes)).all())
        found = connection.execute(
            select(image_sets.c.frame_count, image_sets.c.stored_bytes).order_by(image_sets.c.id)
        )
        assert sizes == {"k1": 7000, "k2": 70000, "k3": 7000, "k4": 0}
        assert [tuple(row) for row in found] == [(4, 77220), (3, 7220)]
    engine.dispose()


@pytest.mark.parametrize("kind", ["embedded", "postgresql"])
def test_tags_of_before_are_in_the_index_of_tags(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Of image sets that are there; of keys that differ only in case, the one that conditions read."""
    engine = create_engine(url_of(kind, tmp_path, request))
    prefix = "arn:aws:medical-imaging:us-east-1:000000000000:datastore/" + "d" * 32
    with engine.begin() as connection:
        migrate(connection, "0012")
        make_datastore(connection)
        for name, primary, deleted in (("a", True, None), ("b", False, None), ("c", True, 9)):
            make_image_set(connection, name * 32, is_primary=primary, deleted_at=deleted)
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
            (name, *sorted(item for item in row._mapping.items() if item[0] not in {"ms", "upgraded_at"}))
            for name in inspect(connection).get_table_names()
            for row in connection.exec_driver_sql(f"SELECT * FROM {name}")
        }
    engine.dispose()
    assert {name for name, *_ in found["rows"]} == {
        "alembic_version",
        "identity_generation",
        "schema_upgrades",
        "journal_outbox",
        "steady_clock",
    }
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


def breaking(before: MetaData, after: MetaData) -> list[str]:
    """Name what of some tables those who know only the earlier ones could not live with in the later ones."""
    found = []
    for table in before.tables.values():
        later = after.tables.get(table.name)
        if later is None:
            found.append(f"{table.name} is gone")
            continue
        for column in table.columns:
            kept = later.columns.get(column.name)
            if kept is None or str(kept.type) != str(column.type):
                found.append(f"{table.name}.{column.name} is gone or of another type")
            elif column.nullable and not kept.nullable:
                found.append(f"{table.name}.{column.name} must not be empty any more")
        found += [
            f"{table.name}.{column.name} must be given"
            for column in later.columns
            if column.name not in table.columns and not column.nullable and column.server_default is None
        ]
        unique = {tuple(index.columns.keys()) for index in table.indexes if index.unique}
        found += [
            f"{table.name} has another unique index {index.name}"
            for index in later.indexes
            if index.unique and tuple(index.columns.keys()) not in unique
        ]
    return found


def reflected(engine: Engine) -> MetaData:
    tables = MetaData()
    tables.reflect(engine)
    return tables


def test_migrations_only_add_to_what_earlier_versions_may_work_with(tmp_path: Path) -> None:
    """Where this fails, `COMPATIBLE_SINCE` must be raised to the new revision."""
    engine = create_engine(f"sqlite:///{tmp_path / 'upgrade.db'}")
    with engine.begin() as connection:
        migrate(connection, COMPATIBLE_SINCE)
    before = reflected(engine)
    with engine.begin() as connection:
        migrate(connection)
    assert breaking(before, reflected(engine)) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("DROP TABLE tags", "tags is gone"),
        ("ALTER TABLE tags RENAME COLUMN tag_value TO value", "tags.tag_value is gone or of another type"),
        ("ALTER TABLE tags ADD COLUMN more TEXT", None),
        ("ALTER TABLE tags ADD COLUMN more TEXT NOT NULL DEFAULT ''", None),
        ("CREATE UNIQUE INDEX one_value ON tags (tag_value)", "tags has another unique index one_value"),
        ("CREATE TABLE more (id TEXT)", None),
    ],
)
def test_what_earlier_versions_cannot_live_with_is_found(tmp_path: Path, change: str, told: str | None) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'change.db'}")
    with engine.begin() as connection:
        bring_up_to_date(connection)
    before = reflected(engine)
    with engine.begin() as connection:
        connection.execute(text(change))
    after = breaking(before, reflected(engine))
    assert after == ([] if told is None else [told, *after[1:]])


@pytest.mark.parametrize(
    ("since", "may"), [(None, False), (COMPATIBLE_SINCE, True), (newest_revision(), True), ("9999", False)]
)
def test_a_newer_schema_is_used_where_it_says_so(tmp_path: Path, since: str | None, may: bool) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'newer.db'}")
    with engine.begin() as connection:
        bring_up_to_date(connection)
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        connection.execute(
            insert(schema_upgrades).values(revision="9999", version="12.3", upgraded_at=1, compatible_since=since)
        )
    with engine.begin() as connection:
        assert is_up_to_date(connection) == may
        if may:
            bring_up_to_date(connection)
        else:
            with pytest.raises(NewerSchemaError, match=r"12\.3"):
                bring_up_to_date(connection)
