"""Standard error that does not take what is written to it: what a server's log may meet at any time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Final

_SMALL: Final = 4096
_F_SETPIPE_SZ: Final = getattr(fcntl, "F_SETPIPE_SZ", None)


@contextmanager
def closed_pipe() -> Iterator[int]:
    """A pipe whose reader has gone."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        yield writing
    finally:
        os.close(writing)


@contextmanager
def full_disk() -> Iterator[int]:
    """A file on a disk that is full."""
    descriptor = os.open("/dev/full", os.O_WRONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def unread_pipe() -> Iterator[int]:
    """A pipe that is full to the brim, with a reader that does not read."""
    with full_pipe() as (_, writing):
        yield writing


@contextmanager
def full_pipe() -> Iterator[tuple[int, int]]:
    """Both ends of a pipe that is full to the brim."""
    reading, writing = os.pipe()
    try:
        if _F_SETPIPE_SZ is not None:
            fcntl.fcntl(writing, _F_SETPIPE_SZ, _SMALL)
        os.set_blocking(writing, False)
        with suppress(BlockingIOError):
            while True:
                os.write(writing, b"." * _SMALL)
        with suppress(BlockingIOError):
            while True:
                os.write(writing, b".")
        # As whoever is given it finds it.
        os.set_blocking(writing, True)
        yield reading, writing
    finally:
        os.close(reading)
        os.close(writing)


FAULTS: Final[Mapping[str, Callable[[], AbstractContextManager[int]]]] = {
    "closed pipe": closed_pipe,
    "full disk": full_disk,
    "unread pipe": unread_pipe,
}
"""What gives a descriptor that takes nothing, by what is wrong with it."""
