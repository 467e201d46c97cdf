"""How UIDs stand in audit records, as the settings name it."""

from __future__ import annotations

from enum import StrEnum


class UidRecording(StrEnum):
    """How UIDs are recorded."""

    SEALED = "sealed"
    """As a code that only the key of the installation makes."""
    PLAIN = "plain"
    """As they are."""
