"""TLS: versions, certificates of clients, renewal beside requests under way, and commands of the machine itself."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import ssl
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from support.clients.dicomweb import BOUNDARY, multipart, part10
from support.files.synthetic import save, slice_of, uid
from support.programs import hounsfield
from support.servers import ServerProcess, active_datastore, free_port, wait_for
from support.services.certificates import Authority

KIND = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'


class TlsServer(ServerProcess):
    """A server behind TLS, seen by a client that trusts its authority."""

    def __init__(self, data: Path, trusted: ssl.SSLContext, environment: dict[str, str]) -> None:
        super().__init__(data, environment)
        self.url = f"https://127.0.0.1:{self.port}"
        self.trusted = trusted

    def _ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"the server ended: {self.log_text()}"
        try:
            return self.get("/healthz").status == 200
        except OSError:
            return False

    def connect(self, context: ssl.SSLContext | None = None) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection("127.0.0.1", self.port, context=context or self.trusted, timeout=120)

    def get(self, path: str, context: ssl.SSLContext | None = None) -> http.client.HTTPResponse:
        connection = self.connect(context)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            return answer
        finally:
            connection.close()

    def certificate_name(self) -> str:
        """Connect anew and return the name in the certificate of the server."""
        connection = self.connect()
        connection.connect()
        subject = connection.sock.getpeercert()["subject"]
        connection.close()
        return str(dict(entry[0] for entry in subject)["commonName"])

    def name_once_connected(self) -> str:
        """Return the name, also where the process that shakes hands ends meanwhile."""
        try:
            return self.certificate_name()
        except (ssl.SSLEOFError, ConnectionResetError):
            return self.certificate_name()


def trusting(authority: Authority, client: tuple[Path, Path] | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authority.file)
    if client is not None:
        context.load_cert_chain(*client)
    return context


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def authority(folder: Path) -> Authority:
    return Authority(folder)


def put(files: tuple[Path, Path], folder: Path) -> None:
    """Put a certificate where the server has it, as a renewal does: file by file."""
    for source, name in zip(files, ("server.crt", "server.key"), strict=True):
        shutil.copy(source, folder / f".{name}")
        (folder / f".{name}").replace(folder / name)


@pytest.fixture(scope="module")
def server(folder: Path, authority: Authority) -> Iterator[TlsServer]:
    put(authority.sign("first"), folder)
    environment = {
        "HOUNSFIELD_TLS_CERTIFICATE": str(folder / "server.crt"),
        "HOUNSFIELD_TLS_KEY": str(folder / "server.key"),
        "HOUNSFIELD_TLS_CLIENT_CA": str(authority.file),
        "HOUNSFIELD_TLS_CLIENT_CERTIFICATES": "optional",
        "HOUNSFIELD_IMPORT_WORKERS": "1",
        "HOUNSFIELD_STORE_WORKERS": "1",
    }
    process = TlsServer(folder / "data", trusting(authority), environment)
    process.start()
    yield process
    process.stop()


@pytest.fixture(scope="module")
def client(server: TlsServer, authority: Authority) -> Any:
    identifier, secret = server.key()
    return boto3.client(
        "medical-imaging",
        region_name="us-east-1",
        endpoint_url=server.url,
        aws_access_key_id=identifier,
        aws_secret_access_key=secret,
        verify=str(authority.file),
        config=Config(inject_host_prefix=False, retries={"max_attempts": 0}),
    )


def test_it_is_found_and_speaks_only_new_versions(server: TlsServer, client: Any, authority: Authority) -> None:
    assert json.loads((server.data / "server.json").read_text())["url"] == server.url
    assert client.list_datastores()["datastoreSummaries"] == []
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = trusting(authority)
        context.minimum_version = context.maximum_version = version
        assert server.get("/healthz", context).status == 200
    old = trusting(authority)
    old.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with pytest.raises(OSError, match=r"(?i)protocol|version|handshake|eof|reset"):
        server.get("/healthz", old)
    plain = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    plain.request("GET", "/healthz")
    with pytest.raises((OSError, http.client.HTTPException)):
        plain.getresponse()
    plain.close()


def test_a_certificate_that_is_shown_must_be_a_right_one(
    server: TlsServer, authority: Authority, folder: Path, tmp_path: Path
) -> None:
    assert server.get("/healthz", trusting(authority, authority.sign("viewer"))).status == 200
    foreign = Authority(tmp_path, "foreign")
    with pytest.raises(OSError, match=r"."):
        server.get("/healthz", trusting(authority, foreign.sign("viewer")))


def signed_store(server: TlsServer, datastore_id: str) -> dict[str, str]:
    """Return the headers of a request that stores, whose body is not part of the signature."""
    url = f"{server.url}/datastore/{datastore_id}/studies"
    request = AWSRequest("POST", url, headers={"Content-Type": KIND, "X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"})
    SigV4Auth(Credentials(*server.key()), "medical-imaging", "us-east-1").add_auth(request)
    return {name: str(value) for name, value in request.headers.items()}


def test_a_renewed_certificate_is_served_and_nothing_is_cut_off(
    server: TlsServer, client: Any, authority: Authority, folder: Path
) -> None:
    assert server.certificate_name() == "first"
    datastore_id = active_datastore(client)
    body = multipart([part10(slice_of(study=820))])
    under_way = server.connect()
    under_way.putrequest("POST", f"/datastore/{datastore_id}/studies", skip_host=True)
    for name, value in {**signed_store(server, datastore_id), "Host": f"127.0.0.1:{server.port}"}.items():
        under_way.putheader(name, value)
    under_way.putheader("Content-Length", str(len(body)))
    under_way.endheaders()
    under_way.send(body[: len(body) // 2])

    stop = threading.Event()
    answers: list[int] = []
    failures: list[str] = []

    def keep_asking() -> None:
        with requests.Session() as session:
            # Whoever is shaking hands when the old process ends has asked for nothing yet, and connects again.
            only_handshakes = Retry(total=None, connect=0, read=0, redirect=0, status=0, other=2)
            session.mount("https://", HTTPAdapter(max_retries=only_handshakes))
            # Variables of the machine would otherwise say whom to trust.
            session.trust_env = False
            session.verify = str(authority.file)
            while not stop.wait(0.05):
                try:
                    answers.append(session.get(f"{server.url}/healthz", timeout=120).status_code)
                except requests.RequestException as error:
                    failures.append(repr(error))

    asking = [threading.Thread(target=keep_asking) for _ in range(2)]
    for thread in asking:
        thread.start()
    try:
        put(authority.sign("second"), folder)
        # Old and new process serve side by side for a while; then the old one takes no connections any more.
        wait_for(
            lambda: all(server.name_once_connected() == "second" for _ in range(20)), "the certificate to be renewed"
        )
        under_way.send(body[len(body) // 2 :])
        answer = under_way.getresponse()
        assert (answer.status, uid(820) in answer.read().decode()) == (200, True)
    finally:
        stop.set()
        for thread in asking:
            thread.join()
    assert not failures
    assert set(answers) == {200}
    (stored,) = client.search_image_sets(datastoreId=datastore_id, searchCriteria={})["imageSetsMetadataSummaries"]
    assert stored["DICOMTags"]["DICOMStudyInstanceUID"] == uid(820)


def test_a_renewal_that_does_not_fit_is_waited_over(server: TlsServer, authority: Authority, folder: Path) -> None:
    shown = server.certificate_name()
    _, key = authority.sign("third")
    shutil.copy(key, folder / "server.key")
    wait_for(lambda: "renewed certificate cannot be used" in server.log_text(), "the mismatch to be told")
    assert server.certificate_name() == shown
    put((folder / "third.crt", folder / "third.key"), folder)
    wait_for(lambda: server.certificate_name() == "third", "the certificate to be renewed")


def test_where_clients_must_show_a_certificate_the_import_command_works(
    authority: Authority, folder: Path, tmp_path: Path
) -> None:
    certificate, key = authority.sign("elsewhere", address="192.0.2.1")
    environment = {
        "HOUNSFIELD_TLS_CERTIFICATE": str(certificate),
        "HOUNSFIELD_TLS_KEY": str(key),
        "HOUNSFIELD_TLS_CLIENT_CA": str(authority.file),
        "HOUNSFIELD_TLS_LEAST_VERSION": "1.3",
        "HOUNSFIELD_IMPORT_WORKERS": "1",
    }
    seen = trusting(authority, authority.sign("viewer"))
    seen.check_hostname = False
    process = TlsServer(tmp_path / "data", seen, environment)
    process.start()
    try:
        nobody = trusting(authority)
        nobody.check_hostname = False
        with pytest.raises(OSError, match=r"."):
            process.get("/healthz", nobody)
        older = trusting(authority, authority.sign("viewer"))
        older.check_hostname = False
        older.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises(OSError, match=r"."):
            process.get("/healthz", older)
        file = save(slice_of(study=821), tmp_path / "one.dcm")
        done = hounsfield("import", "--data", str(process.data), str(file), environment=environment)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Files imported           1" in done.stdout
    finally:
        process.stop()


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"TLS_CERTIFICATE": "first.crt"}, "together or not at all"),
        ({"TLS_CLIENT_CA": "authority.pem"}, "needs HOUNSFIELD_TLS_CERTIFICATE"),
        ({"TLS_CERTIFICATE": "first.crt", "TLS_KEY": "second.key"}, "cannot be used"),
        ({"TLS_CERTIFICATE": "nothing.crt", "TLS_KEY": "first.key"}, "cannot be used"),
        (
            {"TLS_CERTIFICATE": "first.crt", "TLS_KEY": "first.key", "TLS_LEAST_VERSION": "1.1"},
            "must be one of 1.2, 1.3",
        ),
    ],
)
def test_what_cannot_be_is_refused_at_the_start(
    authority: Authority, folder: Path, tmp_path: Path, environment: dict[str, str], message: str
) -> None:
    authority.sign("first")
    authority.sign("second")
    done = subprocess.run(
        [sys.executable, "-m", "hounsfield", "serve", "--data", str(tmp_path / "data"), "--port", "0"],
        env={**os.environ, **{f"HOUNSFIELD_{name}": value for name, value in environment.items()}},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode != 0
    assert message in done.stderr


def test_plain_http_beyond_loopback_is_warned_of(tmp_path: Path) -> None:
    # An address of this machine alone, which the server cannot know.
    command = [sys.executable, "-m", "hounsfield", "api", "--data", str(tmp_path / "data"), "--host", "127.0.0.2"]
    log = tmp_path / "log"
    with log.open("wb") as out:
        process = subprocess.Popen([*command, "--port", str(free_port())], stdout=out, stderr=out)
    try:
        wait_for(lambda: "HOUNSFIELD_TLS_CERTIFICATE" in log.read_text(), "the warning")
    finally:
        process.kill()
        process.wait()
