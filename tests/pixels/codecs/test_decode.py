"""Decoding frames of every transfer syntax that frames can be decoded from."""

from __future__ import annotations

import dataclasses
from struct import pack

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import (
    MPEG2MPML,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEG2000MCLossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from hounsfield.pixels.codecs.decode import decode_frame, decode_reduced, decode_samples
from hounsfield.pixels.errors import PixelError
from support.examples import examples
from support.files.pixel_data import image, make_format, source

DTYPES = ["u1", "i1", "u2", "i2", "u4", "i4"]
SHAPES = [(37, 53), (37, 53, 3)]


def run_length(samples: np.ndarray) -> bytes:
    """Encode as RLE Lossless: the bytes of each sample from the highest, plane by plane."""
    planes = np.moveaxis(samples.reshape(samples.shape[0], samples.shape[1], -1), -1, 0)
    octets = planes.astype(samples.dtype.newbyteorder(">")).reshape(-1, 1).view("u1")
    width = samples.dtype.itemsize
    segments = []
    for plane in octets.reshape(len(planes), -1, width):
        for place in range(width):
            segment = imagecodecs.packbits_encode(plane[:, place].tobytes())
            segments.append(segment + b"\0" * (len(segment) % 2))
    starts = np.cumsum([64, *map(len, segments[:-1])])
    return pack("<16L", len(segments), *starts, *[0] * (15 - len(segments))) + b"".join(segments)


def unsigned(samples: np.ndarray, bits: int) -> np.ndarray:
    """The lowest bits of samples, as codecs without signed samples take them."""
    width = samples.dtype.itemsize
    return samples.view(f"u{width}") & np.array((1 << bits) - 1, f"u{width}")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_native_and_run_length_frames(dtype: str, shape: tuple[int, ...]) -> None:
    samples = image(dtype, shape)
    format_ = make_format(samples)
    forms = [(ImplicitVRLittleEndian, samples.tobytes(), format_), (RLELossless, run_length(samples), format_)]
    if samples.ndim == 3:
        planes = np.ascontiguousarray(np.moveaxis(samples, -1, 0))
        forms.append((ExplicitVRLittleEndian, planes.tobytes(), dataclasses.replace(format_, planar_configuration=1)))
    for syntax, encoded, described in forms:
        decoded = decode_frame(encoded, syntax, described)
        assert decoded.dtype == samples.dtype
        np.testing.assert_array_equal(decoded, samples)


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("unused", [0, 1, 4])
def test_lossless_codecs_of_unsigned_samples_give_signed_ones_back(
    dtype: str, shape: tuple[int, ...], unused: int
) -> None:
    bits = np.dtype(dtype).itemsize * 8 - unused
    samples = image(dtype, shape, bits=bits)
    format_ = make_format(samples, bits_stored=bits, high_bit=bits - 1)
    plain = unsigned(samples, bits)
    jpeg = imagecodecs.jpeg8_encode(plain, lossless=True, predictor=1, bitspersample=bits)
    other_predictor = imagecodecs.jpeg8_encode(plain, lossless=True, predictor=6, bitspersample=bits)
    forms = [(JPEGLosslessSV1, jpeg), (JPEGLossless, other_predictor)]
    if unused == 0:
        forms.append((JPEGLSLossless, imagecodecs.jpegls_encode(plain)))
        forms.append(
            (
                HTJ2KLossless,
                imagecodecs.htj2k_encode(samples, reversible=True, planar=False if plain.ndim == 3 else None),
            )
        )
    forms.append((JPEG2000Lossless, jpeg_2000(samples, bits)))
    forms.append((JPEG2000MCLossless, jpeg_2000(plain, bits)))
    for syntax, encoded in forms:
        decoded = decode_frame(encoded, syntax, format_)
        assert decoded.dtype == samples.dtype
        np.testing.assert_array_equal(decoded, samples, err_msg=syntax)


def jpeg_2000(samples: np.ndarray, bits: int, codecformat: str = "j2k") -> bytes:
    """Encode losslessly with a precision of so many bits."""
    planar = False if samples.ndim == 3 else None
    return imagecodecs.jpeg2k_encode(
        samples, 0, codecformat=codecformat, bitspersample=bits, reversible=True, planar=planar
    )


@pytest.mark.parametrize("dtype", ["u1", "u2"])
@pytest.mark.parametrize("shape", SHAPES)
def test_lossy_codecs_come_close(dtype: str, shape: tuple[int, ...]) -> None:
    near = image(dtype, shape)
    decoded = decode_frame(imagecodecs.jpegls_encode(near, 3), JPEGLSNearLossless, make_format(near))
    assert np.abs(decoded.astype(int) - near.astype(int)).max() <= 3
    bits = {"u1": 8, "u2": 12}[dtype]
    picture = image(dtype, shape, bits=bits)
    kwargs = {"colorspace": "YCBCR", "outcolorspace": "YCBCR", "subsampling": "444"} if picture.ndim == 3 else {}
    encoded = imagecodecs.jpeg8_encode(picture, 98, bitspersample=bits, **kwargs)
    format_ = make_format(picture, bits_stored=bits, high_bit=bits - 1, photometric_interpretation="YBR_FULL")
    decoded = decode_frame(encoded, JPEGBaseline8Bit if bits == 8 else JPEGExtended12Bit, format_)
    assert np.abs(decoded.astype(int) - picture.astype(int)).mean() < (1 << bits) / 100


def test_colour_of_jpeg_is_not_converted() -> None:
    red = np.zeros((16, 16, 3), "u1")
    red[..., 0] = 200
    encoded = imagecodecs.jpeg8_encode(red, 100, colorspace="RGB", outcolorspace="YCBCR")
    decoded = decode_frame(encoded, JPEGBaseline8Bit, make_format(red, photometric_interpretation="YBR_FULL_422"))
    np.testing.assert_allclose(decoded[5, 5].astype(int), [60, 94, 228], atol=2)


def test_subsampled_native_colour_is_given_to_both_pixels() -> None:
    format_ = make_format(np.zeros((1, 4, 3), "u1"), photometric_interpretation="YBR_FULL_422")
    decoded = decode_frame(bytes([1, 2, 50, 60, 3, 4, 70, 80]), ExplicitVRLittleEndian, format_)
    assert decoded.tolist() == [[[1, 50, 60], [2, 50, 60], [3, 70, 80], [4, 70, 80]]]


@given(values=st.lists(st.integers(0, 4095), min_size=1, max_size=40), signed=st.booleans())
@settings(max_examples=examples(50), deadline=None)
def test_twelve_bit_packed_samples(values: list[int], signed: bool) -> None:
    number = sum(value << 12 * place for place, value in enumerate(values))
    encoded = number.to_bytes((len(values) * 12 + 7) // 8, "little")
    format_ = make_format(
        np.zeros((1, len(values)), "i2" if signed else "u2"), bits_allocated=12, bits_stored=12, high_bit=11
    )
    expected = [value - 4096 if signed and value > 2047 else value for value in values]
    assert decode_frame(encoded, ExplicitVRLittleEndian, format_).tolist() == [expected]


def test_bits_above_bits_stored_are_kept_apart() -> None:
    samples = np.array([[0x1FFF, 0x0801, 0xF7FF]], "u2")
    unsigned_format = make_format(samples, bits_stored=12, high_bit=11)
    signed_format = dataclasses.replace(unsigned_format, pixel_representation=1)
    encoded = samples.tobytes()
    assert decode_frame(encoded, ExplicitVRLittleEndian, unsigned_format).tolist() == [[0xFFF, 0x801, 0x7FF]]
    assert decode_frame(encoded, ExplicitVRLittleEndian, signed_format).tolist() == [[-1, -2047, 2047]]
    assert decode_samples(encoded, ExplicitVRLittleEndian, signed_format).tobytes() == encoded


def test_one_bit_frames() -> None:
    bits = np.random.default_rng(1).integers(0, 2, (7, 11), "u1")
    format_ = make_format(bits, bits_allocated=1, bits_stored=1, high_bit=0)
    packed = np.packbits(bits.reshape(-1), bitorder="little").tobytes()
    literal = pack("<16L", 1, 64, *[0] * 14) + bytes([len(packed) - 1]) + packed
    for syntax, encoded in ((ExplicitVRLittleEndian, packed), (RLELossless, literal)):
        np.testing.assert_array_equal(decode_frame(encoded, syntax, format_), bits)


def test_codestreams_in_boxes_are_found() -> None:
    samples = image("u2", (30, 40))
    np.testing.assert_array_equal(
        decode_frame(jpeg_2000(samples, 16, "jp2"), JPEG2000Lossless, make_format(samples)), samples
    )


def test_big_endian_frames_arrive_little_endian() -> None:
    samples = image("i2", (5, 7))
    frame = source(samples.astype(">i2").tobytes(), make_format(samples), ExplicitVRBigEndian)[0]
    np.testing.assert_array_equal(decode_frame(frame, ExplicitVRBigEndian, make_format(samples)), samples)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rows": 38}, "37 rows"),
        ({"columns": 54}, "53 columns"),
        ({"samples_per_pixel": 3}, "1 components"),
        ({"bits_allocated": 8, "bits_stored": 8}, "16 bits"),
    ],
)
def test_headers_that_contradict_the_description_are_refused(changes: dict[str, int], message: str) -> None:
    samples = image("u2", (37, 53))
    format_ = dataclasses.replace(make_format(samples), **changes)
    encoders = {
        JPEG2000Lossless: jpeg_2000(samples, 16),
        JPEGLSLossless: imagecodecs.jpegls_encode(samples),
        JPEGLosslessSV1: imagecodecs.jpeg8_encode(samples, lossless=True, bitspersample=16),
        HTJ2KLossless: imagecodecs.htj2k_encode(samples, reversible=True),
    }
    for syntax, encoded in encoders.items():
        with pytest.raises(PixelError, match=message):
            decode_frame(encoded, syntax, format_)


def test_short_frames_and_other_syntaxes_are_refused() -> None:
    samples = image("u2", (4, 4))
    with pytest.raises(PixelError, match="has 31 bytes, 32 are needed"):
        decode_frame(samples.tobytes()[:-1], ExplicitVRLittleEndian, make_format(samples))
    with pytest.raises(PixelError, match="cannot be decoded"):
        decode_frame(b"", MPEG2MPML, make_format(samples))
    format_ = make_format(np.zeros((1, 3, 3), "u1"), photometric_interpretation="YBR_FULL_422")
    with pytest.raises(PixelError, match="even number of pixels"):
        decode_frame(bytes(6), ExplicitVRLittleEndian, format_)


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2"])
@pytest.mark.parametrize("level", [0.0001, 0.01])
def test_the_brightest_of_irreversible_htj2k_stay_bright(dtype: str, level: float) -> None:
    """What rounds to more than the largest sample is the largest, and below the smallest the smallest."""
    info = np.iinfo(dtype)
    rows, columns = np.indices((200, 220))
    disc = (rows - 90) ** 2 + (columns - 100) ** 2 < 70**2
    picture = np.where(disc, info.max, info.min).astype(dtype)
    encoded = imagecodecs.htj2k_encode(picture, level=level, reversible=False)
    for halvings in (0, 1, 2):
        decoded = decode_reduced(encoded, "1.2.840.10008.1.2.4.203", make_format(picture), halvings)
        assert decoded.dtype == picture.dtype
        assert decoded.shape == picture.shape
        assert np.abs(decoded.astype(int) - picture).max() <= (int(info.max) - info.min) / 64
    colour = np.stack([picture] * 3, axis=-1)
    encoded = imagecodecs.htj2k_encode(colour, level=level, reversible=False, rgb=True, planar=False)
    decoded = decode_frame(encoded, "1.2.840.10008.1.2.4.203", make_format(colour))
    assert np.abs(decoded.astype(int) - colour).max() <= (int(info.max) - info.min) / 32
