"""Backup and restore of an installation as a whole: what the domain copies, and the files of the data folder beside it.

data folder: credentials, audit/  ─┐
image store: tables, packs        ─┴─▶ place of the backup ─▶ empty data folder, database, place of packs
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Final

import orjson
from sqlalchemy import Connection, delete, select

from hounsfield.audit.anchors import make_anchor
from hounsfield.audit.chain_files import INDEX, chain_files
from hounsfield.audit.chain_index import ChainIndex
from hounsfield.audit.file_locks import locked
from hounsfield.bootstrap.audit_verification import verify_audit_trail
from hounsfield.bootstrap.common_settings import forget_common_settings
from hounsfield.bootstrap.first_start import RESTORING, is_used
from hounsfield.bootstrap.image_store import (
    archive_location,
    blob_location,
    make_key_service,
    open_location,
    store_options,
)
from hounsfield.bootstrap.installation import audit_folder, open_database
from hounsfield.bootstrap.start_faults import database_file, database_key_file, explain_start_faults, master_key_file
from hounsfield.iam.root_credentials import credentials_file
from hounsfield.imaging.backup.errors import BackupDamagedError, BackupError
from hounsfield.imaging.backup.grown_files import GrowingFile
from hounsfield.imaging.backup.journal_copies import list_segments
from hounsfield.imaging.backup.lock import lock_backups
from hounsfield.imaging.backup.place import BackupPlace
from hounsfield.imaging.backup.pruning import Pruned, Retention, prune
from hounsfield.imaging.backup.restore import ChosenGeneration, Restorer, RestoreResult
from hounsfield.imaging.backup.runs import BackupRun
from hounsfield.imaging.backup.wrapped_keys import KeyProtection
from hounsfield.imaging.backup.writer import BackupWriter, Progress, SmallFiles
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.verify.findings import Severity
from hounsfield.runtime.rate_limit import RateLimit
from hounsfield.settings import Settings
from hounsfield.storage.blobs.blobs import BlobLocation, Blobs, FolderBlobs
from hounsfield.storage.blobs.location_marker import check_location, installation_id
from hounsfield.storage.db.audit_tables import audit_indexes
from hounsfield.storage.db.database import Database
from hounsfield.storage.db.engines import has_tables
from hounsfield.storage.db.image_set_tables import secrets
from hounsfield.storage.durable_files import keep_private, make_folder_durably, sync_folder, write_file_durably
from hounsfield.storage.keys.data_key_cache import DataKeyCache
from hounsfield.storage.keys.installation_secrets import installation_secret, secret_context
from hounsfield.storage.keys.master_keys import LocalKeyring
from hounsfield.storage.keys.secret_copies import JOURNAL, write_secrets

_CREDENTIALS: Final = "credentials"
_AUDIT: Final = "audit"
_HEADS: Final = "audit/"
_AREA_DIGITS: Final = 32
_BESIDE_PACKS: Final = ("packs", "keys", "places", "journal")


def backup_location(settings: Settings, target: str) -> BlobLocation:
    """Return where backups are: a folder, or a URL such as ``s3://bucket/prefix``, with the endpoint of the settings."""
    if "://" in target and not target.startswith("file://"):
        return BlobLocation(url=target.rstrip("/"), options=store_options(settings, target))
    return BlobLocation(folder=str(Path(target.removeprefix("file://")).absolute()))


@dataclass(frozen=True, slots=True)
class BackupOrder:
    """How a backup is to be made.

    Attributes
    ----------
    protection : KeyProtection
        Wraps the master keys.
    anew : bool
        Whether a place that held a backup is taken for a new one.
    rate : int
        Bytes a second; 0 for any number.
    retention : Retention
        Which generations stay.
    """

    protection: KeyProtection
    anew: bool
    rate: int
    retention: Retention


@dataclass(frozen=True, slots=True)
class BroughtForward:
    """A moment to which a generation is brought forward, and the generation whose journal leads there.

    Attributes
    ----------
    moment : int
        In milliseconds since 1970-01-01 UTC.
    later : ChosenGeneration
        The generation.
    """

    moment: int
    later: ChosenGeneration


def back_up(
    settings: Settings,
    image_store: ImageStore,
    keyring: LocalKeyring,
    target: str,
    order: BackupOrder,
    progress: Progress,
    stop: threading.Event,
) -> tuple[BackupRun, Pruned]:
    """Make a generation of a backup, and remove those that are not to stay.

    Raises
    ------
    BackupError
        It cannot be made; the message says why.
    OSError
        The target, or the place of the packs, cannot be used.
    StoppedError
        The work was ended.
    """
    location = backup_location(settings, target)
    _check_apart(settings, location)
    with lock_backups(image_store.database, settings.data):
        place = BackupPlace(location, make=True)
        writer = BackupWriter(
            image_store,
            keyring,
            place,
            installation=installation_id(installation_secret(image_store.database, keyring, "installation")),
            software=version("hounsfield"),
            rate=RateLimit(order.rate, stop),
            progress=progress,
            stop=stop,
        )
        run = writer.run(order.protection, lambda: _read_files(settings, image_store), anew=order.anew)
        return run, prune(place, writer.key, order.retention)


def _check_apart(settings: Settings, location: BlobLocation) -> None:
    """Make sure that the backup is not within what it is a backup of; raises `BackupError`."""
    for place in (
        blob_location(settings),
        archive_location(settings),
        BlobLocation(folder=str(settings.data.absolute())),
    ):
        if place is None:
            continue
        if location.folder is not None and place.folder is not None:
            target, own = Path(location.folder).resolve(), Path(place.folder).resolve()
            within = target == own or own in target.parents or target in own.parents
        else:
            target_url, own_url = f"{location.url}/", f"{(place.url or '').rstrip('/')}/"
            within = (
                location.url is not None
                and place.url is not None
                and (target_url.startswith(own_url) or own_url.startswith(target_url))
            )
        if within:
            raise BackupError(
                f"{location.name} is, holds, or is in {place.name}, which is to be backed up; "
                "name a place of its own, on another disk"
            )


def _read_files(settings: Settings, image_store: ImageStore) -> SmallFiles:
    """Read the small files, and how long the journal and, at one moment, the files of the audit trail are."""
    small = {}
    growing = list_segments(image_store.blob_location, image_store.blobs)
    with suppress(FileNotFoundError):
        small[_CREDENTIALS] = credentials_file(settings.data).read_bytes()
    folder = audit_folder(settings)
    if (folder / INDEX).exists():
        # No chain begins, ends or loses files meanwhile. Heads are read before the lengths of the files that they are about.
        with locked(folder / "index.lock"):
            # What tells the audit folder of this machine from those of others.
            own = make_anchor(ChainIndex(folder, b""))
            area = f"{_AUDIT}/{'damaged' if own is None else own.first_mac[:_AREA_DIGITS]}"
            for head in sorted(folder.glob("*.head")):
                with suppress(FileNotFoundError):
                    small[f"{_HEADS}{head.name}"] = head.read_bytes()
            for path in [folder / INDEX, *(file.path for file in chain_files(folder))]:
                with suppress(FileNotFoundError):
                    growing.append(GrowingFile(f"{area}/{path.name}", path.stat().st_size, partial(_read_at, path)))
    return SmallFiles(small, growing)


def _read_at(path: Path, offset: int, length: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(length)


def check_target(settings: Settings, source: str, what: str) -> None:
    """Make sure that a restore writes over nothing: folder, database and place of packs are empty, or its own.

    Parameters
    ----------
    settings : Settings
        The target.
    source : str
        Name of the place of the backup.
    what : str
        Which generation is restored, and to which moment.

    Raises
    ------
    BackupError
        Something is there.
    InstallationError
        The database or the place of the packs cannot be reached.
    """
    note = settings.data / RESTORING
    if note.exists():
        if note.read_bytes() != _note(settings, source, what):
            raise BackupError(
                f"a restore of something else into {settings.data}, or with other settings, has not ended; "
                "run that one again, or remove the folder, and empty the database and the place of the packs"
            )
        return
    if settings.data.exists() and (found := sorted(path.name for path in settings.data.iterdir())):
        raise BackupError(
            f"{settings.data} is not empty, it has {', '.join(found[:3])}; restore into a new folder: nothing is written over"
        )
    with explain_start_faults(settings):
        if settings.database_url and has_tables(settings.database_url, settings.database_wait_seconds):
            raise BackupError("the database of HOUNSFIELD_DATABASE_URL is not empty; restore into a new one")
        place = blob_location(settings)
        if settings.blobs_url and is_used(open_location(place, "HOUNSFIELD_BLOBS_URL"), _BESIDE_PACKS):
            raise BackupError(
                f"{place.name} is not empty; set HOUNSFIELD_BLOBS_URL to an empty folder, bucket or prefix"
            )


def restore(
    settings: Settings,
    place: BackupPlace,
    chosen: ChosenGeneration,
    what: str,
    progress: Progress,
    stop: threading.Event,
    forward: BroughtForward | None = None,
) -> RestoreResult:
    """Restore a generation, brought forward to a later moment where one is named, into a target that `check_target` let pass.

    Parameters
    ----------
    settings : Settings
        The target.
    place : BackupPlace
        The backup.
    chosen : ChosenGeneration
        The generation.
    what : str
        The same words as for `check_target`, by which a restore that did not end is known again.
    progress : callable
        Is told how far it is.
    stop : threading.Event
        Ends the work.
    forward : BroughtForward or None
        The moment.

    Raises
    ------
    BackupError
        The backup is damaged.
    InstallationError
        The target cannot be opened.
    OSError
        The target cannot be written, or the backup cannot be read.
    StoppedError
        The work was ended; the same restore goes on where it was.
    """
    make_folder_durably(settings.data)
    keep_private(settings.data)
    note = settings.data / RESTORING
    if not note.exists():
        write_file_durably(note, _note(settings, place.name, what))
    restorer = Restorer(place, chosen, progress, stop, None if forward is None else forward.later)
    master = master_key_file(settings)
    aside = master.with_name("restored-master.json")
    with explain_start_faults(settings):
        write_file_durably(aside, chosen.keyring.text(), mode=0o600)
        keyring = LocalKeyring(aside)
        blobs = open_location(blob_location(settings), "HOUNSFIELD_BLOBS_URL")
        restorer.restore_packs(blobs)
        keys = DataKeyCache(keyring, make_key_service(settings), settings.kms_cache_seconds)
        with (
            tempfile.TemporaryDirectory(prefix="journal-", dir=settings.data) as scratch,
            _restored_database(
                settings, keyring, restorer, chosen, _forward(forward, restorer, Path(scratch), blobs, keyring, keys)
            ) as database,
        ):
            check_location(database, keyring, blobs, installation_secret(database, keyring, "installation"))
            restorer.write_pack_keys(database, blobs)
            write_secrets(database, blobs)
            if forward is not None:
                restorer.remove_unnamed_packs(database, blobs, keys)
            restorer.check_keys(database, keyring)
            restorer.restore_journal(database, blobs, installation_secret(database, keyring, JOURNAL))
            _restore_files(settings, restorer)
            if not settings.database_url:
                _forget_other_anchors(settings, database)
            findings, _ = verify_audit_trail(settings, database, keyring)
            restorer.result.problems += [one.what for one in findings if one.severity is Severity.DAMAGE]
        make_folder_durably(settings.data / "buckets")
        aside.replace(master)
        aside.with_name(f"{aside.name}.lock").unlink(missing_ok=True)
        sync_folder(master.parent)
        note.unlink()
        sync_folder(settings.data)
    return restorer.result


def _forward(
    forward: BroughtForward | None,
    restorer: Restorer,
    scratch: Path,
    packs: Blobs,
    keyring: LocalKeyring,
    keys: DataKeyCache,
) -> Callable[[Connection], None] | None:
    """Return what brings the rows of a generation forward, None where that is not asked for."""
    if forward is None:
        return None
    moment = forward.moment

    def run(connection: Connection) -> None:
        wrapped = connection.execute(select(secrets.c.wrapped).where(secrets.c.name == JOURNAL)).scalar_one()
        secret = keyring.unwrap(bytes(wrapped), secret_context(JOURNAL))
        restorer.bring_forward(connection, FolderBlobs(scratch), packs, secret, keys, moment)

    return run


def _note(settings: Settings, source: str, what: str) -> bytes:
    """Return the note of an unfinished restore: what goes where, without the passwords that URLs may have."""
    target = hashlib.sha256(f"{settings.database_url}\0{settings.blobs_url}".encode()).hexdigest()
    return orjson.dumps({"source": source, "generation": what, "target": target}, option=orjson.OPT_INDENT_2)


@contextmanager
def _restored_database(
    settings: Settings,
    keyring: LocalKeyring,
    restorer: Restorer,
    chosen: ChosenGeneration,
    then: Callable[[Connection], None] | None,
) -> Iterator[Database]:
    """Open the database with the rows of the generation, brought there where an earlier try did not."""
    if not settings.database_url:
        # What an earlier try left is begun anew: nobody else can have used it.
        for path in (database_file(settings), database_key_file(settings)):
            for suffix in ("", "-wal", "-shm", ".use", ".lock"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
    database = open_database(settings, keyring)
    try:
        with database.read() as connection:
            is_there = connection.execute(select(secrets.c.name).limit(1)).first() is not None
        if not is_there:
            restorer.restore_tables(database, then)
        # All rows come in one transaction, so that they are there as a whole.
        elif installation_id(installation_secret(database, keyring, "installation")) != chosen.mark.installation:
            raise BackupError(
                "the database of HOUNSFIELD_DATABASE_URL is that of another installation; restore into a new one"
            )
        forget_common_settings(database)
        yield database
    finally:
        database.close()


def _restore_files(settings: Settings, restorer: Restorer) -> None:
    for name, content in restorer.small_files().items():
        write_file_durably(_within(settings.data, name), content, mode=0o600)
    for name, parts in restorer.grown_files().items():
        if not name.startswith(f"{_AUDIT}/"):
            continue
        area, _, file = name.split("/", 2)
        path = _within(settings.data, f"{area}/{file}")
        make_folder_durably(path.parent)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as opened:
            for data in restorer.read_grown(parts):
                opened.write(data)
            opened.flush()
            os.fsync(opened.fileno())
        sync_folder(path.parent)


def _within(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise BackupDamagedError("a file in the backup has a name that leads out of the data folder")
    return path


def _forget_other_anchors(settings: Settings, database: Database) -> None:
    """Forget the audit folders of other machines: with an embedded database there are none."""
    own = make_anchor(ChainIndex(audit_folder(settings), b""))
    with database.write() as connection:
        connection.execute(
            delete(audit_indexes).where(audit_indexes.c.first_mac != ("" if own is None else own.first_mac))
        )
