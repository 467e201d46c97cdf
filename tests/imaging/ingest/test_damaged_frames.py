"""Frames of which some are damaged: whatever the mixture and whoever works on them, each is stored once, nothing is lost."""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import imagecodecs
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hounsfield.dicom.io.byte_source import BytesSource
from hounsfield.dicom.io.part10 import read_part10
from hounsfield.imaging.ingest.context import IngestContext
from hounsfield.imaging.ingest.files import InputFile, Share
from hounsfield.imaging.ingest.large_files import ingest_frames, ingest_with_parts
from hounsfield.imaging.ingest.pixel_writer import StoredPixels, store_pixels
from hounsfield.imaging.ingest.worker import ingest
from hounsfield.imaging.staged_instance import FrameRun, PixelKind
from hounsfield.pixels.transfer_syntaxes import LosslessFormat
from hounsfield.storage.blobs.blobs import BlobLocation, FolderBlobs
from hounsfield.storage.blobs.packs import Extent, Label, PackWriter, RecordKind, read_contents, read_record
from hounsfield.storage.buckets.buckets import Buckets, ObjectEntry
from hounsfield.storage.keys.data_key import DataKey
from support.examples import examples
from support.files.encapsulated import colours, file_of, jpeg, jpeg_2000, jpeg_lossless, ramp

JPEG, JPEG_LOSSLESS, JPEG_2000, HTJ2K = (f"1.2.840.10008.1.2.4.{part}" for part in ("50", "70", "90", "202"))
KEY, OWNER = DataKey("d" * 32, bytes(range(32))), "a" * 24


@cache
def whole(syntax: str, seed: int) -> bytes:
    encode = {JPEG: lambda: jpeg(colours(seed=seed)), JPEG_LOSSLESS: lambda: jpeg_lossless(ramp(16, 24, seed))}
    return encode.get(syntax, lambda: jpeg_2000(ramp(16, 24, seed)))()


def frames_of(syntax: str, kinds: list[str]) -> list[bytes]:
    """Return a frame for each kind; what an import can see is damaged is damaged for good."""
    damage = {"zeros": lambda _: bytes(40), "empty": lambda _: b"", "cut": lambda data: data[: len(data) // 2]}
    return [damage.get(kind, bytes)(whole(syntax, seed)) for seed, kind in enumerate(kinds)]


def file_with(syntax: str, frames: list[bytes]) -> bytes:
    like = colours() if syntax == JPEG else ramp(16, 24)
    colour = {"PhotometricInterpretation": "YBR_FULL"} if syntax == JPEG else {}
    return file_of(frames, syntax, like, **colour)


@dataclass
class Stored:
    """What was stored of a file, and every record of its pack."""

    pixels: StoredPixels
    records: list[tuple[Label, bytes]]


def stored(file: bytes) -> Stored:
    with tempfile.TemporaryDirectory() as folder:
        blobs = FolderBlobs(Path(folder))
        pack = PackWriter(blobs, KEY)
        pixels = store_pixels(read_part10(BytesSource(file)), OWNER, pack, LosslessFormat.HTJ2K)
        pack.close()
        contents = read_contents(blobs, KEY, pack.pack_id)
        return Stored(pixels, [(label, read_record(blobs, KEY, extent, label)) for label, extent in contents])


@given(
    syntax=st.sampled_from([JPEG, JPEG_LOSSLESS, JPEG_2000]),
    kinds=st.lists(st.sampled_from(["good", "good", "zeros", "empty", "cut"]), min_size=1, max_size=5),
)
@settings(max_examples=examples(60), deadline=None)
def test_every_frame_is_stored_once_and_the_damaged_ones_are_named(syntax: str, kinds: list[str]) -> None:
    frames = frames_of(syntax, kinds)
    result = stored(file_with(syntax, frames))
    padded = [frame + b"\0" * (len(frame) % 2) for frame in frames]
    damaged = [number for number, kind in enumerate(kinds, 1) if kind != "good"]
    labels = Counter((label.kind, label.ordinal) for label, _ in result.records)
    assert max(labels.values()) == 1
    data = [content for label, content in result.records if label.kind in {RecordKind.FRAME, RecordKind.BLOB}]
    if not damaged:
        assert result.pixels.kind is PixelKind.FRAMES
        assert result.pixels.transfer_syntax == (JPEG if syntax == JPEG else HTJ2K)
        assert result.pixels.warnings == ()
    elif syntax != JPEG and len(damaged) == len(kinds):
        assert (result.pixels.kind, result.pixels.transfer_syntax) == (PixelKind.WHOLE, syntax)
        assert b"".join(data) == b"".join(padded)
    else:
        assert (result.pixels.kind, result.pixels.transfer_syntax) == (PixelKind.DAMAGED, syntax)
        assert data == padded
        (warning,) = result.pixels.warnings
        assert warning.message.endswith(f"frame{'s' * (len(damaged) > 1)} {', '.join(map(str, damaged))}.")


@given(
    syntax=st.sampled_from([JPEG, JPEG_LOSSLESS]),
    kinds=st.lists(st.sampled_from(["good", "good", "good", "cut"]), min_size=4, max_size=8),
    count=st.integers(2, 4),
)
@settings(max_examples=examples(15), deadline=None)
def test_several_workers_store_what_one_does(syntax: str, kinds: list[str], count: int) -> None:
    file = file_with(syntax, frames_of(syntax, kinds))
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "buckets" / "input"
        place.mkdir(parents=True)
        (place / "a.dcm").write_bytes(file)
        context = IngestContext(
            buckets=Buckets(str(place.parent)),
            bucket="input",
            blob_location=BlobLocation(folder=f"{folder}/packs"),
            key=KEY,
            lossless_format=LosslessFormat.HTJ2K,
            bytes_per_file=0,
            metadata_bytes=0,
        )
        input_file = InputFile(0, ObjectEntry("a.dcm", len(file), None))
        (outcome,) = ingest(context, [Share((input_file,))])
        assert not isinstance(outcome, Exception)
        (alone,) = outcome
        parts = [ingest_frames(context, input_file, OWNER, part, count) for part in range(count)]
        usable = None if None in parts else tuple(part for part in parts if part is not None)
        together = ingest_with_parts(context, input_file, OWNER, usable)
        one, many = alone.instance, together.instance
        assert one is not None
        assert many is not None
        assert (many.pixel_kind, many.frame_count, many.warnings) == (one.pixel_kind, one.frame_count, one.warnings)
        assert many.stored_transfer_syntax == one.stored_transfer_syntax
        if one.pixel_kind.in_frames:
            blobs = context.blob_location.open()
            read = [
                read_record(blobs, KEY, Extent(run.pack_id, offset, length), Label(RecordKind.FRAME, OWNER, ordinal))
                for run in many.runs
                for ordinal, offset, length in places(run)
            ]
            assert len(read) == len(kinds)


def places(run: FrameRun) -> list[tuple[int, int, int]]:
    """Return ordinal, offset and length of each record of a run."""
    found, offset = [], run.first_offset
    for ordinal, length in enumerate(run.lengths, run.first_ordinal):
        found.append((ordinal, offset, length))
        offset += length
    return found


def test_a_stored_frame_of_the_good_ones_is_what_it_was() -> None:
    """HTJ2K of a frame without an end marker holds its samples."""
    result = stored(file_with(JPEG_LOSSLESS, [whole(JPEG_LOSSLESS, 0)[:-2], whole(JPEG_LOSSLESS, 1)]))
    assert result.pixels.kind is PixelKind.FRAMES
    for seed, (_, content) in enumerate(result.records[:2]):
        assert np.array_equal(imagecodecs.htj2k_decode(content), ramp(16, 24, seed))
