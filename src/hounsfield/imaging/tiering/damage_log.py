"""Damaged packs in the log: which pack, of which data store, and the image sets that lie in it.

    error of a reader ─▶ told of this pack a while ago? ─▶ waiting ─▶ a thread: contents or rows ─▶ image sets ─▶ one line

Everybody who reads records notes here what they meet. A pack that is read again and again is told of once in a while, and many
packs at once, such as those of a disk that is gone, by some lines and a count.
"""

from __future__ import annotations

import threading
from typing import Final

import structlog
from sqlalchemy.exc import SQLAlchemyError

from hounsfield.imaging.datastores import fetch_key, get_datastore
from hounsfield.imaging.errors import ImagingError
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.tiering.pack_references import find_pack_use, read_named_owners, read_owners
from hounsfield.storage.blobs.blobs import BlobMissingError
from hounsfield.storage.blobs.packs import Damage, PackDamagedError, PackMissingError
from hounsfield.storage.keys.data_key import KeyUnavailableError

_log = structlog.get_logger(__name__)
_MOST_NAMED: Final = 100


def note_damage(image_store: ImageStore, error: BaseException) -> bool:
    """Log the pack that an error, or what caused it, is about, soon and not each time.

    Parameters
    ----------
    image_store : ImageStore
        Where the pack is.
    error : BaseException
        What a reader met.

    Returns
    -------
    bool
        False for an error that is about no pack: nothing is told of it here.
    """
    damage = find_damage(error)
    if damage is None:
        return False
    if image_store.damage_notes.put(damage):
        threading.Thread(target=_log_damages, args=(image_store,), name="damage-log", daemon=True).start()
    return True


def _log_damages(image_store: ImageStore) -> None:
    while (damage := image_store.damage_notes.take()) is not None:
        _log_damage(image_store, damage)
    left_out = image_store.damage_notes.left_out()
    if left_out:
        _log.error("more packs are damaged", times=left_out)


def find_damage(error: BaseException) -> Damage | None:
    """Return the damage that an error is about, or that caused it."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, PackDamagedError | PackMissingError):
            return cause.damage
        cause = cause.__cause__
    return None


def _log_damage(image_store: ImageStore, damage: Damage) -> None:
    about = {"pack": damage.pack_id, "datastore": damage.datastore_id, "what": damage.what}
    try:
        found = sorted(_image_sets(image_store, damage))
    except (SQLAlchemyError, OSError, ImagingError, KeyUnavailableError) as error:
        _log.error("pack damaged", **about, image_sets_unknown=type(error).__name__)
        return
    _log.error("pack damaged", **about, image_sets=found[:_MOST_NAMED], image_set_count=len(found))


def _image_sets(image_store: ImageStore, damage: Damage) -> frozenset[str]:
    """Find the image sets that lie in a pack, by its contents, or where these cannot be read by looking at all rows."""
    key = fetch_key(image_store, get_datastore(image_store, damage.datastore_id))
    try:
        owners = read_owners(image_store.blobs, key, damage.pack_id)
    except (PackDamagedError, BlobMissingError):
        with image_store.database.read() as connection:
            owners = read_named_owners(connection, damage.datastore_id, damage.pack_id)
    with image_store.database.read() as connection:
        return find_pack_use(connection, damage.pack_id, owners).image_set_ids
