"""Pack keys: wrapped data keys beside the packs, which open them without the database.

    row of the data store ──wrapped_key──▶ keys/<data store>.json in every place of its packs

    {"format": "hounsfield data key", "version": 1, "datastore": "<id>",
     "wrapped_by": {"master_key": "<id of the key in keys/master.json>"} or {"kms_key": "<ARN>"},
     "wrapped": "<base64>"}

What wraps a data key is what wraps it in the database (`hounsfield.storage.keys.master_keys`,
`hounsfield.storage.keys.kms`). The object is
written when a data store is made, before it takes packs; again when another master key wraps; and where it is missing.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Final

import orjson
from sqlalchemy import select

from hounsfield.storage.blobs.blobs import BlobMissingError, Blobs
from hounsfield.storage.db.database import Database
from hounsfield.storage.db.image_set_tables import datastores
from hounsfield.storage.keys.kms import is_of_service, service_key_of
from hounsfield.storage.keys.master_keys import wrapping_key

FORMAT: Final = "hounsfield data key"
VERSION: Final = 1
FOLDER: Final = "keys"
_LONGEST: Final = 64 * 1024


class PackKeyError(ValueError):
    """What stands beside the packs is not a data key that this version can read."""


def pack_key_name(datastore_id: str) -> str:
    """Return the blob name of the wrapped data key of a data store."""
    return f"{FOLDER}/{datastore_id}.json"


def pack_key_content(datastore_id: str, wrapped: bytes) -> bytes:
    """Return what stands in the object, for a wrapped data key as it is in the database."""
    wrapped_by = (
        {"kms_key": service_key_of(wrapped)} if is_of_service(wrapped) else {"master_key": wrapping_key(wrapped).hex()}
    )
    content = {
        "format": FORMAT,
        "version": VERSION,
        "datastore": datastore_id,
        "wrapped_by": wrapped_by,
        "wrapped": b64encode(wrapped).decode(),
    }
    return orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def read_pack_key(place: Blobs, datastore_id: str) -> bytes:
    """Return the wrapped data key that stands beside the packs of a data store.

    Raises
    ------
    BlobMissingError
        There is none.
    PackKeyError
        It is damaged, of another data store, or of a newer version.
    OSError
        The place cannot be reached.
    """
    name = pack_key_name(datastore_id)
    data = place.read(name, 0, min(place.size(name), _LONGEST))
    try:
        content = orjson.loads(data)
        if content["format"] != FORMAT or content["datastore"] != datastore_id:
            raise PackKeyError(f"{name} is not the data key of data store {datastore_id}")
        if content["version"] != VERSION:
            raise PackKeyError(f"{name} is of version {content['version']}, this Hounsfield reads {VERSION}")
        return b64decode(content["wrapped"], validate=True)
    except (KeyError, TypeError, orjson.JSONDecodeError) as error:
        raise PackKeyError(f"{name} is damaged") from error
    except ValueError as error:
        raise error if isinstance(error, PackKeyError) else PackKeyError(f"{name} is damaged") from error


def write_pack_key(database: Database, place: Blobs, datastore_id: str) -> bool:
    """Make sure that a place has the wrapped data key as it is in the database; tells whether it was written.

    Raises
    ------
    OSError
        The place cannot be reached.
    """
    wrapped = _wrapped(database, datastore_id)
    if wrapped is None or _is_there(place, datastore_id, wrapped):
        return False
    while wrapped is not None:
        written = wrapped
        writer = place.create(pack_key_name(datastore_id))
        try:
            writer.write(pack_key_content(datastore_id, written))
            writer.publish()
        finally:
            writer.abort()
        # Another process may have wrapped it anew meanwhile, and have written that before this was.
        wrapped = _wrapped(database, datastore_id)
        if wrapped == written:
            break
    return True


def _is_there(place: Blobs, datastore_id: str, wrapped: bytes) -> bool:
    try:
        return read_pack_key(place, datastore_id) == wrapped
    except (BlobMissingError, PackKeyError):
        return False


def _wrapped(database: Database, datastore_id: str) -> bytes | None:
    with database.read() as connection:
        found = connection.execute(select(datastores.c.wrapped_key).where(datastores.c.id == datastore_id)).scalar()
    return None if found is None else bytes(found)
