"""Idle connections, which are closed so that they take no room from others.

    API process ─▶ its own sockets, every now and then ─▶ no request under way, and hardly a byte taken for too long ─▶ shut

The server software closes a connection whose headers do not arrive, but not one on which nothing was sent, and it lets a
client take its time with an answer that is complete. The kernel knows of every connection how many bytes the other side has
taken (``tcp_info``, Linux), also where TLS or HTTP/2 is spoken on it. Elsewhere nothing is watched.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, TypeAlias

import structlog
from starlette.types import Scope

from hounsfield.gateway.timeouts import Timeouts
from hounsfield.runtime.supervised_threads import SupervisedThread

_log = structlog.get_logger(__name__)
_FOLDER: Final = "/proc/self/fd"
_LONGEST_PAUSE_SECONDS: Final = 5.0

# struct tcp_info of linux/tcp.h: what was sent and is not acknowledged, in segments; bytes acknowledged; bytes not sent yet.
_INFO_BYTES: Final = 148
_UNACKNOWLEDGED: Final = struct.Struct("=24xI")
_TAKEN: Final = struct.Struct("=120xQ")
_NOT_SENT: Final = struct.Struct("=144xI")

Peer: TypeAlias = "tuple[str, int | str]"
"""Address and port of a client; the server software gives the port as text."""

_NOBODY: Final[Peer] = ("", 0)


@dataclass(slots=True)
class _Mark:
    """How many bytes a client had taken at a time."""

    at: float
    taken: int


@dataclass(frozen=True, slots=True)
class _Flow:
    """What the kernel tells of a connection: bytes taken by the other side, and whether it has some still to take."""

    taken: int
    outstanding: bool


class ConnectionWatch:
    """Closes connections of this process on which nothing happens.

    Parameters
    ----------
    header_seconds : float
        How long a connection may be without a request.
    timeouts : Timeouts
        How long a client may take over what was sent, and how slowly.
    """

    def __init__(self, header_seconds: float, timeouts: Timeouts) -> None:
        self._header_seconds = header_seconds
        self._timeouts = timeouts
        self._lock = threading.Lock()
        self._busy: dict[Peer, int] = {}
        self._ended: set[Peer] = set()
        self._marks: dict[int, _Mark] = {}
        self._stop = threading.Event()
        self._thread = SupervisedThread("connections", self._watch, self._stop)
        self._pause = min(_LONGEST_PAUSE_SECONDS, header_seconds / 4, timeouts.answer_seconds / 4)

    def start(self) -> None:
        """Begin to watch, where the kernel tells what is needed."""
        if sys.platform == "linux":
            self._thread.start()

    def stop(self) -> None:
        """Stop watching."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def begin(self, scope: Scope) -> Peer:
        """Note that a request is under way; return who sends it, for `end`."""
        peer: Peer = scope.get("client") or _NOBODY
        with self._lock:
            self._busy[peer] = self._busy.get(peer, 0) + 1
        return peer

    def end(self, peer: Peer) -> None:
        """Note that a request has been answered."""
        with self._lock:
            left = self._busy[peer] - 1
            if left:
                self._busy[peer] = left
            else:
                del self._busy[peer]
            self._ended.add(peer)

    def _watch(self) -> None:
        while not self._stop.wait(self._pause):
            with self._lock:
                busy = self._busy.keys() | self._ended
                self._ended = set()
            try:
                self._sweep({_plain(peer) for peer in busy})
            except OSError as error:
                _log.warning("connections cannot be watched", error=type(error).__name__)

    def _sweep(self, busy: set[tuple[str, int]]) -> None:
        now = time.monotonic()
        marks: dict[int, _Mark] = {}
        for inode, connection in _connections():
            with connection, suppress(OSError):
                flow = _flow(connection)
                mark = self._marks.get(inode)
                if mark is None or _plain(connection.getpeername()) in busy:
                    mark = _Mark(now, flow.taken)
                marks[inode] = mark
                allowed = self._timeouts.answer_seconds if flow.outstanding else self._header_seconds
                if now - mark.at < allowed:
                    continue
                if flow.taken - mark.taken < allowed * self._timeouts.least_bytes_per_second:
                    connection.shutdown(socket.SHUT_RDWR)
                else:
                    marks[inode] = _Mark(now, flow.taken)
        self._marks = marks


def _connections() -> list[tuple[int, socket.socket]]:
    """Return the connections that clients made to this process, each by its inode and as a socket object to be closed.

    Those of ours to a database or an object store do not have the port that we listen on.
    """
    found = list(_sockets())
    ports = {one.getsockname()[1] for _, one in found if one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)}
    accepted = []
    for inode, one in found:
        if one.getsockname()[1] in ports and not one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            accepted.append((inode, one))
        else:
            one.close()
    return accepted


def _sockets() -> Iterator[tuple[int, socket.socket]]:
    """Return the TCP sockets of this process, as objects of their own on the same sockets."""
    for name in os.listdir(_FOLDER):  # noqa: PTH208 - names are all that is needed
        with suppress(OSError):
            target = os.readlink(f"{_FOLDER}/{name}")  # noqa: PTH115
            if not target.startswith("socket:["):
                continue
            one = socket.socket(fileno=os.dup(int(name)))
            if one.family in {socket.AF_INET, socket.AF_INET6} and one.type == socket.SOCK_STREAM:
                yield int(target[len("socket:[") : -1]), one
            else:
                one.close()


def _flow(connection: socket.socket) -> _Flow:
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_BYTES)
    (unacknowledged,) = _UNACKNOWLEDGED.unpack_from(info)
    (taken,) = _TAKEN.unpack_from(info)
    (not_sent,) = _NOT_SENT.unpack_from(info)
    return _Flow(taken, bool(unacknowledged or not_sent))


def _plain(address: Peer | tuple[str, int, int, int]) -> tuple[str, int]:
    """Return address and port, of an IPv4 client of an IPv6 socket as of any other."""
    return address[0].removeprefix("::ffff:"), int(address[1])
