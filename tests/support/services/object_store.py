"""An S3 object store for tests: moto's server in a process of its own, and a proxy before it that watches and interferes.

moto speaks the S3 wire over a socket, which is what is under test; it does not prove how any particular store keeps its
promises. It does not check ``x-amz-expected-bucket-owner``: the proxy does that in its place.
"""

from __future__ import annotations

import http.client
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import unquote, urlsplit
from urllib.request import urlopen

import boto3
import pytest

from support.required_tools import required_tool
from support.servers import free_port, wait_for

KEY = ("minio-like-key", "minio-like-secret")


class ObjectStore:
    """An S3 endpoint and a client of it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client: Any = boto3.client(
            "s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id=KEY[0], aws_secret_access_key=KEY[1]
        )

    def keys(self, bucket: str, prefix: str = "") -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]

    def get(self, bucket: str, key: str) -> bytes:
        return bytes(self.client.get_object(Bucket=bucket, Key=key)["Body"].read())

    def environment(self) -> dict[str, str]:
        """Return the settings of a server that uses the store."""
        return {
            "HOUNSFIELD_S3_ENDPOINT_URL": self.url,
            "HOUNSFIELD_S3_ACCESS_KEY_ID": KEY[0],
            "HOUNSFIELD_S3_SECRET_ACCESS_KEY": KEY[1],
        }


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    program = Path(sys.executable).parent / "moto_server"
    required_tool(program.exists(), "moto's server is not installed")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with (tmp_path_factory.mktemp("s3") / "log").open("wb") as log:
        process = subprocess.Popen([program, "-H", "127.0.0.1", "-p", str(port)], stdout=log, stderr=log)

    def up() -> bool:
        try:
            with urlopen(url, timeout=2):
                return True
        except (URLError, OSError):
            return False

    try:
        wait_for(up, "the object store to answer")
        yield ObjectStore(url)
    finally:
        process.terminate()
        process.wait(120)


Watch = Callable[[str, str, Mapping[str, str]], int | None]
"""Is told method, path and headers of a request; gives the status to refuse it with, or None to let it through."""


@contextmanager
def proxy(store: ObjectStore, watch: Watch) -> Iterator[ObjectStore]:
    """Put a proxy before an object store."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status = watch(self.command, unquote(self.path), self.headers)
            answer = forward(store, self, body) if status is None else Answer(status, {"content-length": "0"}, b"")
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _pass  # noqa: N815 - the names are those of http.server

        def log_message(self, *args: object) -> None:
            pass

    with serving(Handler) as proxied:
        yield proxied


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered to a request; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def forward(store: ObjectStore, request: BaseHTTPRequestHandler, body: bytes) -> Answer:
    """Pass a request on to an object store."""
    connection = http.client.HTTPConnection(urlsplit(store.url).netloc, timeout=60)
    connection.request(request.command, request.path, body, dict(request.headers))
    found = connection.getresponse()
    data = found.read()
    dropped = {"transfer-encoding", "connection"}
    headers = {name.lower(): value for name, value in found.getheaders() if name.lower() not in dropped}
    if request.command != "HEAD":
        headers["content-length"] = str(len(data))
    connection.close()
    return Answer(found.status, headers, data)


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[ObjectStore]:
    """Serve a proxy in threads of this process."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield ObjectStore(f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
