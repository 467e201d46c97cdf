"""Secrets of the installation beside the packs, wrapped as they are in the database.

    rows of `secrets` ──▶ keys/secrets.json in the place of the packs

    {"format": "hounsfield secrets", "version": 1, "secrets": {"<name>": "<base64 of the wrapped secret>"}}

One of them seals the journal, another one tells whose the place is: with the master key the journal opens without a database,
and a database that is made again fits the place (`hounsfield.storage.blobs.location_marker`) and the audit trail.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from sqlalchemy import select

from hounsfield.storage.blobs.blobs import Blobs
from hounsfield.storage.db.database import Database
from hounsfield.storage.db.image_set_tables import secrets
from hounsfield.storage.keys.key_files import FOLDER, VERSION, keep_key_file, read_key_file

NAME: Final = f"{FOLDER}/secrets.json"
"""Name of the blob."""
FORMAT: Final = "hounsfield secrets"
JOURNAL: Final = "journal"
"""The secret that seals the journal."""
_LONGEST: Final = 1 << 20


def read_secrets(place: Blobs) -> dict[str, bytes]:
    """Return the wrapped secrets that stand beside the packs, by name.

    Raises
    ------
    BlobMissingError
        There are none.
    KeyFileError
        They are damaged, or of a newer version.
    OSError
        The place cannot be reached.
    """
    return read_key_file(place, NAME, _LONGEST, {"format": FORMAT}, "holds no secrets of an installation", _wrapped_in)


def write_secrets(database: Database, place: Blobs) -> bool:
    """Make sure that the secrets stand beside the packs as they are in the database; return whether they were written.

    Raises
    ------
    OSError
        The place cannot be reached.
    """
    return keep_key_file(place, NAME, partial(_wrapped, database), read_secrets, _content)


def _wrapped_in(content: Mapping[str, Any]) -> dict[str, bytes]:
    return {str(name): b64decode(wrapped, validate=True) for name, wrapped in content["secrets"].items()}


def _content(wrapped: Mapping[str, bytes]) -> Mapping[str, object]:
    texts = {name: b64encode(value).decode() for name, value in wrapped.items()}
    return {"format": FORMAT, "version": VERSION, "secrets": texts}


def _wrapped(database: Database) -> dict[str, bytes]:
    with database.read() as connection:
        rows = connection.execute(select(secrets.c.name, secrets.c.wrapped).order_by(secrets.c.name))
        return {row.name: bytes(row.wrapped) for row in rows if row.wrapped}
