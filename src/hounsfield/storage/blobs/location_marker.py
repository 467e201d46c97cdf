"""Location marker: a blob by which every node notices that it works with the wrong blobs.

    database  secret row: id of the place ──┐
                                            ├─ compared whenever a process starts
    place     object `installation.json` ───┘

A place is marked when the first process of an installation starts with it. From then on a node whose settings name another
place, an emptied one, or that of another installation is refused, instead of finding no packs and writing new ones elsewhere.
"""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import asdict, dataclass
from typing import Final

import orjson
import structlog
from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import IntegrityError

from hounsfield.storage.blobs.blobs import BlobMissingError, Blobs, write_blob
from hounsfield.storage.db.database import Database
from hounsfield.storage.db.image_set_tables import secrets
from hounsfield.storage.identifiers import new_id
from hounsfield.storage.keys.data_key import KeyWrapper
from hounsfield.storage.keys.installation_secrets import PLACE_MARK

MARK: Final = "installation.json"
"""Name of the object; nothing else is kept beside the folder of the packs."""
_LONGEST_MARK: Final = 4096
_ROW: Final = PLACE_MARK

_log = structlog.get_logger(__name__)


def forget_location(connection: Connection) -> None:
    """Forget which place the packs are in, so that the next start marks the one that its settings name."""
    connection.execute(secrets.delete().where(secrets.c.name == _ROW))


class BlobLocationError(Exception):
    """The place is not the one that the blobs of the installation are in."""


@dataclass(frozen=True, slots=True)
class _Marker:
    installation: str
    place: str


def installation_id(installation_secret: bytes) -> str:
    """Return the id that tells an installation from all others, by the secret that only it has."""
    return hashlib.sha256(b"hounsfield installation\0" + installation_secret).hexdigest()[:32]


def check_location(database: Database, wrapper: KeyWrapper, blobs: Blobs, installation_secret: bytes) -> None:
    """Make sure that a place is the one of the installation, marking it when the installation has none yet.

    Parameters
    ----------
    database : Database
        The database of the installation.
    wrapper : KeyWrapper
        Wraps what is kept in the database.
    blobs : Blobs
        The place.
    installation_secret : bytes
        What tells the installation from all others.

    Raises
    ------
    BlobLocationError
        The place is another one; the message says what is wrong and what would be right.
    """
    installation = installation_id(installation_secret)
    with database.read() as connection:
        known = _known(connection, wrapper)
    if known is None:
        # Of several processes that start at the same time one inserts the row; the others wait for it at their insert.
        with contextlib.suppress(IntegrityError), database.write() as connection:
            _claim(connection, wrapper, blobs, installation)
        with database.read() as connection:
            known = _known(connection, wrapper)
    try:
        found = _read(blobs)
    except OSError as error:
        # An object store that is away comes back; what can be done without it goes on meanwhile.
        _log.warning("the place of the packs could not be checked", error=type(error).__name__)
        return
    if found is None:
        raise BlobLocationError(
            f"{MARK} is not there: it is another place than that of the packs of this database, or was emptied; "
            "every node needs the same place"
        )
    if found != _Marker(installation, known or ""):
        raise BlobLocationError(_not_ours(found))


def check_marker(blobs: Blobs, installation_secret: bytes, place: str) -> None:
    """Make sure that a place is that of an installation whose database is lost; a mark that is lost too is written anew.

    Parameters
    ----------
    blobs : Blobs
        The place.
    installation_secret : bytes
        What tells the installation from all others.
    place : str
        The id of its place.

    Raises
    ------
    BlobLocationError
        It is the place of another installation.
    """
    wanted, found = _Marker(installation_id(installation_secret), place), _read(blobs)
    if found is None:
        _write(blobs, wanted)
    elif found != wanted:
        raise BlobLocationError(
            f"{MARK} there names the installation {found.installation}, the secrets beside it are those of "
            f"{wanted.installation}: they were copied from different places"
        )


def _write(blobs: Blobs, mark: _Marker) -> None:
    write_blob(blobs, MARK, orjson.dumps(asdict(mark)))


def _claim(connection: Connection, wrapper: KeyWrapper, blobs: Blobs, installation: str) -> None:
    connection.execute(insert(secrets).values(name=_ROW, wrapped=b""))
    found = _read(blobs)
    if found is not None and found.installation != installation:
        raise BlobLocationError(_not_ours(found))
    # A mark of our own without a row is what a process left that died right here.
    mark = found or _Marker(installation, new_id())
    if found is None:
        _write(blobs, mark)
    connection.execute(
        secrets.update().where(secrets.c.name == _ROW).values(wrapped=wrapper.wrap(mark.place.encode(), _ROW))
    )


def _known(connection: Connection, wrapper: KeyWrapper) -> str | None:
    wrapped = connection.execute(select(secrets.c.wrapped).where(secrets.c.name == _ROW)).scalar()
    return None if wrapped is None else wrapper.unwrap(wrapped, _ROW).decode()


def _read(blobs: Blobs) -> _Marker | None:
    try:
        size = blobs.size(MARK)
    except BlobMissingError:
        return None
    try:
        content = orjson.loads(blobs.read(MARK, 0, min(size, _LONGEST_MARK)))
        return _Marker(str(content["installation"]), str(content["place"]))
    except (ValueError, KeyError, TypeError) as error:
        raise BlobLocationError(f"{MARK} is damaged") from error


def _not_ours(found: _Marker) -> str:
    return (
        f"{MARK} there names the installation {found.installation} and the place {found.place}, not those of this database; "
        "every node needs the same place, and every installation one of its own"
    )
