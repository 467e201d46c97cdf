"""Standard error that never fails and never blocks: what it does not take is held, then counted and dropped.

    print, log, traceback ─▶ sys.stderr ─▶ as much as is taken now ─▶ descriptor 2
                                 └─ no room, no reader, no disk ─▶ waits, bounded ─▶ tried again with the next line, or beside

A log that nobody reads, a closed pipe and a full disk must not change what a server does for its clients. Pipes and terminals
are opened once more without waiting, so that whoever shares the descriptor with this process notices nothing.
"""

from __future__ import annotations

import io
import json
import os
import select
import socket
import stat
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

MOST_WAITING_BYTES: Final = 256 * 1024
"""What waits at most until standard error takes it."""
LOST: Final = "log lines were lost"
"""The event that says how many lines were left out, once lines are taken again."""
_RETRY_SECONDS: Final = 0.5
_NEXT_SECONDS: Final = 0.02
"""How soon it is tried again after some was taken."""
_STANDARD_ERROR: Final = 2
_TRACKER_IS_SILENT: Final = "ignore:resource_tracker"
"""A warning of Python's resource trackers, which outlive killed processes, and would wait for ever to say what these left."""
_AT_ONCE: Final = select.PIPE_BUF
"""What a pipe takes without waiting once it says that it has room."""


class NonBlockingStream(io.RawIOBase):
    """A descriptor for text, written to without failing and without waiting; may be used by any number of threads.

    Parameters
    ----------
    descriptor : int
        Where the text goes; it is never closed here.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._again = _opened_again(descriptor)
        self._kind = stat.S_IFMT(os.fstat(descriptor).st_mode)
        self._forget()
        os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        """Begin anew, as in a process that was forked: what waits is said by the one that was told it."""
        # A signal may come while its thread writes, and what is done about it may write too.
        self._lock = threading.RLock()
        self._waiting: deque[bytes] = deque()
        self._size = self._lost = 0
        self._is_draining = False
        self._wanting: threading.Event | None = None

    def write(self, data: ReadableBuffer, /) -> int:
        """Take text, whatever becomes of it."""
        text = bytes(data)
        with self._lock:
            self._drain()
            if self._size + len(text) > MOST_WAITING_BYTES:
                self._lost += max(1, text.count(b"\n"))
            else:
                self._waiting.append(text)
                self._size += len(text)
                self._drain()
            if self._waiting and self._wanting is not None:
                self._wanting.set()
        return len(text)

    def flush(self) -> None:
        """Try once more what waits."""
        with self._lock:
            self._drain()

    def keep_trying(self) -> None:
        """Try what waits again and again, from a thread that ends with the process; not before a fork."""
        if self._wanting is None:
            self._wanting = threading.Event()
            threading.Thread(target=self._try_again, args=(self._wanting,), name="standard-error", daemon=True).start()

    def _try_again(self, wanting: threading.Event) -> None:
        pause = _RETRY_SECONDS
        while True:
            wanting.wait()
            time.sleep(pause)
            with self._lock:
                size = self._size
                self._drain()
                pause = _RETRY_SECONDS if self._size == size else _NEXT_SECONDS
                if not self._waiting:
                    wanting.clear()

    def _drain(self) -> None:
        if self._is_draining:
            # What a signal that came meanwhile says waits its turn: the text before it would go out once more.
            return
        self._is_draining = True
        try:
            # No room, no reader, no disk: whatever it is, it may be over later.
            with suppress(OSError):
                self._send_waiting()
        finally:
            self._is_draining = False

    def _send_waiting(self) -> None:
        """Send what waits; raises OSError where there is no room."""
        while self._waiting:
            text = self._waiting[0]
            taken = self._send(text)
            self._size -= taken
            if taken < len(text):
                self._waiting[0] = text[taken:]
            else:
                self._waiting.popleft()
            if not self._waiting and self._lost:
                self._waiting.append(_lost_line(self._lost))
                self._size += len(self._waiting[0])
                self._lost = 0

    def _send(self, text: bytes) -> int:
        """Return how many bytes were taken; raises OSError where there is no room."""
        if self._again is not None:
            return os.write(self._again, text)
        if self._kind == stat.S_IFSOCK:
            with socket.socket(fileno=os.dup(self._descriptor)) as reader:
                return reader.send(text, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        if self._kind == stat.S_IFIFO or os.isatty(self._descriptor):
            # It belongs to another user and cannot be opened once more.
            poll = select.poll()
            poll.register(self._descriptor, select.POLLOUT)
            if not poll.poll(0):
                raise BlockingIOError
            text = text[:_AT_ONCE]
        return os.write(self._descriptor, text)

    def writable(self) -> bool:
        """Return True: it is for writing."""
        return True

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Return whether somebody looks on."""
        return os.isatty(self._descriptor)


def _opened_again(descriptor: int) -> int | None:
    """Return a descriptor of the same pipe or terminal that does not wait; None for others, and for another user's."""
    if not (stat.S_ISFIFO(os.fstat(descriptor).st_mode) or os.isatty(descriptor)):
        return None
    try:
        return os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return None


def _lost_line(count: int) -> bytes:
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    return json.dumps({"count": count, "event": LOST, "level": "warning", "timestamp": now}).encode() + b"\n"


def guard_standard_error() -> None:
    """Let nothing that is written to ``sys.stderr`` fail or wait; a closed standard descriptor becomes the null device.

    A file that is opened while a standard descriptor is closed would get its number, and be written into by whatever writes
    to standard error.
    """
    for descriptor in (0, 1, _STANDARD_ERROR):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if not isinstance(getattr(sys.stderr, "buffer", None), NonBlockingStream):
        # Nothing between the text and the descriptor may keep it back: of a buffer only `write` and `flush` are used.
        stream: Any = NonBlockingStream(_STANDARD_ERROR)
        sys.stderr = io.TextIOWrapper(
            stream,
            encoding="utf-8",
            errors="backslashreplace",
            line_buffering=True,
            write_through=True,
        )
    if _TRACKER_IS_SILENT not in sys.warnoptions:
        sys.warnoptions.append(_TRACKER_IS_SILENT)


def retry_standard_error() -> None:
    """Have what standard error did not take tried again from a thread; for processes that are not forked any more."""
    stream = getattr(sys.stderr, "buffer", None)
    if isinstance(stream, NonBlockingStream):
        stream.keep_trying()
