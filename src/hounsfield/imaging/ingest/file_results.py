"""What becomes of a file of an import job, as workers tell it: values alone, no rows."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from hounsfield.imaging.staged_instance import StagedInstance


class FileOutcome(StrEnum):
    """What became of a file."""

    PENDING = "PENDING"
    STAGED = "STAGED"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"


class FileErrorType(StrEnum):
    """Whose fault a failed file is, as failure.ndjson names it."""

    CUSTOMER = "ValidationException"
    SERVER = "InternalServerException"


@dataclass(frozen=True, slots=True)
class InputFile:
    """An object of the input.

    Attributes
    ----------
    ordinal : int
        Its place in the order of keys.
    key : str
        Its key.
    size : int
        Its size in bytes.
    attempts : int
        How often it broke a worker.
    etag : str or None
        What told its content when it was listed.
    """

    ordinal: int
    key: str
    size: int
    attempts: int = 0
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class FileResult:
    """What a worker reports of one file; ``instance`` is set exactly when it is STAGED."""

    ordinal: int
    outcome: FileOutcome
    instance: StagedInstance | None = None
    error_type: FileErrorType | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A file whose outcome is known."""

    file: InputFile
    result: FileResult
