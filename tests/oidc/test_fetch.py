"""Requests to issuers and authorizers: certificates are checked, answers bounded, redirects not followed."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from hounsfield.bootstrap.tokens import open_lambda
from hounsfield.oidc.fetch import Fetcher, TooSlowError, UnreachableError
from hounsfield.settings import load_settings
from hounsfield.settings.urls import check_url
from support.servers import free_port
from support.services.token_issuer import JsonHandler, QuietServer


class Peer:
    """A server whose paths say how it answers."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.released = threading.Event()
        peer = self

        class Handler(JsonHandler):
            def do_GET(self) -> None:  # noqa: N802
                peer.asked.append(self.path)
                if self.path == "/silent":
                    peer.released.wait(20)
                elif self.path == "/dripping":
                    self.send_response(200)
                    self.send_header("Content-Length", "1000")
                    self.end_headers()
                    while not peer.released.wait(0.05):
                        self.wfile.write(b" ")
                        self.wfile.flush()
                elif self.path == "/elsewhere":
                    self.answer(302, b"", {"Location": "/short"})
                elif self.path == "/packed":
                    self.answer(200, b"\x1f\x8b", {"Content-Encoding": "gzip"})
                else:
                    self.answer(200, b"x" * (10 if self.path == "/short" else 2000))

        self.server = QuietServer(Handler)


@pytest.fixture
def peer() -> Iterator[Peer]:
    made = Peer()
    yield made
    made.released.set()
    made.server.stop()


def test_an_answer_is_given_as_it_is(peer: Peer) -> None:
    fetcher = Fetcher(60, 1000)
    assert (fetcher.get(f"{peer.server.url}/short").status, fetcher.get(f"{peer.server.url}/short").body) == (
        200,
        b"x" * 10,
    )
    assert fetcher.get(f"{peer.server.url}/packed").body == b"\x1f\x8b", "nothing is inflated"
    assert fetcher.get(f"{peer.server.url}/elsewhere").status == 302
    assert peer.asked == ["/short", "/short", "/packed", "/elsewhere"]


def test_a_long_answer_is_not_read(peer: Peer) -> None:
    with pytest.raises(UnreachableError, match="longer than 1000 bytes"):
        Fetcher(60, 1000).get(f"{peer.server.url}/long")


@pytest.mark.parametrize("path", ["/silent", "/dripping"])
def test_a_slow_answer_is_not_waited_for(peer: Peer, path: str) -> None:
    with pytest.raises(TooSlowError):
        Fetcher(0.3, 100_000).get(peer.server.url + path)


def test_nobody_there_is_told_at_once() -> None:
    with pytest.raises(UnreachableError, match="no connection"):
        Fetcher(60, 1000).get(f"http://127.0.0.1:{free_port()}/")


def certificate(folder: Path) -> Path:
    """Make a certificate for this machine that no authority signed, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "issuer")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "issuer.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(made.public_bytes(Encoding.PEM) + private)
    return path


def test_certificates_are_checked_and_one_s_own_can_be_named(
    peer: Peer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    peer.server.socket = context.wrap_socket(peer.server.socket, server_side=True)
    url = peer.server.url.replace("http://", "https://") + "/short"
    with pytest.raises(UnreachableError, match="SSLError"):
        Fetcher(60, 1000).get(url)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    assert Fetcher(60, 1000).get(url).body == b"x" * 10


@pytest.mark.parametrize(
    "url", ["https://id.example.org/x?y=z", "http://localhost:9000", "http://[::1]/", "http://127.0.0.1"]
)
def test_urls_that_may_be_asked(url: str) -> None:
    assert check_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "id.example.org",
        "ftp://a",
        "http://127.0.0.2.example.org",
        "https://",
        "https://a@b",
        "https://a/#b",
        "http://[::",
    ],
)
def test_urls_that_may_not(url: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - Python says it of some
        check_url(url)


def test_functions_are_called_only_where_that_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL_LAMBDA", raising=False)
    assert open_lambda(load_settings({})) is None
    assert open_lambda(load_settings({"HOUNSFIELD_LAMBDA_API": "aws"})) is not None
    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", "http://127.0.0.1:9")
    client = open_lambda(load_settings({}))
    assert client is not None
    assert getattr(client, "meta").endpoint_url == "http://127.0.0.1:9"  # noqa: B009
