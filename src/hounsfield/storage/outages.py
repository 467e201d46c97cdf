"""Outages: errors that are over once something outside is mended, so that work waits instead of failing.

error ─▶ describe_outage ─▶ what is waited for, in words that name no file; None for every other error
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import Final

from hounsfield.runtime.worker_pool import NoProcessError
from hounsfield.storage.blobs.blobs import BlobsUnreachableError
from hounsfield.storage.db.errors import DatabaseBusyError, DatabaseDownError, DatabaseFullError
from hounsfield.storage.durable_files import FULL_ERRNOS, REFUSING_ERRNOS
from hounsfield.storage.free_space import DiskTroubleError
from hounsfield.storage.keys.data_key import KeyServiceDownError

_OUTAGES: Final[Mapping[type[Exception], str]] = {
    DatabaseFullError: "there is no room left for the database",
    DatabaseBusyError: "the database is busy",
    DatabaseDownError: "the database cannot be reached",
    KeyServiceDownError: "the key service does not answer",
    NoProcessError: "no process can be started",
    BlobsUnreachableError: "the store of the images cannot be reached",
}
_REFUSED: Final = {
    **dict.fromkeys(REFUSING_ERRNOS, "the disk lets nothing be written or opened"),
    # What a disk does not give of a pack or an input is told as such, so this is about writing.
    errno.EIO: "the disk reports errors",
}


def describe_outage(error: BaseException) -> str | None:
    """Return what an error says that has to be mended before the same work can be done; None where nothing has.

    Parameters
    ----------
    error : BaseException
        The error.
    """
    if isinstance(error, DiskTroubleError):
        return str(error)
    for kind, words in _OUTAGES.items():
        if isinstance(error, kind):
            return words
    if isinstance(error, OSError):
        return "there is no room left" if error.errno in FULL_ERRNOS else _REFUSED.get(error.errno or 0)
    return None
