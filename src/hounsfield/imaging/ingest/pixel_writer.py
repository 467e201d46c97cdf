"""The pixel writer: stores the pixel data of an instance as frames, or as one object with a warning that says why.

    treatment of the transfer syntax ─┬─ TRANSCODE    each frame decoded, encoded losslessly, verified     ─┐
                                      ├─ KEEP_FRAMES  each frame as it came                                 ├─▶ frame records
                                      ├─ KEEP_VIDEO   all fragments as one object                          ─┤
                                      └─ BLOB         the value as one object, warning B120                ─┘

Where some frames cannot be decoded, all are kept as they came. What cannot be made into frames at all is kept as one object
with the warning that says why; no pixel data is ever dropped.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from hounsfield.dicom.healthimaging.document import FrameEntry
from hounsfield.dicom.healthimaging.overrides import override_elements
from hounsfield.dicom.io.part10 import DEFLATED, Part10
from hounsfield.dicom.values.elements import Element
from hounsfield.dicom.values.warnings import ImportWarning, WarningCode
from hounsfield.imaging.ingest.pixel_warnings import (
    description_warning,
    frames_warning,
    note_warning,
    transcoding_warning,
)
from hounsfield.imaging.pixel_description import (
    NUMBER_OF_FRAMES,
    PHOTOMETRIC_INTERPRETATION,
    pixel_format,
    pixel_frames,
)
from hounsfield.imaging.staged_instance import RUN_LENGTH, FrameRun, PixelKind
from hounsfield.pixels.codecs.decode import check_frame, decode_samples, find_irregularity
from hounsfield.pixels.codecs.jpeg_colour import interpretation_of_jpeg
from hounsfield.pixels.codecs.transcode import StoredFrame, store_unchanged, transcode_frame
from hounsfield.pixels.errors import FramesError, PixelError
from hounsfield.pixels.format import PixelFormat
from hounsfield.pixels.frames.encapsulated_native import encapsulated_samples
from hounsfield.pixels.frames.fragments import Fragments, scan_fragments
from hounsfield.pixels.frames.frames import FrameSource, value_chunks
from hounsfield.pixels.leniencies import PixelLeniency, PixelNote, merge_notes
from hounsfield.pixels.transfer_syntaxes import (
    JPEG,
    JPEG_LOSSLESS,
    NATIVE,
    WITHOUT_PIXELS,
    ChecksumType,
    LosslessFormat,
    Treatment,
    TreatmentKind,
    find_treatment,
)
from hounsfield.storage.blobs.packs import Extent, Label, PackWriter, RecordKind
from hounsfield.storage.identifiers import frame_id

PIXEL_DATA = 0x7FE00010


@dataclass(frozen=True, slots=True)
class StoredPixels:
    """What became of the pixel data of an instance."""

    kind: PixelKind
    transfer_syntax: str | None
    checksum_type: str | None
    entries: tuple[FrameEntry, ...] = ()
    runs: tuple[FrameRun, ...] = ()
    warnings: tuple[ImportWarning, ...] = ()
    notes: tuple[PixelNote, ...] = ()
    """What was wrong with frames, before `add_warnings` made warnings of it."""
    offset_table: bytes = b""
    """Basic offset table of fragments that are kept as one object."""
    true_interpretation: str = ""
    """Photometric Interpretation of the samples, where the data set says another one."""


NO_PIXELS = StoredPixels(PixelKind.NONE, None, None)
"""Of instances that have no pixel data."""


def store_pixels(file: Part10, key: str, pack: PackWriter, lossless: LosslessFormat) -> StoredPixels:
    """Write the pixel data of a file to a pack.

    Parameters
    ----------
    file : Part10
        The file.
    key : str
        The instance key that the frame ids begin with.
    pack : PackWriter
        Where the records go; marked here, so that whoever then refuses the file can take them back.
    lossless : LosslessFormat
        The lossless format of the data store.
    """
    pack.mark()
    if file.pixel_data is None or file.pixel_data.length == 0:
        # Only in its own transfer syntax may a data set name its pixels by URL.
        by_url = file.transfer_syntax in WITHOUT_PIXELS
        return replace(NO_PIXELS, transfer_syntax=file.transfer_syntax) if by_url else NO_PIXELS
    plan = plan_pixels(file, lossless)
    if isinstance(plan, FramePlan):
        try:
            return add_warnings(_store_frames_or_as_they_came(plan, key, pack))
        except PixelError as error:
            plan = ObjectPlan(PixelKind.WHOLE, file.transfer_syntax, (transcoding_warning(error),), plan.format)
        except FramesError as error:
            plan = ObjectPlan(PixelKind.WITHHELD, file.transfer_syntax, (frames_warning(error),), plan.format)
        # The frames before the one that is wrong would stay beside the object that holds them all.
        pack.rewind()
    return _store_object(file, plan, key, pack)


def _store_frames_or_as_they_came(plan: FramePlan, key: str, pack: PackWriter) -> StoredPixels:
    """Store frames; where some cannot be decoded, all of them as they came."""
    everything = range(len(plan.frames))
    try:
        return store_frames(plan, key, pack, everything)
    except PixelError:
        kept = plan_as_they_came(plan)
        if kept is None:
            raise
    pack.rewind()
    return store_frames(kept, key, pack, everything)


@dataclass(frozen=True, slots=True)
class FramePlan:
    """Pixel data of which frames can be made.

    Attributes
    ----------
    format : PixelFormat
        What describes it; its Photometric Interpretation is the true one.
    frames : FrameSource
        The frames as they came.
    treatment : Treatment
        What is done with them.
    source_syntax : str
        Transfer syntax of the file.
    lossless : LosslessFormat
        What frames are brought into.
    interpretation : str
        What the data set says.
    decoded : tuple of PixelNote or None
        What decoding all frames showed, where that was done.
    """

    format: PixelFormat
    frames: FrameSource
    treatment: Treatment
    source_syntax: str
    lossless: LosslessFormat
    interpretation: str
    decoded: tuple[PixelNote, ...] | None = None


@dataclass(frozen=True, slots=True)
class ObjectPlan:
    """Pixel data that is kept as one object."""

    kind: PixelKind
    transfer_syntax: str
    warnings: tuple[ImportWarning, ...]
    format: PixelFormat | None


def plan_pixels(file: Part10, lossless: LosslessFormat) -> FramePlan | ObjectPlan:
    """Decide how the pixel data of a file is kept; reads offset tables at most, and the first frame of JPEG lossless colour."""
    syntax = file.transfer_syntax
    if file.pixel_data is not None and file.pixel_data.tag != PIXEL_DATA:
        warning = ImportWarning(
            WarningCode.TRANSCODING_EXCEPTION,
            "Floating point pixel data is kept as it came, it has no lossless HTJ2K form",
        )
        return ObjectPlan(PixelKind.WHOLE, syntax, (warning,), None)
    try:
        format_ = pixel_format(file)
    except PixelError as error:
        return ObjectPlan(PixelKind.WITHHELD, syntax, (description_warning(error),), None)
    how = find_treatment(syntax, lossless=lossless, bits_allocated=format_.bits_allocated)
    if how.kind is TreatmentKind.BLOB:
        warning = ImportWarning(
            WarningCode.UNSUPPORTED_TRANSFER_SYNTAX,
            f"Transfer syntax {syntax} is not supported, the pixel data is kept as it came",
        )
        return ObjectPlan(PixelKind.WHOLE, syntax, (warning,), format_)
    if how.kind is TreatmentKind.KEEP_VIDEO:
        return ObjectPlan(PixelKind.WHOLE, syntax, (), format_)
    try:
        frames = pixel_frames(file, format_)
        true = _with_true_colour(format_, frames, syntax)
        return FramePlan(true, frames, how, syntax, lossless, format_.photometric_interpretation)
    except FramesError as error:
        return ObjectPlan(PixelKind.WITHHELD, syntax, (frames_warning(error),), format_)


def _with_true_colour(format_: PixelFormat, frames: FrameSource, syntax: str) -> PixelFormat:
    """Return the Photometric Interpretation that is true of the samples of JPEG lossless; to convert them would lose some.

    What is lossy is converted, or kept as it came: there the colour is what was encoded, not the samples.
    """
    if syntax not in JPEG_LOSSLESS or format_.samples_per_pixel != 3:
        return format_
    try:
        true = interpretation_of_jpeg(frames[0], format_)
    except PixelError:
        return format_
    if true == format_.photometric_interpretation:
        return format_
    return replace(format_, photometric_interpretation="RGB" if true == "RGB" else "YBR_FULL")


def store_frames(plan: FramePlan, key: str, pack: PackWriter, ordinals: range) -> StoredPixels:
    """Write some frames of an instance to a pack; raises `PixelError` and `FramesError`."""
    entries = []
    extents = []
    noted: dict[PixelLeniency, list[int]] = {}
    coloured: tuple[ImportWarning, ...] = ()
    known = {number for note in plan.decoded or () for number in note.frames}
    for ordinal in ordinals:
        encoded = plan.frames[ordinal]
        if not ordinal:
            coloured = _colour_warnings(encoded, plan)
        leniency = None if ordinal + 1 in known else _note(encoded, plan)
        if leniency is not None:
            noted.setdefault(leniency, []).append(ordinal + 1)
        frame = _stored_frame(plan, encoded)
        extents.append(pack.add(Label(RecordKind.FRAME, key, ordinal), frame.data))
        checksums = tuple((c.width, c.height, c.crc32) for c in frame.checksums)
        entries.append(FrameEntry(frame_id(key, ordinal), checksums, frame.min_value, frame.max_value, len(frame.data)))
    notes = (*(plan.decoded or ()), *(PixelNote(leniency, tuple(frames)) for leniency, frames in noted.items()))
    return StoredPixels(
        choose_kind(notes),
        plan.treatment.stored_transfer_syntax,
        plan.treatment.checksum_type,
        tuple(entries),
        tuple(_runs(ordinals.start, extents)),
        coloured,
        (*plan.frames.notes, *notes),
        true_interpretation=true if (true := plan.format.photometric_interpretation) != plan.interpretation else "",
    )


def add_warnings(pixels: StoredPixels) -> StoredPixels:
    """Turn the notes of pixel data, which may be of several parts of it, into warnings."""
    told = tuple(note_warning(note) for note in merge_notes(pixels.notes))
    return replace(pixels, warnings=(*pixels.warnings, *told), notes=()) if told else pixels


def _colour_warnings(encoded: bytes, plan: FramePlan) -> tuple[ImportWarning, ...]:
    """Return the warning for a JPEG codestream that names another colour than the data set does."""
    given = plan.interpretation
    if plan.source_syntax not in JPEG or plan.format.samples_per_pixel != 3:
        return ()
    try:
        true = interpretation_of_jpeg(encoded, replace(plan.format, photometric_interpretation=given))
    except PixelError:
        return ()
    if true == given:
        return ()
    text = f"Photometric Interpretation (0028,0004) is {given}, but the JPEG codestream says {true}, and was read so"
    return (ImportWarning(WarningCode.COERCION_OF_DATA_ELEMENTS, text),)


def describe_as_stored(file: Part10, pixels: StoredPixels) -> Part10:
    """Return a file whose Number of Frames and Photometric Interpretation are those of its frames, where it says others."""
    corrected = []
    if pixels.true_interpretation:
        corrected.append(_text(PHOTOMETRIC_INTERPRETATION, "CS", pixels.true_interpretation))
    count = len(pixels.entries)
    if pixels.kind.in_frames and count != (file.integer(NUMBER_OF_FRAMES) or 1):
        corrected.append(_text(NUMBER_OF_FRAMES, "IS", str(count)))
    return override_elements(file, corrected) if corrected else file


def _text(tag: int, vr: str, text: str) -> Element:
    return Element(tag, vr, (text + " " * (len(text) % 2)).encode())


def choose_kind(notes: Iterable[PixelNote]) -> PixelKind:
    """Return the kind of pixel data that is stored in frames."""
    damaged = any(note.leniency is PixelLeniency.DAMAGED_FRAMES for note in notes)
    return PixelKind.DAMAGED if damaged else PixelKind.FRAMES


def plan_as_they_came(plan: FramePlan) -> FramePlan | None:
    """Plan to keep frames as they came, of which at least one does not decode and at least one does; None for others.

    Raises
    ------
    FramesError
        A frame cannot be read.
    """
    if plan.treatment.kind is not TreatmentKind.TRANSCODE or plan.source_syntax in NATIVE:
        return None
    damaged: list[int] = []
    short: list[int] = []
    for ordinal in range(len(plan.frames)):
        encoded = plan.frames[ordinal]
        if not _decodes(encoded, plan, strict=True):
            (short if _decodes(encoded, plan, strict=False) else damaged).append(ordinal + 1)
    if len(damaged) == len(plan.frames) or not damaged + short:
        return None
    found = ((PixelLeniency.SHORT_RUN_LENGTH, short), (PixelLeniency.DAMAGED_FRAMES, damaged))
    notes = tuple(PixelNote(leniency, tuple(numbers)) for leniency, numbers in found if numbers)
    kept = Treatment(TreatmentKind.KEEP_FRAMES, plan.source_syntax, ChecksumType.COMPRESSED)
    return replace(plan, treatment=kept, decoded=notes)


def _decodes(encoded: bytes, plan: FramePlan, *, strict: bool) -> bool:
    try:
        decode_samples(encoded, plan.source_syntax, plan.format, strict=strict)
    except PixelError:
        return False
    return True


def _note(encoded: bytes, plan: FramePlan) -> PixelLeniency | None:
    """Return what is wrong with a frame that is stored."""
    if plan.treatment.kind is TreatmentKind.KEEP_FRAMES and plan.decoded is None:
        try:
            check_frame(encoded, plan.source_syntax, plan.format)
        except PixelError:
            return PixelLeniency.DAMAGED_FRAMES
    return find_irregularity(encoded, plan.source_syntax)


def _stored_frame(plan: FramePlan, encoded: bytes) -> StoredFrame:
    if plan.treatment.kind is TreatmentKind.TRANSCODE:
        return transcode_frame(encoded, plan.source_syntax, plan.format, plan.lossless)
    if plan.treatment.stored_transfer_syntax in NATIVE and plan.source_syntax not in NATIVE:
        encoded = encapsulated_samples(encoded, plan.source_syntax, plan.format)
    return store_unchanged(encoded, plan.format)


def _store_object(file: Part10, plan: ObjectPlan, key: str, pack: PackWriter) -> StoredPixels:
    extents = []
    size = checksum = 0
    for ordinal, chunk in enumerate(_value_chunks(file)):
        extents.append(pack.add(Label(RecordKind.BLOB, key, ordinal), chunk))
        size += len(chunk)
        checksum = zlib.crc32(chunk, checksum)
    entries: tuple[FrameEntry, ...] = ()
    if plan.kind is PixelKind.WHOLE:
        columns, rows = (plan.format.columns, plan.format.rows) if plan.format is not None else (0, 0)
        entries = (FrameEntry(frame_id(key, 0), ((columns, rows, checksum),), None, None, size),)
    fragments = _fragments(file)
    table, end = (b"", None) if fragments is None else (fragments.offset_table or b"", fragments.irregular_end)
    stored = StoredPixels(
        plan.kind,
        plan.transfer_syntax,
        "COMPRESSED",
        entries,
        tuple(_runs(0, extents)),
        plan.warnings,
        offset_table=table,
    )
    return stored if end is None else add_warnings(replace(stored, notes=(PixelNote(end),)))


def _fragments(file: Part10) -> Fragments | None:
    """Find the fragments of encapsulated pixel data; None where it is native or no sequence of items."""
    pixel_data = file.pixel_data
    if pixel_data is None or pixel_data.length is not None or file.transfer_syntax in DEFLATED:
        return None
    try:
        return scan_fragments(file.source.read, pixel_data.offset, pixel_data.end)
    except FramesError:
        return None


def _value_chunks(file: Part10) -> Iterator[bytes]:
    pixel_data = file.pixel_data
    if pixel_data is None:
        raise PixelError("the data set has no pixel data")
    return value_chunks(file.source.read, pixel_data.offset, pixel_data.length, pixel_data.end)


def _runs(first_ordinal: int, extents: Iterable[Extent]) -> Iterator[FrameRun]:
    """Join records that follow each other in a pack into runs."""
    run: list[Extent] = []
    for extent in extents:
        if run and (len(run) == RUN_LENGTH or run[-1].offset + run[-1].length != extent.offset):
            yield _run(first_ordinal, run)
            first_ordinal += len(run)
            run = []
        run.append(extent)
    if run:
        yield _run(first_ordinal, run)


def _run(first_ordinal: int, extents: list[Extent]) -> FrameRun:
    return FrameRun(first_ordinal, extents[0].pack_id, extents[0].offset, tuple(extent.length for extent in extents))
