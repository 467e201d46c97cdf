"""Storage tiers: image sets that nobody accesses move to ARCHIVE_INSTANT_ACCESS, an access brings them back.

    FREQUENT_ACCESS ──30 days without access──▶ ARCHIVE_INSTANT_ACCESS
                    ◀────────access────────────

The tier is a column. Where an archive location for packs is set, `hounsfield.imaging.tiering.pack_mover` brings the packs
after it; a reader notices nothing of either.
"""

from __future__ import annotations

import threading
from typing import Final

import structlog
from sqlalchemy import Select, select, update

from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.states import StorageTier
from hounsfield.imaging.tiering.pack_mover import ArchiveLocationError, PackMover
from hounsfield.jobs.queue import WorkItem
from hounsfield.storage.clock import now_ms
from hounsfield.storage.db.database import in_groups, lock_row
from hounsfield.storage.db.image_set_tables import IS_FREQUENT, image_sets
from hounsfield.storage.free_space import DiskTroubleError
from hounsfield.storage.journal.changes import note_tier

SWEEP_TIERS: Final = "sweep-tiers"
_SUBJECT: Final = "all"
_HOUR_SECONDS: Final = 3600.0
_AT_ONCE = 1_000
_log = structlog.get_logger(__name__)


def access_precision(archive_after_seconds: float) -> float:
    """Return how many seconds the row of an image set may be behind its last access: an hour, or less for short tiers."""
    return min(_HOUR_SECONDS, archive_after_seconds / 10) if archive_after_seconds > 0 else _HOUR_SECONDS


def schedule_tiers(image_store: ImageStore) -> None:
    """Make sure that there is the one work item that looks after the tiers again and again."""
    image_store.queue.schedule(SWEEP_TIERS, _SUBJECT)


class TierSweeper:
    """Looks after the tiers.

    Parameters
    ----------
    image_store : ImageStore
        Where everything is.
    archive_after_seconds : float
        How long an image set goes without access before it is archived; 0 for no archiving.
    every_seconds : float
        How often to look.
    stop : threading.Event
        Set when the runner is to end.
    """

    def __init__(
        self, image_store: ImageStore, *, archive_after_seconds: float, every_seconds: float, stop: threading.Event
    ) -> None:
        self._image_store = image_store
        self._after_seconds = archive_after_seconds
        self._every_seconds = every_seconds
        self._all_are_back = False
        self._mover = None if image_store.tiers is None else PackMover(image_store, image_store.tiers, stop)

    def run(self, item: WorkItem) -> None:
        """Change the tiers that are due, move the packs that are elsewhere, and come again."""
        self.change_tiers()
        if self._mover is not None:
            try:
                self._mover.run(item)
            except ArchiveLocationError as error:
                # Somebody has to mount it or to mend the setting; until then packs stay where they are.
                _log.error("packs are not moved", reason=str(error))
            except DiskTroubleError as error:
                _log.warning("packs are not moved", reason=str(error))
        self._image_store.queue.release_lease(item, self._every_seconds, failed=False)

    def give_up(self, item: WorkItem) -> None:
        """Go on trying: the work is never over."""
        self.run(item)

    def change_tiers(self) -> int:
        """Archive the image sets that were not accessed for long enough; without archiving, take all back, once.

        Returns
        -------
        int
            How many image sets changed their tier.
        """
        columns = image_sets.c
        if self._after_seconds > 0:
            # What a row says can be that much older than the last access; no image set is archived before its time.
            idle_seconds = self._after_seconds + access_precision(self._after_seconds)
            # By both clocks, so that one that was set ahead archives nothing.
            latest = min(now_ms(), self._image_store.queue.clock.now()) - int(idle_seconds * 1000)
            idle = select(columns.id).where(IS_FREQUENT, columns.last_accessed_at < latest)
            return self._move_all(idle.order_by(columns.last_accessed_at), StorageTier.ARCHIVE_INSTANT_ACCESS)
        if self._all_are_back:
            return 0
        archived = select(columns.id).where(
            columns.storage_tier == StorageTier.ARCHIVE_INSTANT_ACCESS, columns.deleted_at.is_(None)
        )
        count = self._move_all(archived, StorageTier.FREQUENT_ACCESS)
        self._all_are_back = True
        return count

    def _move_all(self, found: Select[tuple[str]], tier: StorageTier) -> int:
        count = 0
        while (moved := self._move_some(found.limit(_AT_ONCE), tier)) > 0:
            count += moved
        if count:
            _log.info("storage tiers changed", image_sets=count, tier=tier)
        return count

    def _move_some(self, found: Select[tuple[str]], tier: StorageTier) -> int:
        with self._image_store.database.read() as connection:
            if connection.execute(found.limit(1)).first() is None:
                return 0
        with self._image_store.database.write() as connection:
            # What is locked is being written, which is an access, or comes with the next look.
            ids = connection.execute(lock_row(connection, found, skip_locked=True)).scalars().all()
            for some in in_groups(ids):
                connection.execute(update(image_sets).where(image_sets.c.id.in_(some)).values(storage_tier=tier))
            note_tier(connection, tier, ids)
        return len(ids)
