"""Recording of UIDs in audit records: sealed or plain."""

from __future__ import annotations

from enum import StrEnum


class UidRecording(StrEnum):
    """How UIDs are recorded."""

    SEALED = "sealed"
    """As a code that only the key of the installation makes."""
    PLAIN = "plain"
    """As they are."""
