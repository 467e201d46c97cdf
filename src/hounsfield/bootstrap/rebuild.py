"""The rebuild of an installation: refused where a database is, built aside, and put in its place when it is whole.

    keys/master.json, secrets beside the packs, mark of the place ─▶ fit each other? ─▶ journal ─▶ hounsfield.db.rebuilt
                                                                                              ─▶ hounsfield.db

With PostgreSQL the empty database itself is filled; a mark in it tells a rebuild that did not end, which begins anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, delete, insert, select

from hounsfield.bootstrap.image_store import archive_location, blob_location, make_key_service, open_location
from hounsfield.bootstrap.start_faults import (
    database_file,
    database_key_file,
    explain_start_faults,
    master_key_file,
)
from hounsfield.imaging.rebuild.rebuilder import RebuildReport, rebuild, write_installation_secrets
from hounsfield.imaging.rebuild.replay import DatastoreSource, open_source
from hounsfield.settings import InstallationError, Settings
from hounsfield.storage.blobs.blobs import BlobMissingError, Blobs
from hounsfield.storage.blobs.location_marker import BlobLocationError, check_marker
from hounsfield.storage.blobs.tiered_blobs import TieredBlobs
from hounsfield.storage.db.database import Database
from hounsfield.storage.db.engines import open_embedded, open_postgresql
from hounsfield.storage.db.image_set_tables import blob_places, secrets
from hounsfield.storage.db.schema import bring_up_to_date, forget_tables
from hounsfield.storage.durable_files import make_folder_durably, sync_folder
from hounsfield.storage.journal.checkpoint_files import newest_checkpoint
from hounsfield.storage.journal.journal_reader import JournalDamage, JournalReader
from hounsfield.storage.keys.data_key import KEY_BYTES, KeyUnavailableError
from hounsfield.storage.keys.data_key_cache import DataKeyCache
from hounsfield.storage.keys.database_key import DatabaseInUseError, alone_with_database, database_key
from hounsfield.storage.keys.installation_secrets import PLACE_MARK, secret_context
from hounsfield.storage.keys.key_files import KeyFileError
from hounsfield.storage.keys.master_keys import LocalKeyring
from hounsfield.storage.keys.pack_keys import read_pack_key
from hounsfield.storage.keys.secret_copies import JOURNAL, read_secrets

_UNFINISHED: Final = "rebuild-under-way"


def rebuild_installation(settings: Settings) -> RebuildReport:
    """Make the database of an installation again.

    Raises
    ------
    InstallationError
        There is a database, or nothing to make one of; nothing was changed.
    """
    with explain_start_faults(settings):
        return _rebuild(settings)


def _rebuild(settings: Settings) -> RebuildReport:
    if not master_key_file(settings).exists():
        raise InstallationError(
            f"{master_key_file(settings)} is missing, and nothing can be read without it; put it back from its copy, "
            "or import it with `hounsfield master-key import`"
        )
    keyring = LocalKeyring(master_key_file(settings))
    first = open_location(blob_location(settings), "HOUNSFIELD_BLOBS_URL")
    second = archive_location(settings)
    far = None if second is None else open_location(second, "HOUNSFIELD_ARCHIVE_BLOBS_URL")
    wrapped = _secrets(settings, first, keyring)
    blobs = first if second is None or far is None else TieredBlobs(first, far, far=second.folder is None)
    journal_key = keyring.unwrap(wrapped[JOURNAL], secret_context(JOURNAL))
    sources = _Sources(settings, keyring, blobs, [first] if far is None else [first, far])
    with _new_database(settings, keyring) as database, JournalReader(first, journal_key) as reader:
        checkpoint, wrong = newest_checkpoint(first, journal_key)
        if reader.last_sequence == 0 and checkpoint is None:
            raise InstallationError(
                "the journal beside the packs has no record that can be read: there is nothing to make a database of; "
                "put back a copy of the database"
            )
        report = rebuild(database, blobs, reader, checkpoint, sources.of, archived=far is not None)
        report.damage += (JournalDamage(name, what) for name, what in wrong)
        with database.write() as connection:
            if far is not None:
                _note_archive(connection, far)
            # Last, for a database without them is none of an installation.
            connection.execute(delete(secrets))
            write_installation_secrets(connection, wrapped)
    return report


def _secrets(settings: Settings, place: Blobs, keyring: LocalKeyring) -> Mapping[str, bytes]:
    """Return the wrapped secrets beside the packs, when they open and are those of the installation whose place it is."""
    named = settings.blobs_url or settings.data / "blobs"
    try:
        wrapped = read_secrets(place)
    except BlobMissingError as error:
        raise InstallationError(
            f"{named} has no keys/secrets.json: it is not the place of the packs, or no server that writes a journal "
            "ever ran here; put back a copy of the database"
        ) from error
    except KeyFileError as error:
        raise InstallationError(f"{error}; put back the copy of it, or a copy of the database") from error
    missing = {"installation", JOURNAL, PLACE_MARK} - wrapped.keys()
    if missing:
        raise InstallationError(
            f"keys/secrets.json in {named} lacks {', '.join(sorted(missing))}; put back the copy of it"
        )
    try:
        opened = {name: keyring.unwrap(value, secret_context(name)) for name, value in wrapped.items()}
    except KeyUnavailableError as error:
        raise InstallationError(
            f"{master_key_file(settings)} is not the master key that wraps keys/secrets.json in {named}; put back the master "
            "keys of this installation, or name the place of its packs"
        ) from error
    try:
        check_marker(place, opened["installation"], opened[PLACE_MARK].decode())
    except BlobLocationError as error:
        raise InstallationError(f"{named} cannot be the place of the packs: {error}") from error
    return wrapped


class _Sources:
    """Finds what data stores are made of."""

    def __init__(self, settings: Settings, keyring: LocalKeyring, blobs: Blobs, places: list[Blobs]) -> None:
        self._keyring = keyring
        self._keys = DataKeyCache(keyring, make_key_service(settings), settings.kms_cache_seconds)
        self._blobs = blobs
        self._places = places

    def of(self, datastore_id: str) -> DatastoreSource:
        wrapped = self._wrapped(datastore_id)
        if wrapped is None:
            # It had no pack: a data store takes none before its key is beside them.
            return DatastoreSource(self._keyring.wrap(bytes(KEY_BYTES), datastore_id), None)
        return open_source(datastore_id, wrapped, self._keys, self._blobs)

    def _wrapped(self, datastore_id: str) -> bytes | None:
        for place in self._places:
            with suppress(BlobMissingError, KeyFileError):
                return read_pack_key(place, datastore_id)
        return None


def _note_archive(connection: Connection, far: Blobs) -> None:
    """Note the mark of the second place of packs, where packs were moved there."""
    marks = sorted(name.rpartition("/")[2] for name in far.names("places/"))
    if marks:
        connection.execute(insert(blob_places).values(name="archive", marker=marks[0]))


@contextmanager
def _new_database(settings: Settings, keyring: LocalKeyring) -> Iterator[Database]:
    """Yield an empty database, which is the one of the installation when the block ends well."""
    if settings.database_url:
        with _new_postgresql(settings, keyring) as database:
            yield database
        return
    path = database_file(settings)
    make_folder_durably(settings.data)
    try:
        with alone_with_database(path):
            if path.exists() and path.stat().st_size:
                raise InstallationError(
                    f"{path} is there, and a rebuild never replaces a database; move it away, with {path.name}-wal, first"
                )
            with _embedded_aside(settings, keyring, path) as database:
                yield database
    except DatabaseInUseError as error:
        raise InstallationError(str(error)) from error


@contextmanager
def _embedded_aside(settings: Settings, keyring: LocalKeyring, path: Path) -> Iterator[Database]:
    aside = path.with_name(f"{path.name}.rebuilt")
    _remove(aside)
    key_file = database_key_file(settings)
    try:
        key = database_key(key_file, keyring)
    except KeyUnavailableError:
        # It opens nothing: its database is gone, and the master keys are the right ones.
        key_file.rename(key_file.with_name(f"{key_file.name}.unusable"))
        key = database_key(key_file, keyring)
    database = open_embedded(aside, key, settings.database_wait_seconds)
    try:
        yield database
        _fold(database, aside, settings.database_wait_seconds)
    except BaseException:
        database.close()
        _remove(aside)
        raise
    database.close()
    for rest in ("-wal", "-shm"):
        aside.with_name(f"{aside.name}{rest}").unlink(missing_ok=True)
        path.with_name(f"{path.name}{rest}").unlink(missing_ok=True)
    aside.rename(path)
    sync_folder(path.parent)
    aside.with_name(f"{aside.name}.lock").unlink(missing_ok=True)


def _fold(database: Database, aside: Path, wait_seconds: float) -> None:
    if not database.fold_log(wait_seconds):
        raise InstallationError(f"{aside} cannot be closed as one file: somebody has it open")


def _remove(aside: Path) -> None:
    for rest in ("", "-wal", "-shm", ".lock"):
        aside.with_name(f"{aside.name}{rest}").unlink(missing_ok=True)


@contextmanager
def _new_postgresql(settings: Settings, keyring: LocalKeyring) -> Iterator[Database]:
    database = open_postgresql(settings.database_url, settings.database_wait_seconds)
    try:
        with database.write() as connection:
            names = set(connection.execute(select(secrets.c.name)).scalars())
            if names and _UNFINISHED not in names:
                raise InstallationError(
                    "the database of HOUNSFIELD_DATABASE_URL is that of an installation, and a rebuild never replaces one; "
                    "name an empty database"
                )
            forget_tables(connection)
            bring_up_to_date(connection)
            mark = keyring.wrap(_UNFINISHED.encode(), secret_context(_UNFINISHED))
            connection.execute(insert(secrets).values(name=_UNFINISHED, wrapped=mark))
        yield database
    finally:
        database.close()
