"""Codestreams in the boxes of a JPH file."""

from __future__ import annotations

from struct import unpack_from

import imagecodecs
import numpy as np
import openjpeg.utils
import pytest

from hounsfield.pixels.codecs.encode import encode_frame
from hounsfield.pixels.codecs.jph import HEADER_BYTES, jph_header, put_boxes
from hounsfield.pixels.errors import PixelError
from hounsfield.pixels.transfer_syntaxes import LosslessFormat
from support.files.pixel_data import image


def boxed(codestream: bytes) -> bytes:
    file = bytearray(HEADER_BYTES) + codestream
    put_boxes(file)
    return bytes(file)


def boxes(data: bytes) -> list[tuple[bytes, bytes]]:
    """Types and contents of boxes; a length of 0 reaches to the end."""
    found, position = [], 0
    while position < len(data):
        length, kind = unpack_from(">L4s", data, position)
        end = position + length if length else len(data)
        found.append((kind, data[position + 8 : end]))
        position = end
    return found


@pytest.mark.parametrize("dtype", ["u1", "u2", "i2"])
@pytest.mark.parametrize("shape", [(40, 50), (40, 50, 3)])
@pytest.mark.parametrize("lossless", LosslessFormat)
def test_boxed_codestreams_decode_elsewhere(dtype: str, shape: tuple[int, ...], lossless: LosslessFormat) -> None:
    samples = image(dtype, shape)
    file = boxed(encode_frame(samples, lossless, colour_transform=len(shape) == 3))
    decode = imagecodecs.htj2k_decode if lossless is LosslessFormat.HTJ2K else imagecodecs.jpeg2k_decode
    np.testing.assert_array_equal(decode(file, planar=False), samples)
    np.testing.assert_array_equal(openjpeg.utils.decode(file, j2k_format=2), samples)


def test_the_boxes_say_what_the_codestream_says() -> None:
    codestream = encode_frame(image("i2", (40, 50)), LosslessFormat.HTJ2K, colour_transform=False)
    kinds = boxes(boxed(codestream))
    assert [kind for kind, _ in kinds] == [b"jP  ", b"ftyp", b"jp2h", b"jp2c"]
    assert kinds[0][1] == b"\r\n\x87\n"
    assert kinds[1][1][:4] == b"jph "
    assert kinds[3][1] == codestream
    (ihdr, header), (colr, colour) = boxes(kinds[2][1])
    assert (ihdr, colr) == (b"ihdr", b"colr")
    assert unpack_from(">LLHBBBB", header) == (40, 50, 1, 0x80 | 15, 7, 1, 0)
    assert colour == b"\x01\x00\x00\x00\x00\x00\x11"
    assert boxed(codestream) == jph_header(codestream[:64]) + codestream


@pytest.mark.parametrize("data", [b"", b"\xff\x4f\xff\x51\x00", b"\xff\xd8\xff\xe0" * 20])
def test_what_is_no_codestream_is_not_boxed(data: bytes) -> None:
    with pytest.raises(PixelError):
        boxed(data)
