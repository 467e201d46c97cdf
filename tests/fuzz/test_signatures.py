"""Signatures: botocore's signer agrees with our verifier on any request, and nothing else that is sent gets past it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

import botocore.auth
import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import strategies as st

from hounsfield.aws.protocol.errors import AwsError
from hounsfield.aws.sigv4.canonical_request import canonical_queries
from hounsfield.aws.sigv4.credential_scope import read_credential_scope
from hounsfield.aws.sigv4.request import Request
from hounsfield.aws.sigv4.verifier import Verifier
from support.clients.signers import proven
from support.fuzzing import damaged, fuzz

KEY, SECRET = "AKIAEXAMPLEEXAMPLE00", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
NOW = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)
VERIFIER = Verifier(
    "us-east-1", "medical-imaging", lambda scope: {KEY: SECRET}.get(scope.access_key_id), clock=lambda: NOW
)

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
paths = st.lists(text.filter(lambda t: t not in {"", ".", ".."}), min_size=1, max_size=5).map(
    lambda labels: "/" + "/".join(quote(label, safe="-_.~") for label in labels)
)
queries = st.lists(st.tuples(text.filter(bool), text), max_size=5).map(
    lambda pairs: "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in pairs)
)
headers = st.dictionaries(
    st.sampled_from(["x-amz-meta-a", "accept", "content-type", "x-amz-target"]),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20),
)


def signed(method: str, path: str, query: str, extra: dict[str, str], body: bytes, presigned: int | None) -> Request:
    request = AWSRequest(
        method, f"http://imaging.test:8080{path}{'?' if query else ''}{query}", headers=extra, data=body
    )
    credentials = Credentials(KEY, SECRET)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.auth, "get_current_datetime", lambda: NOW.replace(tzinfo=None))
        if presigned is None:
            SigV4Auth(credentials, "medical-imaging", "us-east-1").add_auth(request)
        else:
            SigV4QueryAuth(credentials, "medical-imaging", "us-east-1", presigned).add_auth(request)
    url = urlsplit(str(request.url))
    sent = [(name.lower().encode(), str(value).strip().encode("latin-1")) for name, value in request.headers.items()]
    if not any(name == b"host" for name, _ in sent):
        sent.append((b"host", url.netloc.encode()))
    return Request(method, url.path.encode(), url.query.encode(), sent)


@fuzz(
    st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
    paths,
    queries,
    headers,
    st.binary(max_size=100),
    st.one_of(st.none(), st.integers(1, 604_800)),
    examples=100,
)
def test_what_botocore_signs_is_verified_and_nothing_else(
    method: str, path: str, query: str, extra: dict[str, str], body: bytes, presigned: int | None
) -> None:
    # The body of a presigned request goes into botocore's query string.
    body = b"" if presigned is not None else body
    request = signed(method, path, query, extra, body, presigned)
    assert proven(VERIFIER, request, body).access_key_id == KEY
    for changed in (
        Request("PATCH", request.raw_path, request.query_string, request.headers),
        Request(method, request.raw_path + b"x", request.query_string, request.headers),
        Request(method, request.raw_path, request.query_string + b"&x=y", request.headers),
    ):
        with pytest.raises(AwsError) as refused:
            proven(VERIFIER, changed, body)
        assert refused.value.status == 403
    with pytest.raises(AwsError):
        proven(VERIFIER, request, body + b"x")


AUTHORIZATION = signed("GET", "/datastore", "", {}, b"", None).headers
HEADERS = dict(AUTHORIZATION)
PRESIGNED = signed("GET", "/datastore", "a=b", {}, b"", 60).query_string


@fuzz(damaged(st.just(HEADERS[b"authorization"])), damaged(st.just(HEADERS[b"x-amz-date"])), examples=150)
def test_damaged_signatures_in_headers_are_refused_as_such(authorization: bytes, date: bytes) -> None:
    sent = [(b"host", HEADERS[b"host"]), (b"authorization", authorization), (b"x-amz-date", date)]
    check(Request("GET", b"/datastore", b"", sent))


@fuzz(
    damaged(st.just(PRESIGNED)),
    st.lists(st.tuples(st.binary(max_size=8), st.binary(max_size=8)), max_size=3),
    examples=150,
)
def test_damaged_presigned_requests_are_refused_as_such(query: bytes, more: list[tuple[bytes, bytes]]) -> None:
    if query != PRESIGNED:
        check(Request("GET", b"/datastore", query, [(b"host", HEADERS[b"host"]), *more]))


def check(request: Request) -> None:
    with pytest.raises(AwsError) as refused:
        proven(VERIFIER, request, b"")
    assert refused.value.status in {400, 403}
    assert refused.value.message


any_headers = st.lists(
    st.tuples(
        st.sampled_from(
            [b"authorization", b"x-amz-date", b"date", b"host", b"x-amz-content-sha256", b"x-amz-security-token"]
        ),
        st.binary(max_size=40),
    ),
    max_size=6,
)


@fuzz(st.binary(max_size=60), st.binary(max_size=60), any_headers, examples=150)
def test_noise_is_refused(path: bytes, query: bytes, sent: list[tuple[bytes, bytes]]) -> None:
    request = Request("GET", b"/" + path, query, sent)
    with pytest.raises(AwsError):
        read_credential_scope(request, request.header_values())
    check(request)


@fuzz(st.binary(max_size=200), examples=150)
def test_any_query_has_canonical_forms(query: bytes) -> None:
    forms: list[Any] = canonical_queries(query)
    assert 1 <= len(forms) <= 3
    assert len(set(forms)) == len(forms)
    assert b"X-Amz-Signature" not in forms[0].split(b"=")[0]
