"""A proxy before PostgreSQL that cuts a connection at a chosen place of a transaction.

server of ours ─▶ proxy ─▶ PostgreSQL
                    └─ a message of the client that has the trigger: cut before it, or after its answer
"""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from typing import Final
from urllib.parse import urlsplit

COMMIT: Final = b"COMMIT\0"
"""The message by which the driver commits."""


class Cut(Enum):
    """Where a connection is cut."""

    BEFORE = "the server never gets the message"
    AFTER = "the client never gets the answer"
    GONE = "as AFTER, and nobody is let in any more"


class CutPostgresql:
    """The proxy; it lets everything through until `arm`."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname, parts.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = url.replace(f":{parts.port}/", f":{self._listener.getsockname()[1]}/")
        self._lock = threading.Lock()
        self._armed: tuple[Cut, bytes, bytes] | None = None
        self._open: set[socket.socket] = set()
        self.closed = False
        self.cuts = 0

    def arm(self, cut: Cut, trigger: bytes = COMMIT, within: bytes = b"") -> None:
        """Cut the next connection whose client sends a trigger, in a transaction that sent something before; once."""
        with self._lock:
            self._armed = (cut, trigger, within)

    def take(self) -> None:
        """Let clients in until the listener is closed."""
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.closed:
                client.close()
                continue
            threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def end(self) -> None:
        """Close everything."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._cut_all()

    def _cut_all(self) -> None:
        for end in list(self._open):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _carry(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._target) as server, suppress(OSError):
            self._open |= {client, server}
            sent = b""
            while True:
                readable, _, _ = select.select([client, server], [], [])
                for end in readable:
                    data = end.recv(1 << 16)
                    if not data:
                        return
                    if end is server:
                        client.sendall(data)
                        continue
                    sent = data if data.count(b"BEGIN") else sent + data
                    cut = self._wanted(data, sent)
                    if cut is None:
                        server.sendall(data)
                        continue
                    if cut is not Cut.BEFORE:
                        server.sendall(data)
                        server.recv(1 << 16)
                    if cut is Cut.GONE:
                        self.closed = True
                        self._cut_all()
                    return

    def _wanted(self, data: bytes, sent: bytes) -> Cut | None:
        with self._lock:
            if self._armed is None:
                return None
            cut, trigger, within = self._armed
            if trigger not in data or within not in sent:
                return None
            self._armed = None
            self.cuts += 1
            return cut


@contextmanager
def cut_postgresql(url: str) -> Iterator[CutPostgresql]:
    """Put the proxy before a database, by its URL."""
    proxy = CutPostgresql(url)
    thread = threading.Thread(target=proxy.take)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.end()
        thread.join()
