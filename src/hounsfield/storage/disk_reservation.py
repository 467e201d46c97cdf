"""Disk reservations at the end of a file (Linux: fallocate).

What fills the disk meanwhile does not get it. Where the system or the file system cannot do that, there is no room taken.
"""

from __future__ import annotations

import ctypes
import errno
import os
from functools import lru_cache
from typing import Any, Final

_KEEP_SIZE: Final = 1
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


def is_full(error: OSError) -> bool:
    """Return whether an error says that there is no room left."""
    return error.errno in _FULL


def reserve_space(descriptor: int, offset: int, length: int) -> bool:
    """Take room for a part of a file, whose size stays what it is; tells whether that was possible here.

    Raises
    ------
    OSError
        There is no room, see `is_full`, or the disk fails.
    """
    call = _fallocate()
    if call is None:
        return False
    while call(descriptor, _KEEP_SIZE, offset, length) != 0:
        code = ctypes.get_errno()
        if code in (errno.EOPNOTSUPP, errno.ENOSYS):
            return False
        if code != errno.EINTR:
            raise OSError(code, os.strerror(code))
    return True


@lru_cache(maxsize=1)
def _fallocate() -> Any:
    """Return the function of the C library; None where it has none."""
    found = getattr(ctypes.CDLL(None, use_errno=True), "fallocate64", None)
    if found is not None:
        found.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    return found
