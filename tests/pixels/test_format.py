"""The description of pixel data and the table of transfer syntaxes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from pydicom import uid

from hounsfield.pixels.errors import PixelError
from hounsfield.pixels.transfer_syntaxes import TABLE, ChecksumType, LosslessFormat, TreatmentKind, find_treatment
from support.files.pixel_data import make_format

FORMAT = make_format(np.zeros((20, 30), "i2"), bits_stored=12, high_bit=11)


def test_derived_values_of_a_description() -> None:
    assert (FORMAT.native_frame_bytes, FORMAT.shape, FORMAT.dtype) == (1200, (20, 30), np.dtype("<i2"))
    assert dataclasses.replace(FORMAT, bits_allocated=1).native_frame_bytes == 75
    assert dataclasses.replace(FORMAT, rows=3, columns=3, bits_allocated=1).native_frame_bytes == 2
    assert dataclasses.replace(FORMAT, bits_allocated=12).native_frame_bytes == 900
    ybr = make_format(np.zeros((20, 30, 3), "u1"), photometric_interpretation="YBR_FULL_422")
    assert (ybr.native_frame_bytes, ybr.decoded_bytes) == (1200, 1800)
    assert dataclasses.replace(FORMAT, number_of_frames=0).frame_count == 1


@pytest.mark.parametrize(
    ("changes", "keyword"),
    [
        ({"rows": 0}, "Rows"),
        ({"columns": 65536}, "Columns"),
        ({"samples_per_pixel": 0}, "SamplesPerPixel"),
        ({"bits_allocated": 11}, "BitsAllocated"),
        ({"bits_allocated": 72}, "BitsAllocated"),
        ({"bits_stored": 17}, "BitsStored"),
        ({"pixel_representation": 2}, "PixelRepresentation"),
        ({"planar_configuration": 2}, "PlanarConfiguration"),
        ({"number_of_frames": -1}, "NumberOfFrames"),
    ],
)
def test_impossible_descriptions_are_refused_by_name(changes: dict[str, int], keyword: str) -> None:
    with pytest.raises(PixelError, match=keyword):
        dataclasses.replace(FORMAT, **changes).validate()


def test_widths_that_cannot_be_decoded_are_refused() -> None:
    wide = dataclasses.replace(FORMAT, bits_allocated=64)
    wide.validate()
    with pytest.raises(PixelError, match="BitsAllocated is 64"):
        _ = wide.dtype


@pytest.mark.parametrize("lossless", LosslessFormat)
def test_lossless_and_non_jpeg_lossy_syntaxes_are_transcoded(lossless: LosslessFormat) -> None:
    stored = {"HTJ2K": uid.HTJ2KLosslessRPCL, "JPEG_2000_LOSSLESS": uid.JPEG2000Lossless}[lossless]
    for syntax in (
        uid.ImplicitVRLittleEndian,
        uid.ExplicitVRLittleEndian,
        uid.DeflatedExplicitVRLittleEndian,
        uid.ExplicitVRBigEndian,
        uid.JPEGExtended12Bit,
        uid.JPEGLossless,
        uid.JPEGLosslessSV1,
        uid.JPEGLSLossless,
        uid.JPEGLSNearLossless,
        uid.JPEG2000Lossless,
        uid.JPEG2000MCLossless,
        uid.JPEG2000MC,
        uid.HTJ2KLossless,
        uid.HTJ2KLosslessRPCL,
        uid.RLELossless,
        "1.2.840.10008.1.2.4.110",
        "1.2.840.10008.1.2.1.98",
        "1.2.840.10008.1.2.8.1",
    ):
        how = find_treatment(syntax, lossless=lossless, bits_allocated=16)
        assert how.kind is TreatmentKind.TRANSCODE
        assert (how.stored_transfer_syntax, how.checksum_type) == (stored, ChecksumType.DECOMPRESSED)


def test_kept_syntaxes_and_videos_stay_as_they_are() -> None:
    for syntax in (uid.JPEGBaseline8Bit, uid.JPEG2000, uid.HTJ2K, "1.2.840.10008.1.2.4.111", "1.2.840.10008.1.2.4.112"):
        how = find_treatment(syntax, lossless=LosslessFormat.HTJ2K, bits_allocated=8)
        assert how.kind is TreatmentKind.KEEP_FRAMES
        assert (how.stored_transfer_syntax, how.checksum_type) == (syntax, ChecksumType.COMPRESSED)
    videos = [syntax for syntax, kind in TABLE.items() if kind is TreatmentKind.KEEP_VIDEO]
    assert len(videos) == 16
    assert {uid.MPEG2MPML, uid.MPEG4HP41, uid.MPEG4HP42STEREO, uid.HEVCMP51, uid.HEVCM10P51} <= set(videos)


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.4.53", "1.2.3"])
def test_other_syntaxes_are_not_supported(syntax: str) -> None:
    assert find_treatment(syntax, lossless=LosslessFormat.HTJ2K, bits_allocated=16).kind is TreatmentKind.BLOB


def test_binary_segmentations_stay_packed_only_when_native() -> None:
    encapsulated = ("1.2.840.10008.1.2.1.98", "1.2.840.10008.1.2.8.1")
    for syntax in (uid.ImplicitVRLittleEndian, uid.ExplicitVRBigEndian, *encapsulated):
        how = find_treatment(syntax, lossless=LosslessFormat.HTJ2K, bits_allocated=1)
        assert (how.kind, how.stored_transfer_syntax) == (TreatmentKind.KEEP_FRAMES, uid.ExplicitVRLittleEndian)
    how = find_treatment(uid.RLELossless, lossless=LosslessFormat.HTJ2K, bits_allocated=1)
    assert how.kind is TreatmentKind.TRANSCODE
