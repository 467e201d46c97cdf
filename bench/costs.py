"""Where the time of an import goes: the steps of one file, timed one by one in as many processes as import.

read ─▶ parse ─▶ record ─▶ decode ─▶ encode ─▶ reduce ─▶ checksums ─▶ verify ─▶ seal ─▶ JSON ─▶ fsync
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ParamSpec, TypeVar

from bench.codec import decode_levels
from bench.server import BenchmarkError
from hounsfield.dicom.healthimaging.record import instance_record
from hounsfield.dicom.io.part10 import read_part10
from hounsfield.imaging.ingest.context import IngestContext
from hounsfield.imaging.ingest.files import InputFile, Share
from hounsfield.imaging.ingest.pixel_writer import FramePlan, plan_pixels, store_pixels
from hounsfield.imaging.ingest.series_packs import SeriesPack, finish_instance
from hounsfield.imaging.ingest.worker import ingest, open_file
from hounsfield.pixels.codecs.checksum import checksums, resolutions
from hounsfield.pixels.codecs.decode import decode_samples
from hounsfield.pixels.codecs.encode import encode_frame
from hounsfield.pixels.codecs.transcode import transcode_frame
from hounsfield.pixels.transfer_syntaxes import LosslessFormat
from hounsfield.storage.blobs.blobs import BlobLocation
from hounsfield.storage.blobs.packs import Label, PackWriter, RecordKind
from hounsfield.storage.buckets.buckets import Buckets, ObjectEntry
from hounsfield.storage.identifiers import new_id, new_instance_key
from hounsfield.storage.keys.data_key import KEY_BYTES, DataKey

P = ParamSpec("P")
T = TypeVar("T")

CODEC = ("encode HTJ2K", "decode again at each level")
WHOLE = "whole file, as the import does it"


class Stopwatch:
    """Adds up the processor time of named steps in seconds, which other work on the machine changes least."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    def time(self, step: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function and add its processor time to a step."""
        begin = time.process_time()
        try:
            return function(*args, **kwargs)
        finally:
            self.seconds[step] += time.process_time() - begin


def costs_per_file(work: Path, folder: Path, names: Sequence[str]) -> dict[str, float]:
    """Return the mean processor time a file of each step, and of the whole as the import does it, in seconds.

    Parameters
    ----------
    work : Path
        Where packs are written.
    folder : Path
        Bucket with the files, which are single-frame and not compressed.
    names : Sequence[str]
        The files.
    """
    context = IngestContext(
        buckets=Buckets(folder=str(folder.parent)),
        bucket=folder.name,
        blob_location=BlobLocation(folder=str(work)),
        key=DataKey(new_id(), bytes(KEY_BYTES)),
        lossless_format=LosslessFormat.HTJ2K,
        bytes_per_file=1 << 40,
        metadata_bytes=1 << 30,
    )
    files = [
        InputFile(number, ObjectEntry(name, (folder / name).stat().st_size, None)) for number, name in enumerate(names)
    ]
    ingest(context, [Share((files[0],))])
    watch = Stopwatch()
    pack = watch.time("packs: open, small records, fsync", SeriesPack, context.blob_location.open(), context.key)
    for file in files:
        _one_file(context, file, pack, watch)
    watch.time("packs: open, small records, fsync", pack.close)
    watch.time(WHOLE, ingest, context, [Share(tuple(files))])
    return {step: seconds / len(files) for step, seconds in watch.seconds.items()}


def _one_file(context: IngestContext, file: InputFile[ObjectEntry], pack: SeriesPack, watch: Stopwatch) -> None:
    with open_file(context, file) as source:
        part10 = watch.time("read the file, parse DICOM", read_part10, source)
        record = watch.time("make the record of the instance", instance_record, part10)
        key = new_instance_key()
        plan = plan_pixels(part10, context.lossless_format)
        if not isinstance(plan, FramePlan):
            raise BenchmarkError("no frames can be made of a file of the corpus")
        encoded = watch.time("read the frame", plan.frames.__getitem__, 0)
        data = _pixels(plan, encoded, watch)
        # What the import keeps comes from its own functions; the record above is only for the time it takes.
        scratch = PackWriter(context.blob_location.open(), context.key)
        watch.time("encrypt and write the frame", scratch.add, Label(RecordKind.FRAME, key), data)
        scratch.abort()
        pixels = store_pixels(part10, key, pack.writer, context.lossless_format)
        finished = watch.time("make the JSON", finish_instance, context, key, part10, record, pixels)
        pack.add(file.ordinal, finished)


def _pixels(plan: FramePlan, encoded: bytes, watch: Stopwatch) -> bytes:
    samples = watch.time("decode what came", decode_samples, encoded, plan.source_syntax, plan.format)
    before = sum(watch.seconds.values())
    data = watch.time(CODEC[0], encode_frame, samples, plan.lossless, colour_transform=False)
    levels = watch.time("reduce to each level", resolutions, samples, colour_transform=False)
    watch.time("CRC-32 of each level", checksums, levels)
    watch.time(CODEC[1], decode_levels, data)
    parts = sum(watch.seconds.values()) - before
    begin = time.process_time()
    transcode_frame(encoded, plan.source_syntax, plan.format, plan.lossless)
    watch.seconds["compare, least and greatest value"] += time.process_time() - begin - parts
    return data
