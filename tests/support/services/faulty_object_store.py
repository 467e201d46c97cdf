"""A proxy before an object store whose answers go wrong: errors, lost and cut answers, mixed up ones, requests twice.

    server of ours ──▶ proxy ─a fault by the dice, or none─▶ moto
                  ◀── answer, late, cut, another's, or none ──

What goes wrong is what HTTP lets a client see, or what it cannot see and the store's own checksums must.
"""

from __future__ import annotations

import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Final

from support.services.object_store import Answer, ObjectStore, forward, serving

ERRORS: Final = (500, 503, 429)
KINDS: Final = ("error", "late", "reset", "lost answer", "cut", "too short", "mixed up", "twice")
"""What can befall a request, by name:

``error``        it is refused with 500, 503 or 429
``late``         its answer takes a while
``reset``        the connection is closed before it is passed on
``lost answer``  it is carried out, and the connection closed without an answer
``cut``          the connection is closed in the middle of the answer
``too short``    the answer is whole, but of half its body
``mixed up``     two requests that read get each other's answers
``twice``        it is carried out twice, and answered late
"""
SILENT: Final = "silent"
"""No request is answered, nor the connection closed, as long as faults are on."""


@dataclass
class Faults:
    """What befalls the requests that come, as long as `on`.

    Attributes
    ----------
    dice : random.Random
        Draws what befalls each.
    kinds : sequence of str
        What can; see `KINDS`.
    share : float
        Which part of all requests something befalls.
    """

    dice: random.Random
    kinds: Sequence[str] = KINDS
    share: float = 0.2
    on: bool = False
    hits: Counter[str] = field(default_factory=Counter)
    waiting: list[tuple[threading.Event, list[Answer]]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def draw(self) -> str | None:
        """Return what befalls the next request."""
        with self.lock:
            if not self.on or self.dice.random() >= self.share:
                return None
            kind = self.dice.choice(self.kinds)
            self.hits[kind] += 1
            return kind

    def exchange(self, own: Answer) -> Answer:
        """Return the answer of another request that came at the same time, its own where none did."""
        with self.lock:
            if self.waiting:
                come, other = self.waiting.pop()
                answer, other[0] = other[0], own
                come.set()
                return answer
            come, kept = threading.Event(), [own]
            self.waiting.append((come, kept))
        if not come.wait(0.5):
            with self.lock, suppress(ValueError):
                self.waiting.remove((come, kept))
        return kept[0]


class _Handler(BaseHTTPRequestHandler):
    """Passes a request on, or not, and its answer, or another."""

    protocol_version = "HTTP/1.1"
    origin: ObjectStore
    plan: Faults

    def _pass(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        kind = self.plan.draw()
        if kind == "error":
            self._send(Answer(self.plan.dice.choice(ERRORS), {"content-length": "0"}, b""))
            return
        while kind == SILENT and self.plan.on:
            time.sleep(0.05)
        answer = None if kind == "reset" else forward(self.origin, self, body)
        if kind in {"late", "twice"}:
            time.sleep(self.plan.dice.uniform(0.1, 1.0))
        if kind == "twice" and self.command != "POST":
            answer = forward(self.origin, self, body)
        if answer is None or kind == "lost answer":
            self._reset()
            return
        if self.command == "GET" and answer.body:
            answer = self._changed(answer, kind)
        self._send(answer, cut=kind == "cut" and bool(answer.body))

    def _changed(self, answer: Answer, kind: str | None) -> Answer:
        """Return what is sent in the place of an answer to a GET."""
        if kind == "mixed up" and "Range" in self.headers:
            return self.plan.exchange(answer)
        if kind == "too short":
            half = answer.body[: len(answer.body) // 2]
            return Answer(answer.status, {**answer.headers, "content-length": str(len(half))}, half)
        return answer

    def _send(self, answer: Answer, *, cut: bool = False) -> None:
        with suppress(OSError):
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body[: len(answer.body) // 2] if cut else answer.body)
            self.wfile.flush()
        if cut:
            self._reset()

    def _reset(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _pass  # noqa: N815 - the names are those of http.server

    def handle(self) -> None:
        with suppress(OSError, ValueError):
            super().handle()

    def finish(self) -> None:
        with suppress(OSError, ValueError):
            super().finish()

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def faulty(store: ObjectStore, faults: Faults) -> Iterator[ObjectStore]:
    """Put the proxy before an object store."""

    class Handler(_Handler):
        origin = store
        plan = faults

    with serving(Handler) as proxied:
        yield proxied
