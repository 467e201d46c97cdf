"""What a worker process does with the files of a request that stores (STOW-RS). No database.

    share of a request ─▶ read each file ─▶ right study? ─▶ frames transcoded, verified ─▶ packs ─▶ StagedInstance, or why not

Workers import this module and nothing of `hounsfield.imaging.receive.receiver`: what they import is what the first
request waits for.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import IntEnum

from hounsfield.dicom.values.errors import DicomDirectory, DicomError
from hounsfield.imaging.ingest.worker import IngestContext, SeriesPacks, read_record, time_limit
from hounsfield.imaging.staged_instance import StagedInstance
from hounsfield.pixels.errors import FramesError
from hounsfield.storage.blobs.blobs import Blobs
from hounsfield.storage.blobs.spool import SpooledFile


class FailureReason(IntEnum):
    """Why an instance was not stored (Failure Reason (0008,1197), PS3.18 Table I.2-2)."""

    PROCESSING_FAILURE = 0x0110
    SOP_CLASS_NOT_SUPPORTED = 0x0122
    NOT_AUTHORIZED = 0x0124
    OUT_OF_RESOURCES = 0xA700
    WRONG_STUDY = 0xA901
    CANNOT_UNDERSTAND = 0xC000


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """One file of a request, by its place in it."""

    ordinal: int
    content: SpooledFile


@dataclass(frozen=True, slots=True)
class ReceivedShare:
    """Files of one request that go to a worker together.

    Attributes
    ----------
    files : tuple of ReceivedFile
        The files.
    study_uid : str or None
        The study that all must belong to.
    """

    files: tuple[ReceivedFile, ...]
    study_uid: str | None

    @property
    def size(self) -> int:
        """Their length in bytes."""
        return sum(file.content.size for file in self.files)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an instance that could be read is not stored."""

    reason: FailureReason
    message: str


@dataclass(frozen=True, slots=True)
class StoreFailure:
    """Why a file was not stored; the UIDs are empty where they are not known."""

    reason: FailureReason
    message: str
    sop_uid: str = ""
    sop_class_uid: str = ""


@dataclass(frozen=True, slots=True)
class ReceivedResult:
    """What became of a file: exactly one of ``instance`` and ``failure`` is set."""

    ordinal: int
    instance: StagedInstance | None = None
    failure: StoreFailure | None = None


ShareOutcome = list[ReceivedResult] | Exception
"""What became of a share: that of each of its files, or why none could be stored."""


def ingest_received(context: IngestContext, shares: Sequence[ReceivedShare]) -> list[ShareOutcome]:
    """Read, transcode, verify and store the files of some requests, in a worker process.

    Each request has packs of its own. They are made durable, which is mostly waiting, while the next files are worked on.

    Parameters
    ----------
    context : IngestContext
        What a worker needs to know.
    shares : Sequence[ReceivedShare]
        The files, by request.

    Returns
    -------
    list of ShareOutcome
        For each share what became of it; an `OSError` when its packs could not be written.
    """
    blobs = context.blob_place.open()
    if len(shares) == 1:
        return [_ended(*_begun(context, blobs, shares[0]))]
    with ThreadPoolExecutor(1) as closing:
        ending = [closing.submit(_ended, *_begun(context, blobs, share)) for share in shares]
        return [future.result() for future in ending]


def _begun(
    context: IngestContext, blobs: Blobs, share: ReceivedShare
) -> tuple[SeriesPacks, list[ReceivedResult] | Exception]:
    """Write the frames of a share; gives its packs, and its failures or why they cannot be written."""
    packs = SeriesPacks(blobs, context.key)
    failures = []
    try:
        for file in share.files:
            failure = _ingest(context, file, packs, share.study_uid)
            if failure is not None:
                failures.append(ReceivedResult(file.ordinal, failure=failure))
    except Exception as error:  # noqa: BLE001 - what befalls one request is not to befall those it shares a worker with
        return packs, error
    return packs, failures


def _ended(packs: SeriesPacks, begun: list[ReceivedResult] | Exception) -> ShareOutcome:
    """Make the packs of a share durable, or drop them."""
    try:
        try:
            if isinstance(begun, Exception):
                return begun
            return [*begun, *(ReceivedResult(staged.ordinal, staged.instance) for staged in packs.close())]
        finally:
            packs.abort()
    except Exception as error:  # noqa: BLE001 - as above, also where they cannot be dropped
        return error


def _ingest(
    context: IngestContext, file: ReceivedFile, packs: SeriesPacks, study_uid: str | None
) -> StoreFailure | None:
    source = file.content.open()
    sop_uid = sop_class_uid = ""
    try:
        with time_limit(file.content.size):
            part10, record = read_record(context, source)
            sop_uid, sop_class_uid = record.sop_uid, record.sop_class_uid
            if study_uid is not None and record.study_uid != study_uid:
                message = "The Study Instance UID of the instance is not that of the request's path"
                return StoreFailure(FailureReason.WRONG_STUDY, message, sop_uid, sop_class_uid)
            packs.put(context, file.ordinal, part10, record)
    except DicomDirectory:
        return StoreFailure(FailureReason.SOP_CLASS_NOT_SUPPORTED, "The file is a DICOMDIR, not an instance")
    except (DicomError, FramesError) as error:
        return StoreFailure(FailureReason.CANNOT_UNDERSTAND, str(error), sop_uid, sop_class_uid)
    finally:
        source.close()
    return None
