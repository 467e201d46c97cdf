"""The keyring, the database and the directory of an installation, as its settings name them.

Servers open more (`hounsfield.app`); commands that need no more start in a third of the time.
"""

from __future__ import annotations

from pathlib import Path

from hounsfield.access.directory.repository import Repository
from hounsfield.settings import Settings
from hounsfield.storage.database import Database, open_embedded, open_postgresql
from hounsfield.storage.database_key import database_key, use_database
from hounsfield.storage.durable import make_folder_durably
from hounsfield.storage.keyring import LocalKeyring


def open_keyring(settings: Settings) -> LocalKeyring:
    """Open the keyring of the data folder, made at first start."""
    return LocalKeyring(settings.data / "keys" / "master.json")


def open_database(settings: Settings, keyring: LocalKeyring) -> Database:
    """Open the database that the settings name, migrated to the newest schema."""
    if settings.database_url:
        return open_postgresql(settings.database_url)
    path = database_file(settings)
    make_folder_durably(settings.data)
    # Before the key is read: from here on it stays what it is.
    use = use_database(path)
    database = open_embedded(path, database_key(database_key_file(settings), keyring, path))
    database.close_with(use)
    return database


def database_file(settings: Settings) -> Path:
    """Give the file of the embedded database."""
    return settings.data / "hounsfield.db"


def database_key_file(settings: Settings) -> Path:
    """Give the file of its wrapped key."""
    return settings.data / "keys" / "database.key"


def open_repository(settings: Settings, database: Database, keyring: LocalKeyring) -> Repository:
    """Give the users, roles and policies that are kept in the database."""
    return Repository.of(database, keyring, settings.account_id, settings.partition)
