"""HTTP written by hand on a socket, for what no client library would send."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from support.servers import ServerProcess


@dataclass
class RawAnswer:
    """What came back: the bytes, and whether the server closed the connection after them."""

    data: bytes
    closed: bool

    @property
    def status(self) -> int | None:
        """Status of the first response; None when there is none."""
        return int(self.data[9:12]) if self.data.startswith(b"HTTP/1.1 ") else None


@contextmanager
def connection(server: ServerProcess, *, small: bool = False) -> Iterator[socket.socket]:
    """Return a connection; a small one takes little before the server notices that nobody reads."""
    with socket.socket() as client:
        if small:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(60)
        client.connect(("127.0.0.1", server.port))
        yield client


def read_to_end(client: socket.socket) -> RawAnswer:
    """Read until the server closes the connection."""
    data = b""
    while True:
        try:
            piece = client.recv(1 << 20)
        except ConnectionError:
            return RawAnswer(data, closed=True)
        except TimeoutError:
            return RawAnswer(data, closed=False)
        if not piece:
            return RawAnswer(data, closed=True)
        data += piece


def send_all(client: socket.socket, data: bytes) -> bool:
    """Send; tell whether the server took it all."""
    try:
        client.sendall(data)
    except OSError:
        return False
    return True


def exchange(server: ServerProcess, data: bytes) -> RawAnswer:
    """Send bytes and read what comes until the server closes the connection, as it does when the last request says so."""
    with connection(server) as client:
        send_all(client, data)
        return read_to_end(client)


def head(method: str, path: str, headers: dict[str, str], *more: str) -> bytes:
    """Return request line and headers."""
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), *more]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
