"""A server on which nothing goes on: its runner stands still, a key is lost, image sets are locked in every way there is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import update

from hounsfield.bootstrap.installation import open_database, open_keyring
from hounsfield.imaging.datastores import DatastoreStatus
from hounsfield.settings import load_settings
from hounsfield.storage.db.image_set_tables import datastores
from support.conformance.world import COPIED, DELETED, UPDATED, World, settled_world
from support.faults.suspended_runner import suspended
from support.files.synthetic import slice_of
from support.servers import ROLE, ServerProcess, active_datastore, wait_for

OTHER_STUDY = (5, 6)
"""Two series of a study of their own: an update of the first locks the second as well."""
INTO = 7
"""A series that a copy goes into."""
REVERT = {"latestVersionId": "1", "updateImageSetMetadataUpdates": {"revertToVersionId": "1"}}
RENAME = {
    "latestVersionId": "1",
    "updateImageSetMetadataUpdates": {
        "DICOMUpdates": {"updatableAttributes": b'{"SchemaVersion": 1.1, "Patient": {"DICOM": {"PatientSex": "O"}}}'}
    },
}
COPY = {"copyImageSetInformation": {"sourceImageSet": {"latestVersionId": "1"}}}
JOB = {
    "clientToken": "conformance-job",
    "dataAccessRoleArn": ROLE,
    "inputS3Uri": "s3://input/a/",
    "outputS3Uri": "s3://output/",
}


@dataclass(frozen=True)
class Trouble:
    """What is there.

    ``working`` is as it should be but for its locked image sets, which ``locked`` has by workflow status; ``gone`` is a
    deleted one. The key of ``keyless`` does not open. ``stores`` are data stores by the state in which they stay.
    """

    client: Any
    server: ServerProcess
    working: World
    keyless: World
    locked: dict[str, str]
    gone: str
    stores: dict[str, str]


@contextmanager
def in_trouble(folder: Path) -> Iterator[Trouble]:
    """Start a server and bring it into trouble."""
    server = ServerProcess(folder / "data").start()
    try:
        client = server.client()
        other = [slice_of(series, 1, study=2) for series in OTHER_STUDY]
        working = settled_world(server, client, "working", [*other, slice_of(INTO, 1, study=3)])
        keyless = settled_world(server, client, "keyless")
        gone = _copy_that_is_gone(client, working)
        stores = _stores(client)
        _change(server, keyless.datastore_id, wrapped_key=b"\0" * 64)
        _change(server, stores["CREATE_FAILED"], status=DatastoreStatus.CREATE_FAILED)
        runner = suspended(server)
        try:
            locked = _lock(client, working)
            client.start_dicom_import_job(datastoreId=working.datastore_id, **JOB)
            stores["CREATING"] = client.create_datastore(clientToken="conformance-creating")["datastoreId"]
            client.delete_datastore(datastoreId=stores["DELETING"])
            yield Trouble(client, server, working, keyless, locked, gone, stores)
        finally:
            runner.resume()
    finally:
        server.stop()


def _copy_that_is_gone(client: Any, world: World) -> str:
    source = {"datastoreId": world.datastore_id, "sourceImageSetId": world.image_sets[COPIED]}
    copied = client.copy_image_set(**source, **COPY)["destinationImageSetProperties"]["imageSetId"]
    image_set = {"datastoreId": world.datastore_id, "imageSetId": copied}
    wait_for(lambda: client.get_image_set(**image_set)["imageSetState"] == "ACTIVE", "the copy to be made")
    client.delete_image_set(**image_set)
    wait_for(lambda: client.get_image_set(**image_set)["imageSetState"] == "DELETED", "the copy to be deleted")
    return str(copied)


def _stores(client: Any) -> dict[str, str]:
    """Make data stores that are, or will be, in each state that comes after ACTIVE."""
    found = {status: active_datastore(client) for status in ("DELETING", "DELETED", "CREATE_FAILED")}
    deleted = {"datastoreId": found["DELETED"]}
    client.delete_datastore(**deleted)
    wait_for(
        lambda: client.get_datastore(**deleted)["datastoreProperties"]["datastoreStatus"] == "DELETED",
        "the data store to be DELETED",
    )
    return found


def _change(server: ServerProcess, datastore_id: str, **values: object) -> None:
    """Bring the row of a data store into a state that only a fault leads to."""
    settings = load_settings({"HOUNSFIELD_DATA": str(server.data)})
    database = open_database(settings, open_keyring(settings))
    try:
        with database.write() as connection:
            connection.execute(update(datastores).where(datastores.c.id == datastore_id).values(**values))
    finally:
        database.close()


def _lock(client: Any, world: World) -> dict[str, str]:
    """Begin one operation of each kind; gives an image set for each workflow status that locks."""
    store = {"datastoreId": world.datastore_id}
    sets = world.image_sets
    client.update_image_set_metadata(**store, imageSetId=sets[UPDATED], **REVERT)
    first, sibling = (sets[series] for series in OTHER_STUDY)
    client.update_image_set_metadata(**store, imageSetId=first, includeStudyImageSets=True, **RENAME)
    into = {"destinationImageSet": {"imageSetId": sets[INTO], "latestVersionId": "1"}}
    client.copy_image_set(
        **store,
        sourceImageSetId=sets[COPIED],
        copyImageSetInformation={**COPY["copyImageSetInformation"], **into},
    )
    client.delete_image_set(**store, imageSetId=sets[DELETED])
    found = {
        "UPDATING": sets[UPDATED],
        "UPDATING_FOR_STUDY_CONSISTENCY": sibling,
        "COPYING_WITH_READ_ONLY_ACCESS": sets[COPIED],
        "COPYING": sets[INTO],
        "DELETING": sets[DELETED],
    }
    for status, image_set_id in found.items():
        shown = client.get_image_set(**store, imageSetId=image_set_id)
        assert (shown["imageSetState"], shown["imageSetWorkflowStatus"]) == ("LOCKED", status)
    return found
