"""The ingestion of a large file by several workers: each stores a range of its frames, one makes the instance of them.

ingest_frames(part 0) ─▶ pack ─┐
ingest_frames(part 1) ─▶ pack ─┼─▶ ingest_with_parts ─▶ pack with the JSON fragment and the data set
ingest_frames(part 2) ─▶ pack ─┘
"""

from __future__ import annotations

from dataclasses import replace

from hounsfield.dicom.values.errors import DicomError
from hounsfield.imaging.ingest.context import IngestContext
from hounsfield.imaging.ingest.files import FileResult, InputFile
from hounsfield.imaging.ingest.pixel_writer import (
    FramePlan,
    StoredPixels,
    add_warnings,
    choose_kind,
    plan_pixels,
    store_frames,
    store_pixels,
)
from hounsfield.imaging.ingest.series_packs import SeriesPack, finish_instance
from hounsfield.imaging.ingest.worker import InputUnreadableError, make_failure, open_file, read_record
from hounsfield.pixels.errors import FramesError, PixelError
from hounsfield.storage.blobs.packs import PackWriter
from hounsfield.storage.buckets.buckets import BucketError, ObjectChangedError, ObjectEntry


def ingest_frames(
    context: IngestContext, file: InputFile[ObjectEntry], key: str, part: int, parts: int
) -> StoredPixels | None:
    """Store the frames of part ``part`` of ``parts``; None when no frames can be made of the file.

    Raises
    ------
    InputUnreadableError
        The object could not be read.
    OSError
        The pack could not be written.
    """
    try:
        with open_file(context, file) as source:
            part10, _ = read_record(context, source)
            if part10.pixel_data is None:
                return None
            plan = plan_pixels(part10, context.lossless_format)
            if not isinstance(plan, FramePlan):
                return None
            count = len(plan.frames)
            return _store_part(context, plan, key, range(count * part // parts, count * (part + 1) // parts))
    except (DicomError, PixelError, FramesError, ObjectChangedError):
        return None
    except BucketError as error:
        raise InputUnreadableError(str(error)) from error


def _store_part(context: IngestContext, plan: FramePlan, key: str, ordinals: range) -> StoredPixels:
    pack = PackWriter(context.blob_location.open(), context.key)
    try:
        pixels = store_frames(plan, key, pack, ordinals)
        pack.close()
    finally:
        pack.abort()
    return pixels


def ingest_with_parts(
    context: IngestContext, file: InputFile[ObjectEntry], key: str, parts: tuple[StoredPixels, ...] | None
) -> FileResult:
    """Make the instance of a file whose frames are stored; without parts, store its pixel data here.

    Raises
    ------
    InputUnreadableError
        The object could not be read.
    OSError
        The pack could not be written.
    """
    pack = SeriesPack(context.blob_location.open(), context.key)
    try:
        with open_file(context, file) as source:
            part10, record = read_record(context, source)
            if parts:
                pixels = _join(parts)
            else:
                pixels = store_pixels(part10, key, pack.writer, context.lossless_format)
            pack.add(file.ordinal, finish_instance(context, key, part10, record, pixels))
            return pack.close()[0]
    except (DicomError, FramesError, ObjectChangedError) as error:
        return FileResult(file.ordinal, failure=make_failure(error))
    except BucketError as error:
        raise InputUnreadableError(str(error)) from error
    finally:
        pack.writer.abort()


def _join(pixels: tuple[StoredPixels, ...]) -> StoredPixels:
    whole = replace(
        pixels[0],
        kind=choose_kind(note for some in pixels for note in some.notes),
        entries=tuple(entry for some in pixels for entry in some.entries),
        runs=tuple(run for some in pixels for run in some.runs),
        notes=tuple(note for some in pixels for note in some.notes),
    )
    return add_warnings(whole)
