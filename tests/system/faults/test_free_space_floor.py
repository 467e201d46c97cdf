"""Disks that are to take no more: what stores is refused before its body is read, all else goes on, and later so does that."""

from __future__ import annotations

import hashlib
import http.client
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from botocore.exceptions import ClientError

from support.clients.dicomweb import BOUNDARY, SignedRequests, part10, root, store
from support.faults.small_disk import MEBIBYTE, SmallDisk, small_disk
from support.faults.suspended_runner import suspended
from support.files.synthetic import noise, slice_of
from support.imaging.import_folders import fill, start_job
from support.imaging.imports import outcome_of
from support.imaging.stored_series import deleted, imported, verified
from support.servers import ServerProcess, active_datastore, finished_job, start_import, wait_for

FLOOR = 16 * MEBIBYTE
FILES = 12
NO_ROOM = (507, "InsufficientStorageException", True)
AWAY = (503, "ServiceUnavailableException", True)
PROCESSES = 2
"""One that answers, and the runner: each tells once."""


@pytest.fixture(scope="module")
def disks_and_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SmallDisk, SmallDisk, ServerProcess]]:
    """A server with its data folder on one disk, and its spool on another."""
    settings = {
        "HOUNSFIELD_STORE_WORKERS": "1",
        "HOUNSFIELD_IMPORT_WORKERS": "1",
        "HOUNSFIELD_FREE_SPACE_FLOOR_BYTES": str(FLOOR),
    }
    folder = tmp_path_factory.mktemp("floor") / "data"
    with small_disk(folder, 96 * MEBIBYTE) as data, small_disk(folder / "spool", 64 * MEBIBYTE) as spool:
        process = ServerProcess(folder, settings).start()
        try:
            yield data, spool, process
        finally:
            process.stop()


class Ward:
    """A data store with an image set to read and one to delete, and a folder to import."""

    def __init__(self, server: ServerProcess, name: str) -> None:
        self.server, self.name = server, name
        self.client = server.client(read_timeout=120)
        self.datastore = active_datastore(self.client)
        (self.read,) = imported(server, self.client, self.datastore, slice_of())
        (self.deleted,) = imported(server, self.client, self.datastore, slice_of(study=2))
        self.arn = self.client.get_datastore(datastoreId=self.datastore)["datastoreProperties"]["datastoreArn"]
        fill(server, name, [slice_of(series=7, number=n, pixels=noise(128, 128, n)) for n in range(FILES)])

    def store(self) -> requests.Response:
        return store(self.server, self.datastore, [part10(slice_of(series=3))])

    def announce(self, length: int) -> tuple[int, str, bool]:
        """Begin a request that stores, and send nothing of its body; return what is answered all the same."""
        url = f"{root(self.server, self.datastore)}/studies"
        signed = SignedRequests(self.server, hashlib.sha256(b"").hexdigest())(requests.Request("POST", url).prepare())
        kind = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        connection.putrequest("POST", f"/datastore/{self.datastore}/studies", skip_host=True)
        named = {**signed.headers, "Host": f"127.0.0.1:{self.server.port}", "Content-Type": kind}
        for header, value in {**named, "Content-Length": str(length)}.items():
            connection.putheader(header, value)
        connection.endheaders()
        answer = connection.getresponse()
        connection.close()
        return answer.status, answer.headers["x-amzn-errortype"], int(answer.headers["Retry-After"]) > 0

    def refusals(self) -> list[tuple[int, str, bool]]:
        """Ask for each operation that stores by the API of HealthImaging; return how it is refused."""
        of = {"datastoreId": self.datastore}
        patient = '{"SchemaVersion": 1.1, "Patient": {"DICOM": {"PatientName": "A^B"}}}'
        update = {"DICOMUpdates": {"updatableAttributes": patient}}
        copy = {"sourceImageSet": {"latestVersionId": "1"}}
        return [
            _refusal(
                lambda: self.client.update_image_set_metadata(
                    **of, imageSetId=self.read, latestVersionId="1", updateImageSetMetadataUpdates=update
                )
            ),
            _refusal(
                lambda: self.client.copy_image_set(**of, sourceImageSetId=self.read, copyImageSetInformation=copy)
            ),
            _refusal(lambda: start_import(self.client, self.datastore, f"s3://input/{self.name}/")),
        ]

    def job(self, job_id: str) -> dict[str, Any]:
        return dict(self.client.get_dicom_import_job(datastoreId=self.datastore, jobId=job_id)["jobProperties"])

    def waiting_job(self) -> str:
        """Start a job while the disks take more, which the runner finds when they do not: it does not stop at its files."""
        return start_job(self.server, self.client, self.datastore, self.name)

    def goes_on(self, job_id: str) -> None:
        """Everything is as if nothing had been."""
        assert wait_for(lambda: (answer := self.store()).status_code == 200 and answer, "something to be stored")
        job = finished_job(self.client, self.datastore, job_id)
        assert (job["jobStatus"], job.get("message")) == ("COMPLETED", None)
        outcome = outcome_of(self.server, job)
        assert (outcome.failure, len(outcome.success)) == ([], FILES)
        found = self.client.search_image_sets(datastoreId=self.datastore)["imageSetsMetadataSummaries"]
        there = sum(len(verified(self.client, self.datastore, entry["imageSetId"])) for entry in found)
        assert there == FILES + 2


def _refusal(call: Callable[[], Any]) -> tuple[int, str, bool]:
    with pytest.raises(ClientError) as refused:
        call()
    response = refused.value.response
    metadata = response["ResponseMetadata"]
    return metadata["HTTPStatusCode"], response["Error"]["Code"], int(metadata["HTTPHeaders"]["retry-after"]) > 0


def _told(server: ServerProcess, event: str) -> list[dict[str, Any]]:
    lines = (json.loads(line) for line in server.log_text().splitlines() if line.startswith("{"))
    return [line for line in lines if line["event"] == event]


def test_a_disk_below_its_floor(disks_and_server: tuple[SmallDisk, SmallDisk, ServerProcess]) -> None:
    data, _, server = disks_and_server
    ward = Ward(server, "below")
    runner = suspended(server)
    job_id = ward.waiting_job()
    data.fill_but(FLOOR // 2)
    try:
        event = "disk nearly full, nothing more is stored"
        wait_for(lambda: len(_told(server, event)) == PROCESSES - 1, "it to be told")
        runner.resume()
        wait_for(lambda: len(_told(server, event)) == PROCESSES, "it to be told")
        assert ward.announce(3 * MEBIBYTE) == NO_ROOM
        answer = ward.store()
        assert (answer.status_code, answer.headers["x-amzn-errortype"]) == NO_ROOM[:2]
        assert str(server.data) not in answer.text
        assert ward.refusals() == [AWAY] * 3
        waiting = wait_for(lambda: (job := ward.job(job_id)).get("message") and job, "the job to say that it waits")
        assert waiting["jobStatus"] == "IN_PROGRESS"
        assert "too little room" in waiting["message"]
        assert len(verified(ward.client, ward.datastore, ward.read)) == 1
        ward.client.tag_resource(resourceArn=ward.arn, tags={"ward": "3"})
        deleted(ward.client, ward.datastore, ward.deleted)
    finally:
        runner.resume()
        data.empty()
    ward.goes_on(job_id)
    assert len(_told(server, event)) == len(_told(server, "disk takes writes again")) == PROCESSES
    assert {line["folder"] for line in _told(server, event)} == {str(server.data)}


def test_a_body_larger_than_the_room_above_the_floor(
    disks_and_server: tuple[SmallDisk, SmallDisk, ServerProcess],
) -> None:
    _, _, server = disks_and_server
    ward = Ward(server, "large")
    assert ward.announce(90 * MEBIBYTE) == NO_ROOM
    assert ward.store().status_code == 200


def test_a_spool_on_a_disk_that_became_read_only(disks_and_server: tuple[SmallDisk, SmallDisk, ServerProcess]) -> None:
    _, spool, server = disks_and_server
    ward = Ward(server, "read-only")
    event = "disk is read-only, nothing is stored"
    runner = suspended(server)
    job_id = ward.waiting_job()
    with spool.read_only():
        runner.resume()
        wait_for(lambda: len(_told(server, event)) == PROCESSES, "it to be told")
        answer = ward.store()
        assert (answer.status_code, answer.headers["x-amzn-errortype"]) == AWAY[:2]
        assert ward.refusals() == [AWAY] * 3
        wait_for(lambda: "read-only" in ward.job(job_id).get("message", ""), "the job to say that it waits")
        assert len(verified(ward.client, ward.datastore, ward.read)) == 1
        deleted(ward.client, ward.datastore, ward.deleted)
    ward.goes_on(job_id)
