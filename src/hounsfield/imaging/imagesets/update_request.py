"""Requests of UpdateImageSetMetadata, and the form in which they wait for their work item. Pure."""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import dataclass

import orjson


@dataclass(frozen=True, slots=True)
class UpdateRequest:
    """What UpdateImageSetMetadata is asked for: the blobs of DICOMUpdates, or a version to go back to.

    Attributes
    ----------
    latest_version : int
        The version that the caller takes for the latest.
    updatable, removable : bytes or None
        JSON of what to set and what to remove.
    revert_to : int or None
        Version whose content is to come back.
    force, whole_study : bool
        ``force`` and ``includeStudyImageSets``.
    """

    latest_version: int
    updatable: bytes | None = None
    removable: bytes | None = None
    revert_to: int | None = None
    force: bool = False
    whole_study: bool = False

    @property
    def size(self) -> int:
        """Bytes of both blobs."""
        return len(self.updatable or b"") + len(self.removable or b"")


@dataclass(frozen=True, slots=True)
class PendingUpdate:
    """A request that was accepted, with the other image sets of the study that it locked."""

    request: UpdateRequest
    siblings: tuple[str, ...] = ()

    def to_bytes(self) -> bytes:
        """Serialise."""
        request = self.request
        return orjson.dumps(
            {
                "latestVersion": request.latest_version,
                "updatable": None if request.updatable is None else b64encode(request.updatable).decode(),
                "removable": None if request.removable is None else b64encode(request.removable).decode(),
                "revertTo": request.revert_to,
                "force": request.force,
                "wholeStudy": request.whole_study,
                "siblings": self.siblings,
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> PendingUpdate:
        """Read what `to_bytes` wrote."""
        content = orjson.loads(data)
        request = UpdateRequest(
            latest_version=content["latestVersion"],
            updatable=None if content["updatable"] is None else b64decode(content["updatable"]),
            removable=None if content["removable"] is None else b64decode(content["removable"]),
            revert_to=content["revertTo"],
            force=content["force"],
            whole_study=content["wholeStudy"],
        )
        return cls(request, tuple(content["siblings"]))
