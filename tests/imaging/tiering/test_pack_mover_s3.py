"""The second place of packs in an S3 object store; what moto's server does not prove is how a real store keeps promises."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from pydicom.dataset import Dataset

from support.files.bad_files import written
from support.files.synthetic import noise, slice_of
from support.imaging.import_folders import sop_instances
from support.imaging.imports import frame
from support.imaging.stored_series import deleted, verified
from support.imaging.tiers import QUICK, archived, packs_in, rested
from support.servers import ServerProcess, active_datastore, finished_job, start_import, wait_for
from support.services.object_store import ObjectStore


@pytest.fixture(scope="module")
def near(tmp_path_factory: pytest.TempPathFactory, s3: ObjectStore) -> Iterator[ServerProcess]:
    """A server that keeps packs in its data folder and archives them in an object store."""
    for bucket in ("archive", "tiers-in", "tiers-out"):
        s3.client.create_bucket(Bucket=bucket)
    environment = {
        **QUICK,
        **s3.environment(),
        "HOUNSFIELD_ARCHIVE_BLOBS_URL": "s3://archive/cold",
        "HOUNSFIELD_ARCHIVE_STORAGE_CLASS": "GLACIER_IR",
        "HOUNSFIELD_RELEASE_AFTER_SECONDS": "0",
    }
    process = ServerProcess(tmp_path_factory.mktemp("near") / "data", environment).start()
    yield process
    process.stop()


def _archived(s3: ObjectStore, bucket: str, prefix: str, datastore: str) -> list[str]:
    return s3.keys(bucket, f"{prefix}packs/{datastore}/")


def test_packs_go_to_the_store_in_its_storage_class_and_come_back(near: ServerProcess, s3: ObjectStore) -> None:
    client = near.client()
    datastore = active_datastore(client)
    image_set = _imported(s3, client, datastore, slice_of())
    packs = packs_in(near.data / "blobs", datastore)
    archived(near, client, datastore, image_set)
    wait_for(lambda: not packs_in(near.data / "blobs", datastore), "the packs to leave")
    keys = _archived(s3, "archive", "cold/", datastore)
    assert {key.rpartition("/")[2] for key in keys} == packs
    assert s3.client.head_object(Bucket="archive", Key=keys[0])["StorageClass"] == "GLACIER_IR"
    assert len(verified(client, datastore, image_set)) == 1
    wait_for(lambda: packs_in(near.data / "blobs", datastore) == packs, "the packs to come back")
    wait_for(lambda: not _archived(s3, "archive", "cold/", datastore), "the objects to be deleted")
    assert len(verified(client, datastore, image_set)) == 1


def test_large_objects_are_read_from_the_store_and_deleted_there(near: ServerProcess, s3: ObjectStore) -> None:
    """Pixel data kept as one object comes in chunks, which are read while the answer is under way."""
    client = near.client()
    datastore = active_datastore(client)
    random_bytes = random.Random(1).randbytes(9 * 1024 * 1024)
    whole = slice_of(pixels=noise(64, 64))
    del whole.PixelData
    whole.Rows, whole.Columns = 1152, 1024
    whole.BitsAllocated = 64
    del whole.BitsStored, whole.HighBit, whole.PixelRepresentation
    whole.DoubleFloatPixelData = random_bytes
    image_set = _imported(s3, client, datastore, whole)
    (instance,) = sop_instances(client, datastore, image_set).values()
    frame_id = instance["ImageFrames"][0]["ID"]
    # The access above may be written only after a first rest.
    wait_for(lambda: not packs_in(near.data / "blobs", datastore) or rested(near, image_set), "the packs to leave")
    assert frame(client, datastore, image_set, frame_id)[0] == random_bytes
    deleted(client, datastore, image_set)
    # The reading may have brought the pack back before the deletion removed it.
    wait_for(
        lambda: not _archived(s3, "archive", "cold/", datastore) and not packs_in(near.data / "blobs", datastore),
        "the pack to be deleted in either place",
    )


def test_both_places_in_an_object_store(tmp_path_factory: pytest.TempPathFactory, s3: ObjectStore) -> None:
    for bucket in ("hot", "cold", "tiers-in", "tiers-out"):
        s3.client.create_bucket(Bucket=bucket)
    environment = {
        **QUICK,
        **s3.environment(),
        "HOUNSFIELD_BLOBS_URL": "s3://hot",
        "HOUNSFIELD_ARCHIVE_BLOBS_URL": "s3://cold",
    }
    server = ServerProcess(tmp_path_factory.mktemp("far") / "data", environment).start()
    try:
        client = server.client()
        datastore = active_datastore(client)
        image_set = _imported(s3, client, datastore, slice_of())
        hot = s3.keys("hot", "packs/")
        archived(server, client, datastore, image_set)
        wait_for(lambda: not s3.keys("hot", "packs/"), "the packs to leave")
        assert s3.keys("cold", "packs/") == hot
        assert "StorageClass" not in s3.client.head_object(Bucket="cold", Key=hot[0])
        assert len(verified(client, datastore, image_set)) == 1
        wait_for(lambda: (s3.keys("hot", "packs/"), s3.keys("cold", "packs/")) == (hot, []), "the packs to come back")
        assert len(verified(client, datastore, image_set)) == 1
    finally:
        server.stop()


def _imported(s3: ObjectStore, client: Any, datastore: str, dataset: Dataset) -> str:
    key = f"{datastore}/1.dcm"
    s3.client.put_object(Bucket="tiers-in", Key=key, Body=written(dataset))
    job = finished_job(client, datastore, start_import(client, datastore, f"s3://tiers-in/{key}", "s3://tiers-out/"))
    assert job["jobStatus"] == "COMPLETED", job
    (found,) = client.search_image_sets(datastoreId=datastore, searchCriteria={})["imageSetsMetadataSummaries"]
    return str(found["imageSetId"])
