"""Schema of the database: created from the tables, or migrated step by step.

tables of today ─▶ nothing
older tables    ─▶ migrations (Alembic), in one transaction
newer tables    ─▶ nothing where they say that this version may work with them, else refused
none            ─▶ create all, and note the newest revision

So nodes can be upgraded one after another: those of the version before work on beside one that has migrated.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Final

from sqlalchemy import Column, Connection, MetaData, PrimaryKeyConstraint, String, Table, inspect, select

from hounsfield.storage.clock import now_ms
from hounsfield.storage.db import (  # noqa: F401 - parts of the metadata
    audit_tables,
    backup_table,
    compaction_tables,
    console_tables,
    job_tables,
    journal_table,
    orphan_pack_table,
    study_tables,
    tag_table,
    verification_table,
)
from hounsfield.storage.db.clock_table import steady_clock
from hounsfield.storage.db.iam_tables import identity_generation
from hounsfield.storage.db.image_set_tables import metadata
from hounsfield.storage.db.schema_table import schema_upgrades

_MIGRATIONS: Final = Path(__file__).with_name("migrations")
_VERSIONS: Final = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
"""Alembic's own table."""


COMPATIBLE_SINCE: Final = "0021"
"""Versions whose newest revision is this one or later may work with the newest schema, beside versions of today.

A migration keeps it where it only adds what they need not know: tables, indexes, columns that may be empty or have a default.
One that they cannot live with raises it to its own revision: it takes something away, or they would have to write something
that they do not know of. All nodes are then stopped for the upgrade.
"""


class NewerSchemaError(Exception):
    """The tables are of a newer version than this one knows; the message names theirs."""


def is_up_to_date(connection: Connection) -> bool:
    """Return whether the tables are of the newest schema, or of a newer one that this version may work with."""
    if not inspect(connection).has_table(_VERSIONS.name):
        return False
    found = connection.execute(select(_VERSIONS.c.version_num)).scalar_one_or_none()
    return found == newest_revision() or (found is not None and _may_be_used(connection, found))


def bring_up_to_date(connection: Connection) -> None:
    """Bring the tables to the newest schema, in the transaction of the connection; does nothing when they are.

    Parameters
    ----------
    connection : Connection
        In a write transaction that no other process is in.

    Raises
    ------
    NewerSchemaError
        A newer version made the tables, or changed them, and this one must not work with them.
    """
    if not inspect(connection).has_table(_VERSIONS.name):
        metadata.create_all(connection, checkfirst=False)
        connection.execute(identity_generation.insert().values(id=1, generation=1))
        connection.execute(steady_clock.insert().values(id=1, ms=now_ms()))
        connection.execute(journal_table.journal_outbox.insert().values(content=journal_table.ORIGIN))
        _VERSIONS.create(connection, checkfirst=False)
        connection.execute(_VERSIONS.insert().values(version_num=newest_revision()))
        _note_upgrade(connection)
        return
    found = connection.execute(select(_VERSIONS.c.version_num)).scalar_one_or_none()
    if found is not None and found not in _revisions():
        if _may_be_used(connection, found):
            return
        maker = _maker(connection, found)
        raise NewerSchemaError(
            f"{'' if maker is None else f'version {maker} made it, '}its schema is {found}, this one knows {newest_revision()}"
        )
    if found != newest_revision():
        migrate(connection)


def read_schema(connection: Connection) -> tuple[str, str | None]:
    """Return the revision of the tables, and the version of Hounsfield that brought them there; None where nobody noted it."""
    found = connection.execute(select(_VERSIONS.c.version_num)).scalar_one()
    return found, _maker(connection, found)


def _note_upgrade(connection: Connection) -> None:
    connection.execute(
        schema_upgrades.insert().values(
            revision=newest_revision(),
            version=version("hounsfield"),
            upgraded_at=now_ms(),
            compatible_since=COMPATIBLE_SINCE,
        )
    )


def _may_be_used(connection: Connection, revision: str) -> bool:
    """Return whether tables of a newer revision say that this version may work with them."""
    columns = schema_upgrades.c
    known = inspect(connection).has_table(schema_upgrades.name) and columns.compatible_since.name in {
        column["name"] for column in inspect(connection).get_columns(schema_upgrades.name)
    }
    if revision in _revisions() or not known:
        return False
    query = select(columns.compatible_since).where(columns.revision == revision)
    since = connection.execute(query).scalar_one_or_none()
    return since is not None and since <= newest_revision()


def _maker(connection: Connection, revision: str) -> str | None:
    if not inspect(connection).has_table(schema_upgrades.name):
        return None
    columns = schema_upgrades.c
    return connection.execute(select(columns.version).where(columns.revision == revision)).scalar_one_or_none()


def migrate(connection: Connection, revision: str = "head") -> None:
    """Run the migrations that a database lacks up to a revision, all of them where it has no tables."""
    # Nearly always there is nothing to do, and no process needs the library.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
    if revision == "head":
        _note_upgrade(connection)


def tables() -> MetaData:
    """Return all tables of the newest schema."""
    return metadata


def forget_tables(connection: Connection) -> None:
    """Remove all tables, so that `migrate` makes those of an older revision; in the transaction of the connection."""
    metadata.drop_all(connection)
    _VERSIONS.drop(connection)


def is_known(revision: str) -> bool:
    """Return whether this version knows a revision of the tables."""
    return revision in _revisions()


def newest_revision() -> str:
    """Return the revision of the newest schema: migrations are named by their numbers."""
    return max(_revisions())


def _revisions() -> list[str]:
    return [path.name.partition("_")[0] for path in (_MIGRATIONS / "versions").glob("[0-9]*.py")]
