"""A key service for tests: moto's server, and a proxy before it that keeps the rules which moto does not.

moto speaks the wire of AWS KMS and checks the encryption context; it lets keys be used that are disabled or are to be deleted.
The proxy refuses these as AWS does, notes what was asked, and can deny a key, not answer, or keep its callers waiting.
"""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import boto3

from support.services.object_store import KEY, ObjectStore


@dataclass
class Asked:
    """One request: the operation and its parameters."""

    operation: str
    parameters: dict[str, Any]

    @property
    def context(self) -> dict[str, str]:
        return dict(self.parameters.get("EncryptionContext", {}))


@dataclass
class KeyServiceProxy:
    """What the proxy lets through, and what came by."""

    url: str
    admin: Any
    """A client of moto itself, for whoever administers keys."""
    asked: list[Asked] = field(default_factory=list)
    denied: bool = False
    down: bool = False
    passing: threading.Event = field(default_factory=threading.Event)
    """Cleared while callers are kept waiting."""
    waiting: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    """Released by each caller that is kept waiting."""
    disabled: set[str] = field(default_factory=set)
    """The ARNs of the keys that are disabled."""

    def new_key(self, **parameters: Any) -> str:
        return str(self.admin.create_key(**parameters)["KeyMetadata"]["Arn"])

    def disable(self, arn: str) -> None:
        self.admin.disable_key(KeyId=arn.split("/")[1])
        self.disabled.add(arn)

    def enable(self, arn: str) -> None:
        self.admin.enable_key(KeyId=arn.split("/")[1])
        self.disabled.discard(arn)

    def restore(self) -> None:
        """Answer everybody again, for all keys: whatever a test did, or was ended in the middle of."""
        self.denied = self.down = False
        self.passing.set()
        for arn in sorted(self.disabled):
            self.enable(arn)

    def count(self, operation: str) -> int:
        return sum(asked.operation == operation for asked in self.asked)

    def environment(self) -> dict[str, str]:
        return {
            "HOUNSFIELD_KMS_ENDPOINT_URL": self.url,
            "HOUNSFIELD_KMS_ACCESS_KEY_ID": KEY[0],
            "HOUNSFIELD_KMS_SECRET_ACCESS_KEY": KEY[1],
        }

    def refusal(self, asked: Asked) -> str | None:
        """Return the error that AWS would answer where moto does not."""
        if self.denied:
            return "AccessDeniedException"
        if asked.operation in {"Decrypt", "GenerateDataKey"}:
            state = self.admin.describe_key(KeyId=asked.parameters["KeyId"])["KeyMetadata"]["KeyState"]
            if state == "Disabled":
                return "DisabledException"
            if state != "Enabled":
                return "KMSInvalidStateException"
        return None


@contextmanager
def key_service(moto: ObjectStore) -> Iterator[KeyServiceProxy]:
    """Put a proxy before the key service of moto's server, which is the one that the object store is in."""
    target = urlsplit(moto.url).netloc

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked = Asked(self.headers["X-Amz-Target"].removeprefix("TrentService."), json.loads(body))
            place.asked.append(asked)
            if not place.passing.is_set():
                place.waiting.release()
                place.passing.wait()
            if place.down:
                self.close_connection = True
                return
            refusal = place.refusal(asked)
            if refusal is None:
                connection = http.client.HTTPConnection(target)
                connection.request("POST", self.path, body, dict(self.headers))
                answer = connection.getresponse()
                status, data = answer.status, answer.read()
                connection.close()
            else:
                status, data = 400, json.dumps({"__type": refusal, "message": "refused at the proxy"}).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    admin = boto3.client(
        "kms", endpoint_url=moto.url, region_name="us-east-1", aws_access_key_id=KEY[0], aws_secret_access_key=KEY[1]
    )
    place = KeyServiceProxy(f"http://127.0.0.1:{server.server_port}", admin)
    place.passing.set()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield place
    finally:
        place.passing.set()
        server.shutdown()
        thread.join()
        server.server_close()
