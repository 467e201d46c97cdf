"""Secrets of the installation beside the packs, wrapped as they are in the database.

    rows of `secrets` ──▶ keys/secrets.json in the place of the packs

    {"format": "hounsfield secrets", "version": 1, "secrets": {"<name>": "<base64 of the wrapped secret>"}}

One of them seals the journal, another one tells whose the place is: with the master key the journal opens without a database,
and a database that is made again fits the place (`hounsfield.storage.blobs.location_marker`) and the audit trail.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Final

import orjson
from sqlalchemy import select

from hounsfield.storage.blobs.blobs import BlobMissingError, Blobs
from hounsfield.storage.db.database import Database
from hounsfield.storage.db.image_set_tables import secrets

NAME: Final = "keys/secrets.json"
"""Name of the blob."""
FORMAT: Final = "hounsfield secrets"
VERSION: Final = 1
JOURNAL: Final = "journal"
"""The secret that seals the journal."""
_LONGEST: Final = 1 << 20


class SecretCopyError(ValueError):
    """What stands beside the packs cannot be read by this version; the message says why."""


def read_secrets(place: Blobs) -> dict[str, bytes]:
    """Return the wrapped secrets that stand beside the packs, by name.

    Raises
    ------
    BlobMissingError
        There are none.
    SecretCopyError
        They are damaged, or of a newer version.
    OSError
        The place cannot be reached.
    """
    data = place.read(NAME, 0, min(place.size(NAME), _LONGEST))
    try:
        content = orjson.loads(data)
        if content["format"] != FORMAT:
            raise SecretCopyError(f"{NAME} holds no secrets of an installation")
        if content["version"] != VERSION:
            raise SecretCopyError(f"{NAME} is of version {content['version']}, this Hounsfield reads {VERSION}")
        return {str(name): b64decode(wrapped, validate=True) for name, wrapped in content["secrets"].items()}
    except (KeyError, TypeError, AttributeError, orjson.JSONDecodeError) as error:
        raise SecretCopyError(f"{NAME} is damaged") from error
    except ValueError as error:
        raise error if isinstance(error, SecretCopyError) else SecretCopyError(f"{NAME} is damaged") from error


def write_secrets(database: Database, place: Blobs) -> bool:
    """Make sure that the secrets stand beside the packs as they are in the database; tells whether they were written.

    Raises
    ------
    OSError
        The place cannot be reached.
    """
    wrapped = _wrapped(database)
    if _are_there(place, wrapped):
        return False
    while True:
        writer = place.create(NAME)
        try:
            writer.write(_content(wrapped))
            writer.publish()
        finally:
            writer.abort()
        # Another process may have made or wrapped one meanwhile, and have written that before this was.
        written, wrapped = wrapped, _wrapped(database)
        if wrapped == written:
            return True


def _content(wrapped: Mapping[str, bytes]) -> bytes:
    texts = {name: b64encode(value).decode() for name, value in wrapped.items()}
    content = {"format": FORMAT, "version": VERSION, "secrets": texts}
    return orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _are_there(place: Blobs, wrapped: Mapping[str, bytes]) -> bool:
    try:
        return read_secrets(place) == wrapped
    except (BlobMissingError, SecretCopyError):
        return False


def _wrapped(database: Database) -> dict[str, bytes]:
    with database.read() as connection:
        rows = connection.execute(select(secrets.c.name, secrets.c.wrapped).order_by(secrets.c.name))
        return {row.name: bytes(row.wrapped) for row in rows if row.wrapped}
