"""Clients that take their time, or all the room there is: they are let go, and others do not notice them."""

from __future__ import annotations

import select
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from support.clients.dicomweb import BOUNDARY, multipart, part10, store
from support.clients.raw_http import connection, head, read_to_end, send_all
from support.clients.signed_http import send_signed, signature
from support.files.synthetic import noise, slice_of, uid
from support.processes import api_processes
from support.servers import ServerProcess, active_datastore, wait_for

SECONDS = 2
CONNECTIONS = 24
BODY_MEMORY = 4_000_000
UNKNOWN = "0123456789abcdef" * 2
MULTIPART = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\0\0\0\4\0\0\0\0\0"


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that waits for nobody for longer than a moment."""
    settings = {
        "HOUNSFIELD_HEADER_TIMEOUT_SECONDS": str(SECONDS),
        "HOUNSFIELD_BODY_TIMEOUT_SECONDS": str(SECONDS),
        "HOUNSFIELD_ANSWER_TIMEOUT_SECONDS": str(SECONDS),
        "HOUNSFIELD_LEAST_BYTES_PER_SECOND": "20000",
        "HOUNSFIELD_MAX_CONNECTIONS": str(CONNECTIONS),
        "HOUNSFIELD_BODY_MEMORY_BYTES": str(BODY_MEMORY),
    }
    process = ServerProcess(tmp_path_factory.mktemp("impatient") / "data", settings).start()
    yield process
    process.stop()


@pytest.fixture(scope="module")
def stored(impatient: ServerProcess) -> str:
    """A data store with a frame of 8 MB and 24 of 1 MB: more than the kernel takes off our hands."""
    datastore_id = active_datastore(impatient.client(retrying=True))
    large = part10(slice_of(number=1, pixels=noise(2048, 2048)))
    many = part10(slice_of(number=2, pixels=np.stack([noise(512, 1024, n) for n in range(24)])))
    wait_for(lambda: store(impatient, datastore_id, [large, many]).status_code == 200, "the instances to be stored")
    return datastore_id


def is_answering(server: ServerProcess) -> bool:
    return send_signed(server, "GET", f"/datastore/{UNKNOWN}").status == 404


def open_connections(server: ServerProcess) -> list[Any]:
    """The connections that the server holds open to anybody."""
    return [
        one
        for process in api_processes(server)
        for one in process.net_connections("tcp")
        if one.laddr.port == server.port and one.status == psutil.CONN_ESTABLISHED
    ]


@pytest.mark.parametrize(
    "start",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"P", id="what may become HTTP/2"),
        pytest.param(b"POST /datastore HTTP/1.1\r\nHost: x\r\nX-Slow: ", id="half a header"),
        pytest.param(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", id="no further request"),
        pytest.param(PREFACE + SETTINGS, id="HTTP/2 without a request"),
    ],
)
def test_a_connection_without_a_request_is_closed(impatient: ServerProcess, start: bytes) -> None:
    with connection(impatient) as client:
        client.sendall(start)
        assert is_answering(impatient)
        assert read_to_end(client).closed


def test_silent_connections_keep_nobody_out(impatient: ServerProcess) -> None:
    """More of them than the server has room for: whoever comes behind them waits until they are closed."""
    with ExitStack() as stack:
        for _ in range(CONNECTIONS + 8):
            stack.enter_context(connection(impatient))
        assert is_answering(impatient)


def test_headers_that_trickle_are_not_waited_for(impatient: ServerProcess) -> None:
    with connection(impatient) as client:
        client.sendall(b"GET /datastore HTTP/1.1\r\nHost: x\r\n")
        client.settimeout(0.2)
        closed = False
        for number in range(100):
            if not send_all(client, f"X-{number}: y\r\n".encode()):
                closed = True
                break
            try:
                closed = client.recv(1) == b""
                break
            except TimeoutError:
                continue
            except ConnectionError:
                closed = True
                break
        assert closed
    assert is_answering(impatient)


def begun_upload(server: ServerProcess, client: socket.socket, path: str, size: int, content_type: str) -> None:
    headers = {"Content-Type": content_type, "X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}
    signed = {**signature(server, "POST", path, b"", headers), "Host": f"127.0.0.1:{server.port}"}
    client.sendall(head("POST", path, {**signed, "Content-Length": str(size)}))


def spooled(server: ServerProcess) -> list[Path]:
    folder = server.data / "spool"
    return list(folder.iterdir()) if folder.is_dir() else []


def packs(server: ServerProcess) -> list[Path]:
    return [path for path in (server.data / "blobs").rglob("*") if path.is_file()]


def test_an_upload_that_stops_in_the_middle_leaves_nothing(impatient: ServerProcess, stored: str) -> None:
    """Neither what was spooled, nor what was transcoded already, nor the slots for more."""
    before = set(packs(impatient))
    small = [part10(slice_of(study=5, number=n, pixels=noise(128, 128, n))) for n in range(20)]
    large = part10(slice_of(study=5, number=30, pixels=noise(2048, 2048, 3)))
    body = multipart([*small, large])
    with connection(impatient) as client:
        begun_upload(impatient, client, f"/datastore/{stored}/studies", len(body), MULTIPART)
        client.sendall(body[:-5000])
        # What is spooled stays for as long as the body comes, however slowly.
        rest = iter(body[-5000:-1])
        wait_for(lambda: client.send(bytes([next(rest)])) and spooled(impatient), "the large part to be spooled")
        answer = read_to_end(client)
    assert answer.status == 408
    assert b"RequestTimeoutException" in answer.data
    wait_for(lambda: not spooled(impatient), "the spool to be empty")
    wait_for(lambda: set(packs(impatient)) == before, "the packs of the request to go")
    assert store(impatient, stored, small[:1]).status_code == 200


@pytest.mark.parametrize("pause", [0, 0.2])
def test_a_body_that_does_not_come_is_not_waited_for(impatient: ServerProcess, pause: float) -> None:
    """Neither one that stops nor one that trickles."""
    body = b'{"datastoreName": "slow"}' + b" " * 1000
    with connection(impatient) as client:
        begun_upload(impatient, client, "/datastore", len(body), "application/json")
        client.settimeout(pause or 60)
        answer = b""
        for at in range(100):
            client.sendall(body[at : at + 1])
            try:
                answer = client.recv(4096)
                break
            except TimeoutError:
                continue
    assert answer.startswith(b"HTTP/1.1 408")
    assert is_answering(impatient)


def asked(server: ServerProcess, client: socket.socket, method: str, path: str, body: bytes = b"") -> bytes:
    """Ask for something and read no more than the beginning of the answer."""
    signed = {**signature(server, method, path, body), "Host": f"127.0.0.1:{server.port}"}
    client.sendall(head(method, path, {**signed, "Content-Length": str(len(body))}) + body)
    return client.recv(1024)


@pytest.mark.parametrize("whole", [True, False], ids=["sent whole", "sent in chunks"])
def test_who_takes_nothing_of_an_answer_is_let_go(impatient: ServerProcess, stored: str, whole: bool) -> None:
    path = f"/datastore/{stored}/studies/{uid(1)}/series/{uid(1, 1)}/instances/{uid(1, 1, 1 if whole else 2)}"
    with connection(impatient, small=True) as client:
        frames = "1" if whole else ",".join(map(str, range(1, 25)))
        start = asked(impatient, client, "GET", f"{path}/frames/{frames}")
        assert start.startswith(b"HTTP/1.1 200"), start
        wait_for(
            lambda: client.getsockname() not in [tuple(one.raddr) for one in open_connections(impatient)],
            "the connection to be closed",
        )
        assert is_answering(impatient)
        assert len(start) + len(read_to_end(client).data) < (8 if whole else 24) * 1024 * 1024
    if not whole:
        wait_for(lambda: "took nothing of its answer" in impatient.log_text(), "the answer to be broken off")


def test_bodies_of_strangers_have_bounded_room(impatient: ServerProcess) -> None:
    """Who it is that sends a body without its hash is known at its end; until then, all of them together get so much."""
    size, kept_back = 1_000_000, 5_000
    room = BODY_MEMORY // (size - 64 * 1024)
    with ExitStack() as stack:
        clients = [stack.enter_context(connection(impatient)) for _ in range(8)]
        for client in clients:
            signed = {**signature(impatient, "POST", "/datastore", b"other"), "Host": f"127.0.0.1:{impatient.port}"}
            send_all(client, head("POST", "/datastore", {**signed, "Content-Length": str(size)}))
            send_all(client, b" " * (size - kept_back))

        def answered() -> int:
            """Count those that are answered or cut off, and keep the others waiting for the rest of their body."""
            ended, _, _ = select.select(clients, [], [], 0)
            for client in clients:
                if client not in ended:
                    send_all(client, b" ")
            return len(ended)

        wait_for(lambda: answered() >= len(clients) - room, "those that find no room to be refused")
        assert is_answering(impatient)
        statuses = [read_to_end(client).status for client in clients]
    # Those that found no room may have been cut off while they still sent.
    assert statuses.count(408) <= room
    assert set(statuses) - {None} == {408, 503}
    body = b'{"clientToken": "large"' + b" " * size + b"}"
    assert send_signed(impatient, "POST", "/datastore", body, {"Content-Type": "application/json"}).status == 200


def test_http2_headers_that_do_not_end_are_cut_off(impatient: ServerProcess) -> None:
    """A flood of CONTINUATION frames (CVE-2024-27316 and others)."""
    with connection(impatient) as client:
        literal = b"\x00\x01x" + b"\x7f\x81\x7f" + b"y" * 16_000
        frame = struct.pack(">I", len(literal))[1:]
        client.sendall(PREFACE + SETTINGS + frame + b"\x01\x00" + struct.pack(">I", 1) + literal)
        taken = all(send_all(client, frame + b"\x09\x00" + struct.pack(">I", 1) + literal) for _ in range(2_000))
        assert not taken or read_to_end(client).closed
    assert is_answering(impatient)


def test_http2_is_spoken(impatient: ServerProcess) -> None:
    import shutil
    import subprocess

    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    command = ["curl", "-s", "--http2-prior-knowledge", "-w", "%{http_version}", f"{impatient.url}/healthz"]
    assert subprocess.run(command, capture_output=True, check=True, timeout=60).stdout == b"ok\n2"
