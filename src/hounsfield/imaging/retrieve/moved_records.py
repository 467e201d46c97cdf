"""Records that compaction brings to another pack while somebody reads: where their pack is missing, they are looked up again.

    place that was found ─▶ read ─▶ its pack is missing ─▶ look-up ─┬─ another place ─▶ read
                                                                    └─ the same ─▶ the pack is lost

An old pack stays for a grace time, so that only who reads slowly comes after it has gone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from hounsfield.imaging.image_store import ImageStore
from hounsfield.storage.blobs.packs import Extent, Label, PackMissingError

Place = TypeVar("Place")
T = TypeVar("T")


def read_or_look_again(read: Callable[[Place], T], place: Place, look_again: Callable[[], Place]) -> T:
    """Read what is at a place, or where it is now.

    Parameters
    ----------
    read : callable
        Reads what is at a place.
    place : Extent, or what has several
        Where it was found.
    look_again : callable
        Finds its place anew; returns the same where there is no other.

    Raises
    ------
    PackMissingError
        It is in no other pack, or that is missing too.
    """
    try:
        return read(place)
    except PackMissingError:
        now = look_again()
        if now == place:
            raise
        return read(now)


def find_pixel_record(image_store: ImageStore, label: Label, known: Extent) -> Extent:
    """Find anew where a pixel record is; where it is nowhere, return the place that is known."""
    found = image_store.frame_index.find(image_store.database, label.owner, label.ordinal, anew=True)
    return found or known
