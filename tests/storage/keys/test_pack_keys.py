"""Data keys beside the packs: with them and the master key every pack opens, whatever became of the database."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from sqlalchemy import delete

from hounsfield.bootstrap.installation import open_database, open_keyring
from hounsfield.imaging.tiering.pack_key_sweep import KEEP_PACK_KEYS
from hounsfield.storage.blobs.blobs import BlobLocation, Blobs
from hounsfield.storage.blobs.packs import RecordKind, check_pack, read_contents, read_record
from hounsfield.storage.db.job_tables import work_items
from hounsfield.storage.keys.data_key import DataKey
from hounsfield.storage.keys.master_keys import LocalKeyring, wrapping_key
from hounsfield.storage.keys.pack_keys import read_pack_key
from support.files.bad_files import written
from support.files.synthetic import noise, slice_of
from support.identities.users import command
from support.imaging.import_folders import fill, import_folder
from support.imaging.tiers import QUICK, archived, settings_of
from support.servers import ServerProcess, active_datastore, finished_job, start_import, wait_for
from support.services.object_store import KEY, ObjectStore, proxy

PIXELS = noise(64, 48, seed=19)


def opened_packs(place: Blobs, master: Path, datastore_id: str) -> list[bytes]:
    """Open all packs of a data store with a master key and what is beside the packs alone; gives their frames."""
    wrapped = read_pack_key(place, datastore_id)
    key = DataKey(datastore_id, LocalKeyring(master).unwrap(wrapped, datastore_id))
    frames = []
    for name in place.names(f"packs/{datastore_id}/"):
        pack_id = name.rpartition("/")[2]
        check_pack(place, key, pack_id)
        for label, extent in read_contents(place, key, pack_id):
            if label.kind is RecordKind.FRAME:
                frames.append(read_record(place, key, extent, label))
    return frames


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    process = ServerProcess(tmp_path / "data", {"HOUNSFIELD_IMPORT_WORKERS": "1"}).start()
    yield process
    process.stop()


def test_packs_open_with_the_master_key_alone_through_rotation_and_loss(server: ServerProcess, tmp_path: Path) -> None:
    client = server.client()
    first, second = active_datastore(client), active_datastore(client)
    place = BlobLocation(folder=str(server.data / "blobs"))
    # A data store that is ACTIVE has its key, before it has a pack.
    assert {path.stem for path in (server.data / "blobs" / "keys").iterdir()} - {"secrets"} == {first, second}
    fill(server, "kept", [slice_of(pixels=PIXELS)])
    assert import_folder(server, client, first, "kept").success
    said = json.loads((server.data / "blobs" / "keys" / f"{first}.json").read_text())
    (old,) = (entry["id"] for entry in json.loads((server.data / "keys/master.json").read_text())["keys"])
    assert (said["format"], said["version"], said["datastore"]) == ("hounsfield data key", 1, first)
    assert said["wrapped_by"] == {"master_key": old}

    # A disk with the packs, the master key from elsewhere, and nothing else.
    shutil.copytree(server.data / "blobs", tmp_path / "disk")
    shutil.copy(server.data / "keys" / "master.json", tmp_path / "master.json")
    (frame,) = opened_packs(BlobLocation(folder=str(tmp_path / "disk")).open(), tmp_path / "master.json", first)
    assert np.array_equal(imagecodecs.htj2k_decode(frame), PIXELS)

    rotated = command(server, "master-key", "rotate")
    assert rotated.exit_code == 0, rotated.output
    assert "2 pack keys" in rotated.stdout
    new = LocalKeyring(server.data / "keys" / "master.json").current.id
    assert {wrapping_key(read_pack_key(place.open(), store)) for store in (first, second)} == {new}
    assert "2 data keys, 1 database key, 2 pack keys" in command(server, "master-key", "list").stdout

    # An installation that was made before keys were kept beside packs gets them, and so does one that lost some.
    server.stop()
    shutil.rmtree(server.data / "blobs" / "keys")
    database = open_database(settings_of(server), open_keyring(settings_of(server)))
    with database.write() as connection:
        connection.execute(delete(work_items).where(work_items.c.kind == KEEP_PACK_KEYS))
    database.close()
    server.start()
    keys = server.data / "blobs" / "keys"
    wait_for(lambda: {first, second} <= {path.stem for path in keys.glob("*.json")}, "the keys to be written")
    (frame,) = opened_packs(place.open(), server.data / "keys" / "master.json", first)
    assert np.array_equal(imagecodecs.htj2k_decode(frame), PIXELS)


def test_object_stores_and_the_archive_have_the_keys_too(tmp_path: Path, s3: ObjectStore) -> None:
    for bucket in ("keys-hot", "keys-cold", "keys-in", "keys-out"):
        s3.client.create_bucket(Bucket=bucket)
    away = {"keys": True}
    refused: list[str] = []

    def watch(method: str, path: str, _: Mapping[str, str]) -> int | None:
        if away["keys"] and method == "PUT" and path.startswith("/keys-hot/keys/"):
            refused.append(path)
            return 503
        return None

    with proxy(s3, watch) as store:
        environment = {
            **QUICK,
            **store.environment(),
            "HOUNSFIELD_BLOBS_URL": "s3://keys-hot",
            "HOUNSFIELD_ARCHIVE_BLOBS_URL": "s3://keys-cold/far",
            "HOUNSFIELD_IMPORT_WORKERS": "1",
        }
        server = ServerProcess(tmp_path / "data", environment).start()
        try:
            client = server.client()
            datastore = client.create_datastore()["datastoreId"]
            wait_for(lambda: refused, "the key to be refused")
            # Without its key beside the packs a data store takes none.
            assert client.get_datastore(datastoreId=datastore)["datastoreProperties"]["datastoreStatus"] == "CREATING"
            away["keys"] = False
            wait_for(lambda: _status(client, datastore) == "ACTIVE", "the data store to become ACTIVE")
            name = f"keys/{datastore}.json"
            assert s3.get("keys-hot", name) == s3.get("keys-cold", f"far/{name}")
            image_set = _imported(s3, client, datastore)
            archived(server, client, datastore, image_set)
            wait_for(lambda: not s3.keys("keys-hot", "packs/"), "the packs to leave")
            rotated = command(server, "master-key", "rotate")
            assert rotated.exit_code == 0, rotated.output
            # The hot place is refused no more; both are wrapped anew.
            assert "2 pack keys" in rotated.stdout
            cold = BlobLocation(url="s3://keys-cold/far", options=_options(s3)).open()
            master = server.data / "keys" / "master.json"
            (frame,) = opened_packs(cold, master, datastore)
            assert np.array_equal(imagecodecs.htj2k_decode(frame), PIXELS)
            ring = LocalKeyring(master)
            assert wrapping_key(read_pack_key(cold, datastore)) == ring.current.id
            assert s3.get("keys-hot", name) == s3.get("keys-cold", f"far/{name}")
            away["keys"] = True
            failed = command(server, "master-key", "rotate")
            assert failed.exit_code == 1
            assert "run the command again" in failed.stderr
            away["keys"] = False
            again = command(server, "master-key", "rotate")
            assert "2 pack keys" in again.stdout
        finally:
            server.stop()


def _options(s3: ObjectStore) -> dict[str, str]:
    return {"region": "us-east-1", "endpoint": s3.url, "access_key_id": KEY[0], "secret_access_key": KEY[1]}


def _status(client: Any, datastore: str) -> str:
    return str(client.get_datastore(datastoreId=datastore)["datastoreProperties"]["datastoreStatus"])


def _imported(s3: ObjectStore, client: Any, datastore: str) -> str:
    key = f"{datastore}/1.dcm"
    s3.client.put_object(Bucket="keys-in", Key=key, Body=written(slice_of(pixels=PIXELS)))
    job = finished_job(client, datastore, start_import(client, datastore, f"s3://keys-in/{key}", "s3://keys-out/"))
    assert job["jobStatus"] == "COMPLETED", job
    (found,) = client.search_image_sets(datastoreId=datastore, searchCriteria={})["imageSetsMetadataSummaries"]
    return str(found["imageSetId"])
