"""The client's side of Signature Version 4: botocore's signers, and the signers botocore does not have."""

import hashlib
import hmac
import zlib
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from urllib.parse import urlsplit

import botocore.auth
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from hounsfield.aws.sigv4.request import Request
from hounsfield.aws.sigv4.verifier import PendingPayload, Verifier

KEY_ID = "AKIAEXAMPLEEXAMPLE00"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
REGION = "us-east-1"
SERVICE = "medical-imaging"
NOW = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)
SECRETS = {KEY_ID: SECRET}


class Proven(NamedTuple):
    """What a request proves with its whole body."""

    access_key_id: str
    session_token: str | None
    body: bytes


def proven(verifier: Verifier, request: Request, body: bytes) -> Proven:
    """Verify a request that has arrived completely, as the server does piece by piece."""
    pending = verifier.authenticate(request)
    return Proven(pending.access_key_id, pending.session_token, read_whole(pending, body))


def read_whole(pending: PendingPayload, body: bytes) -> bytes:
    """Read a whole body and check it; the body decoded."""
    reader = pending.reader()
    return reader.feed(body) + reader.finish()


def signed(
    monkeypatch, method="GET", path="/datastore", body=b"", headers=(), *, at=NOW, expires=None, token=None, secret=SECRET,
    key_id=KEY_ID, region=REGION, service=SERVICE,
):  # fmt: skip
    """A request signed by botocore; presigned when `expires` (seconds) is given."""
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: at.replace(tzinfo=None))
    request = AWSRequest(method, f"http://imaging.test:8080{path}", headers=dict(headers), data=body)
    credentials = Credentials(key_id, secret, token)
    if expires is None:
        SigV4Auth(credentials, service, region).add_auth(request)
    else:
        SigV4QueryAuth(credentials, service, region, expires).add_auth(request)
    return as_sent(request.prepare())


def as_sent(prepared):
    url = urlsplit(prepared.url)
    headers = [(k.lower().encode(), v if isinstance(v, bytes) else v.encode()) for k, v in prepared.headers.items()]
    if not any(name == b"host" for name, _ in headers):
        headers.append((b"host", url.netloc.encode()))
    return Request(prepared.method, url.path.encode(), url.query.encode(), headers)


def changed(request, **parts):
    """The request with parts replaced."""
    return Request(**{name: parts.get(name, getattr(request, name)) for name in Request.__dataclass_fields__})


def with_header(request, name, value):
    """The request with a header set, or taken away for None."""
    rest = [(key, item) for key, item in request.headers if key != name]
    return changed(request, headers=rest if value is None else [*rest, (name, value)])


def header(request, name):
    return dict(request.headers).get(name)


def seed_signature(request):
    return header(request, b"authorization").rpartition(b"Signature=")[2].decode()


def signing_key(at=NOW):
    key = b"AWS4" + SECRET.encode()
    for part in (at.strftime("%Y%m%d"), REGION, SERVICE, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def chunk_signature(algorithm, previous, *digests, at=NOW):
    scope = f"{at:%Y%m%d}/{REGION}/{SERVICE}/aws4_request"
    text = "\n".join([algorithm, f"{at:%Y%m%dT%H%M%SZ}", scope, previous, *digests])
    return hmac_sign(text, at)


def hmac_sign(text, at=NOW):
    return hmac.new(signing_key(at), text.encode(), hashlib.sha256).hexdigest()


def signed_chunks(seed, chunks, trailers=None):
    """An aws-chunked body with a signature for each chunk, as AWS's guide describes it."""
    previous, body = seed, b""
    for chunk in [*chunks, b""]:
        digests = hashlib.sha256(b"").hexdigest(), hashlib.sha256(chunk).hexdigest()
        previous = chunk_signature("AWS4-HMAC-SHA256-PAYLOAD", previous, *digests)
        body += f"{len(chunk):x};chunk-signature={previous}\r\n".encode() + chunk + (b"\r\n" if chunk else b"")
    if trailers is not None:
        canonical = b"".join(name + b":" + value + b"\n" for name, value in trailers)
        previous = chunk_signature("AWS4-HMAC-SHA256-TRAILER", previous, hashlib.sha256(canonical).hexdigest())
        lines = [*trailers, (b"x-amz-trailer-signature", previous.encode())]
        body += b"".join(name + b":" + value + b"\r\n" for name, value in lines)
    return body + b"\r\n"


def unsigned_chunks(chunks, trailers):
    body = b"".join(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n" for chunk in chunks)
    return body + b"0\r\n" + b"".join(name + b":" + value + b"\r\n" for name, value in trailers) + b"\r\n"


def crc32(data):
    return b64encode(zlib.crc32(data).to_bytes(4, "big"))


def later(**delta):
    return NOW + timedelta(**delta)
