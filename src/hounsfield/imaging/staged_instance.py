"""Staged instances: what a commit needs to know of a transcoded instance, in a form that can be stored.

worker ──StagedInstance──▶ sealed row of the job ──▶ grouping ──▶ rows of image sets, instances and frames
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import orjson

from hounsfield.dicom.healthimaging.record import Grouping
from hounsfield.dicom.values.warnings import ImportWarning, WarningCode
from hounsfield.imaging.instance_columns import InstanceColumns


class PixelKind(StrEnum):
    """How the pixel data of an instance is kept."""

    NONE = "none"
    """The instance has no pixel data."""
    FRAMES = "frames"
    """Image frames, each found by its ordinal."""
    DAMAGED = "damaged"
    """Image frames as they came, of which some are known not to decode."""
    WHOLE = "whole"
    """One object, served as a single image frame: video, or pixel data that could not be transcoded."""
    WITHHELD = "withheld"
    """One object that is not served as a frame, because no frames could be found in it."""

    @property
    def in_frames(self) -> bool:
        """Whether the pixel data is stored frame by frame."""
        return self in (PixelKind.FRAMES, PixelKind.DAMAGED)


RUN_LENGTH: Final = 1024
"""Most frames of one run: what a reader scans to find a frame is at most 4 KiB."""


@dataclass(frozen=True, slots=True)
class FrameRun:
    """Records that follow each other in a pack: the sealed length in bytes of each, the first at ``first_offset``."""

    first_ordinal: int
    pack_id: str
    first_offset: int
    lengths: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PackRange:
    """Offset and sealed length of a record in the pack of its instance."""

    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class StagedInstance:
    """One imported instance, its bytes durable in packs, not yet part of an image set.

    ``levels`` is the JSON of its patient, study and series level elements, ``fragment_bytes`` the size of its own JSON.
    ``index`` is None for instances staged before there was one.
    """

    key: str
    sop_uid: str
    sop_class_uid: str
    grouping: Grouping
    levels: str
    stored_transfer_syntax: str | None
    pixel_kind: PixelKind
    frame_count: int
    pack_id: str
    fragment: PackRange
    dataset: PackRange
    runs: tuple[FrameRun, ...]
    warnings: tuple[ImportWarning, ...]
    fragment_bytes: int = 0
    index: InstanceColumns | None = None

    @property
    def pixel_bytes(self) -> int:
        """Size of the records of its pixel data."""
        return sum(sum(run.lengths) for run in self.runs)

    @property
    def stored_bytes(self) -> int:
        """Size of all its records."""
        return self.fragment.length + self.dataset.length + self.pixel_bytes

    @property
    def pack_ids(self) -> frozenset[str]:
        """All packs that its records lie in."""
        return frozenset((self.pack_id, *(run.pack_id for run in self.runs)))

    def to_bytes(self) -> bytes:
        """Return the JSON that `from_bytes` reads."""
        return orjson.dumps(self)

    @classmethod
    def from_bytes(cls, data: bytes) -> StagedInstance:
        """Read what `to_bytes` wrote."""
        content = orjson.loads(data)
        content["grouping"] = Grouping(**content["grouping"])
        content["pixel_kind"] = PixelKind(content["pixel_kind"])
        content["fragment"] = PackRange(**content["fragment"])
        content["dataset"] = PackRange(**content["dataset"])
        content["runs"] = tuple(FrameRun(**{**run, "lengths": tuple(run["lengths"])}) for run in content["runs"])
        content["warnings"] = tuple(ImportWarning(WarningCode(w["code"]), w["message"]) for w in content["warnings"])
        if content.get("index") is not None:
            content["index"] = InstanceColumns(**content["index"])
        return cls(**content)


def pack_ids_of(instances: Iterable[StagedInstance]) -> frozenset[str]:
    """Return all packs that the records of some instances lie in."""
    return frozenset[str]().union(*(instance.pack_ids for instance in instances))
