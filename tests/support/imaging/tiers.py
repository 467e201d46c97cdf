"""Image sets on their way between the storage tiers, and the places of their packs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import update

from hounsfield.bootstrap.installation import open_database, open_keyring
from hounsfield.settings import Settings
from hounsfield.storage.clock import now_ms
from hounsfield.storage.db.database import Database
from hounsfield.storage.db.image_set_tables import image_sets
from support.files.synthetic import slice_of
from support.imaging.imports import document, frame, instances
from support.imaging.imports import image_sets as listed
from support.imaging.stored_series import imported
from support.servers import ServerProcess, active_datastore, wait_for

QUICK = {"HOUNSFIELD_TIER_SWEEP_SECONDS": "0.1", "HOUNSFIELD_ACCESS_FLUSH_SECONDS": "0.1"}
"""Sweeps and writes at once; the 30 days stay, and tests put the last access back in time instead."""
FREQUENT, ARCHIVED = "FREQUENT_ACCESS", "ARCHIVE_INSTANT_ACCESS"
DAY_MS = 24 * 3600 * 1000


def settings_of(server: ServerProcess) -> Settings:
    """The settings by which a test opens the database of a running server."""
    return Settings(data=server.data, database_url=server.environment.get("HOUNSFIELD_DATABASE_URL", ""))


def rested(server: ServerProcess, *image_set_ids: str, days: float = 31) -> None:
    """Make it so many days since image sets were accessed last."""
    settings = settings_of(server)
    database = open_database(settings, open_keyring(settings))
    put_back(database, image_set_ids, days)
    database.close()


def put_back(database: Database, image_set_ids: Sequence[str], days: float) -> None:
    with database.write() as connection:
        connection.execute(
            update(image_sets)
            .where(image_sets.c.id.in_(image_set_ids))
            .values(last_accessed_at=now_ms() - int(days * DAY_MS))
        )


def tier(client: Any, datastore: str, image_set: str) -> str:
    return str(client.get_image_set(datastoreId=datastore, imageSetId=image_set)["storageTier"])


def accessed(client: Any, datastore: str, image_set: str) -> datetime:
    found = client.get_image_set(datastoreId=datastore, imageSetId=image_set)["lastAccessedAt"]
    assert isinstance(found, datetime)
    return found


def comes_to(client: Any, datastore: str, image_set: str, wanted: str) -> None:
    wait_for(lambda: tier(client, datastore, image_set) == wanted, f"the image set to come to {wanted}")


def archived(server: ServerProcess, client: Any, datastore: str, *image_set_ids: str) -> None:
    """Let image sets rest until they are archived."""
    rested(server, *image_set_ids)
    for image_set in image_set_ids:
        comes_to(client, datastore, image_set, ARCHIVED)


class Bell:
    """Tells when all accesses so far are written: those of an image set that nobody else knows are written after them."""

    def __init__(self, server: ServerProcess, client: Any) -> None:
        self.server, self.client = server, client
        self.datastore = active_datastore(client)
        (self.image_set,) = imported(server, client, self.datastore, slice_of(study=999))

    def wait(self) -> None:
        rested(self.server, self.image_set, days=1)
        before = accessed(self.client, self.datastore, self.image_set)
        document(self.client, self.datastore, self.image_set)
        wait_for(lambda: accessed(self.client, self.datastore, self.image_set) > before, "accesses to be written")


def summary(client: Any, datastore: str, image_set: str) -> dict[str, Any]:
    return next(entry for entry in listed(client, datastore) if entry["imageSetId"] == image_set)


def frame_ids(client: Any, datastore: str, image_set: str) -> list[str]:
    """The ids of all frames; to ask for them is an access."""
    found = instances(document(client, datastore, image_set))
    return [entry["ID"] for _, instance in found for entry in instance["ImageFrames"]]


def frames(client: Any, datastore: str, image_set: str, ids: list[str]) -> list[bytes]:
    return [frame(client, datastore, image_set, one)[0] for one in ids]


def packs_in(folder: Path, datastore: str) -> set[str]:
    """The files of packs in a place, also those that were not finished."""
    return {path.name for path in (folder / "packs" / datastore).rglob("*") if path.is_file()}
