"""Prepared statements: compiled once, sent straight to the driver, within a transaction of `Database`.

    Prepared(statement) ─first use─▶ text for the database at hand ─┬─▶ cursor of the transaction ─▶ rows
                                                                    └─▶ `Database.lookup` ─▶ one row, without a transaction

This is for what every stored instance needs, and for look-ups of thousands of requests a second: SQLAlchemy takes 60 to
350 µs to make and carry out a statement that SQLite answers in 15. The columns must need no conversion (text, integers, bytes,
truth values that are only written); errors of the driver become those of SQLAlchemy, as callers know them, in a transaction.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any, NamedTuple

from sqlalchemy import BindParameter, Connection, Delete, Dialect, Insert, Select, Update, bindparam
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.exc import DBAPIError

from hounsfield.storage.db.errors import spoils_connection

Statement = Select[Any] | Insert | Update | Delete


class _Compiled(NamedTuple):
    """A statement for one kind of database: its text, the names of its parameters in order, and values that are written out."""

    text: str
    names: list[str] | None
    constants: dict[str, Any]

    def bound(self, parameters: Mapping[str, Any]) -> Any:
        values = {**self.constants, **parameters}
        return values if self.names is None else [values[name] for name in self.names]


class PreparedStatement:
    """A statement with named parameters (`bindparam`).

    Parameters
    ----------
    statement : Select, Insert, Update or Delete
        The statement.
    columns : Sequence of str
        Columns that an insert or update gives values; each is a parameter of the same name.
    """

    def __init__(self, statement: Statement, columns: Sequence[str] = ()) -> None:
        self._statement = statement
        self._columns = list(columns)
        self._compiled: dict[str, _Compiled] = {}
        self._row = _row_maker(statement)

    def bound(self, dialect: Dialect, parameters: Mapping[str, Any]) -> tuple[str, Any]:
        """Return the text for a kind of database, and the parameters in the form of its driver."""
        compiled = self._for(dialect)
        return compiled.text, compiled.bound(parameters)

    def rows(self, connection: Connection, parameters: Mapping[str, Any]) -> list[Any]:
        """Return the rows of a select, with attributes named like its columns."""
        compiled = self._for(connection.dialect)
        with _Cursor(connection, compiled.text) as cursor:
            cursor.execute(compiled.text, compiled.bound(parameters))
            return [self._row(*row) for row in cursor.fetchall()]

    def first(self, connection: Connection, parameters: Mapping[str, Any]) -> Any | None:
        """Return the first row of a select, None when there is none."""
        return next(iter(self.rows(connection, parameters)), None)

    def run(self, connection: Connection, parameters: Mapping[str, Any]) -> None:
        """Carry out a statement that changes rows."""
        compiled = self._for(connection.dialect)
        with _Cursor(connection, compiled.text) as cursor:
            cursor.execute(compiled.text, compiled.bound(parameters))

    def run_each(self, connection: Connection, many: Sequence[Mapping[str, Any]]) -> None:
        """Carry out a statement that changes rows once for each set of parameters."""
        compiled = self._for(connection.dialect)
        with _Cursor(connection, compiled.text) as cursor:
            cursor.executemany(compiled.text, [compiled.bound(parameters) for parameters in many])

    def _for(self, dialect: Dialect) -> _Compiled:
        compiled = self._compiled.get(dialect.name)
        if compiled is None:
            # Compiled for many, an insert asks for nothing that the database adds.
            form = dialect.statement_compiler(
                dialect, self._statement, column_keys=self._columns or None, for_executemany=True
            )
            names = list(form.positiontup or []) if form.positional else None
            given = form.construct_params(_check=False).items()
            # The driver of SQLite looks for a way to adapt what is more than a plain value, at every execution.
            constants = {
                name: value.value if isinstance(value, Enum) else value
                for name, value in given
                if value is not None and name not in self._columns
            }
            compiled = self._compiled[dialect.name] = _Compiled(str(form), names, constants)
        return compiled


class PreparedValueStatement:
    """A select that is asked for some values at once; a statement is kept for each power of two of them.

    Parameters
    ----------
    make : Callable
        Makes the statement with a parameter for each value, to be used in ``column.in_(parameters)``.
    """

    def __init__(self, make: Callable[[list[BindParameter[Any]]], Select[Any]]) -> None:
        self._make = make
        self._by_count: dict[int, PreparedStatement] = {}

    def rows(self, connection: Connection, values: Sequence[Any], parameters: Mapping[str, Any]) -> list[Any]:
        """Return the rows for some values, at least one."""
        count = 1 << (len(values) - 1).bit_length()
        prepared = self._by_count.get(count)
        if prepared is None:
            prepared = PreparedStatement(self._make([bindparam(f"value_{number}") for number in range(count)]))
            self._by_count[count] = prepared
        # The last value stands in for those that are missing.
        filled = [*values, *[values[-1]] * (count - len(values))]
        return prepared.rows(
            connection, {**parameters, **{f"value_{number}": value for number, value in enumerate(filled)}}
        )


def _row_maker(statement: Statement) -> Callable[..., Any]:
    columns = statement.selected_columns if isinstance(statement, Select) else ()
    return namedtuple("PreparedRow", [column.name for column in columns])


def run_text(connection: Connection, text: str, parameters: Sequence[Any]) -> tuple[Any, ...]:
    """Carry out a statement that is written for the database at hand, in a transaction, and return the one row it gives."""
    with _Cursor(connection, text) as cursor:
        cursor.execute(text, parameters)
        row: tuple[Any, ...] = cursor.fetchone()  # type: ignore[assignment]
        return row


class _Cursor:
    """A cursor of a transaction, as a block; what the driver raises in it becomes an error of SQLAlchemy."""

    def __init__(self, connection: Connection, text: str) -> None:
        self._connection = connection
        self._text = text
        if not connection.in_transaction():
            # What a connection reads first begins its transaction, in which it then sees one state.
            connection.begin()
        self._cursor = connection.connection.cursor()

    def __enter__(self) -> DBAPICursor:
        return self._cursor

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        dialect = self._connection.dialect
        driver_error = dialect.loaded_dbapi.Error
        if not isinstance(error, driver_error):
            self._cursor.close()
            return
        gone = spoils_connection(error) or dialect.is_disconnect(error, self._connection.connection, self._cursor)
        if gone:
            self._connection.invalidate(error)
        raise DBAPIError.instance(
            self._text,
            None,
            error,
            driver_error,
            hide_parameters=True,
            connection_invalidated=gone,
            dialect=dialect,
        ) from error
