"""Signed requests made beforehand, so that a load generator need not sign."""

from __future__ import annotations

import http.client
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from urllib.parse import urlsplit

import orjson
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from bench.server import BenchmarkError, Server
from hounsfield.iam.root_credentials import AccessKey, credentials_file, root_key


@dataclass(frozen=True)
class SignedRequest:
    """A request as it is sent; its signature is good for 15 minutes."""

    path: str
    headers: Mapping[str, str]
    body: bytes = b""
    method: str = "POST"


def signed_post(
    server: Server, path: str, parameters: Mapping[str, object] | None = None, key: AccessKey | None = None
) -> SignedRequest:
    """Sign a POST as botocore does: over content type, host and time, with the hash of the body; see `signed_get`."""
    key = key or root_key(credentials_file(server.settings.data))
    body = orjson.dumps(parameters) if parameters is not None else b""
    address = urlsplit(server.url)
    headers = {"Content-Type": "application/json", "Host": address.netloc}
    request = AWSRequest("POST", server.url + path, data=body, headers=headers)
    SigV4Auth(Credentials(key.id, key.secret), "medical-imaging", server.settings.region).add_auth(request)
    return SignedRequest(path, dict(request.headers.items()), body)


def signed_get(
    server: Server, path: str, accept: str = "application/dicom+json", key: AccessKey | None = None
) -> SignedRequest:
    """Sign a GET over host and time, for an answer of a media type; with the root key unless another is given."""
    key = key or root_key(credentials_file(server.settings.data))
    headers = {"Accept": accept, "Host": urlsplit(server.url).netloc}
    request = AWSRequest("GET", server.url + path, headers=headers)
    SigV4Auth(Credentials(key.id, key.secret), "medical-imaging", server.settings.region).add_auth(request)
    return SignedRequest(path, dict(request.headers.items()), b"", "GET")


def signed_store(server: Server, path: str, kind: str, body: bytes, key: AccessKey | None = None) -> SignedRequest:
    """Sign a POST whose body the signature does not cover, as clients store large bodies; see `signed_get`."""
    key = key or root_key(credentials_file(server.settings.data))
    headers = {"Content-Type": kind, "Host": urlsplit(server.url).netloc, "X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}
    request = AWSRequest("POST", server.url + path, data=b"", headers=headers)
    SigV4Auth(Credentials(key.id, key.secret), "medical-imaging", server.settings.region).add_auth(request)
    return SignedRequest(path, dict(request.headers.items()), body)


def post(connection: http.client.HTTPConnection, request: SignedRequest) -> tuple[float, bytes]:
    """Send a POST over a kept connection; see `get`."""
    return _send(connection, "POST", request)


def get(connection: http.client.HTTPConnection, request: SignedRequest) -> tuple[float, bytes]:
    """Send a GET over a kept connection; gives the seconds to the last byte, and the body.

    Raises
    ------
    BenchmarkError
        The answer is not 200.
    """
    return _send(connection, "GET", request)


def _send(connection: http.client.HTTPConnection, method: str, request: SignedRequest) -> tuple[float, bytes]:
    begin = time.perf_counter()
    connection.request(method, request.path, request.body or None, dict(request.headers))
    answer = connection.getresponse()
    body = answer.read()
    seconds = time.perf_counter() - begin
    if answer.status != http.HTTPStatus.OK:
        raise BenchmarkError(f"{request.path} answered {answer.status}: {body[:500]!r}")
    return seconds, body


def connect(url: str) -> http.client.HTTPConnection:
    """Return a connection to the server at an address, made with the first request."""
    address = urlsplit(url)
    return http.client.HTTPConnection(address.hostname or "", address.port)


def fetch(server: Server, request: SignedRequest) -> bytes:
    """Send a GET over a connection of its own and give the body; raises `BenchmarkError` when the answer is not 200."""
    with closing(connect(server.url)) as connection:
        return get(connection, request)[1]
