"""Position of the journal: a database that is older than the journal beside its packs is not gone on with.

newest segments ─▶ last sequence ─┐
outbox of the database ───────────┴─▶ the journal is ahead: changes that were answered are missing in the database ─▶ refused

So it is noticed that the write-ahead log was not copied along, or that a database of last week was put beside the packs of
today. Going on with it would give sequences to new changes that old ones have.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from hounsfield.imaging.image_store import ImageStore
from hounsfield.settings import InstallationError, Settings
from hounsfield.storage.db.journal_table import highest_sequence
from hounsfield.storage.journal.segments import FOLDER, SegmentName, find_last_sequence

_WRITERS: Final = 16
"""Writers that are looked at, those that began a segment last: a segment is begun at least every hour."""
_TAIL_BYTES: Final = 1 << 20


def check_journal_position(settings: Settings, image_store: ImageStore, secret: bytes) -> None:
    """Make sure that the embedded database has all that the journal has; in a bucket the journal is not looked at.

    Parameters
    ----------
    settings : Settings
        The installation.
    image_store : ImageStore
        Its stores, opened.
    secret : bytes
        The journal key.

    Raises
    ------
    InstallationError
        The journal has changes that the database lacks.
    """
    folder = image_store.blob_location.folder
    if folder is None or settings.database_url:
        return
    # The journal first: what is committed meanwhile is in the database before it is in the journal.
    written = max(_last_sequences(Path(folder), secret), default=0)
    with image_store.database.read() as connection:
        known = highest_sequence(connection)
    if written > known:
        raise InstallationError(
            f"the database is older than the journal beside the packs in {folder}: {written - known} changes that were "
            "answered are missing in it, as when hounsfield.db was copied without hounsfield.db-wal; put back "
            "the newest database with its hounsfield.db-wal, or move this one away and run `hounsfield rebuild`"
        )


def _last_sequences(folder: Path, secret: bytes) -> Iterator[int]:
    try:
        with os.scandir(folder / FOLDER) as entries:
            writers = sorted(
                (entry for entry in entries if entry.is_dir()), key=lambda entry: -entry.stat().st_mtime_ns
            )
    except FileNotFoundError:
        return
    for writer in writers[:_WRITERS]:
        # The newest may have been begun and have no record yet.
        for file in sorted((entry.name for entry in os.scandir(writer)), reverse=True)[:2]:
            name = SegmentName.parse(f"{FOLDER}/{writer.name}/{file}")
            if name is not None:
                found = _last_sequence(Path(writer.path) / file, secret, name)
                if found:
                    yield found
                    break


def _last_sequence(path: Path, secret: bytes, name: SegmentName) -> int | None:
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - _TAIL_BYTES))
        found = find_last_sequence(secret, name, file.read())
        if found is None and size > _TAIL_BYTES:
            file.seek(0)
            found = find_last_sequence(secret, name, file.read())
    return found
