"""Tables of the database as sealed objects, the same for both databases.

    snapshot ─▶ table by table ─▶ {"table", "columns", "rows"} of some megabytes ─▶ sealed ─▶ tables/000001, …
    … ─▶ one transaction: tables of that revision ─▶ rows ─▶ migrations ─▶ tables of today

Bytes are written as base64. Sessions of browsers are left out, so that a restore revives none; so are notes that are about
the installation itself, and not about what it holds.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

import orjson
from sqlalchemy import Connection, LargeBinary, MetaData, Table, func, inspect, select

from hounsfield.imaging.backup.errors import BackupDamagedError
from hounsfield.storage.db.journal_table import continue_sequence
from hounsfield.storage.db.schema import forget_tables, migrate, newest_revision, tables

LEFT_OUT: Final = frozenset({"backup_runs", "console_links", "console_sessions", "orphan_packs"})
"""Tables that no backup holds."""
_CHUNK_BYTES: Final = 4 << 20
_ROWS_AT_ONCE: Final = 2000


def export_tables(connection: Connection) -> Iterator[tuple[str, int, bytes]]:
    """Yield the rows of all tables in chunks: the table, how many rows, and the text; tables without rows too."""
    for table in tables().sorted_tables:
        if table.name not in LEFT_OUT:
            yield from _export(connection, table)


def _export(connection: Connection, table: Table) -> Iterator[tuple[str, int, bytes]]:
    # The names are of a subclass of str, which orjson does not take.
    name, columns = str(table.name), [str(column.name) for column in table.columns]
    binary = [index for index, column in enumerate(table.columns) if isinstance(column.type, LargeBinary)]
    head = orjson.dumps({"table": name, "columns": columns})[:-1] + b',"rows":['
    parts: list[bytes] = []
    size = count = 0
    rows = connection.execute(select(table).execution_options(yield_per=_ROWS_AT_ONCE))
    for some in rows.partitions():
        text = orjson.dumps([_plain(row, binary) for row in some] if binary else [tuple(row) for row in some])[1:-1]
        parts.append(text)
        size += len(text)
        count += len(some)
        if size >= _CHUNK_BYTES:
            yield name, count, b"".join((head, b",".join(parts), b"]}"))
            parts, size, count = [], 0, 0
    yield name, count, b"".join((head, b",".join(parts), b"]}"))


def _plain(row: Sequence[Any], binary: Sequence[int]) -> list[Any]:
    values = list(row)
    for index in binary:
        if values[index] is not None:
            values[index] = b64encode(values[index]).decode()
    return values


def import_tables(
    connection: Connection, revision: str, chunks: Iterable[bytes], progress: Callable[[int], None]
) -> None:
    """Put the rows of a backup into an empty database, and bring its tables to the newest schema.

    Parameters
    ----------
    connection : Connection
        In a write transaction, on tables of the newest schema that hold nothing of an installation.
    revision : str
        Revision of the tables that the rows are of.
    chunks : iterable of bytes
        What `export_tables` gave.
    progress : callable
        Is told how many rows went in.

    Raises
    ------
    BackupDamagedError
        A chunk is not what is written.
    """
    if revision == newest_revision():
        known = tables()
        for table in known.sorted_tables:
            # What a new database begins with.
            connection.execute(table.delete())
    else:
        forget_tables(connection)
        migrate(connection, revision)
        known = MetaData()
        known.reflect(connection)
        for table in reversed(known.sorted_tables):
            if table.name != "alembic_version":
                connection.execute(table.delete())
    for chunk in chunks:
        progress(_insert(connection, known, chunk))
    if revision != newest_revision():
        migrate(connection)
    continue_sequence(connection)


def _insert(connection: Connection, known: MetaData, chunk: bytes) -> int:
    try:
        content = orjson.loads(chunk)
        table, columns, rows = known.tables[content["table"]], content["columns"], content["rows"]
        binary = [name for name in columns if isinstance(table.columns[name].type, LargeBinary)]
    except (KeyError, TypeError, orjson.JSONDecodeError) as error:
        raise BackupDamagedError("a part of the tables in the backup is not of its form") from error
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        values = [dict(zip(columns, row, strict=True)) for row in rows[start : start + _ROWS_AT_ONCE]]
        for name in binary:
            for row in values:
                if row[name] is not None:
                    row[name] = b64decode(row[name])
        connection.execute(table.insert(), values)
    return len(rows)


def count_rows(connection: Connection) -> dict[str, int]:
    """Return how many rows each table has that a backup holds."""
    present = set(inspect(connection).get_table_names())
    return {
        str(table.name): int(connection.execute(select(func.count()).select_from(table)).scalar_one())
        for table in tables().sorted_tables
        if table.name in present and table.name not in LEFT_OUT
    }
