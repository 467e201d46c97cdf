"""Quotas: limits of counts and sizes. A quota of 0 is no quota."""

from __future__ import annotations

from hounsfield.imaging.errors import QuotaExceededError


def require_metadata_size(size: int, quota: int) -> None:
    """Refuse a metadata document that would be too large.

    Parameters
    ----------
    size : int
        Bytes of the document before compression.
    quota : int
        How many there may be.

    Raises
    ------
    QuotaExceededError
        There are more.
    """
    if exceeds(size, quota):
        raise QuotaExceededError(f"the metadata of the image set would have {size} bytes, the quota is {quota}")


def exceeds(wanted: int, quota: int) -> bool:
    """Return whether there would be more than a quota allows."""
    return 0 < quota < wanted
