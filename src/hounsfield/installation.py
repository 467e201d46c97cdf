"""The keyring, the database and the directory of an installation, as its settings name them.

Servers open more (`hounsfield.app`); commands that need no more start in a third of the time.
"""

from __future__ import annotations

from hounsfield.access.directory.repository import Repository
from hounsfield.settings import Settings
from hounsfield.storage.database import Database, open_embedded, open_postgresql
from hounsfield.storage.keys import LocalKeyring, database_key


def open_keyring(settings: Settings) -> LocalKeyring:
    """Open the keyring of the data folder, made at first start."""
    return LocalKeyring(settings.data / "keys" / "master.json")


def open_database(settings: Settings, keyring: LocalKeyring) -> Database:
    """Open the database that the settings name, migrated to the newest schema."""
    if settings.database_url:
        return open_postgresql(settings.database_url)
    return open_embedded(
        settings.data / "hounsfield.db", database_key(settings.data / "keys" / "database.key", keyring)
    )


def open_repository(settings: Settings, database: Database, keyring: LocalKeyring) -> Repository:
    """Give the users, roles and policies that are kept in the database."""
    return Repository.of(database, keyring, settings.account_id, settings.partition)
