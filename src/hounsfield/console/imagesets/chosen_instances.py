"""Instances chosen in a form: by check boxes, and by ranges of instance numbers such as ``1-20, 35``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from hounsfield.console.form import Form
from hounsfield.console.imagesets.image_set_content import ImageSetContent

MOST_LISTED: Final = 400
"""Instances that a form lists, which is 100 kB; more of them are chosen by their numbers."""
_RANGE: Final = re.compile(r"(\d{1,12})(?:\s*-\s*(\d{1,12}))?")


def read_chosen(form: Form, content: ImageSetContent) -> Sequence[str]:
    """Return the SOP Instance UIDs that a form chooses, in the order of the image set; raises `ValueError`."""
    chosen = set(form.texts("instance"))
    gone = chosen - content.instances.keys()
    if gone:
        raise ValueError(f"{len(gone)} of the chosen instances are no longer in the image set.")
    for low, high in _ranges(form.text("range")):
        found = {
            uid for uid, one in content.instances.items() if one.number.isdecimal() and low <= int(one.number) <= high
        }
        if not found:
            raise ValueError(
                f"No instance has a number from {low} to {high}."
                if low < high
                else f"No instance has the number {low}."
            )
        chosen |= found
    return [uid for uid in content.instances if uid in chosen]


def _ranges(text: str) -> list[tuple[int, int]]:
    ranges = []
    for part in filter(None, (part.strip() for part in text.replace(";", ",").split(","))):
        match = _RANGE.fullmatch(part)
        if match is None:
            raise ValueError("Ranges are instance numbers such as 1-20, 35.")
        low, high = int(match[1]), int(match[2] or match[1])
        ranges.append((min(low, high), max(low, high)))
    return ranges
