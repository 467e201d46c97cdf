"""STOW-RS when something goes wrong on the way, and bodies that are signed chunk by chunk."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import psutil
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from support.clients.dicomweb import BOUNDARY, multipart, part10, store, values
from support.clients.signed_http import send, signature
from support.faults.suspended_runner import suspended
from support.files.synthetic import noise, slice_of, uid
from support.processes import store_workers
from support.servers import ServerProcess, active_datastore, wait_for

MULTIPART = f"multipart/related; boundary={BOUNDARY}"
MOST = 3_000_000


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that takes small requests only."""
    settings = {"HOUNSFIELD_MAX_STORE_BYTES": str(MOST), "HOUNSFIELD_STORE_WORKERS": "1"}
    process = ServerProcess(tmp_path_factory.mktemp("store") / "data", settings).start()
    yield process
    process.stop()


@pytest.fixture
def own_datastore(own_server: ServerProcess) -> str:
    return active_datastore(own_server.client())


def image_sets(server: ServerProcess, datastore_id: str) -> list[dict[str, Any]]:
    return server.client().search_image_sets(datastoreId=datastore_id)["imageSetsMetadataSummaries"]


def packs(server: ServerProcess, datastore_id: str) -> list[str]:
    return [path.name for path in (server.data / "blobs" / "packs" / datastore_id).rglob("*") if path.is_file()]


def signed_chunks(
    server: ServerProcess, path: str, body: bytes, *, spoilt: bool = False
) -> tuple[bytes, dict[str, str]]:
    """Sign a body chunk by chunk, as the guide on chunked uploads describes it."""
    key_id, secret = server.key()
    request = AWSRequest("POST", f"{server.url}{path}", data=b"")
    request.headers["Content-Type"] = MULTIPART
    request.headers["X-Amz-Content-SHA256"] = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
    request.headers["X-Amz-Decoded-Content-Length"] = str(len(body))
    request.headers["Content-Encoding"] = "aws-chunked"
    SigV4Auth(Credentials(key_id, secret), "medical-imaging", "us-east-1").add_auth(request)
    stamp = request.headers["X-Amz-Date"]
    scope = f"{stamp[:8]}/us-east-1/medical-imaging/aws4_request"
    key = f"AWS4{secret}".encode()
    for word in scope.split("/"):
        key = hmac.new(key, word.encode(), hashlib.sha256).digest()
    previous = request.headers["Authorization"].rpartition("Signature=")[2]
    encoded = b""
    for chunk in (body[:70_000], body[70_000:], b""):
        digests = hashlib.sha256(b"").hexdigest(), hashlib.sha256(chunk).hexdigest()
        text = "\n".join(["AWS4-HMAC-SHA256-PAYLOAD", stamp, scope, previous, *digests])
        previous = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
        sent = chunk[:-1] + b"?" if spoilt and chunk else chunk
        encoded += f"{len(chunk):x};chunk-signature={previous}\r\n".encode() + sent + b"\r\n"
    return encoded, {name: str(value) for name, value in request.headers.items()}


def test_workers_are_there_before_anything_is_stored(own_server: ServerProcess) -> None:
    (worker,) = wait_for(lambda: store_workers(own_server), "the worker to be started")
    assert worker.is_running()


def test_body_signed_chunk_by_chunk(own_server: ServerProcess, own_datastore: str) -> None:
    path = f"/datastore/{own_datastore}/studies"
    body = multipart([part10(slice_of(number=n, pixels=noise(256, 256, n))) for n in (1, 2)])
    encoded, headers = signed_chunks(own_server, path, body)
    answer = send(own_server, "POST", path, encoded, headers)
    assert answer.status == 200, answer.body
    assert len(values(json.loads(answer.body), "00081199")) == 2


def test_chunk_that_was_changed_on_the_way_leaves_nothing(own_server: ServerProcess, own_datastore: str) -> None:
    path = f"/datastore/{own_datastore}/studies"
    files = [part10(slice_of(number=n, pixels=noise(128, 128, n))) for n in range(20)]
    encoded, headers = signed_chunks(own_server, path, multipart(files), spoilt=True)
    answer = send(own_server, "POST", path, encoded, headers)
    assert (answer.status, answer.code) == (403, "InvalidSignatureException")
    assert image_sets(own_server, own_datastore) == []
    wait_for(lambda: not packs(own_server, own_datastore), "the packs of the request to go")


def test_body_that_is_too_large(own_server: ServerProcess, own_datastore: str) -> None:
    large = part10(slice_of(pixels=np.stack([noise(512, 512, n) for n in range(8)])))
    answer = store(own_server, own_datastore, [large])
    assert answer.status_code == 413
    assert str(MOST) in answer.json()["message"]
    assert image_sets(own_server, own_datastore) == []


def test_client_that_leaves_in_the_middle(own_server: ServerProcess, own_datastore: str) -> None:
    path = f"/datastore/{own_datastore}/studies"
    body = multipart([part10(slice_of(number=n, pixels=noise(128, 128, n))) for n in range(40)])
    headers = {"Content-Type": MULTIPART, "X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}
    signed = signature(own_server, "POST", path, b"", headers)
    connection = http.client.HTTPConnection("127.0.0.1", own_server.port, timeout=120)
    connection.putrequest("POST", path, skip_host=True, skip_accept_encoding=True)
    for name, value in {**signed, "Host": f"127.0.0.1:{own_server.port}", "Content-Length": str(len(body))}.items():
        connection.putheader(name, value)
    connection.endheaders()
    connection.send(body[: len(body) - 5000])
    wait_for(lambda: packs(own_server, own_datastore), "the first batch to be transcoded")
    connection.close()
    wait_for(lambda: not packs(own_server, own_datastore), "the packs of the request to go")
    assert image_sets(own_server, own_datastore) == []


def test_worker_that_dies_costs_no_instance(own_server: ServerProcess, own_datastore: str) -> None:
    assert store(own_server, own_datastore, [part10(slice_of(number=1))]).status_code == 200
    (worker,) = wait_for(lambda: store_workers(own_server), "the worker to be there")
    worker.suspend()
    answers = []
    files = [part10(slice_of(number=n)) for n in (2, 3)]
    storing = threading.Thread(target=lambda: answers.append(store(own_server, own_datastore, files)))
    storing.start()
    # What the worker does not read stays in the pipe; the request cannot have ended.
    wait_for(lambda: worker.status() == psutil.STATUS_STOPPED, "the worker to stand still")
    worker.kill()
    storing.join(240)
    assert answers[0].status_code == 200
    assert len(values(answers[0].json(), "00081199")) == 2
    assert image_sets(own_server, own_datastore)[0]["DICOMTags"]["DICOMNumberOfStudyRelatedInstances"] == 3


def test_locked_image_set_is_waited_for_and_then_refused(own_server: ServerProcess, own_datastore: str) -> None:
    assert store(own_server, own_datastore, [part10(slice_of(number=1))]).status_code == 200
    (found,) = image_sets(own_server, own_datastore)
    runner = suspended(own_server)
    try:
        updates = {"Patient": {"DICOM": {"PatientComments": "x"}}, "SchemaVersion": 1.1}
        own_server.client().update_image_set_metadata(
            datastoreId=own_datastore,
            imageSetId=found["imageSetId"],
            latestVersionId="1",
            updateImageSetMetadataUpdates={"DICOMUpdates": {"updatableAttributes": json.dumps(updates).encode()}},
        )
        answer = store(own_server, own_datastore, [part10(slice_of(number=2))])
        assert answer.status_code == 503
        wait_for(lambda: len(packs(own_server, own_datastore)) == 1, "the pack of what is not stored to go")
    finally:
        runner.resume()
    again = wait_for(
        lambda: [a for a in [store(own_server, own_datastore, [part10(slice_of(number=2))])] if a.status_code == 200],
        "the image set to be free again",
    )
    assert values(values(again[0].json(), "00081199")[0], "00081155") == [uid(1, 1, 2)]


def test_worker_that_dies_with_requests_of_many(own_server: ServerProcess, own_datastore: str) -> None:
    """More requests than are with the worker at a time, so that some wait and go to the next one together."""
    (worker,) = wait_for(lambda: store_workers(own_server), "the worker to be there")
    worker.suspend()
    numbers = range(1, 9)
    with ThreadPoolExecutor(len(numbers)) as pool:
        answers = [pool.submit(store, own_server, own_datastore, [part10(slice_of(number=n))]) for n in numbers]
        bad = pool.submit(store, own_server, own_datastore, [b"no DICOM at all"])
        wait_for(lambda: worker.status() == psutil.STATUS_STOPPED, "the worker to stand still")
        worker.kill()
        assert [answer.result(240).status_code for answer in answers] == [200] * len(numbers)
        assert bad.result(240).status_code == 409
    for number, answer in zip(numbers, answers, strict=True):
        (item,) = values(answer.result().json(), "00081199")
        assert values(item, "00081155") == [uid(1, 1, number)]
    (found,) = image_sets(own_server, own_datastore)
    assert found["DICOMTags"]["DICOMNumberOfStudyRelatedInstances"] == len(numbers)
    assert len(packs(own_server, own_datastore)) == len(numbers), "each request has a pack of its own"
