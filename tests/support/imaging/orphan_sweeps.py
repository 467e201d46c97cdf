"""Sweeps of packs that no row names, by processes that begin later in the time of the installation."""

from __future__ import annotations

from sqlalchemy import update

from hounsfield.bootstrap.image_store import open_image_store
from hounsfield.imaging.tiering.orphan_packs import OrphanSweeper
from hounsfield.settings import Settings
from hounsfield.storage.db.clock_table import steady_clock

HOUR_MS = 3600 * 1000


def swept(settings: Settings, hours_later: int = 0) -> int:
    """Sweep as a process does that begins so many hours of the installation's time later."""
    image_store, _ = open_image_store(settings)
    with image_store.database.write() as connection:
        connection.execute(update(steady_clock).values(ms=steady_clock.c.ms + hours_later * HOUR_MS))
    image_store.database.close()
    image_store, _ = open_image_store(settings)
    count = OrphanSweeper(image_store, delete=True).sweep()
    image_store.database.close()
    return count
