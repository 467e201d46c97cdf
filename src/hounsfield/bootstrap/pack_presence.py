"""Presence of packs: a few that the database names are looked for at the start, so that a half-copied folder is noticed.

instances drawn at random ─▶ their packs ─▶ there, and long enough? ─▶ most of them are not ─▶ refused

One lost pack keeps nobody from reading the others: it is told when it is read, and by `hounsfield verify`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import structlog
from sqlalchemy import ColumnElement, Connection, select

from hounsfield.imaging.image_store import ImageStore
from hounsfield.settings import InstallationError, Settings
from hounsfield.storage.blobs.blobs import BlobMissingError
from hounsfield.storage.blobs.packs import pack_name
from hounsfield.storage.db.image_set_tables import instances
from hounsfield.storage.identifiers import new_instance_key

_SAMPLE: Final = 16
_LEAST_MISSING: Final = 2
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _NamedPack:
    """A pack that an instance names, and up to which byte it goes at least."""

    key: str
    datastore_id: str
    pack_id: str
    end: int


def check_packs_present(settings: Settings, image_store: ImageStore) -> None:
    """Look for some of the packs that the database names.

    Parameters
    ----------
    settings : Settings
        The installation.
    image_store : ImageStore
        Its stores, opened.

    Raises
    ------
    InstallationError
        Most of those looked for are missing or cut short.
    """
    looked, missing = set(), set()
    try:
        with image_store.database.read() as connection:
            for pack in _draw(connection):
                looked.add(pack.pack_id)
                if not _is_there(image_store, pack):
                    missing.add(pack)
        with image_store.database.read() as connection:
            # What was deleted or moved meanwhile is named no more.
            still = [pack for pack in missing if _first(connection, instances.c.key == pack.key) == pack]
        lost = len({pack.pack_id for pack in still if not _is_there(image_store, pack)})
    except OSError as error:
        # A place that is away comes back.
        _log.warning("the packs could not be looked for", error=type(error).__name__)
        return
    if not lost:
        return
    if lost >= _LEAST_MISSING and 2 * lost > len(looked) and not settings.serve_without_packs:
        raise InstallationError(
            f"{lost} of {len(looked)} packs that were looked for are missing or cut short in {image_store.blob_location.name}: "
            "the copy of it is not whole, or the database is of another time; copy all packs, or put back a database and packs "
            "that belong together. HOUNSFIELD_SERVE_WITHOUT_PACKS=true serves what is left"
        )
    _log.error("packs missing", looked_for=len(looked), missing=lost)


def _draw(connection: Connection) -> Iterator[_NamedPack]:
    key = instances.c.key
    for _ in range(_SAMPLE):
        found = _first(connection, key >= new_instance_key()) or _first(connection, key > "")
        if found is None:
            return
        yield found


def _first(connection: Connection, condition: ColumnElement[bool]) -> _NamedPack | None:
    columns = instances.c
    wanted = select(
        columns.key, columns.datastore_id, columns.dataset_pack_id, columns.dataset_offset + columns.dataset_length
    )
    row = connection.execute(wanted.where(condition).order_by(columns.key, columns.first_version).limit(1)).first()
    return None if row is None else _NamedPack(*row)


def _is_there(image_store: ImageStore, pack: _NamedPack) -> bool:
    try:
        return image_store.blobs.size(pack_name(pack.datastore_id, pack.pack_id)) >= pack.end
    except BlobMissingError:
        return False
