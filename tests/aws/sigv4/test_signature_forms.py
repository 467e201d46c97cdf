"""Every way to sign a request, against a real server: curl, presigned URLs of botocore, and bodies signed in chunks."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import shutil
import subprocess
import zlib
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from support.clients.dicomweb import BOUNDARY, multipart, part10, store
from support.clients.signed_http import Answer, send
from support.files.synthetic import slice_of, uid
from support.servers import ServerProcess, active_datastore

MULTIPART = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
SIGNED_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
CHECKSUM = "x-amz-checksum-crc32"


@pytest.fixture(scope="module")
def datastore_id(server: ServerProcess) -> str:
    identifier = active_datastore(server.client())
    assert store(server, identifier, [part10(slice_of())]).ok
    return identifier


def curl(server: ServerProcess, *arguments: str, secret: str | None = None) -> tuple[int, bytes]:
    program = shutil.which("curl")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("needs curl")
        pytest.skip("needs curl")
    identifier, real = server.key()
    signing = ["--aws-sigv4", "aws:amz:us-east-1:medical-imaging", "--user", f"{identifier}:{secret or real}"]
    command = [program, "--silent", "--max-time", "60", "--write-out", "\n%{http_code}", *signing, *arguments]
    body, _, status = subprocess.run(command, capture_output=True, check=True, timeout=90).stdout.rpartition(b"\n")
    return int(status), body


def name_of(datastore_id: str, prefix: str) -> str:
    return f"{prefix}-{datastore_id[:6]}"


@pytest.mark.parametrize("stated", [None, "hash", "UNSIGNED-PAYLOAD", SIGNED])
def test_curl_posts_json(server: ServerProcess, stated: str | None) -> None:
    """Without the header curl still signs the hash of the body; with a literal it signs that, and sends the body as it is."""
    body = json.dumps({"datastoreName": f"curl-{str(stated)[:8].lower()}", "clientToken": f"curl-{stated}"})
    literal = hashlib.sha256(body.encode()).hexdigest() if stated == "hash" else stated
    headers = [] if literal is None else ["-H", f"x-amz-content-sha256: {literal}"]
    status, answer = curl(server, *headers, "--json", body, f"{server.url}/datastore")
    assert status == 200, answer
    assert json.loads(answer)["datastoreStatus"] == "CREATING"
    refused, answer = curl(server, *headers, "--json", body, f"{server.url}/datastore", secret="wrong")
    assert refused == 403, answer


def test_curl_cannot_state_another_hash(server: ServerProcess) -> None:
    wrong = ["-H", f"x-amz-content-sha256: {hashlib.sha256(b'other').hexdigest()}"]
    status, answer = curl(server, *wrong, "--json", '{"clientToken": "a"}', f"{server.url}/datastore")
    assert status == 403, answer
    assert b"x-amz-content-sha256" in answer


@pytest.mark.parametrize("stated", ["hash", "UNSIGNED-PAYLOAD", SIGNED])
def test_curl_stores(server: ServerProcess, datastore_id: str, stated: str, tmp_path: Path) -> None:
    number = {"hash": 11, "UNSIGNED-PAYLOAD": 12, SIGNED: 13}[stated]
    upload = tmp_path / "upload"
    upload.write_bytes(multipart([part10(slice_of(number=number))]))
    literal = hashlib.sha256(upload.read_bytes()).hexdigest() if stated == "hash" else stated
    headers = ["-H", f"x-amz-content-sha256: {literal}", "-H", f"Content-Type: {MULTIPART}", "-H", "Expect:"]
    url = f"{server.url}/datastore/{datastore_id}/studies"
    arguments = (*headers, "-X", "POST", "--upload-file", str(upload), url)
    assert curl(server, *arguments, secret="wrong")[0] == 403
    status, answer = curl(server, *arguments)
    assert status == 200, answer
    status, answer = curl(
        server, "-H", "Accept: application/dicom+json", f"{url}/{uid(1)}/instances?SOPInstanceUID={uid(1, 1, number)}"
    )
    assert status == 200, answer
    assert len(json.loads(answer)) == 1


def presigned(server: ServerProcess, path: str, seconds: int = 60) -> str:
    request = AWSRequest("GET", f"{server.url}{path}")
    SigV4QueryAuth(Credentials(*server.key()), "medical-imaging", "us-east-1", seconds).add_auth(request)
    return str(request.url)


@pytest.mark.parametrize(
    "path",
    [
        "/datastore?maxResults=1",
        "/datastore/{id}",
        f"/datastore/{{id}}/studies?PatientName=*&StudyInstanceUID={uid(1)}",
        f"/datastore/{{id}}/studies/{uid(1)}/series/{uid(1, 1)}/instances/{uid(1, 1, 1)}/frames/1",
    ],
)
def test_a_presigned_url_works_by_itself_and_not_otherwise(server: ServerProcess, datastore_id: str, path: str) -> None:
    url = presigned(server, path.format(id=datastore_id)).removeprefix(server.url)
    assert send(server, "GET", url).status == 200
    digit = url[-1]
    for changed in (
        url[:-1] + ("0" if digit != "0" else "1"),
        url.replace("X-Amz-Expires=60", "X-Amz-Expires=61"),
        f"{url}&x=y",
    ):
        answer = send(server, "GET", changed)
        assert (answer.status, answer.code) == (403, "InvalidSignatureException"), changed
    assert send(server, "HEAD", url).status in {403, 405}
    signed = presigned(server, path.format(id=datastore_id)).removeprefix(server.url)
    request = AWSRequest("GET", f"{server.url}{signed}")
    SigV4Auth(Credentials(*server.key()), "medical-imaging", "us-east-1").add_auth(request)
    both = send(server, "GET", signed, headers={name: str(value) for name, value in request.headers.items()})
    assert (both.status, both.code) == (403, "IncompleteSignatureException")


class Upload:
    """A body sent in aws-chunked encoding, by hand as the guide on chunked uploads has it."""

    def __init__(self, server: ServerProcess, path: str, kind: str, literal: str, body: bytes) -> None:
        self.server, self.path, self.literal, self.body = server, path, literal, body
        identifier, secret = server.key()
        request = AWSRequest("POST", f"{server.url}{path}", data=b"")
        request.headers["Content-Type"] = kind
        request.headers["X-Amz-Content-SHA256"] = literal
        request.headers["X-Amz-Decoded-Content-Length"] = str(len(body))
        request.headers["Content-Encoding"] = "aws-chunked"
        if literal != SIGNED:
            request.headers["X-Amz-Trailer"] = CHECKSUM
        SigV4Auth(Credentials(identifier, secret), "medical-imaging", "us-east-1").add_auth(request)
        self.headers = {name: str(value) for name, value in request.headers.items()}
        self.stamp = self.headers["X-Amz-Date"]
        self.scope = f"{self.stamp[:8]}/us-east-1/medical-imaging/aws4_request"
        self.key = f"AWS4{secret}".encode()
        for word in self.scope.split("/"):
            self.key = hmac.new(self.key, word.encode(), hashlib.sha256).digest()
        self.previous = self.headers["Authorization"].rpartition("Signature=")[2]

    def _signature(self, algorithm: str, *digests: str) -> str:
        text = "\n".join([algorithm, self.stamp, self.scope, self.previous, *digests])
        self.previous = hmac.new(self.key, text.encode(), hashlib.sha256).hexdigest()
        return self.previous

    def encoded(self) -> bytes:
        half = len(self.body) // 2
        parts = []
        for chunk in (self.body[:half], self.body[half:], b""):
            head = f"{len(chunk):x}"
            if self.literal != UNSIGNED_TRAILER:
                digests = hashlib.sha256(b"").hexdigest(), hashlib.sha256(chunk).hexdigest()
                head += f";chunk-signature={self._signature('AWS4-HMAC-SHA256-PAYLOAD', *digests)}"
            parts.append(f"{head}\r\n".encode() + chunk + (b"\r\n" if chunk else b""))
        if self.literal != SIGNED:
            checksum = b64encode(zlib.crc32(self.body).to_bytes(4, "big")).decode()
            parts.append(f"{CHECKSUM}:{checksum}\r\n".encode())
            if self.literal == SIGNED_TRAILER:
                digest = hashlib.sha256(f"{CHECKSUM}:{checksum}\n".encode()).hexdigest()
                parts.append(
                    f"x-amz-trailer-signature:{self._signature('AWS4-HMAC-SHA256-TRAILER', digest)}\r\n".encode()
                )
        return b"".join(parts) + b"\r\n"

    def send(self, encoded: bytes | None = None) -> Answer:
        return send(self.server, "POST", self.path, self.encoded() if encoded is None else encoded, self.headers)


@pytest.mark.parametrize("literal", [SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER])
def test_json_in_chunks(server: ServerProcess, literal: str) -> None:
    body = json.dumps({"clientToken": f"chunks-{literal[-20:]}", "datastoreName": "chunked"}).encode()
    assert Upload(server, "/datastore", "application/json", literal, body).send().status == 200
    spoilt = Upload(server, "/datastore", "application/json", literal, body)
    answer = spoilt.send(spoilt.encoded().replace(b"chunked", b"chopped"))
    assert answer.status in {400, 403}
    assert answer.code in {"InvalidSignatureException", "ValidationException"}


@pytest.mark.parametrize("literal", [SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER])
def test_instances_in_chunks(server: ServerProcess, datastore_id: str, literal: str) -> None:
    number = 20 + len(literal)
    path = f"/datastore/{datastore_id}/studies"
    body = multipart([part10(slice_of(number=number))])
    spoilt = Upload(server, path, MULTIPART, literal, body)
    answer = spoilt.send(spoilt.encoded()[:-40] + b"0" * 38 + b"\r\n")
    assert answer.status in {400, 403}, answer.body
    upload = Upload(server, path, MULTIPART, literal, body)
    answer = upload.send()
    assert answer.status == 200, answer.body
    stored: list[dict[str, Any]] = json.loads(answer.body)["00081199"]["Value"]
    assert stored[0]["00081155"]["Value"] == [uid(1, 1, number)]
