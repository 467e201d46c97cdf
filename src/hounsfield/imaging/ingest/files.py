"""A file on its way in, and what becomes of it: values that go to a worker process and back, no rows.

InputFile ─▶ Share ─▶ worker ─▶ FileResult: a `StagedInstance`, or a `Failure`
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Generic, TypeAlias, TypeVar

from hounsfield.imaging.staged_instance import StagedInstance
from hounsfield.storage.blobs.spool import SpooledFile
from hounsfield.storage.buckets.buckets import ObjectEntry

Content_co = TypeVar("Content_co", bound=ObjectEntry | SpooledFile, covariant=True)

ENDED_ITS_WORKER = "The file could not be processed: it ended the process that worked on it"


class FailureReason(IntEnum):
    """Why an instance was not stored (Failure Reason (0008,1197), PS3.18 Table I.2-2)."""

    PROCESSING_FAILURE = 0x0110
    SOP_CLASS_NOT_SUPPORTED = 0x0122
    NOT_AUTHORIZED = 0x0124
    OUT_OF_RESOURCES = 0xA700
    WRONG_STUDY = 0xA901
    CANNOT_UNDERSTAND = 0xC000


@dataclass(frozen=True, slots=True)
class InputFile(Generic[Content_co]):
    """A file of an import job or of a request.

    Attributes
    ----------
    ordinal : int
        Its place among the keys of the input, or among the parts of the request.
    content : ObjectEntry or SpooledFile
        The object of the input bucket as it was listed, or what the request sent.
    attempts : int
        How often it was lost with its worker before; counted for import jobs only.
    """

    ordinal: int
    content: Content_co
    attempts: int = 0

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return self.content.size


@dataclass(frozen=True, slots=True)
class Share:
    """Files of one import job or request that go to a worker together, into packs of their own.

    Attributes
    ----------
    files : tuple of InputFile
        The files.
    study_uid : str or None
        The study that all must belong to.
    """

    files: tuple[InputFile[ObjectEntry | SpooledFile], ...]
    study_uid: str | None = None

    @property
    def size(self) -> int:
        """Their length in bytes."""
        return sum(file.size for file in self.files)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a file is not stored; the UIDs are empty where they are not known."""

    reason: FailureReason
    message: str
    sop_uid: str = ""
    sop_class_uid: str = ""


@dataclass(frozen=True, slots=True)
class FileResult:
    """What became of a file: exactly one of ``instance`` and ``failure`` is set."""

    ordinal: int
    instance: StagedInstance | None = None
    failure: Failure | None = None


ShareOutcome: TypeAlias = "list[FileResult] | Exception"
"""What became of a share: that of each of its files in no order, or why none could be stored."""


def list_staged(results: list[FileResult]) -> list[StagedInstance]:
    """List the instances among the results."""
    return [result.instance for result in results if result.instance is not None]
