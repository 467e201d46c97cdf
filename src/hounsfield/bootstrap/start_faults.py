"""Start faults: why an installation cannot be opened, in one sentence with the remedy.

keys, database, credentials, folders ─▶ errors ─▶ explain_start_faults ─▶ InstallationError ─▶ standard error, exit code 1
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from hounsfield.iam.root_credentials import CredentialsError, credentials_file
from hounsfield.settings import InstallationError, Settings
from hounsfield.storage.db.errors import DatabaseTroubleError
from hounsfield.storage.db.schema import NewerSchemaError
from hounsfield.storage.keys.data_key import KeyUnavailableError
from hounsfield.storage.keys.database_key import DatabaseKeyMissingError
from hounsfield.storage.keys.master_keys import KeyringError

_LONGEST: Final = 300
_NO_DATABASE: Final = "file is not a database"
_SAID: Final = (
    "unable to open database file",
    "attempt to write a readonly database",
    "database or disk is full",
    "database is locked",
    "disk I/O error",
    "database disk image is malformed",
)
"""What SQLite says of a file as a whole, and never of what is in it."""


def master_key_file(settings: Settings) -> Path:
    """Return the file of the master keys."""
    return settings.data / "keys" / "master.json"


def database_file(settings: Settings) -> Path:
    """Return the file of the embedded database."""
    return settings.data / "hounsfield.db"


def database_key_file(settings: Settings) -> Path:
    """Return the file of its wrapped key."""
    return settings.data / "keys" / "database.key"


@contextmanager
def explain_start_faults(settings: Settings) -> Iterator[None]:
    """Open something of an installation, as a block.

    Raises
    ------
    InstallationError
        It cannot be opened; the message says why, and what to do.
    """
    try:
        yield
    except KeyringError as error:
        raise InstallationError(
            f"{master_key_file(settings)} cannot be used, {error}; put back the copy that was kept of it, "
            "or move it away and import one with `hounsfield master-key import`"
        ) from error
    except DatabaseKeyMissingError as error:
        raise InstallationError(f"{error}; put it back from the copy that was kept of keys/") from error
    except KeyUnavailableError as error:
        raise InstallationError(_wrong_key(settings)) from error
    except CredentialsError as error:
        raise InstallationError(
            f"{error}; put its copy back, or move {credentials_file(settings.data)} away: the next start makes a new root key"
        ) from error
    except NewerSchemaError as error:
        raise InstallationError(
            f"the database is of a newer Hounsfield than this ({error}); start that one, or put back a copy from before it"
        ) from error
    except (SQLAlchemyError, DatabaseTroubleError) as error:
        raise InstallationError(_database_fault(settings, error)) from error
    except BrokenPipeError:
        # Whoever read what a command prints went away, which is no fault of the installation.
        raise
    except OSError as error:
        named = error.filename or settings.data
        raise InstallationError(
            f"{named} cannot be used: {error.strerror or error}; see that it is there, that the disk has room, "
            "and that the user who runs Hounsfield may read and write it"
        ) from error


def _wrong_key(settings: Settings) -> str:
    if settings.database_url:
        return (
            f"{master_key_file(settings)} is not the master key of this database; every node needs the same one, "
            "copy it from another node"
        )
    return (
        f"{master_key_file(settings)} is not the master key of this database, or {database_key_file(settings)} is damaged; "
        "every node needs the same one, put back the copy that was kept of keys/"
    )


def _database_fault(settings: Settings, error: Exception) -> str:
    cause = error.__cause__ if isinstance(error, DatabaseTroubleError) else error
    said = str(cause.orig if isinstance(cause, DBAPIError) else cause or error).strip()
    if not settings.database_url:
        file = database_file(settings)
        if _NO_DATABASE in said:
            return (
                f"{file} does not open with {database_key_file(settings)}: one of them is damaged or of another installation; "
                "put back copies of both that were made together"
            )
        told = next((text for text in _SAID if text in said), type(error).__name__)
        return (
            f"{file} cannot be used: {told}; see that the disk has room, and that the user who runs Hounsfield may write to "
            f"{file.parent}, or put back a copy of the database"
        )
    try:
        url = make_url(settings.database_url)
    except (ArgumentError, ValueError):
        return "HOUNSFIELD_DATABASE_URL is not the URL of a database, such as postgresql://user@host/name"
    first = said.splitlines()[0][:_LONGEST] if said else type(error).__name__
    return (
        f"the database {url.database} on {url.host} of HOUNSFIELD_DATABASE_URL cannot be used: {first}; see that it runs, "
        "and that user and password are right"
    )
