"""Import jobs and packs on an S3 endpoint.

The endpoint is moto's server in a process of its own: it speaks the S3 wire (listing, ranged GET, PUT, multipart upload),
which is what is tested here. It is not AWS: its performance and its permissions are not.
"""

from __future__ import annotations

import json
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import boto3
import imagecodecs
import pytest

from imports import document, frame, image_sets, instances
from servers import ServerProcess, active_datastore, finished_job, free_port, start_import, wait_for
from synthetic import noise, save, slice_of

KEYS = {"aws_access_key_id": "AKIATEST", "aws_secret_access_key": "secret"}


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [str(Path(sys.executable).parent / "moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    with (tmp_path_factory.mktemp("moto") / "log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)

    def up() -> bool:
        try:
            with urlopen(f"{url}/moto-api/", timeout=2) as answer:
                return answer.status == 200
        except (URLError, OSError):
            return False

    try:
        wait_for(up, "moto to answer")
        yield url
    finally:
        server.terminate()
        server.wait(30)


@pytest.fixture(scope="module")
def s3(endpoint: str) -> Any:
    client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **KEYS)
    for bucket in ("incoming", "results", "packs"):
        client.create_bucket(Bucket=bucket)
    return client


@pytest.fixture(scope="module")
def s3_server(endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server whose input, output and packs are all on the endpoint."""
    settings = {
        "HOUNSFIELD_S3_ENDPOINT_URL": endpoint,
        "HOUNSFIELD_S3_ACCESS_KEY_ID": KEYS["aws_access_key_id"],
        "HOUNSFIELD_S3_SECRET_ACCESS_KEY": KEYS["aws_secret_access_key"],
        "HOUNSFIELD_BLOBS_URL": "s3://packs/archive",
    }
    process = ServerProcess(tmp_path_factory.mktemp("s3") / "data", settings).start()
    yield process
    process.stop()


def put_study(s3: Any, folder: Path, prefix: str) -> dict[str, int]:
    checksums = {}
    for number in range(1, 5):
        pixels = noise(200, 300, seed=number)
        instance = slice_of(1, number, pixels=pixels)
        path = save(instance, folder / f"{number}.dcm")
        s3.upload_file(str(path), "incoming", f"{prefix}/deep/er/{number} a+b.dcm")
        checksums[str(instance.SOPInstanceUID)] = zlib.crc32(pixels.tobytes())
    return checksums


def test_a_job_reads_from_and_writes_to_s3_and_packs_are_objects(
    s3: Any, s3_server: ServerProcess, tmp_path: Path
) -> None:
    checksums = put_study(s3, tmp_path, "study")
    s3.put_object(Bucket="incoming", Key="study/notes.txt", Body=b"not DICOM")
    client = s3_server.client()
    datastore = active_datastore(client)
    job = finished_job(client, datastore, start_import(client, datastore, "s3://incoming/study", "s3://results/out"))
    assert job["jobStatus"] == "COMPLETED"
    prefix = job["outputS3Uri"].removeprefix("s3://results/")
    assert prefix.startswith("out/")

    def output(name: str) -> bytes:
        return s3.get_object(Bucket="results", Key=prefix + name)["Body"].read()

    summary = json.loads(output("job-output-manifest.json"))["jobSummary"]
    assert (summary["numberOfScannedFiles"], summary["numberOfImportedFiles"]) == (5, 4)
    assert summary["numberOfFilesWithCustomerError"] == 1
    assert json.loads(output("FAILURE/failure.ndjson"))["inputFile"] == "study/notes.txt"
    succeeded = [json.loads(line)["inputFile"] for line in output("SUCCESS/success.ndjson").splitlines()]
    assert succeeded == [f"study/deep/er/{number} a+b.dcm" for number in range(1, 5)]

    (found,) = image_sets(client, datastore)
    for sop_uid, instance in instances(document(client, datastore, found["imageSetId"])):
        data, _ = frame(client, datastore, found["imageSetId"], instance["ImageFrames"][0]["ID"])
        assert zlib.crc32(imagecodecs.htj2k_decode(data).tobytes()) == checksums[sop_uid]
    packs = [entry["Key"] for entry in s3.list_objects_v2(Bucket="packs")["Contents"]]
    assert packs
    assert all(key.startswith(f"archive/packs/{datastore}/") for key in packs)
    assert not (s3_server.data / "blobs").exists()


@pytest.mark.parametrize(
    ("source", "target", "reason"),
    [
        ("s3://nowhere/study/", "s3://results/", "input location cannot be read"),
        ("s3://incoming/empty-prefix/", "s3://results/", "no objects"),
        ("s3://incoming/study/", "s3://nowhere/", "output location cannot be written"),
    ],
)
def test_a_job_whose_bucket_is_missing_or_empty_fails_and_says_so(
    s3: Any, s3_server: ServerProcess, tmp_path: Path, source: str, target: str, reason: str
) -> None:
    put_study(s3, tmp_path, "study")
    client = s3_server.client()
    datastore = active_datastore(client)
    job = finished_job(client, datastore, start_import(client, datastore, source, target))
    assert job["jobStatus"] == "FAILED"
    assert reason in job["message"]
    assert image_sets(client, datastore) == []
