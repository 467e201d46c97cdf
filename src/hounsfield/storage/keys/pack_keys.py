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
from collections.abc import Mapping
from functools import partial
from typing import Final

from sqlalchemy import select

from hounsfield.storage.blobs.blobs import Blobs
from hounsfield.storage.db.database import Database
from hounsfield.storage.db.image_set_tables import datastores
from hounsfield.storage.keys.key_files import FOLDER, VERSION, keep_key_file, read_key_file
from hounsfield.storage.keys.kms import is_of_service, service_key_of
from hounsfield.storage.keys.master_keys import wrapping_key

FORMAT: Final = "hounsfield data key"
_LONGEST: Final = 64 * 1024


def _name(datastore_id: str) -> str:
    return f"{FOLDER}/{datastore_id}.json"


def read_pack_key(place: Blobs, datastore_id: str) -> bytes:
    """Return the wrapped data key that stands beside the packs of a data store.

    Raises
    ------
    BlobMissingError
        There is none.
    KeyFileError
        It is damaged, of another data store, or of a newer version.
    OSError
        The place cannot be reached.
    """
    return read_key_file(
        place,
        _name(datastore_id),
        _LONGEST,
        {"format": FORMAT, "datastore": datastore_id},
        f"is not the data key of data store {datastore_id}",
        lambda content: b64decode(content["wrapped"], validate=True),
    )


def write_pack_key(database: Database, place: Blobs, datastore_id: str) -> bool:
    """Make sure that a place has the wrapped data key as it is in the database; return whether it was written.

    Raises
    ------
    OSError
        The place cannot be reached.
    """
    return keep_key_file(
        place,
        _name(datastore_id),
        partial(_wrapped, database, datastore_id),
        partial(read_pack_key, datastore_id=datastore_id),
        partial(_content, datastore_id),
    )


def _content(datastore_id: str, wrapped: bytes) -> Mapping[str, object]:
    wrapped_by = (
        {"kms_key": service_key_of(wrapped)} if is_of_service(wrapped) else {"master_key": wrapping_key(wrapped).hex()}
    )
    return {
        "format": FORMAT,
        "version": VERSION,
        "datastore": datastore_id,
        "wrapped_by": wrapped_by,
        "wrapped": b64encode(wrapped).decode(),
    }


def _wrapped(database: Database, datastore_id: str) -> bytes | None:
    with database.read() as connection:
        found = connection.execute(select(datastores.c.wrapped_key).where(datastores.c.id == datastore_id)).scalar()
    return None if found is None else bytes(found)
