"""Prepared statements do what the same statements do through SQLAlchemy, on both databases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import bindparam, delete, insert, literal, select, update
from sqlalchemy.exc import IntegrityError

from hounsfield.storage.db.database import Database
from hounsfield.storage.db.engines import open_embedded, open_postgresql
from hounsfield.storage.db.errors import DatabaseDownError
from hounsfield.storage.db.image_set_tables import frame_runs
from hounsfield.storage.db.prepared import PreparedStatement, PreparedValueStatement

_INSERT = PreparedStatement(insert(frame_runs), [column.name for column in frame_runs.c])
_MOVE = PreparedStatement(update(frame_runs).where(frame_runs.c.source_key == bindparam("source")), ["first_offset"])
_FORGET = PreparedStatement(delete(frame_runs).where(frame_runs.c.first_offset > bindparam("offset")))
_OF_SOURCE = PreparedStatement(
    select(frame_runs.c.first_ordinal, frame_runs.c.lengths)
    .where(frame_runs.c.source_key == bindparam("source"), frame_runs.c.pack_id != "none")
    .order_by(frame_runs.c.first_ordinal)
)
_OF_SOURCES = PreparedValueStatement(
    lambda sources: select(frame_runs).where(
        frame_runs.c.source_key.in_(sources), frame_runs.c.pack_id == bindparam("pack")
    )
)
_COUNTED = PreparedStatement(select(literal(1).label("one")))


@pytest.fixture(params=["embedded", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    opened = (
        open_embedded(tmp_path / "h.db", bytes(32))
        if request.param == "embedded"
        else open_postgresql(request.getfixturevalue("postgresql_url"))
    )
    with opened.write() as connection:
        connection.execute(delete(frame_runs))
    yield opened
    opened.close()


def run_of(source: str, ordinal: int) -> dict[str, object]:
    return {
        "source_key": source,
        "first_ordinal": ordinal,
        "pack_id": "pack",
        "first_offset": 10 * ordinal,
        "lengths": bytes([ordinal]),
    }


def written(database: Database, runs: Sequence[dict[str, object]]) -> None:
    with database.write() as connection:
        _INSERT.run_each(connection, runs)


def test_rows_have_the_names_of_their_columns(database: Database) -> None:
    written(database, [run_of("a", 2), run_of("a", 1), run_of("b", 3)])
    with database.read() as connection:
        assert [(row.first_ordinal, bytes(row.lengths)) for row in _OF_SOURCE.rows(connection, {"source": "a"})] == [
            (1, b"\1"),
            (2, b"\2"),
        ]
        assert _OF_SOURCE.first(connection, {"source": "b"}).first_ordinal == 3
        assert _OF_SOURCE.first(connection, {"source": "c"}) is None


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 9])
def test_as_many_values_as_are_asked_for(database: Database, count: int) -> None:
    written(database, [run_of(str(number), number) for number in range(12)])
    with database.read() as connection:
        wanted = [str(number) for number in range(count)]
        rows = _OF_SOURCES.rows(connection, wanted, {"pack": "pack"})
        assert sorted(row.source_key for row in rows) == sorted(wanted)
        assert _OF_SOURCES.rows(connection, wanted, {"pack": "other"}) == []


def test_changes_are_part_of_the_transaction(database: Database) -> None:
    written(database, [run_of("a", 1), run_of("b", 2)])

    def change_and_fail() -> None:
        with database.write() as connection:
            _MOVE.run(connection, {"source": "a", "first_offset": 99})
            _FORGET.run(connection, {"offset": 50})
            assert _OF_SOURCE.rows(connection, {"source": "a"}) == []
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        change_and_fail()
    with database.read() as connection:
        assert len(_OF_SOURCE.rows(connection, {"source": "a"})) == 1


def test_what_breaks_a_rule_is_told_as_sqlalchemy_does(database: Database) -> None:
    written(database, [run_of("a", 1)])
    with pytest.raises(IntegrityError) as told:
        written(database, [run_of("a", 1)])
    assert "source_key" in str(told.value)
    assert "pack" not in str(told.value.params or "")


def test_a_parameter_that_is_missing_is_an_error(database: Database) -> None:
    with pytest.raises(Exception, match="source"), database.read() as connection:
        _OF_SOURCE.rows(connection, {})


def test_a_reader_that_begins_with_it_sees_one_state(tmp_path: Path) -> None:
    database = open_embedded(tmp_path / "h.db", bytes(32))
    with database.read() as connection:
        assert _OF_SOURCE.rows(connection, {"source": "a"}) == []
        written(database, [run_of("a", 1)])
        assert connection.execute(select(frame_runs)).all() == []
        assert _OF_SOURCE.rows(connection, {"source": "a"}) == []
    with database.read() as connection:
        assert len(_OF_SOURCE.rows(connection, {"source": "a"})) == 1
    database.close()


def test_a_connection_that_was_lost_is_not_used_again(postgresql_url: str) -> None:
    database = open_postgresql(postgresql_url)

    def ask_twice() -> None:
        with database.write() as connection:
            own = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
            with database.write() as other:
                other.exec_driver_sql(f"SELECT pg_terminate_backend({own})")
            _COUNTED.rows(connection, {})

    with pytest.raises(DatabaseDownError):
        ask_twice()
    with database.write() as connection:
        assert _COUNTED.first(connection, {}).one == 1
    database.close()
