"""Instances chosen in a form: by check boxes, and by ranges of instance numbers such as ``1-20, 35``."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
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
    numbers = {uid: int(one.number) for uid, one in content.instances.items() if one.number.isdecimal()}
    for low, high in _ranges(form.text("range")):
        found = {uid for uid, number in numbers.items() if low <= number <= high}
        if not found and low < high:
            raise ValueError(f"No instance has a number from {low} to {high}. {_extent(numbers.values())}")
        # A number in between may be missing, the ends of a range may not: they are where one mistypes.
        for end in (low, high):
            if end not in numbers.values():
                raise ValueError(f"No instance has the number {end}. {_extent(numbers.values())}")
        chosen |= found
    return [uid for uid in content.instances if uid in chosen]


def _extent(numbers: Collection[int]) -> str:
    return f"Numbers are from {min(numbers)} to {max(numbers)}." if numbers else "None has a number: tick them."


def _ranges(text: str) -> list[tuple[int, int]]:
    ranges = []
    for part in filter(None, (part.strip() for part in text.replace(";", ",").split(","))):
        match = _RANGE.fullmatch(part)
        if match is None:
            raise ValueError("Ranges are instance numbers such as 1-20, 35.")
        low, high = int(match[1]), int(match[2] or match[1])
        ranges.append((min(low, high), max(low, high)))
    return ranges
