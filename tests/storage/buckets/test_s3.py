"""Import from, output to, and packs in an S3 object store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from support.files.bad_files import FAILING, written
from support.files.synthetic import noise, slice_of, uid
from support.imaging.import_folders import sop_instances
from support.imaging.stored_frames import decoded_frame
from support.servers import ServerProcess, active_datastore, finished_job, start_import
from support.services.object_store import ObjectStore


@pytest.fixture(scope="module")
def on_s3(tmp_path_factory: pytest.TempPathFactory, s3: ObjectStore) -> Iterator[ServerProcess]:
    process = ServerProcess(tmp_path_factory.mktemp("on-s3") / "data", s3.environment()).start()
    yield process
    process.stop()


@pytest.fixture(scope="module")
def input_bucket(s3: ObjectStore) -> str:
    """A bucket with 30 slices of one series, a bad file, a large multi-frame file, and neighbours not to be imported."""
    s3.client.create_bucket(Bucket="sources")
    s3.client.create_bucket(Bucket="results")
    for number in range(30):
        body = written(slice_of(number=number, pixels=noise(64, 64, seed=number)))
        s3.client.put_object(Bucket="sources", Key=f"study one/deep/er/{number:03d}.dcm", Body=body)
    s3.client.put_object(Bucket="sources", Key="study one/bad.dcm", Body=FAILING["truncated-in-pixels.dcm"][0]())
    s3.client.put_object(Bucket="sources", Key="study one/empty.dcm", Body=b"")
    frames = np.random.default_rng(3).integers(0, 4000, (12, 600, 600), "<u2")
    s3.client.put_object(Bucket="sources", Key="study one/large.dcm", Body=written(slice_of(2, 1, pixels=frames)))
    s3.client.put_object(Bucket="sources", Key="study one more/x.dcm", Body=written(slice_of(9, 9)))
    return "sources"


def test_import_from_and_output_to_an_object_store(on_s3: ServerProcess, s3: ObjectStore, input_bucket: str) -> None:
    client = on_s3.client()
    datastore_id = active_datastore(client)
    job_id = start_import(client, datastore_id, f"s3://{input_bucket}/study one/", "s3://results/here")
    job = finished_job(client, datastore_id, job_id)
    assert job["jobStatus"] == "COMPLETED", job
    prefix = f"here/{datastore_id}-DicomImport-{job_id}/"
    assert job["outputS3Uri"] == f"s3://results/{prefix}"
    files = {"job-output-manifest.json", "SUCCESS/success.ndjson", "FAILURE/failure.ndjson"}
    assert set(s3.keys("results", prefix)) == {prefix + name for name in files}
    summary = json.loads(s3.get("results", prefix + "job-output-manifest.json"))["jobSummary"]
    assert summary["numberOfScannedFiles"] == 33
    assert summary["numberOfImportedFiles"] == 31
    failures = [json.loads(line) for line in s3.get("results", prefix + "FAILURE/failure.ndjson").splitlines()]
    assert [line["inputFile"] for line in failures] == ["study one/bad.dcm", "study one/empty.dcm"]
    by_size = {entry["numberOfMatchedSOPInstances"]: entry["imageSetId"] for entry in summary["imageSetsSummary"]}
    instances = sop_instances(client, datastore_id, by_size[30])
    for number in range(30):
        (entry,) = instances[uid(1, 1, number)]["ImageFrames"]
        samples = decoded_frame(client, datastore_id, by_size[30], entry)
        assert np.array_equal(samples, noise(64, 64, seed=number))
    (large,) = sop_instances(client, datastore_id, by_size[1]).values()
    frames = np.random.default_rng(3).integers(0, 4000, (12, 600, 600), "<u2")
    for entry, wanted in zip(large["ImageFrames"], frames, strict=True):
        assert np.array_equal(decoded_frame(client, datastore_id, by_size[1], entry), wanted)
    assert list((on_s3.data / "buckets").iterdir()) == []


@pytest.mark.parametrize(
    ("source", "target", "said"),
    [
        ("s3://no-such-bucket/x/", "s3://results/", "no-such-bucket"),
        ("s3://sources/study one/", "s3://no-such-output/", "output location"),
        ("s3://sources/nothing here/", "s3://results/", "no objects"),
    ],
)
def test_a_job_without_its_bucket_fails_and_says_so(
    on_s3: ServerProcess, input_bucket: str, source: str, target: str, said: str
) -> None:
    client = on_s3.client()
    datastore_id = active_datastore(client)
    job = finished_job(client, datastore_id, start_import(client, datastore_id, source, target))
    assert job["jobStatus"] == "FAILED"
    assert said in job["message"]
    assert client.search_image_sets(datastoreId=datastore_id, searchCriteria={})["imageSetsMetadataSummaries"] == []
    other = start_import(client, datastore_id, f"s3://{input_bucket}/study one more/", "s3://results/")
    assert finished_job(client, datastore_id, other)["jobStatus"] == "COMPLETED"


def test_the_same_failures_with_folders_for_buckets(server: ServerProcess, client: Any) -> None:
    server.bucket("results")
    server.bucket("empty-bucket")
    datastore_id = active_datastore(client)
    for source, target, said in (
        ("s3://no-such-bucket/", "s3://results/", "no-such-bucket"),
        ("s3://empty-bucket/", "s3://results/", "no objects"),
    ):
        job = finished_job(client, datastore_id, start_import(client, datastore_id, source, target))
        assert job["jobStatus"] == "FAILED"
        assert said in job["message"]


def test_packs_live_in_an_object_store(
    tmp_path_factory: pytest.TempPathFactory, s3: ObjectStore, input_bucket: str
) -> None:
    s3.client.create_bucket(Bucket="packs")
    environment = {**s3.environment(), "HOUNSFIELD_BLOBS_URL": "s3://packs/archive"}
    server = ServerProcess(tmp_path_factory.mktemp("packs") / "data", environment).start()
    try:
        client = server.client()
        datastore_id = active_datastore(client)
        job_id = start_import(client, datastore_id, f"s3://{input_bucket}/study one/", "s3://results/")
        job = finished_job(client, datastore_id, job_id)
        assert job["jobStatus"] == "COMPLETED", job
        found = client.search_image_sets(datastoreId=datastore_id, searchCriteria={})["imageSetsMetadataSummaries"]
        for entry in found:
            for instance in sop_instances(client, datastore_id, entry["imageSetId"]).values():
                for frame in instance["ImageFrames"]:
                    decoded_frame(client, datastore_id, entry["imageSetId"], frame)
        assert s3.keys("packs", f"archive/packs/{datastore_id}/")
        assert not list((server.data / "blobs").rglob("*")) or not (server.data / "blobs").exists()
        data = b"".join(s3.get("packs", key) for key in s3.keys("packs"))
        assert b"Roe^Jane" not in data
    finally:
        server.stop()
