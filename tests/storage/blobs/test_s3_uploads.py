"""Packs in an object store: what is given up leaves no upload open, and a file that is kept as it came is there once."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from typing import Any

import imagecodecs
import numpy as np
import psutil
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGLSLossless

from hounsfield.bootstrap.image_store import open_image_store
from hounsfield.imaging.tiering.orphan_packs import OrphanSweeper
from hounsfield.settings import Settings
from hounsfield.storage.clock import now_ms
from support.clients.dicomweb import store
from support.clients.signed_http import send_signed
from support.files.bad_files import written
from support.files.synthetic import slice_of, uid
from support.processes import workers
from support.servers import ServerProcess, active_datastore, finished_job, start_import, wait_for
from support.services.object_store import ObjectStore, proxy

BUCKET = "kept-packs"
FRAMES = 9
_NOISE = np.random.default_rng(11).integers(0, 32768, (FRAMES, 1024, 1024), "<u2")


def large(number: int, *, count: int = FRAMES, last_is_wrong: bool = False) -> Dataset:
    """A file of frames of 2 MB of noise each, nine of which are more than a part of an upload."""
    encoded = [imagecodecs.jpegls_encode(frame) for frame in _NOISE]
    frames = [encoded[at % FRAMES] for at in range(count)]
    if last_is_wrong:
        frames[-1] = b"\xff\xd8" + bytes(1000)
    dataset = slice_of(number=number, pixels=_NOISE, NumberOfFrames=count)
    dataset.PixelData = encapsulate(frames)
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = JPEGLSLossless
    return dataset


class Interference:
    """Holds the first part of an upload back for as long as it is told to, or refuses what is written below a bucket."""

    def __init__(self) -> None:
        self.armed = False
        self.refusing: int | None = None
        self.met = threading.Event()
        self.let_go = threading.Event()

    def __call__(self, method: str, path: str, _headers: Mapping[str, str]) -> int | None:
        if self.refusing is not None and method in ("PUT", "POST") and path.startswith(f"/{BUCKET}/below/packs/"):
            return self.refusing
        if self.armed and method == "PUT" and "partNumber" in path:
            self.met.set()
            self.let_go.wait(60)
        return None


@pytest.fixture(scope="module")
def interference() -> Interference:
    return Interference()


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, s3: ObjectStore, interference: Interference
) -> Iterator[ServerProcess]:
    for bucket in (BUCKET, "large-files", "large-results"):
        s3.client.create_bucket(Bucket=bucket)
    with ExitStack() as stack:
        environment = stack.enter_context(proxy(s3, interference)).environment()
        environment["HOUNSFIELD_BLOBS_URL"] = f"s3://{BUCKET}/below"
        process = ServerProcess(tmp_path_factory.mktemp("uploads") / "data", environment)
        stack.callback(process.stop)
        yield process.start()


def open_uploads(s3: ObjectStore) -> list[str]:
    return [upload["Key"] for upload in s3.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])]


def stored_bytes(s3: ObjectStore, datastore: str) -> int:
    found = s3.client.list_objects_v2(Bucket=BUCKET, Prefix=f"below/packs/{datastore}/").get("Contents", [])
    return sum(entry["Size"] for entry in found)


def imported(s3: ObjectStore, client: Any, datastore: str, *files: Dataset) -> str:
    for number, dataset in enumerate(files):
        s3.client.put_object(Bucket="large-files", Key=f"{datastore}/{number}.dcm", Body=written(dataset))
    return start_import(client, datastore, f"s3://large-files/{datastore}/", "s3://large-results/")


@pytest.mark.parametrize(
    ("place", "count"),
    [
        pytest.param(0, FRAMES, id="first of its pack"),
        pytest.param(1, FRAMES, id="behind another"),
        pytest.param(0, 30, id="cut into parts", marks=pytest.mark.slow),
    ],
)
def test_a_file_with_a_late_wrong_frame_is_there_once_and_leaves_no_upload(
    server: ServerProcess, s3: ObjectStore, place: int, count: int
) -> None:
    client = server.client()
    datastore = active_datastore(client)
    files = [slice_of(), slice_of(number=2)]
    files.insert(place, large(3, count=count, last_is_wrong=True))
    job = finished_job(client, datastore, imported(s3, client, datastore, *files))
    assert job["jobStatus"] == "COMPLETED", job
    assert open_uploads(s3) == []
    assert stored_bytes(s3, datastore) < 1.05 * len(written(files[place])) + 100_000


def test_a_store_that_is_given_up_leaves_no_upload(server: ServerProcess, s3: ObjectStore) -> None:
    datastore = active_datastore(server.client())
    head = b"--cut\r\nContent-Type: application/dicom\r\n\r\n"
    body = b"\r\n".join(head + written(dataset) for dataset in (large(1), slice_of()))
    headers = {
        "Content-Type": 'multipart/related; type="application/dicom"; boundary=cut',
        "x-amz-content-sha256": hashlib.sha256(body).hexdigest(),
    }
    answer = send_signed(server, "POST", f"/datastore/{datastore}/studies", body, headers)
    assert (answer.status, "closing boundary" in answer.message) == (400, True)
    assert open_uploads(s3) == []
    assert stored_bytes(s3, datastore) == 0


@pytest.mark.parametrize(("refused", "status"), [(507, 507), pytest.param(503, 503, marks=pytest.mark.slow)])
def test_a_store_that_takes_nothing_is_told_as_what_it_is(
    server: ServerProcess, s3: ObjectStore, interference: Interference, refused: int, status: int
) -> None:
    datastore = active_datastore(server.client())
    assert store(server, datastore, [written(slice_of(1))]).status_code == 200
    before = stored_bytes(s3, datastore)
    interference.refusing = refused
    try:
        answer = store(server, datastore, [written(slice_of(2))])
        assert (answer.status_code, answer.headers["retry-after"].isdigit()) == (status, True)
        read = f"/datastore/{datastore}/studies/{uid(1)}/series/{uid(1, 1)}/instances/{uid(1, 1, 1)}"
        assert send_signed(server, "GET", read).status == 200
    finally:
        interference.refusing = None
    assert stored_bytes(s3, datastore) == before
    assert store(server, datastore, [written(slice_of(2))]).status_code == 200


def test_the_upload_of_a_worker_that_died_is_swept(
    server: ServerProcess, s3: ObjectStore, interference: Interference
) -> None:
    client = server.client()
    datastore = active_datastore(client)
    interference.armed = True
    job_id = imported(s3, client, datastore, large(1))
    assert interference.met.wait(60)
    for worker in workers(server):
        with suppress(psutil.NoSuchProcess):
            worker.kill()
    interference.armed = False
    interference.let_go.set()
    assert finished_job(client, datastore, job_id)["jobStatus"] == "COMPLETED"
    wait_for(lambda: len(open_uploads(s3)) == 1, "the upload of the worker that died to stay open")
    settings = Settings(
        data=server.data,
        blobs_url=server.environment["HOUNSFIELD_BLOBS_URL"],
        s3_endpoint_url=s3.url,
        s3_access_key_id=server.environment["HOUNSFIELD_S3_ACCESS_KEY_ID"],
        s3_secret_access_key=server.environment["HOUNSFIELD_S3_SECRET_ACCESS_KEY"],
    )
    image_store, _ = open_image_store(settings)
    sweeper = OrphanSweeper(image_store, delete=False)
    assert sweeper.abort_uploads(0) == 0
    assert sweeper.abort_uploads(now_ms()) == 1
    image_store.database.close()
    assert open_uploads(s3) == []
