"""Encapsulated Uncompressed, Deflated Image Frame and JPEG XL: decoded to the samples that went in, bounded, or refused."""

from __future__ import annotations

import zlib
from contextlib import suppress
from struct import pack
from typing import Any

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hounsfield.pixels.codecs.decode import decode_samples
from hounsfield.pixels.codecs.jpeg_xl import read_jpeg_xl
from hounsfield.pixels.errors import PixelError
from hounsfield.pixels.frames.encapsulated_native import encapsulated_samples
from support.examples import examples
from support.files.pixel_data import image, make_format

UNCOMPRESSED, DEFLATED = "1.2.840.10008.1.2.1.98", "1.2.840.10008.1.2.8.1"
JXL_LOSSLESS, JXL_JPEG = "1.2.840.10008.1.2.4.110", "1.2.840.10008.1.2.4.111"
RLE = "1.2.840.10008.1.2.5"


def deflated(data: bytes) -> bytes:
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    return stream.compress(data) + stream.flush()


@pytest.mark.parametrize("dtype", ["u1", "<u2", "<i2", "<u4"])
@pytest.mark.parametrize("shape", [(7, 9), (6, 5, 3), (1, 1)])
def test_samples_come_back_whatever_their_form(dtype: str, shape: tuple[int, ...]) -> None:
    samples = image(dtype, shape)
    format_ = make_format(samples)
    data = samples.tobytes()
    pad = b"\0" * (len(data) % 2)
    for syntax, encoded in (
        (UNCOMPRESSED, data + pad),
        (UNCOMPRESSED, data),
        (DEFLATED, deflated(data)),
        (DEFLATED, deflated(data + pad)),
        (DEFLATED, deflated(data) + b"\0"),
    ):
        decoded = decode_samples(encoded, syntax, format_)
        assert decoded.dtype == samples.dtype
        assert np.array_equal(decoded, samples)


def test_planes_bits_and_subsampled_colour() -> None:
    colour = image("u1", (4, 6, 3))
    planes = np.moveaxis(colour, -1, 0).tobytes()
    assert np.array_equal(decode_samples(planes, UNCOMPRESSED, make_format(colour, planar_configuration=1)), colour)
    bits = (np.arange(35) % 3 == 0).astype("u1").reshape(5, 7)
    packed = np.packbits(bits.reshape(-1), bitorder="little").tobytes()
    one = make_format(bits, bits_allocated=1, bits_stored=1, high_bit=0)
    assert np.array_equal(decode_samples(deflated(packed), DEFLATED, one), bits)
    assert encapsulated_samples(packed + b"\0", UNCOMPRESSED, one) == packed
    half = make_format(colour, photometric_interpretation="YBR_FULL_422")
    assert len(encapsulated_samples(bytes(48), UNCOMPRESSED, half)) == 48
    assert encapsulated_samples(colour.tobytes(), UNCOMPRESSED, half) == colour.tobytes()


@pytest.mark.parametrize(
    ("syntax", "encoded", "said"),
    [
        (UNCOMPRESSED, bytes(127), "127 bytes"),
        (UNCOMPRESSED, bytes(130), "130 bytes"),
        (DEFLATED, deflated(bytes(126)), "126 bytes"),
        (DEFLATED, deflated(bytes(1 << 20)), "more than the 128 bytes"),
        (DEFLATED, deflated(bytes(128))[:-3], "cut off"),
        (DEFLATED, deflated(bytes(128)) + bytes(20), "20 bytes before"),
        (DEFLATED, b"\xff" * 40, "deflate stream"),
        (DEFLATED, b"", "cut off"),
        (JXL_JPEG, bytes(40), "signature"),
        (JXL_JPEG, bytes(imagecodecs.jpegxl_encode(np.zeros((8, 8), "u2"), lossless=True)), "jbrd"),
        (JXL_LOSSLESS, bytes(imagecodecs.jpegxl_encode(np.zeros((9, 8), "u2"), lossless=True)), "cannot be decoded"),
    ],
)
def test_what_is_not_such_a_frame_is_refused(syntax: str, encoded: bytes, said: str) -> None:
    with pytest.raises(PixelError, match=said):
        decode_samples(encoded, syntax, make_format(np.zeros((8, 8), "<u2")))


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_jpeg_xl_gives_the_samples_at_every_depth(bits: int) -> None:
    samples = image("u1" if bits == 8 else "<u2", (33, 47), bits=bits)
    encoded = bytes(imagecodecs.jpegxl_encode(samples, lossless=True, bitspersample=bits))
    decoded = decode_samples(encoded, JXL_LOSSLESS, make_format(samples, bits_stored=bits, high_bit=bits - 1))
    assert np.array_equal(decoded, samples)


@pytest.mark.parametrize("subsampling", ["444", "422", "420"])
def test_recompressed_jpeg_decodes_as_the_jpeg_it_was(subsampling: str) -> None:
    jpeg = bytes(imagecodecs.jpeg8_encode(image("u1", (24, 40, 3)), 80, subsampling=subsampling))
    recompressed = bytes(imagecodecs.jpegxl_encode_jpeg(jpeg, numthreads=1))
    format_ = make_format(np.zeros((24, 40, 3), "u1"), photometric_interpretation="YBR_FULL_422")
    assert np.array_equal(
        decode_samples(recompressed, JXL_JPEG, format_), decode_samples(jpeg, "1.2.840.10008.1.2.4.50", format_)
    )
    with pytest.raises(PixelError, match="24 rows and 40 columns"):
        decode_samples(recompressed, JXL_JPEG, make_format(np.zeros((25, 40, 3), "u1")))


@given(rows=st.integers(1, 700), columns=st.integers(1, 700))
@settings(max_examples=examples(40), deadline=None)
def test_the_size_of_jpeg_xl_is_read_from_its_header(rows: int, columns: int) -> None:
    for lossless in (True, False):  # in boxes, and bare
        options: dict[str, Any] = {"lossless": lossless, "effort": 1}
        assert read_jpeg_xl(imagecodecs.jpegxl_encode(np.zeros((rows, columns), "u1"), **options)) == (columns, rows)


@given(data=st.data())
@settings(deadline=None)
def test_damaged_frames_give_samples_or_our_error(data: st.DataObject) -> None:
    samples = image("u1", (16, 16, 3))
    syntax, whole = data.draw(
        st.sampled_from(
            [
                (DEFLATED, deflated(samples.tobytes())),
                (JXL_LOSSLESS, bytes(imagecodecs.jpegxl_encode(samples, lossless=True))),
                (JXL_JPEG, bytes(imagecodecs.jpegxl_encode_jpeg(imagecodecs.jpeg8_encode(samples, 90), numthreads=1))),
            ]
        )
    )
    damaged = bytearray(whole)
    for place in data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=4)):
        damaged[place] ^= data.draw(st.integers(1, 255))
    cut = bytes(damaged[: data.draw(st.integers(0, len(whole)))])
    with suppress(PixelError):
        assert decode_samples(cut, syntax, make_format(samples)).shape == samples.shape


def literals(plane: bytes) -> bytes:
    """Pack a plane as runs of literals alone."""
    runs = [plane[start : start + 128] for start in range(0, len(plane), 128)]
    return b"".join(bytes([len(run) - 1]) + run for run in runs)


def test_a_run_length_plane_may_lack_its_last_byte_only_where_nothing_is_stored_of_it() -> None:
    samples = (np.arange(64 * 64) * 7 % 4096).astype("<u2").reshape(64, 64)
    format_ = make_format(samples, bits_stored=12, high_bit=11)
    high, low = (samples >> 8).astype("u1").tobytes(), samples.astype("u1").tobytes()
    for lost, said in ((1, "4095 bytes"), (2, "4094 bytes")):
        first = literals(high[:-lost]) + bytes(lost % 2)
        header = pack("<16L", 2, 64, 64 + len(first), *[0] * 13)
        short = header + first + literals(low)
        with pytest.raises(PixelError, match=said):
            decode_samples(short, RLE, format_, strict=True)
        if lost == 1:
            decoded = decode_samples(short, RLE, format_)
            assert np.array_equal(decoded.reshape(-1)[:-1], samples.reshape(-1)[:-1])
            assert decoded[-1, -1] == samples[-1, -1] & 0xFF
        else:
            with pytest.raises(PixelError, match=said):
                decode_samples(short, RLE, format_)
    padded = literals(high) + bytes(2)
    whole = pack("<16L", 2, 64, 64 + len(padded), *[0] * 13) + padded + literals(low) + bytes(2)
    assert np.array_equal(decode_samples(whole, RLE, format_, strict=True), samples)
