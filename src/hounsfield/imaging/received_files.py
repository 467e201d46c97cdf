"""What a worker process does with the files of a request that stores (STOW-RS). No database.

    SpooledFile ─▶ read ─▶ right study? ─▶ frames transcoded, verified ─▶ pack ─▶ StagedInstance, or why not

Workers import this module and nothing of `hounsfield.imaging.receiving`: what they import is what the first request waits for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from hounsfield.dicom.errors import DicomDirectory, DicomError
from hounsfield.imaging.ingest import IngestContext, SeriesPacks, read_record, time_limit
from hounsfield.imaging.staging import StagedInstance
from hounsfield.pixels.errors import FramesError
from hounsfield.storage.spool import SpooledFile


class FailureReason(IntEnum):
    """Why an instance was not stored (Failure Reason (0008,1197), PS3.18 Table I.2-2)."""

    PROCESSING_FAILURE = 0x0110
    SOP_CLASS_NOT_SUPPORTED = 0x0122
    OUT_OF_RESOURCES = 0xA700
    WRONG_STUDY = 0xA901
    CANNOT_UNDERSTAND = 0xC000


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """One file of a request, by its place in it."""

    ordinal: int
    content: SpooledFile


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


def ingest_received(
    context: IngestContext, files: Sequence[ReceivedFile], study_uid: str | None
) -> list[ReceivedResult]:
    """Read, transcode, verify and store some files, in a worker process.

    Parameters
    ----------
    context : IngestContext
        What a worker needs to know.
    files : Sequence[ReceivedFile]
        The files.
    study_uid : str or None
        The study that all must belong to.

    Raises
    ------
    OSError
        A pack could not be written.
    """
    packs = SeriesPacks(context.blob_place.open(), context.key)
    results = []
    try:
        for file in files:
            failure = _ingest(context, file, packs, study_uid)
            if failure is not None:
                results.append(ReceivedResult(file.ordinal, failure=failure))
        results.extend(ReceivedResult(staged.ordinal, staged.instance) for staged in packs.close())
    finally:
        packs.abort()
    return results


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
