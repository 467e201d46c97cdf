"""Keyring, database, identities and audit folder of an installation, opened from the settings.

Servers open more (`hounsfield.bootstrap.api`); commands that need no more start in a third of the time.
"""

from __future__ import annotations

from pathlib import Path

from hounsfield.audit.anchors import make_anchor, write_anchor
from hounsfield.audit.chain_index import ChainIndex
from hounsfield.audit.chain_writer import ChainWriter
from hounsfield.audit.recovery import seal_abandoned
from hounsfield.bootstrap.folder_claim import check_owner
from hounsfield.bootstrap.start_faults import database_file, database_key_file, explain_start_faults, master_key_file
from hounsfield.iam.identities.repository import Repository
from hounsfield.settings import InstallationError, Settings
from hounsfield.storage.db.database import Database
from hounsfield.storage.db.engines import open_embedded, open_postgresql, use_replica
from hounsfield.storage.durable_files import make_folder_durably
from hounsfield.storage.keys.data_key import KeyWrapper
from hounsfield.storage.keys.database_key import database_key, use_database
from hounsfield.storage.keys.installation_secrets import installation_secret
from hounsfield.storage.keys.master_keys import LocalKeyring


def open_keyring(settings: Settings) -> LocalKeyring:
    """Open the keyring of the data folder, made at first start; raises `InstallationError`."""
    check_owner(settings)
    with explain_start_faults(settings):
        return LocalKeyring(master_key_file(settings))


def open_database(settings: Settings, keyring: LocalKeyring) -> Database:
    """Open the database that the settings name, migrated to the newest schema; raises `InstallationError`."""
    with explain_start_faults(settings):
        if settings.database_url:
            database = open_postgresql(
                settings.database_url, settings.database_wait_seconds, settings.database_statement_seconds
            )
            if settings.database_replica_url:
                replica, most = settings.database_replica_url, settings.database_replica_seconds
                use_replica(database, replica, most, settings.database_statement_seconds)
            return database
        path = database_file(settings)
        make_folder_durably(settings.data)
        # Before the key is read: from here on it stays what it is.
        use = use_database(path)
        key = database_key(database_key_file(settings), keyring, path)
        database = open_embedded(path, key, settings.database_wait_seconds)
        database.close_with(use)
        return database


def open_repository(settings: Settings, database: Database, keyring: LocalKeyring) -> Repository:
    """Return the users, roles and policies that are kept in the database."""
    return Repository.of(database, keyring, settings.account_id, settings.partition)


def audit_folder(settings: Settings) -> Path:
    """Return the folder of the audit trail."""
    return settings.data / "audit"


def audit_key(database: Database, keyring: KeyWrapper) -> bytes:
    """Return the key that seals the audit trail, the same for all processes of an installation."""
    return installation_secret(database, keyring, "audit")


def open_chain(settings: Settings, database: Database, key: bytes, role: str) -> ChainWriter:
    """Open the part of the audit trail that this process writes.

    Raises
    ------
    InstallationError
        The audit folder cannot be written.
    """
    folder = audit_folder(settings)
    try:
        seal_abandoned(folder, key)
        chain = ChainWriter(
            folder, key, role, file_bytes=settings.audit_file_bytes, file_seconds=settings.audit_file_seconds
        )
    except OSError as error:
        raise InstallationError(
            f"the audit trail cannot be written to {folder}: {error.strerror}; see that the disk has room, "
            "and that the user who runs Hounsfield may write there"
        ) from error
    anchor = make_anchor(ChainIndex(folder, key))
    if anchor is not None:
        write_anchor(database, anchor)
    return chain
