"""Requests of CopyImageSet as values, and the part that the work item keeps."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import orjson

from hounsfield.imaging.states import WorkflowStatus


@dataclass(frozen=True, slots=True)
class CopyDestination:
    """The image set to copy into (API shape CopyDestinationImageSet)."""

    image_set_id: str
    version: int


@dataclass(frozen=True, slots=True)
class ChosenInstances:
    """The part of an image set that is copied: SOP Instance UIDs of its series."""

    series_uid: str
    sop_uids: frozenset[str]


@dataclass(frozen=True, slots=True)
class CopyRequest:
    """What a caller asks for (API shape CopyImageSetRequest).

    ``chosen`` names the instances to copy, None means all; without ``destination`` a new image set is made.
    """

    source_id: str
    source_version: int
    chosen: ChosenInstances | None = None
    destination: CopyDestination | None = None
    force: bool = False
    promote: bool = False


@dataclass(frozen=True, slots=True)
class PendingCopy:
    """What the work item of a copy needs to know; kept sealed in the version that the copy makes."""

    source_id: str
    source_status: WorkflowStatus
    sop_uids: tuple[str, ...] | None
    force: bool
    promote: bool

    def to_bytes(self) -> bytes:
        """Return the JSON that `from_bytes` reads."""
        return orjson.dumps(asdict(self))

    @classmethod
    def from_bytes(cls, data: bytes) -> PendingCopy:
        """Read what `to_bytes` wrote."""
        content = orjson.loads(data)
        uids = content["sop_uids"]
        return cls(
            source_id=content["source_id"],
            source_status=WorkflowStatus(content["source_status"]),
            sop_uids=None if uids is None else tuple(uids),
            force=content["force"],
            promote=content["promote"],
        )
