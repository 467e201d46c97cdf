"""How large the metadata of an image set becomes by a plan, before anything is written."""

from __future__ import annotations

from collections.abc import Iterable

from hounsfield.imaging.exceeding import exceeds
from hounsfield.imaging.ingest.image_set_writer import Commitment


def oversized(fixed: Iterable[Commitment], quota: int) -> dict[int, str]:
    """Find the files that would make the metadata of their image set too large; nothing of them is taken in.

    Parameters
    ----------
    fixed : Iterable of Commitment
        Where instances are to go, and what the image sets then have.
    quota : int
        Bytes that the metadata document of an image set may have, before compression.

    Returns
    -------
    dict of int to str
        The reason by file ordinal.
    """
    reasons: dict[int, str] = {}
    for commitment in fixed:
        size, placement = commitment.content.metadata_bytes, commitment.placement
        if exceeds(size, quota):
            reason = f"The metadata of the image set would have {size} bytes, the quota is {quota}"
            reasons.update(dict.fromkeys((*placement.ordinals, *placement.superseded), reason))
    return reasons
