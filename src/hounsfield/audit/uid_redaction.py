"""Redaction of study, series and instance UIDs in records: only the holder of the key finds a study by its UID.

1.2.840.1 ─HMAC-SHA-256 with a key of its own─▶ sealed:5d0c…    the same each time, so that `find` can look for it
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from functools import lru_cache
from typing import Final, TypeAlias

UID_MEMBERS: Final = ("studyInstanceUID", "seriesInstanceUID", "sopInstanceUID")
"""Members of request parameters that hold UIDs."""

WriteUid: TypeAlias = Callable[[str], str]
"""Gives what stands in a record for a UID."""

_DIGITS: Final = 32


def leave_uid_plain(uid: str) -> str:
    """Return a UID as it is."""
    return uid


def make_uid_sealer(key: bytes) -> WriteUid:
    """Return what seals UIDs, by the key of the installation's audit trail."""
    own_key = hmac.digest(key, b"hounsfield audit uids", "sha256")

    @lru_cache(maxsize=4096)
    def seal(uid: str) -> str:
        return f"sealed:{hmac.digest(own_key, uid.encode(), 'sha256').hex()[:_DIGITS]}"

    return seal
