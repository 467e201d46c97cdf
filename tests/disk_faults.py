"""A folder in whose place there is a file for a while, so that nothing can be written there."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

_HERE = -100
_EXCHANGE = 2


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
