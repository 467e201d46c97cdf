"""Scopes of a verification: everything, a data store, an image set, or a sample of image sets."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

_SAMPLE: Final = re.compile(r"(?P<number>[0-9]{1,9}(?:\.[0-9]{1,6})?)(?P<percent>%?)")
_ALL: Final = 1 << 64


@dataclass(frozen=True, slots=True)
class Scope:
    """What is verified.

    Attributes
    ----------
    datastore_id, image_set_id : str
        Only this data store, only this image set; empty for all.
    sample : str
        How many image sets, such as ``100`` or ``5%``; empty for all.
    """

    datastore_id: str = ""
    image_set_id: str = ""
    sample: str = ""

    @property
    def is_everything(self) -> bool:
        """Whether nothing is left out."""
        return self == Scope()

    @property
    def has_all_image_sets(self) -> bool:
        """Whether all image sets of the data stores are looked at, so that packs and studies can be too."""
        return not self.image_set_id and not self.sample

    def to_json(self) -> dict[str, Any]:
        """Return the scope as a member of the report."""
        values = {"datastoreId": self.datastore_id, "imageSetId": self.image_set_id, "sample": self.sample}
        return {name: value for name, value in values.items() if value}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Scope:
        """Read what `to_json` gave."""
        return cls(values.get("datastoreId", ""), values.get("imageSetId", ""), values.get("sample", ""))


@dataclass(frozen=True, slots=True)
class Sample:
    """A number of image sets, or a part of all.

    Attributes
    ----------
    count : int or None
        How many.
    part : float
        Which part, from 0 to 1; where there is no count.
    """

    count: int | None
    part: float = 1.0

    @classmethod
    def parse(cls, text: str) -> Sample:
        """Read ``100`` or ``5%``; raises ValueError."""
        found = _SAMPLE.fullmatch(text)
        if found is None or float(found["number"]) <= 0:
            raise ValueError(f"{text!r} is no sample: it is a number of image sets, such as 100, or a part, such as 5%")
        if found["percent"]:
            return cls(None, min(1.0, float(found["number"]) / 100))
        if "." in found["number"]:
            raise ValueError(f"{text!r} is no number of image sets")
        return cls(int(found["number"]))


def draw(seed: str, image_set_id: str) -> int:
    """Return the lot of an image set, from 0 to 2**64: those with small ones are in a sample."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{image_set_id}".encode()).digest()[:8], "big")


def largest_lot(part: float) -> int:
    """Return the largest lot with which an image set is in a sample that has a part of all."""
    return int(part * _ALL)
