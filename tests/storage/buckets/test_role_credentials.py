"""Import jobs whose role is one of the object store's own STS: moto's server, in a process of its own, is both."""

from __future__ import annotations

import http.client
import io
import re
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from support.files.synthetic import slice_of
from support.identities.users_and_roles import refusal, role_arn
from support.servers import ServerProcess, active_datastore, finished_job
from support.services.object_store import KEY, ObjectStore, proxy

ROLE = role_arn("s3-import")


def written(dataset) -> bytes:
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


class StsDoor:
    """Stands before the STS of an object store: counts what is assumed, shortens sessions, and refuses one role."""

    def __init__(self, store: ObjectStore) -> None:
        self.assumed: list[str] = []
        self.keys: list[str] = []
        target = urlsplit(store.url).netloc
        watch = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                arn = parse_qs(body.decode())["RoleArn"][0]
                watch.assumed.append(arn)
                status, data = 403, b"<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>"
                if not arn.endswith("refused"):
                    connection = http.client.HTTPConnection(target)
                    connection.request("POST", self.path, body, dict(self.headers))
                    answer = connection.getresponse()
                    status, data = answer.status, answer.read()
                    connection.close()
                    watch.keys.append(re.search(rb"<AccessKeyId>(\w+)", data)[1].decode())
                    # So near to their end that they have to be renewed with each use.
                    data = re.sub(rb"<Expiration>[^<]*", b"<Expiration>" + soon().encode(), data)
                self.send_response(status)
                self.send_header("Content-Type", "text/xml")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def stop(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def soon() -> str:
    return (datetime.now(UTC) + timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M:%SZ")


class Signers:
    """Notes which access key id signed each request for an object store, and whether a session token came along."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, bool]] = []

    def __call__(self, _method: str, _path: str, headers: Mapping[str, str]) -> None:
        found = re.search(r"Credential=(\w[\w-]*)/", headers.get("authorization", ""))
        self.seen.append((found[1] if found else "", "x-amz-security-token" in headers))


@pytest.fixture(scope="module")
def signers() -> Signers:
    return Signers()


@pytest.fixture(scope="module")
def sts_door(s3: ObjectStore) -> Iterator[StsDoor]:
    made = StsDoor(s3)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def served(tmp_path_factory, s3: ObjectStore, sts_door: StsDoor, signers: Signers) -> Iterator[ServerProcess]:
    for bucket in ("sts-input", "sts-output"):
        s3.client.create_bucket(Bucket=bucket)
    for number in range(4):
        s3.client.put_object(Bucket="sts-input", Key=f"study/{number}.dcm", Body=written(slice_of(number=number)))
    with proxy(s3, signers) as store:
        environment = {
            **store.environment(),
            "HOUNSFIELD_IMPORT_ROLES": "sts",
            "HOUNSFIELD_IMPORT_WORKERS": "1",
            "AWS_ENDPOINT_URL_STS": sts_door.url,
        }
        process = ServerProcess(tmp_path_factory.mktemp("sts") / "data", environment).start()
        yield process
        process.stop()


def start(client, datastore, role):
    return client.start_dicom_import_job(
        datastoreId=datastore,
        dataAccessRoleArn=role,
        inputS3Uri="s3://sts-input/study/",
        outputS3Uri="s3://sts-output/",
    )["jobId"]


def test_a_job_uses_and_renews_the_credentials_of_its_role(served, s3, sts_door, signers):
    client = served.client()
    datastore = active_datastore(client)
    job = finished_job(client, datastore, start(client, datastore, ROLE))
    assert job["jobStatus"] == "COMPLETED", job
    assert s3.keys("sts-output", f"{datastore}-DicomImport-{job['jobId']}/")
    assert set(sts_door.assumed) == {ROLE}
    # Every request to the store was signed with credentials that the role was given, and more than one of these were used.
    assert signers.seen
    assert all(with_token and key in sts_door.keys for key, with_token in signers.seen)
    assert len({key for key, _ in signers.seen}) > 1
    assert KEY[0] not in {key for key, _ in signers.seen}


def test_a_role_that_cannot_be_assumed_is_refused(served):
    client = served.client()
    found = refusal(start, client=client, datastore=active_datastore(client), role=role_arn("refused"))
    assert found[0] == "ValidationException"
    assert "cannot be assumed: the security token service answered AccessDenied" in found[2]
