"""The sweep of pack keys: the wrapped data keys beside the packs are kept as they are in the database.

    every hour: each data store × each place of packs ─▶ as in the database? ─▶ else written

Installations that were made before data keys were kept so get theirs from the first look.
"""

from __future__ import annotations

from typing import Final

import structlog
from sqlalchemy import select

from hounsfield.imaging.image_store import ImageStore
from hounsfield.jobs.queue import WorkItem
from hounsfield.storage.db.image_set_tables import datastores
from hounsfield.storage.keys.pack_keys import write_pack_key

KEEP_PACK_KEYS: Final = "keep-pack-keys"
_EVERY_SECONDS: Final = 3600.0
_AGAIN_SECONDS: Final = 60.0
_log = structlog.get_logger(__name__)


def schedule_pack_keys(image_store: ImageStore) -> None:
    """Make sure that there is the one work item that looks at the keys again and again."""
    image_store.queue.schedule(KEEP_PACK_KEYS)


class PackKeySweeper:
    """Looks at the wrapped data keys beside the packs, once an hour.

    Parameters
    ----------
    image_store : ImageStore
        Where everything is.
    """

    def __init__(self, image_store: ImageStore) -> None:
        self._image_store = image_store

    def run(self, item: WorkItem) -> None:
        """Look, and come again; sooner where a place could not be reached."""
        pause = _EVERY_SECONDS
        try:
            self.keep()
        except OSError as error:
            _log.warning("data keys beside the packs could not be looked at", error=type(error).__name__)
            pause = _AGAIN_SECONDS
        self._image_store.queue.release_lease(item, pause, failed=False)

    def give_up(self, item: WorkItem) -> None:
        """Go on trying: the work is never over."""
        self.run(item)

    def keep(self) -> int:
        """Write what is missing or other than in the database; give how many were written. Raises OSError."""
        with self._image_store.database.read() as connection:
            datastore_ids = connection.execute(select(datastores.c.id)).scalars().all()
        count = sum(
            write_pack_key(self._image_store.database, place, datastore_id)
            for datastore_id in datastore_ids
            for place in self._image_store.pack_locations
        )
        if count:
            _log.info("data keys written beside the packs", count=count)
        return count
