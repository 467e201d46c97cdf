"""A server that lets everybody in: programs of this machine, and no page of another one."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hounsfield.gateway.loopback_only import names_this_machine
from support.audit_trail import record_of
from support.servers import ServerProcess

LIST = "/datastore"
NAMED = "https://viewer.example.org"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    environment = {"HOUNSFIELD_CORS_ORIGINS": NAMED, "HOUNSFIELD_IMPORT_WORKERS": "1"}
    process = ServerProcess(tmp_path_factory.mktemp("open") / "data", environment, ("--insecure-no-auth",)).start()
    yield process
    process.stop()


def answer(
    server: ServerProcess, host: str | None, method: str = "GET", path: str = LIST, **headers: str
) -> tuple[int, str, str]:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.putrequest(method, path, skip_host=True)
    for name, value in ({} if host is None else {"Host": host} | headers).items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    found = connection.getresponse()
    found.read()
    connection.close()
    return found.status, found.headers.get("x-amzn-ErrorType", ""), found.headers.get("x-amzn-RequestId", "")


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:{}", "127.0.0.1", "127.3.2.1:{}", "localhost:{}", "LOCALHOST:{}", "[::1]:{}", "viewer.localhost"],
)
def test_programs_of_this_machine_are_let_in(server: ServerProcess, host: str) -> None:
    assert answer(server, host.format(server.port))[0] == 200


@pytest.mark.parametrize(
    "host",
    ["attacker.example:{}", "localhost.attacker.example", "127.0.0.1.attacker.example:{}", "attacker.example", "192.168.1.9:{}",
     "0.0.0.0:{}", "localhost:x", "localhost@attacker.example", ""],
)  # fmt: skip
@pytest.mark.parametrize("path", [LIST, "/datastore/" + "0" * 32 + "/studies", "/"])
def test_a_name_that_leads_here_is_refused(server: ServerProcess, host: str, path: str) -> None:
    status, kind, request_id = answer(server, host.format(server.port), path=path)
    assert (status, kind) == (403, "AccessDeniedException")
    if host.startswith("attacker.example:"):
        assert record_of(server, request_id)["errorCode"] == "AccessDeniedException"


@pytest.mark.parametrize(
    "origin",
    [
        "https://attacker.example",
        "null",
        "http://localhost.attacker.example",
        "http://192.168.1.9:{}",
        "file://",
        "http://",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_pages_of_other_machines_are_refused(server: ServerProcess, origin: str, method: str) -> None:
    headers = {"Origin": origin.format(server.port), "Content_Type": "text/plain", "Content_Length": "0"}
    if method == "OPTIONS":
        headers["Access_Control_Request_Method"] = "POST"
    assert answer(server, f"127.0.0.1:{server.port}", method, **headers)[:2] == (403, "AccessDeniedException")


@pytest.mark.parametrize("origin", ["http://localhost:3000", "http://127.0.0.1:{}", NAMED])
def test_pages_of_this_machine_and_named_ones_are_let_in(server: ServerProcess, origin: str) -> None:
    assert answer(server, f"127.0.0.1:{server.port}", Origin=origin.format(server.port))[0] == 200


def test_health_is_told_to_everybody(server: ServerProcess) -> None:
    assert [answer(server, "balancer.example", path=path)[0] for path in ("/healthz", "/readyz")] == [200, 200]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl speaks HTTP/2")
@pytest.mark.parametrize(("host", "status"), [("localhost", "200"), ("attacker.example", "403")])
def test_http_2_names_the_host_otherwise(server: ServerProcess, host: str, status: str, tmp_path: Path) -> None:
    told = subprocess.run(
        ["curl", "-s", "--http2-prior-knowledge", "-o", str(tmp_path / "answer"), "-w", "%{http_version} %{http_code}",
         "--resolve", f"{host}:{server.port}:127.0.0.1", f"http://{host}:{server.port}{LIST}"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert told.stdout == f"2 {status}"


@given(st.text(max_size=40))
def test_any_text_is_a_host_of_this_machine_or_not(text: str) -> None:
    if names_this_machine(text):
        assert text.lower().startswith(("localhost", "127.", "[")) or ".localhost" in text.lower()
