"""Audit failure modes: what becomes of calls while they cannot be recorded."""

from __future__ import annotations

from enum import StrEnum


class AuditFailureMode(StrEnum):
    """What becomes of calls while they cannot be recorded."""

    REFUSE = "refuse"
    """None is carried out."""
    REFUSE_WRITES = "refuse-writes"
    """None that changes anything is carried out; what is read is read."""
    CONTINUE = "continue"
    """All are carried out."""
