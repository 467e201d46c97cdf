"""Compaction of what a server stores: everything it answers, and the records that lie in its packs."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hounsfield.bootstrap.image_store import open_image_store
from hounsfield.imaging.datastores import fetch_key, get_datastore
from hounsfield.imaging.image_store import ImageStore
from hounsfield.settings import load_settings
from hounsfield.storage.blobs.packs import Extent, Label, read_contents
from support.clients.dicomweb import get
from support.identities.users import command
from support.imaging.imports import frame, image_sets, instances
from support.servers import ServerProcess

QUIET = {
    "HOUNSFIELD_COMPACTION_AFTER_SECONDS": "0",
    "HOUNSFIELD_COMPACTION_GRACE_SECONDS": "0",
    "HOUNSFIELD_COMPACTION_RATE": "0",
    "HOUNSFIELD_RELEASE_AFTER_SECONDS": "0",
    "HOUNSFIELD_FRAME_CACHE_BYTES": "0",
    "HOUNSFIELD_STORE_WORKERS": "1",
    "HOUNSFIELD_IMPORT_WORKERS": "1",
}
"""A runner that leaves compaction to the command, which deletes old packs at once; frames are read from packs each time."""


def compacted(server: ServerProcess, exit_code: int = 0) -> dict[str, int]:
    """Compact everything now, and return what was done."""
    result = command(server, "compact", "--json")
    assert result.exit_code == exit_code, result.output
    return dict(json.loads(result.stdout))


def answers(server: ServerProcess, client: Any, datastore_id: str) -> dict[tuple[str, ...], bytes]:
    """Return all that can be read of a data store: documents of all versions, frames, files, and metadata of series."""
    found: dict[tuple[str, ...], bytes] = {}
    for summary in image_sets(client, datastore_id):
        image_set = summary["imageSetId"]
        for version in range(1, int(summary["version"]) + 1):
            answer = client.get_image_set_metadata(
                datastoreId=datastore_id, imageSetId=image_set, versionId=str(version)
            )
            text = gzip.decompress(answer["imageSetMetadataBlob"].read())
            found["document", image_set, str(version)] = text
            document = json.loads(text)
            for _, instance in instances(document):
                for entry in instance["ImageFrames"]:
                    found["frame", image_set, entry["ID"]] = frame(client, datastore_id, image_set, entry["ID"])[0]
        (series_uid,) = document["Study"]["Series"]
        study_uid = document["Study"]["DICOM"]["StudyInstanceUID"]
        path = f"studies/{study_uid}/series/{series_uid}"
        asked = f"{path}/metadata?imageSetId={image_set}"
        found["series", image_set] = get(server, datastore_id, asked).content
        for sop_uid, _ in instances(document):
            file = get(server, datastore_id, f"{path}/instances/{sop_uid}?imageSetId={image_set}")
            assert file.status_code == 200, file.text
            found["file", image_set, sop_uid] = file.content
    return found


@contextmanager
def image_store_of(server: ServerProcess) -> Iterator[ImageStore]:
    """Open what a server stores, beside it."""
    image_store, _ = open_image_store(load_settings({**server.environment, "HOUNSFIELD_DATA": str(server.data)}))
    try:
        yield image_store
    finally:
        image_store.database.close()


def packs(image_store: ImageStore, datastore_id: str) -> dict[str, list[tuple[Label, Extent]]]:
    """Return the records of all packs of a data store, by their ids."""
    key = fetch_key(image_store, get_datastore(image_store, datastore_id))
    names = sorted(Path(name).name for name in image_store.blobs.names(f"packs/{datastore_id}/"))
    return {name: read_contents(image_store.blobs, key, name) for name in names if name != "key.json"}


def owners(image_store: ImageStore, datastore_id: str) -> set[str]:
    """Return the keys of all instances that have records in any pack of a data store."""
    return {label.owner for contents in packs(image_store, datastore_id).values() for label, _ in contents}
