"""The small resolutions of a codestream are the low bands of the whole."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from hounsfield.pixels.codecs.decode import decode_frame, decode_reduced
from hounsfield.pixels.codecs.encode import encode_frame, uses_colour_transform
from hounsfield.pixels.codecs.wavelet import reduce_resolutions
from hounsfield.pixels.errors import PixelError
from hounsfield.pixels.format import PixelFormat
from hounsfield.pixels.transfer_syntaxes import HTJ2K_LOSSLESS_RPCL, JPEG_2000_LOSSLESS, LosslessFormat
from support.files.synthetic import noise


def format_of(pixels: NDArray[np.generic]) -> PixelFormat:
    bits, colour = pixels.dtype.itemsize * 8, pixels.ndim == 3
    return PixelFormat(
        rows=pixels.shape[0],
        columns=pixels.shape[1],
        samples_per_pixel=3 if colour else 1,
        photometric_interpretation="RGB" if colour else "MONOCHROME2",
        planar_configuration=0,
        bits_allocated=bits,
        bits_stored=bits,
        high_bit=bits - 1,
        pixel_representation=int(pixels.dtype.kind == "i"),
        number_of_frames=1,
    )


@pytest.mark.parametrize(
    "pixels",
    [
        noise(512, 300),
        noise(333, 517, dtype="<u2"),
        np.random.default_rng(2).integers(0, 256, (200, 260, 3)).astype("u1"),
        noise(150, 150).astype("<i4") * 70001,
    ],
    ids=["signed", "odd sizes", "colour", "32 bits"],
)
def test_a_reduced_decode_is_the_low_band_of_the_whole(pixels: NDArray[np.generic]) -> None:
    format_ = format_of(pixels)
    transform = uses_colour_transform(format_, LosslessFormat.HTJ2K)
    encoded = encode_frame(pixels, LosslessFormat.HTJ2K, colour_transform=transform)
    expected = reduce_resolutions(pixels, 2, colour_transform=transform)
    for halvings in (1, 2):
        found = decode_reduced(encoded, HTJ2K_LOSSLESS_RPCL, format_, halvings)
        assert np.array_equal(found, expected[halvings - 1].limited)
    assert np.array_equal(decode_reduced(encoded, HTJ2K_LOSSLESS_RPCL, format_, 0), pixels)
    deepest = decode_reduced(encoded, HTJ2K_LOSSLESS_RPCL, format_, 30)
    assert max(deepest.shape[:2]) <= 128, "no more than the levels that there are"


def test_what_has_no_small_resolutions_is_decoded_whole() -> None:
    pixels = noise(256, 256)
    encoded = encode_frame(pixels, LosslessFormat.JPEG_2000_LOSSLESS, colour_transform=False)
    assert np.array_equal(decode_reduced(encoded, JPEG_2000_LOSSLESS, format_of(pixels), 2), pixels)
    native = decode_reduced(pixels.tobytes(), "1.2.840.10008.1.2.1", format_of(pixels), 2)
    assert np.array_equal(native, decode_frame(pixels.tobytes(), "1.2.840.10008.1.2.1", format_of(pixels)))


def test_a_damaged_frame_is_refused_at_every_resolution() -> None:
    pixels = noise(256, 256)
    encoded = encode_frame(pixels, LosslessFormat.HTJ2K, colour_transform=False)
    for halvings in (1, 2):
        with pytest.raises(PixelError):
            decode_reduced(encoded[:200], HTJ2K_LOSSLESS_RPCL, format_of(pixels), halvings)
