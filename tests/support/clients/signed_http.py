"""Requests as a client would never send them: signed by botocore's signer, sent by http.client."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from support.servers import ServerProcess


@dataclass
class Answer:
    """An HTTP response, read whole."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        return self.headers.get("x-amzn-errortype", "")

    @property
    def message(self) -> str:
        return str(json.loads(self.body)["message"])


def send(
    server: ServerProcess, method: str, path: str, body: bytes | None = b"", headers: Mapping[str, str] | None = None
) -> Answer:
    """Send a request as it is, without a signature of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        # A server that refuses a body by its length may close before all of it is sent; its answer is there all the same.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.request(method, path, body=body, headers=dict(headers or {}))
        response = connection.getresponse()
        lower = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, lower, response.read())
    finally:
        connection.close()


def signature(
    server: ServerProcess,
    method: str,
    path: str,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    *,
    key: tuple[str, str] | None = None,
    region: str = "us-east-1",
    service: str = "medical-imaging",
) -> dict[str, str]:
    """Return the headers of a request with its signature among them; the root key signs unless another is given."""
    request = AWSRequest(method, f"{server.url}{path}", headers=dict(headers or {}), data=body)
    SigV4Auth(Credentials(*(key or server.key())), service, region).add_auth(request)
    return {name: str(value) for name, value in request.headers.items()}


def send_signed(
    server: ServerProcess,
    method: str,
    path: str,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    **how: Any,
) -> Answer:
    """Sign a request and send it."""
    return send(server, method, path, body, signature(server, method, path, body, headers, **how))
