"""The check before a first start: a new master key or database is made only where nothing needs the old one.

no keys/master.json  ─▶ database, its key, or packs there? ─▶ refused: the master key is to be put back
no database          ─▶ packs there?                       ─▶ refused: the database is to be put back
a restore not ended  ─▶ refused: it is to be run again
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from hounsfield.bootstrap.start_faults import database_file, database_key_file, master_key_file
from hounsfield.settings import InstallationError, Settings
from hounsfield.storage.blobs.blobs import BlobLocation, Blobs, has_blob
from hounsfield.storage.blobs.location_marker import MARK
from hounsfield.storage.db.engines import has_rows
from hounsfield.storage.db.image_set_tables import secrets
from hounsfield.storage.keys.key_files import FOLDER

RESTORING: Final = "restoring.json"
"""Note in a data folder into which a restore has not ended (`hounsfield.bootstrap.backup`)."""
_PACKS: Final = "packs"


def check_first_start(settings: Settings, place: BlobLocation, blobs: Blobs) -> None:
    """Make sure that nothing is made anew that what is there needs as it was.

    Parameters
    ----------
    settings : Settings
        The installation.
    place : BlobLocation
        Where the packs are.
    blobs : Blobs
        The same, opened.

    Raises
    ------
    InstallationError
        The master key or the database is missing, and there is something that cannot be read without it.
    OSError
        The place cannot be reached.
    """
    if (settings.data / RESTORING).exists():
        raise InstallationError(
            f"a restore into {settings.data} has not ended; run `hounsfield restore` again, it goes on where it was"
        )
    master = master_key_file(settings)
    if not master.exists():
        found = _needs_master_key(settings, place, blobs)
        # Whoever makes them all for the first time makes the keyring first.
        if found is not None and not master.exists():
            raise InstallationError(
                f"{master} is missing, and {found} cannot be read without it; put it back from its copy, "
                "or import it with `hounsfield master-key import`; every node needs the same one, "
                "and every installation a place of its own"
            )
    elif settings.database_url:
        found = _packs_in(place, blobs)
        # Another node that starts for the first time makes its secrets before it marks the place.
        if found is not None and not _has_secrets(settings):
            raise InstallationError(
                f"the database of HOUNSFIELD_DATABASE_URL is empty, but {found} are those of an installation; "
                "name its database, make it again in this one with `hounsfield rebuild`, or use another place"
            )
    elif not _holds_something(database_file(settings)):
        found = _packs_in(place, blobs)
        if found is not None and not _holds_something(database_file(settings)):
            raise InstallationError(
                f"{database_file(settings)} is missing, but {found} are those of an installation; "
                f"put it back from its copy together with {database_key_file(settings)}, "
                "make it again with `hounsfield rebuild`, or use another data folder and place"
            )


def _needs_master_key(settings: Settings, place: BlobLocation, blobs: Blobs) -> str | None:
    if settings.database_url:
        if _has_secrets(settings):
            return "what the database of HOUNSFIELD_DATABASE_URL holds"
    else:
        for file in (database_key_file(settings), database_file(settings)):
            if _holds_something(file):
                return str(file)
    return _packs_in(place, blobs)


def _packs_in(place: BlobLocation, blobs: Blobs) -> str | None:
    """Name the packs of a place; None where an installation never began to use it."""
    return f"the packs in {place.name}" if is_used(blobs, (_PACKS, FOLDER)) else None


def is_used(blobs: Blobs, folders: Iterable[str]) -> bool:
    """Return whether an installation began to use a place: its mark is there, or something in one of the folders."""
    return has_blob(blobs, MARK) or any(next(blobs.names(f"{folder}/"), None) is not None for folder in folders)


def _has_secrets(settings: Settings) -> bool:
    # An empty one stays empty, as a rebuild and a restore need it.
    return has_rows(settings.database_url, secrets, settings.database_wait_seconds)


def _holds_something(file: Path) -> bool:
    return file.exists() and file.stat().st_size > 0
