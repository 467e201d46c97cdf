"""When a count or a size is beyond its quota. A quota of 0 is no quota."""

from __future__ import annotations


def exceeds(wanted: int, quota: int) -> bool:
    """Tell whether there would be more than a quota allows."""
    return 0 < quota < wanted
