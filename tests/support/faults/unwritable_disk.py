"""Disks that cannot be written to: a file in the place of a folder for a while, or files that grow no further."""

from __future__ import annotations

import ctypes
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_HERE = -100
_EXCHANGE = 2


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Let nothing be written beyond so many bytes of a file, as on a disk that is full from there on."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def take_away(folder: Path) -> Path:
    """Put a file in the place of a folder; gives where the folder is meanwhile."""
    away = folder.with_name(f"{folder.name}-away")
    away.write_bytes(b"")
    _exchange(folder, away)
    return away


def put_back(folder: Path, away: Path) -> None:
    """Put the folder back, and the file away."""
    _exchange(folder, away)
    away.unlink()


def _exchange(one: Path, other: Path) -> None:
    """Exchange two names in one step (Linux: renameat2): whoever misses the folder between two steps makes it anew."""
    libc = ctypes.CDLL(None, use_errno=True)
    if hasattr(libc, "renameat2"):
        if libc.renameat2(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) != 0:
            raise OSError(ctypes.get_errno(), f"{one} and {other} cannot be exchanged")
        return
    between = one.with_name(f"{one.name}-between")
    one.rename(between)
    other.rename(one)
    between.rename(other)
