"""The work of a worker process on DICOM files: read, transcode and verify frames, write packs. No database.

    object, spooled file ─▶ read_part10 ─▶ record ─┬─▶ frames ─▶ transcode or keep ─▶ pack: frame records
                                                   └─▶ JSON fragment, data set      ─▶ pack: at its end, of all instances

Frames are worked one by one. A bad file is a failure in its result, never an exception; an exception means that the image
store itself could not read or write, and the files are tried again. Workers import this module and nothing that knows the
database: what they import is what the first file waits for.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from hounsfield.dicom.healthimaging.record import InstanceRecord, instance_record
from hounsfield.dicom.io.byte_source import ByteSource
from hounsfield.dicom.io.part10 import Part10, read_part10
from hounsfield.dicom.values.errors import DicomDirectory, DicomError
from hounsfield.imaging.ingest.context import IngestContext
from hounsfield.imaging.ingest.files import Failure, FailureReason, FileResult, InputFile, Share, ShareOutcome
from hounsfield.imaging.ingest.metadata_files import apply_metadata
from hounsfield.imaging.ingest.series_packs import SeriesPacks
from hounsfield.imaging.quotas import exceeds
from hounsfield.pixels.errors import FramesError
from hounsfield.runtime.picklable_error import make_picklable
from hounsfield.storage.blobs.blobs import Blobs
from hounsfield.storage.blobs.spool import SpooledFile, SpoolReader
from hounsfield.storage.buckets.buckets import BucketError, ObjectChangedError, ObjectEntry, ObjectReader

_SECONDS_PER_FILE = 300
_BYTES_PER_SECOND = 500_000
_MOST_WAITING_BYTES = 32 * 1024 * 1024


class InputUnreadableError(Exception):
    """An object of the input could not be read, which may pass."""


def warm_up() -> None:
    """Do once in each worker what the first file would otherwise pay for; importing this module is most of it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def ingest(context: IngestContext, shares: Sequence[Share]) -> list[ShareOutcome]:
    """Read, transcode, verify and store the files of some shares, in a worker process.

    Each share has packs of its own, one for each series in it. They are made durable, which is mostly waiting, while the next
    files are worked on.

    Parameters
    ----------
    context : IngestContext
        What a worker needs to know.
    shares : Sequence of Share
        The files.

    Returns
    -------
    list of ShareOutcome
        What became of each share; an `OSError` when its packs could not be written, an `InputUnreadableError` when an object
        could not be read.
    """
    blobs = context.blob_location.open()
    if len(shares) == 1:
        return [_end(*_begin(context, blobs, shares[0]))]
    with ThreadPoolExecutor(1) as closing:
        ending = [closing.submit(_end, *_begin(context, blobs, share)) for share in shares]
        return [future.result() for future in ending]


def _begin(context: IngestContext, blobs: Blobs, share: Share) -> tuple[SeriesPacks, ShareOutcome]:
    """Write the frames of a share; returns its packs, and the results so far or why they cannot be written."""
    packs = SeriesPacks(blobs, context.key)
    results = []
    try:
        for file in share.files:
            failure = _ingest(context, file, packs, share.study_uid)
            if failure is not None:
                results.append(FileResult(file.ordinal, failure=failure))
            if packs.waiting_bytes > _MOST_WAITING_BYTES:
                results.extend(packs.close())
    except BucketError as error:
        return packs, InputUnreadableError(str(error))
    except Exception as error:  # noqa: BLE001 - what befalls one request is not to befall those it shares a worker with
        return packs, make_picklable(error)
    return packs, results


def _end(packs: SeriesPacks, begun: ShareOutcome) -> ShareOutcome:
    """Make the packs of a share durable, or drop them."""
    try:
        try:
            return begun if isinstance(begun, Exception) else [*begun, *packs.close()]
        finally:
            packs.abort()
    except Exception as error:  # noqa: BLE001 - as above, also where they cannot be dropped
        return make_picklable(error)


def _ingest(
    context: IngestContext, file: InputFile[ObjectEntry | SpooledFile], packs: SeriesPacks, study_uid: str | None
) -> Failure | None:
    sop_uid = sop_class_uid = ""
    try:
        with open_file(context, file) as source:
            part10, record = read_record(context, source)
            sop_uid, sop_class_uid = record.sop_uid, record.sop_class_uid
            if study_uid is not None and record.study_uid != study_uid:
                message = "The Study Instance UID of the instance is not that of the request's path"
                return Failure(FailureReason.WRONG_STUDY, message, sop_uid, sop_class_uid)
            packs.put(context, file.ordinal, part10, record)
    except (DicomError, FramesError, ObjectChangedError) as error:
        return make_failure(error, sop_uid, sop_class_uid)
    return None


def make_failure(error: Exception, sop_uid: str = "", sop_class_uid: str = "") -> Failure:
    """Return why a file that cannot be read is not stored."""
    if isinstance(error, DicomDirectory):
        return Failure(FailureReason.SOP_CLASS_NOT_SUPPORTED, "The file is a DICOMDIR, not an instance")
    return Failure(FailureReason.CANNOT_UNDERSTAND, str(error), sop_uid, sop_class_uid)


@contextlib.contextmanager
def open_file(context: IngestContext, file: InputFile[ObjectEntry | SpooledFile]) -> Iterator[ByteSource]:
    """Open a file, and end this process should the file take absurdly long, which only that file then pays for."""
    content = file.content
    source: SpoolReader | ObjectReader
    if isinstance(content, SpooledFile):
        source = content.open()
    else:
        source = context.buckets.open(context.bucket).open(content)
    try:
        signal.alarm(_SECONDS_PER_FILE + file.size // _BYTES_PER_SECOND)
        try:
            yield source
        finally:
            signal.alarm(0)
    finally:
        source.close()


def read_record(context: IngestContext, source: ByteSource) -> tuple[Part10, InstanceRecord]:
    """Read a file, put the metadata files of the job over it, and make its record; raises `DicomError`."""
    if exceeds(source.size, context.bytes_per_file):
        raise DicomError(f"The file has {source.size} bytes, the quota is {context.bytes_per_file}")
    part10 = read_part10(source)
    if context.metadata is not None:
        part10 = apply_metadata(part10, context.metadata, context.buckets.open(context.bucket))
    return part10, instance_record(part10)
