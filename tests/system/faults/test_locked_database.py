"""Writers that wait for a locked database keep nobody from reading, are told to come again, and leave a short log behind."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
import requests
from botocore.exceptions import ClientError

from support.clients.dicomweb import BOUNDARY, multipart, part10, root, session, store
from support.faults.locked_database import locked_for_writing
from support.files.synthetic import slice_of, uid
from support.imaging.import_folders import sop_instances
from support.imaging.imports import document, frame
from support.imaging.stored_series import imported
from support.servers import ROLE, ServerProcess, active_datastore, wait_for

WRITERS = 48
SERVERS = ("embedded", "postgresql")


@pytest.fixture(scope="module", params=SERVERS)
def own(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    environment = {
        "HOUNSFIELD_DATABASE_WAIT_SECONDS": "1.5",
        "HOUNSFIELD_STORE_WORKERS": "1",
        "HOUNSFIELD_QUOTA_DATASTORES": "0",
    }
    if request.param == "postgresql":
        environment["HOUNSFIELD_DATABASE_URL"] = request.getfixturevalue("postgresql_url")
    process = ServerProcess(tmp_path_factory.mktemp(request.param) / "data", environment).start()
    yield process
    process.stop()


class Writers:
    """Calls that change something, each of another kind."""

    def __init__(self, server: ServerProcess, client: Any, datastore: str, image_set: str) -> None:
        self.server, self.client, self.datastore, self.image_set = server, client, datastore, image_set
        self.arn = client.get_datastore(datastoreId=datastore)["datastoreProperties"]["datastoreArn"]

    def tag(self, number: int) -> int:
        return status(lambda: self.client.tag_resource(resourceArn=self.arn, tags={f"key-{number % 9}": "1"}))

    def start(self, number: int) -> int:
        job = {"dataAccessRoleArn": ROLE, "inputS3Uri": f"s3://none-{number}/", "outputS3Uri": "s3://out/"}
        return status(lambda: self.client.start_dicom_import_job(datastoreId=self.datastore, **job))

    def make(self, number: int) -> int:
        return status(lambda: self.client.create_datastore(datastoreName=f"made-{number}"))

    def store(self, number: int) -> int:
        answer = store(self.server, self.datastore, [part10(slice_of(series=5, number=number))])
        assert answer.status_code == 200 or answer.headers["retry-after"].isdigit(), answer.text
        return answer.status_code

    def write(self, number: int) -> int:
        return (self.tag, self.start, self.make, self.store)[number % 4](number)


def status(call: Callable[[], Any]) -> int:
    """Carry out a call; one that is refused must say when to come again."""
    try:
        answer = call()
    except ClientError as error:
        answer = error.response
    told = answer["ResponseMetadata"]
    if "Error" in answer:
        assert answer["Error"]["Code"] == "ServiceUnavailableException", answer
        assert told["HTTPHeaders"]["retry-after"].isdigit()
    return int(told["HTTPStatusCode"])


def test_readers_are_answered_while_writers_wait(own: ServerProcess) -> None:
    client = own.client(max_pool_connections=WRITERS, read_timeout=60)
    datastore = active_datastore(client)
    (image_set,) = imported(own, client, datastore, slice_of(9))
    (found,) = sop_instances(client, datastore, image_set).values()
    frame_id = found["ImageFrames"][0]["ID"]
    writers = Writers(own, client, datastore, image_set)
    assert writers.store(1) == 200
    web = session(own)

    def read() -> list[Any]:
        study = f"{root(own, datastore)}/studies/{uid(1)}"
        return [
            frame(client, datastore, image_set, frame_id)[0],
            document(client, datastore, image_set),
            client.get_image_set(datastoreId=datastore, imageSetId=image_set)["imageSetState"],
            len(client.search_image_sets(datastoreId=datastore)["imageSetsMetadataSummaries"]),
            web.get(f"{root(own, datastore)}/studies", timeout=60).json(),
            web.get(f"{study}/series/{uid(1, 1)}/instances/{uid(1, 1, 9)}", timeout=60).status_code,
        ]

    before = read()
    with ThreadPoolExecutor(WRITERS) as threads:
        with locked_for_writing(own):
            answers = [threads.submit(writers.write, number) for number in range(WRITERS)]
            # Each of these is answered while the lock is held, and while some of the writers wait for it.
            while not all(answer.done() for answer in answers):
                assert read() == before
            assert {answer.result() for answer in answers} == {503}
        assert read() == before
        # On a busy machine a turn may take longer than is waited for here; then the writer comes again.
        wait_for(lambda: set(threads.map(writers.write, range(WRITERS))) <= {200, 204}, "all writers to be let in", 120)
    assert json.dumps(own.log_text()).count("request failed") == 0
    if not own.environment.get("HOUNSFIELD_DATABASE_URL"):
        log = own.data / "hounsfield.db-wal"
        wait_for(lambda: not log.exists() or log.stat().st_size == 0, "the write-ahead log to be cut")


def test_a_store_that_is_refused_leaves_nothing(own: ServerProcess) -> None:
    client = own.client()
    datastore = active_datastore(client)
    with locked_for_writing(own):
        answer: requests.Response = store(own, datastore, [part10(slice_of())])
        assert answer.status_code == 503
        assert answer.headers["x-amzn-errortype"] == "ServiceUnavailableException"
    assert client.search_image_sets(datastoreId=datastore)["imageSetsMetadataSummaries"] == []

    def packs() -> list[str]:
        with suppress(FileNotFoundError):
            return [path.name for path in (own.data / "blobs" / "packs" / datastore).rglob("*") if path.is_file()]
        return []

    wait_for(lambda: not packs(), "the pack of the request to go")
    assert store(own, datastore, [part10(slice_of())]).status_code == 200


def test_requests_behind_each_other_are_refused_together(own: ServerProcess) -> None:
    """Those that store the same instance are committed one after another; none waits for the turns of all before it."""
    client = own.client()
    datastore = active_datastore(client)
    count = 40

    kind = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
    body = multipart([part10(slice_of())])

    def once(_: int) -> requests.Response:
        headers = {"Content-Type": kind, "Accept": "application/dicom+json"}
        return session(own).post(f"{root(own, datastore)}/studies", data=body, headers=headers, timeout=40)

    with ThreadPoolExecutor(count) as threads, locked_for_writing(own):
        answers = list(threads.map(once, range(count)))
    assert {answer.status_code for answer in answers} == {503}
    assert store(own, datastore, [part10(slice_of())]).status_code == 200
