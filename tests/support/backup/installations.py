"""Installations to back up, and the commands that do it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from support.clients.dicomweb import part10, store
from support.files.synthetic import noise, slice_of
from support.identities.users import command
from support.imaging.imports import image_sets
from support.servers import ServerProcess, active_datastore, wait_for

ENVIRONMENT = {"HOUNSFIELD_IMPORT_WORKERS": "1", "HOUNSFIELD_STORE_WORKERS": "1"}


def fill(server: ServerProcess) -> str:
    """Make image sets with versions, a copy, tags, and one that is deleted; gives their data store."""
    client = server.client()
    datastore = active_datastore(client, datastoreName="backed-up")
    for study in (1, 2, 3):
        store_study(server, datastore, study)
    first, second, third = (entry["imageSetId"] for entry in image_sets(client, datastore))
    name = {"SchemaVersion": 1.1, "Patient": {"DICOM": {"PatientName": "Turn^Two"}}}
    client.update_image_set_metadata(
        datastoreId=datastore,
        imageSetId=first,
        latestVersionId="1",
        updateImageSetMetadataUpdates={"DICOMUpdates": {"updatableAttributes": json.dumps(name)}},
    )
    client.copy_image_set(
        datastoreId=datastore,
        sourceImageSetId=second,
        copyImageSetInformation={"sourceImageSet": {"latestVersionId": "1"}},
    )
    client.tag_resource(
        resourceArn=client.get_image_set(datastoreId=datastore, imageSetId=second)["imageSetArn"], tags={"Ward": "3"}
    )
    client.delete_image_set(datastoreId=datastore, imageSetId=third)
    wait_for(lambda: all(_is_settled(client, datastore, one) for one in (first, second)), "the changes to end")
    return datastore


def store_study(server: ServerProcess, datastore: str, study: int) -> None:
    """Store a study of one series with two slices."""
    files = [part10(slice_of(1, number, study=study, pixels=noise(32, 32, seed=number))) for number in (1, 2)]
    assert store(server, datastore, files).status_code == 200


def _is_settled(client: Any, datastore: str, image_set: str) -> bool:
    return bool(client.get_image_set(datastoreId=datastore, imageSetId=image_set)["imageSetState"] == "ACTIVE")


def backed_up(server: ServerProcess, target: Path | str, *options: str, code: int = 0) -> dict[str, Any]:
    """Back up, and return what the command prints."""
    result = command(server, "backup", str(target), "--json", *options)
    assert result.exit_code == code, result.output
    return dict(json.loads(result.stdout))


def restored(
    source: Path | str, data: Path, *options: str, environment: dict[str, str] | None = None, code: int = 0
) -> ServerProcess:
    """Restore, and return the server of the new data folder, which is not started."""
    server = ServerProcess(data, {**ENVIRONMENT, **(environment or {})})
    result = command(server, "restore", str(source), *options)
    assert result.exit_code == code, result.output
    return server
