"""Installation secrets, which all processes share, wrapped in the database."""

from __future__ import annotations

import contextlib
import secrets as random_source
from typing import Final

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from hounsfield.storage.db.database import Database
from hounsfield.storage.db.image_set_tables import secrets
from hounsfield.storage.keys.data_key import KeyWrapper

_BYTES = 32
PLACE_MARK: Final = "blob-place"
"""The secret that `hounsfield.storage.blobs.location_marker` keeps."""


def secret_context(name: str) -> str:
    """Return what the wrapping of a secret is bound to."""
    return name if name == PLACE_MARK else f"secret:{name}"


def installation_secret(database: Database, wrapper: KeyWrapper, name: str) -> bytes:
    """Return the 32-byte secret called ``name``, made when it is asked for first.

    Raises
    ------
    KeyUnavailableError
        The secret was wrapped with a key that is gone.
    """
    query = select(secrets.c.wrapped).where(secrets.c.name == name)
    with database.read() as connection:
        wrapped = connection.execute(query).scalar()
    if wrapped is None:
        # When another process is first, its secret is the one.
        with contextlib.suppress(IntegrityError), database.write() as connection:
            made = wrapper.wrap(random_source.token_bytes(_BYTES), secret_context(name))
            connection.execute(insert(secrets).values(name=name, wrapped=made))
        with database.read() as connection:
            wrapped = connection.execute(query).scalar_one()
    return wrapper.unwrap(wrapped, secret_context(name))
