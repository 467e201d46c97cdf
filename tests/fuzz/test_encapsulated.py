"""Damaged files with encapsulated pixel data, through all that an import does with it: stored in some way, or refused."""

from __future__ import annotations

import tempfile
import zlib
from functools import cache
from pathlib import Path

import imagecodecs
from hypothesis import strategies as st

from hounsfield.dicom.io.byte_source import BytesSource
from hounsfield.dicom.io.limits import ReadLimits
from hounsfield.dicom.io.part10 import header_with_offset_table, read_part10
from hounsfield.dicom.values.errors import DicomError
from hounsfield.imaging.ingest.pixel_writer import describe_as_stored, store_pixels
from hounsfield.pixels.errors import FramesError
from hounsfield.pixels.transfer_syntaxes import LosslessFormat
from hounsfield.storage.blobs.blobs import FolderBlobs
from hounsfield.storage.blobs.packs import PackWriter
from hounsfield.storage.keys.data_key import DataKey
from support.files.encapsulated import colours, file_of, jpeg, jpeg_2000, jpeg_lossless, ramp, run_length
from support.files.synthetic import uid
from support.fuzzing import damaged, fuzz

LIMITS = ReadLimits(data_set_bytes=4 << 20, inflated_bytes=4 << 20, elements=20_000)
KEY = DataKey("d" * 32, bytes(32))


@cache
def files() -> list[bytes]:
    """A small file of each way in which pixel data is encapsulated, some with what is read although it is wrong."""
    grey = [ramp(16, 24, seed) for seed in range(3)]
    colour = [colours(16, 16, seed) for seed in range(3)]
    lossless = [jpeg_lossless(frame) for frame in grey]
    raw = [frame.tobytes() for frame in grey]
    deflated = [zlib.compress(data, wbits=-15) for data in raw]
    jxl = [bytes(imagecodecs.jpegxl_encode(frame, lossless=True, effort=1)) for frame in grey]
    recompressed = [bytes(imagecodecs.jpegxl_encode_jpeg(jpeg(frame), numthreads=1)) for frame in colour]
    return [
        file_of(lossless, "1.2.840.10008.1.2.4.70", grey[0]),
        file_of([*lossless[:2], b""], "1.2.840.10008.1.2.4.70", grey[0], end=bytes(8)),
        file_of([lossless[0][:-2], *lossless[1:]], "1.2.840.10008.1.2.4.70", grey[0], table=False, NumberOfFrames=2),
        file_of([jpeg_2000(frame) for frame in grey], "1.2.840.10008.1.2.4.90", grey[0], end=b""),
        file_of([jpeg(frame) for frame in colour], "1.2.840.10008.1.2.4.50", colour[0], NumberOfFrames=None),
        file_of([run_length(frame) for frame in grey], "1.2.840.10008.1.2.5", grey[0]),
        file_of([[data[:100], data[100:]] for data in raw], "1.2.840.10008.1.2.1.98", grey[0], table=False),
        file_of(deflated, "1.2.840.10008.1.2.8.1", grey[0]),
        file_of(jxl, "1.2.840.10008.1.2.4.110", grey[0]),
        file_of(recompressed, "1.2.840.10008.1.2.4.111", colour[0], PhotometricInterpretation="YBR_FULL"),
        file_of(raw, uid(8), grey[0]),
    ]


@fuzz(damaged(st.deferred(lambda: st.sampled_from(files()))), examples=120)
def test_damaged_pixel_data_is_stored_or_refused(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        pack = PackWriter(FolderBlobs(Path(folder)), KEY)
        try:
            part10 = read_part10(BytesSource(data), LIMITS)
            pixels = store_pixels(part10, "a" * 24, pack, LosslessFormat.HTJ2K)
        except (DicomError, FramesError) as error:
            assert 10 < len(str(error)) < 300  # noqa: PT017 - both outcomes are right
            return
        finally:
            pack.abort()
    assert all(10 < len(warning.message) < 600 for warning in pixels.warnings)
    corrected = describe_as_stored(part10, pixels)
    header = header_with_offset_table(corrected, pixels.offset_table) if pixels.offset_table else corrected.header
    again = read_part10(BytesSource(header), LIMITS)
    assert [element.tag for element in again.elements] == [element.tag for element in corrected.elements]
