"""Time as the database stores it: integer milliseconds since 1970-01-01 UTC."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def now_ms() -> int:
    """The current time in milliseconds since 1970-01-01 UTC."""
    return time.time_ns() // 1_000_000


def to_datetime(milliseconds: int) -> datetime:
    """Return an aware UTC datetime for ``milliseconds`` since the epoch."""
    return _EPOCH + timedelta(milliseconds=milliseconds)


def to_ms(moment: datetime) -> int:
    """Return milliseconds since the epoch for an aware datetime, rounded down."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)
