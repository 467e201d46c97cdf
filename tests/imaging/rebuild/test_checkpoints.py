"""Checkpoints of the journal: what one could not read a rebuild names, and does not make up."""

from __future__ import annotations

import json
from pathlib import Path

from hounsfield.bootstrap.image_store import open_image_store
from hounsfield.imaging.rebuild.checkpoints import CheckpointWriter
from hounsfield.settings import Settings
from hounsfield.storage.keys.installation_secrets import installation_secret
from hounsfield.storage.keys.secret_copies import JOURNAL
from support.clients.dicomweb import part10, store, updated
from support.files.synthetic import noise, slice_of
from support.identities.users import command
from support.imaging.imports import image_sets
from support.imaging.lost_databases import lose_database
from support.imaging.updates import instance
from support.servers import ServerProcess, active_datastore


def test_an_edit_that_a_checkpoint_could_not_read_is_told_and_is_not_the_import(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data", {"HOUNSFIELD_STORE_WORKERS": "1"}).start()
    client = server.client()
    datastore = active_datastore(client)
    assert store(server, datastore, [part10(slice_of(1, pixels=noise(8, 8)))]).status_code == 200
    (found,) = image_sets(client, datastore)
    imported = packs(server)
    updated(client, datastore, found["imageSetId"], instance(1, {"DICOM": {"InstanceNumber": "7"}}))
    server.stop()
    (edit,) = packs(server) - imported

    image_store, keyring = open_image_store(Settings(data=server.data))
    secret = installation_secret(image_store.database, keyring, JOURNAL)
    whole = CheckpointWriter(image_store, secret).write()
    edit.rename(tmp_path / "aside")
    blind = CheckpointWriter(image_store, secret).write()
    image_store.database.close()
    (tmp_path / "aside").rename(edit)
    place = server.data / "blobs"
    assert (place / str(whole)).exists(), "the one before stays"

    lose_database(server)
    # Of those that have everything up to the same moment any may be taken.
    (place / str(whole)).unlink()
    assert (place / str(blind)).exists()
    report = json.loads(command(server, "rebuild", "--json").stdout)
    assert report["result"] == "incomplete"
    assert {loss["imageSetId"] for loss in report["losses"]} == {found["imageSetId"]}


def packs(server: ServerProcess) -> set[Path]:
    return {path for path in (server.data / "blobs" / "packs").rglob("*") if path.is_file()}
