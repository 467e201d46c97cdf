"""An object store whose answers go wrong, for the packs and for the input and output of jobs, under a mixed load.

Afterwards what clients were told is there, every frame as it was, and nothing is there in part.
"""

from __future__ import annotations

import io
import json
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pydicom
import pytest
from botocore.exceptions import ClientError, HTTPClientError

from support.clients.dicomweb import part10, store
from support.faults.data_rules import check_data_rules
from support.faults.ward import Ward, check_ward
from support.files.synthetic import slice_of
from support.imaging.imports import document, image_sets, instances
from support.imaging.stored_frames import verify_frames
from support.servers import ServerProcess, start_import, wait_for
from support.services.faulty_object_store import SILENT, Faults, faulty
from support.services.object_store import ObjectStore

ENVIRONMENT = {
    # Frames are read from the store each time.
    "HOUNSFIELD_FRAME_CACHE_BYTES": "0",
    "HOUNSFIELD_LEASE_SECONDS": "2",
    "HOUNSFIELD_IMPORT_WORKERS": "1",
    "HOUNSFIELD_STORE_WORKERS": "1",
    "HOUNSFIELD_RELEASE_AFTER_SECONDS": "1",
}
LEAST_HITS = 5
SHARES = {"packs": 0.2, "buckets": 0.4}
"""Which part of the requests something befalls: there are more for packs."""


class BucketWard(Ward):
    """Clients whose jobs read from a bucket and write to one."""

    def __init__(self, server: ServerProcess, store: ObjectStore, bucket: str) -> None:
        self.store, self.bucket = store, bucket
        super().__init__(server)

    def fill_input(self, folder: str, files: list[Any]) -> None:
        for number, dataset in enumerate(files):
            buffer = io.BytesIO()
            pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
            self.store.client.put_object(Bucket=self.bucket, Key=f"{folder}/{number}.dcm", Body=buffer.getvalue())

    def read_frames(self, seconds: float) -> None:
        """Read what is there, again and again: a frame is right, or it is not answered."""
        client = self.server.client(read_timeout=120)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                for instance in dict(instances(document(client, self.datastore, self.updated))).values():
                    verify_frames(client, self.datastore, self.updated, instance)
            except (ClientError, HTTPClientError):
                continue

    def start_job(self, folder: str) -> str:
        return start_import(self.client, self.datastore, f"s3://{self.bucket}/{folder}/", f"s3://{self.bucket}/output/")


@pytest.fixture
def faults_and_ward(
    request: pytest.FixtureRequest, tmp_path: Path, s3: ObjectStore
) -> Iterator[tuple[Faults, BucketWard]]:
    place, seed = request.param
    bucket = f"faulty-{place}-{seed}"
    s3.client.create_bucket(Bucket=bucket)
    faults = Faults(random.Random(seed), share=SHARES[place])
    with ExitStack() as stack:
        proxied = stack.enter_context(faulty(s3, faults))
        packs = {"HOUNSFIELD_BLOBS_URL": f"s3://{bucket}/packs"} if place == "packs" else {}
        server = ServerProcess(tmp_path / "data", {**ENVIRONMENT, **proxied.environment(), **packs}).start()
        stack.callback(server.stop)
        yield faults, BucketWard(server, s3, bucket)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "faults_and_ward", [(place, seed) for place in ("packs", "buckets") for seed in range(8)], indirect=True, ids=str
)
def test_nothing_acknowledged_is_missing(faults_and_ward: tuple[Faults, BucketWard]) -> None:
    faults, ward = faults_and_ward
    faults.on = True
    ward.work()
    ward.read_frames(4.0)
    wait_for(lambda: sum(faults.hits.values()) >= LEAST_HITS, "enough to go wrong", 120)
    faults.on = False
    ward.end()
    print(dict(faults.hits))
    check_ward(ward)
    _check_inputs(ward)
    check_data_rules(ward.server)


def _check_inputs(ward: BucketWard) -> None:
    """Each file that a job says it imported is the instance of that file, not of another that came in its place."""
    for job in ward.told.jobs:
        properties = ward.client.get_dicom_import_job(datastoreId=ward.datastore, jobId=job)["jobProperties"]
        output = properties["outputS3Uri"].removeprefix(f"s3://{ward.bucket}/")
        for line in ward.store.get(ward.bucket, f"{output}SUCCESS/success.ndjson").splitlines():
            told = json.loads(line)
            key = told["inputFile"].removeprefix(f"s3://{ward.bucket}/")
            source = pydicom.dcmread(io.BytesIO(ward.store.get(ward.bucket, key)), stop_before_pixels=True)
            there = dict(instances(document(ward.client, ward.datastore, told["importResponse"]["imageSetId"])))
            assert str(source.SOPInstanceUID) in there


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("faults_and_ward", [("packs", "silent")], indirect=True, ids=str)
def test_a_store_that_does_not_answer_is_not_waited_for_forever(faults_and_ward: tuple[Faults, BucketWard]) -> None:
    faults, ward = faults_and_ward
    faults.kinds, faults.share = (SILENT,), 1.0
    client = ward.server.client(read_timeout=200)
    (found,) = dict(instances(document(client, ward.datastore, ward.updated))).values()
    faults.on = True
    with ThreadPoolExecutor(2) as threads:
        stored = threads.submit(store, ward.server, ward.datastore, [part10(slice_of(study=7))])
        read = threads.submit(verify_frames, client, ward.datastore, ward.updated, found)
        # What is in the database, or in memory, is answered all the same.
        while not (stored.done() and read.done()):
            assert len(image_sets(client, ward.datastore)) == 2
            assert client.get_image_set(datastoreId=ward.datastore, imageSetId=ward.updated)["versionId"] == "1"
    faults.on = False
    answer = stored.result()
    assert (answer.status_code, int(answer.headers["Retry-After"]) > 0) == (503, True)
    with pytest.raises(ClientError) as refused:
        read.result()
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    assert verify_frames(client, ward.datastore, ward.updated, found) == 1
    assert wait_for(
        lambda: store(ward.server, ward.datastore, [part10(slice_of(study=7))]).status_code == 200, "it to be stored"
    )
    check_data_rules(ward.server)
