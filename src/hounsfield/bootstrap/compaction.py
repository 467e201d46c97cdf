"""Compaction as the settings have it."""

from __future__ import annotations

import threading

from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.tiering.compaction import CompactionTimes
from hounsfield.imaging.tiering.rewriting_process import RewritingProcess
from hounsfield.settings import Settings
from hounsfield.storage.blobs.tiered_blobs import PackLocations


def read_times(settings: Settings) -> CompactionTimes:
    """Return how long packs wait."""
    return CompactionTimes(
        after=settings.compaction_after_seconds,
        grace=settings.compaction_grace_seconds,
        erase=settings.erase_after_seconds,
    )


def open_rewriting_process(settings: Settings, image_store: ImageStore, stop: threading.Event) -> RewritingProcess:
    """Return what writes packs, at the rate that is set."""
    locations = PackLocations(image_store.blob_location, image_store.archive_location)
    return RewritingProcess(locations, settings.compaction_rate, stop)
