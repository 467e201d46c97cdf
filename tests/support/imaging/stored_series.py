"""Series brought into a data store for a test, and waiting until what was asked of an image set has ended."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from support.imaging.import_folders import fill, import_folder, sop_instances
from support.imaging.stored_frames import verify_frames
from support.servers import ServerProcess, wait_for

_folders = itertools.count()


def imported(server: ServerProcess, client: Any, datastore_id: str, *slices: Dataset) -> list[str]:
    """Import slices in one job; return the image set that each went to, in order."""
    folder = f"series-{next(_folders)}-{datastore_id}"
    fill(server, folder, slices)
    outcome = import_folder(server, client, datastore_id, folder)
    assert outcome.failure == []
    told = sorted(outcome.success, key=lambda line: line["inputFile"])
    return [line["importResponse"]["imageSetId"] for line in told]


def settled(client: Any, datastore_id: str, image_set_id: str) -> dict[str, Any]:
    """Wait until an image set is no longer LOCKED and return its properties."""

    def properties() -> dict[str, Any] | None:
        found = client.get_image_set(datastoreId=datastore_id, imageSetId=image_set_id)
        return None if found["imageSetState"] == "LOCKED" else dict(found)

    return wait_for(properties, "the image set to be no longer LOCKED")


def deleted(client: Any, datastore_id: str, image_set_id: str) -> dict[str, Any]:
    """Delete an image set and return its properties once it is DELETED."""
    client.delete_image_set(datastoreId=datastore_id, imageSetId=image_set_id)
    found = settled(client, datastore_id, image_set_id)
    assert found["imageSetState"] == "DELETED"
    return found


def pack_files(server: ServerProcess, datastore_id: str) -> set[Path]:
    """Return the files of all packs of a data store."""
    return {path for path in (server.data / "blobs" / "packs" / datastore_id).rglob("*") if path.is_file()}


def verified(client: Any, datastore_id: str, image_set_id: str) -> dict[str, dict[str, Any]]:
    """Check every frame of an image set against its metadata; return its instances by SOP Instance UID."""
    found = sop_instances(client, datastore_id, image_set_id)
    for instance in found.values():
        assert verify_frames(client, datastore_id, image_set_id, instance) > 0
    return found
