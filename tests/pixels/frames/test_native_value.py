"""Frames written back: native values are what frames were cut from, offset tables find every frame, colour is true."""

from __future__ import annotations

from itertools import accumulate
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.encaps import generate_frames
from pydicom.pixels import pixel_array
from pydicom.uid import ExplicitVRLittleEndian

from hounsfield.pixels.codecs.colour import decoded_interpretation, encoded_interpretation, rgb_of_jpeg
from hounsfield.pixels.codecs.decode import decode_samples
from hounsfield.pixels.errors import PixelError
from hounsfield.pixels.frames.encapsulate import encapsulated_size, offset_tables
from hounsfield.pixels.frames.frames import frame_source
from hounsfield.pixels.frames.native_value import join_frames, native_bits, native_frame
from support.files.pixel_data import make_format

JPEG, JPEG_XL = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.112"


@given(
    st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3]), st.sampled_from([1, 8, 16, 32]), st.integers(1, 4),
    st.integers(0, 1), st.integers(0, 2**32),
)  # fmt: skip
def test_a_native_value_is_what_its_frames_were_cut_from(
    rows: int, columns: int, samples: int, bits: int, frames: int, planar: int, seed: int
) -> None:
    format_ = make_format(
        np.zeros((rows, columns, samples) if samples > 1 else (rows, columns), "u1"),
        bits_allocated=bits,
        bits_stored=bits,
        high_bit=bits - 1,
        planar_configuration=planar if samples > 1 else 0,
        number_of_frames=frames,
    )
    size = (native_bits(format_) * frames + 7) // 8
    value = np.random.default_rng(seed).integers(0, 256, size, "u1").tobytes()
    if unused := size * 8 - native_bits(format_) * frames:
        value = value[:-1] + bytes((value[-1] & 0xFF >> unused,))
    padded = value + bytes(size % 2)
    source = frame_source(
        lambda offset, count: padded[offset : offset + count], 0, len(padded), len(padded), format_,
        str(ExplicitVRLittleEndian), little_endian=True, vr="OW",
    )  # fmt: skip
    decoded = [decode_samples(source[index], str(ExplicitVRLittleEndian), format_) for index in range(frames)]
    written = [native_frame(frame, format_) for frame in decoded]
    assert written == [source[index] for index in range(frames)]
    assert b"".join(join_frames(written, native_bits(format_))) == value


def test_twelve_bits_are_written_in_sixteen() -> None:
    format_ = make_format(np.zeros((2, 3), "u2"), bits_allocated=12, bits_stored=12, high_bit=11)
    samples = np.array([[1, 2, 3], [4000, 5, 6]], "<u2")
    assert native_bits(format_) == 6 * 16
    assert native_frame(samples, format_) == samples.tobytes()


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=50))
def test_a_basic_offset_table_finds_every_frame(sizes: list[int]) -> None:
    tables = offset_tables(sizes)
    assert tables.extended is None
    steps = [size + size % 2 + 8 for size in sizes]
    assert np.frombuffer(tables.basic, "<u4").tolist() == [0, *accumulate(steps)][:-1]
    assert encapsulated_size(tables, sizes) == 8 + 4 * len(sizes) + sum(steps)


def test_offsets_beyond_four_gigabytes_are_extended() -> None:
    size = (1 << 31) - 7
    assert offset_tables([size, size]).extended is None
    tables = offset_tables([size, size, size, 5])
    assert tables.basic == b""
    assert tables.extended is not None
    assert tables.lengths is not None
    assert np.frombuffer(tables.extended, "<u8").tolist() == [0, size + 9, 2 * (size + 9), 3 * (size + 9)]
    assert np.frombuffer(tables.lengths, "<u8").tolist() == [size, size, size, 5]
    assert offset_tables([]).basic == b""


@pytest.mark.parametrize(
    ("given_", "stored", "decoded", "encoded"),
    [
        ("MONOCHROME1", "1.2.840.10008.1.2.4.202", "MONOCHROME1", "MONOCHROME1"),
        ("PALETTE COLOR", "1.2.840.10008.1.2.4.202", "PALETTE COLOR", "PALETTE COLOR"),
        ("RGB", "1.2.840.10008.1.2.4.202", "RGB", "YBR_RCT"),
        ("YBR_RCT", "1.2.840.10008.1.2.4.202", "RGB", "YBR_RCT"),
        ("YBR_ICT", "1.2.840.10008.1.2.4.91", "RGB", "YBR_RCT"),
        ("YBR_FULL", "1.2.840.10008.1.2.4.202", "YBR_FULL", "YBR_FULL"),
        ("YBR_FULL_422", "1.2.840.10008.1.2.4.202", "YBR_FULL", "YBR_FULL"),
        ("YBR_FULL_422", JPEG, "RGB", "YBR_FULL"),
        ("RGB", JPEG, "RGB", "YBR_RCT"),
        ("XYB", JPEG_XL, "RGB", "RGB"),
    ],
)
def test_colour_is_told_as_it_is(given_: str, stored: str, decoded: str, encoded: str) -> None:
    grey = given_ in {"MONOCHROME1", "PALETTE COLOR"}
    format_ = make_format(np.zeros((2, 2) if grey else (2, 2, 3), "u1"), photometric_interpretation=given_)
    assert decoded_interpretation(format_, stored) == decoded
    assert encoded_interpretation(format_) == encoded


def test_deep_colour_is_encoded_without_transform() -> None:
    format_ = make_format(np.zeros((2, 2, 3), "<u4"), photometric_interpretation="YBR_RCT")
    assert encoded_interpretation(format_) == "RGB"


@pytest.mark.parametrize(
    "name", ["SC_rgb_jpeg_dcmtk", "SC_rgb_dcmtk_+eb+cy+np", "SC_rgb_dcmtk_+eb+cr", "examples_ybr_color"]
)
def test_jpeg_becomes_the_rgb_that_pydicom_makes_of_it(name: str) -> None:
    path = Path(pydicom.__path__[0]) / "data" / "test_files" / f"{name}.dcm"
    dataset = pydicom.dcmread(path)
    frame = next(generate_frames(dataset.PixelData, number_of_frames=int(dataset.get("NumberOfFrames", 1))))
    format_ = make_format(
        np.zeros((dataset.Rows, dataset.Columns, 3), "u1"),
        photometric_interpretation=str(dataset.PhotometricInterpretation),
    )
    expected = pixel_array(dataset, index=0)
    assert np.array_equal(rgb_of_jpeg(decode_samples(frame, JPEG, format_), format_), expected)


@pytest.mark.parametrize("dtype", ["u1", "<u2"])
@pytest.mark.parametrize("shape", [(40, 50), (40, 50, 3)])
def test_jpeg_xl_is_decoded(dtype: str, shape: tuple[int, ...]) -> None:
    picture = np.random.default_rng(1).integers(0, 200, shape).astype(dtype)
    encoded = imagecodecs.jpegxl_encode(picture, lossless=True)
    assert np.array_equal(decode_samples(encoded, JPEG_XL, make_format(picture)), picture)
    with pytest.raises(PixelError):
        decode_samples(encoded, JPEG_XL, make_format(picture[:20]))
    with pytest.raises(PixelError):
        decode_samples(encoded[: len(encoded) // 2], JPEG_XL, make_format(picture))
