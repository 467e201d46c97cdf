"""Requests with heads that no client sends: too large, contradicting themselves, or not HTTP. None reaches a handler."""

from __future__ import annotations

import json

import pytest

from support.audit_trail import record_of
from support.clients.raw_http import exchange, head
from support.clients.signed_http import send, send_signed
from support.servers import ServerProcess

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
LAST = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
POST = b"POST /datastore HTTP/1.1\r\nHost: x\r\n"
UNKNOWN = "0123456789abcdef" * 2


def check_alive(server: ServerProcess) -> None:
    assert send_signed(server, "GET", f"/datastore/{UNKNOWN}").status == 404


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        pytest.param(b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414, id="URI of 70 kB"),
        pytest.param(b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 431, id="URI of 1 MB"),
        pytest.param(LAST + b"X: " + b"a" * 70_000 + b"\r\n\r\n", 431, id="header of 70 kB"),
        pytest.param(LAST + b"X: " + b"a" * 10_000_000 + b"\r\n\r\n", 431, id="header of 10 MB"),
        pytest.param(HEALTH + b"".join(b"X-%d: y\r\n" % n for n in range(5_000)) + b"\r\n", 431, id="5,000 headers"),
        pytest.param(
            b"GET /datastore?" + b"a&" * 5_000 + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            400,
            id="5,000 parameters",
        ),
    ],
)
def test_large_heads_are_refused(server: ServerProcess, request_head: bytes, status: int) -> None:
    answer = exchange(server, request_head)
    # A server that refuses before it has read everything resets the connection, and the answer may be lost on the way.
    assert answer.status == status or (answer.closed and not answer.data)
    check_alive(server)


def test_headers_beyond_the_setting_are_refused_in_the_form_of_aws(server: ServerProcess) -> None:
    answer = send(server, "GET", "/datastore", None, {"X-Large": "a" * 66_000})
    assert (answer.status, answer.code) == (431, "RequestHeaderSectionTooLargeException")
    assert "65536 bytes" in answer.message


@pytest.mark.parametrize(
    ("method", "path", "source"),
    [
        ("GET", "/datastore", "medical-imaging"),
        ("HEAD", f"/datastore/{UNKNOWN}/studies", "medical-imaging"),
        ("GET", f"/datastore/{UNKNOWN}/studies?PatientName=Nobody", "medical-imaging"),
        ("POST", "/", "sts"),
    ],
)
def test_refused_heads_are_recorded(server: ServerProcess, method: str, path: str, source: str) -> None:
    answer = send(server, method, path, None, {"X-Large": "Nobody" * 11_000, "User-Agent": "odd/1"})
    assert answer.status == 431
    record = record_of(server, answer.headers["x-amzn-requestid"])
    assert record["eventSource"] == f"{source}.amazonaws.com"
    assert record["errorCode"] == "RequestHeaderSectionTooLargeException"
    assert (record["sourceIPAddress"], record["userAgent"]) == ("127.0.0.1", "odd/1")
    assert "Nobody" not in json.dumps(record)


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n", id="two lengths"),
        pytest.param(b"Content-Length: +5\r\n\r\n", id="a length with a sign"),
        pytest.param(b"Content-Length: 5, 5\r\n\r\n", id="a list of lengths"),
        pytest.param(b"Content-Length: 0x5\r\n\r\n", id="a length in hexadecimal"),
        pytest.param(b"Content-Length : 5\r\n\r\n", id="a blank before the colon"),
        pytest.param(b"Transfer-Encoding: chunked, identity\r\n\r\n", id="a last coding that is not chunked"),
        pytest.param(b"Transfer-Encoding: xchunked\r\n\r\n", id="an unknown coding"),
        pytest.param(b"Transfer-Encoding : chunked\r\n\r\n", id="a blank before the colon of the coding"),
        pytest.param(b"X: a\r\n Transfer-Encoding: chunked\r\n\r\n", id="a folded header"),
        pytest.param(b"X: a\0b\r\n\r\n", id="a zero byte"),
        pytest.param(b"X: a\rTransfer-Encoding: chunked\r\n\r\n", id="a carriage return alone"),
        pytest.param(b"X\n: a\r\n\r\n", id="a line feed in a name"),
    ],
)
def test_headers_that_two_servers_may_read_differently_are_refused(server: ServerProcess, lines: bytes) -> None:
    """Request smuggling: whatever stands behind such a head must not be taken for a request."""
    answer = exchange(server, POST + lines + LAST + b"\r\n")
    assert answer.status in {400, None}
    assert b"ok\n" not in answer.data
    check_alive(server)


def test_two_hosts_are_refused(server: ServerProcess) -> None:
    answer = exchange(server, LAST + b"Host: y\r\n\r\n")
    assert answer.status == 400
    assert b"ValidationException" in answer.data


def test_a_length_beside_a_coding_ends_the_connection(server: ServerProcess) -> None:
    """RFC 9112 section 6.3: the coding counts, and the connection is not used again; what was smuggled in is not answered."""
    both = b"Content-Length: 60\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    answer = exchange(server, POST + both + HEALTH + b"\r\n")
    assert answer.data.count(b"HTTP/1.1 ") == 1
    assert answer.closed
    assert b"ok\n" not in answer.data


def test_equal_lengths_are_one(server: ServerProcess) -> None:
    answer = exchange(server, POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nabcde" + LAST + b"\r\n")
    assert answer.data.count(b"HTTP/1.1 ") == 2
    assert answer.status == 403
    assert answer.data.endswith(b"ok\n")


def test_garbage_behind_a_request_is_not_answered_as_one(server: ServerProcess) -> None:
    answer = exchange(server, HEALTH + b"\r\n" + b"\x00\xff\x01garbage\r\n\r\n" + HEALTH + b"\r\n")
    assert answer.data.count(b"ok\n") == 1
    assert answer.closed


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"1;" + b"a" * 300_000 + b"\r\na\r\n0\r\n\r\n", id="extension"),
        pytest.param(b"0\r\n" + b"a: b\r\n" * 30_000 + b"\r\n", id="trailers"),
        pytest.param(b"ffffffffffffffffff\r\n", id="size"),
        pytest.param(b"-1\r\n\r\n", id="sign"),
        pytest.param(b"5\nabcde\r\n0\r\n\r\n", id="line feed alone"),
    ],
)
def test_chunks_that_are_none_are_refused(server: ServerProcess, body: bytes) -> None:
    answer = exchange(server, head("POST", "/datastore", {"Host": "x", "Transfer-Encoding": "chunked"}) + body)
    assert answer.status in {400, 403, None}
    check_alive(server)


@pytest.mark.parametrize(
    "body", [b"[" * 4_000_000, b'{"a":' * 600_000, b"[]," * 1_300_000], ids=["lists", "maps", "flat"]
)
def test_deep_and_endless_json_is_refused(server: ServerProcess, body: bytes) -> None:
    answer = send_signed(server, "POST", "/datastore", body, {"Content-Type": "application/json"})
    assert (answer.status, answer.code) == (400, "SerializationException")
    check_alive(server)
