"""Identifiers the archive makes itself, all random lower-case hexadecimal."""

from __future__ import annotations

import secrets

INSTANCE_KEY_LENGTH = 24
FRAME_ID_LENGTH = 32


def new_id() -> str:
    """Make a 32-digit identifier for a data store, job, image set, pack or work item."""
    return secrets.token_hex(16)


def new_instance_key() -> str:
    """Make a 24-digit instance key, the first part of the ids of all frames of the instance."""
    return secrets.token_hex(INSTANCE_KEY_LENGTH // 2)


def frame_id(instance_key: str, ordinal: int) -> str:
    """Give the 32-digit image frame id of frame ``ordinal`` (counted from 0) of an instance."""
    return f"{instance_key}{ordinal:08x}"


def split_frame_id(identifier: str) -> tuple[str, int] | None:
    """Split an image frame id into instance key and ordinal; None when it is not of that form."""
    try:
        ordinal = int(identifier[INSTANCE_KEY_LENGTH:], 16)
    except ValueError:
        return None
    if len(identifier) != FRAME_ID_LENGTH:
        return None
    return identifier[:INSTANCE_KEY_LENGTH], ordinal
