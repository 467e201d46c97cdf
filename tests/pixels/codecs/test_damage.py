"""Damaged and hostile frames: our error or samples, and never much memory."""

from __future__ import annotations

import dataclasses
import io
import tracemalloc
from functools import cache
from struct import pack

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom.uid import (
    ExplicitVRLittleEndian,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from hounsfield.pixels.codecs.codestream import read_j2k
from hounsfield.pixels.codecs.decode import decode_frame
from hounsfield.pixels.errors import PixelError
from support.examples import examples
from support.files.pixel_data import image, make_format

SAMPLES = image("u2", (40, 50), bits=12)
FORMAT = make_format(SAMPLES)
SYNTAXES = [HTJ2KLosslessRPCL, JPEG2000Lossless, JPEGLSLossless, JPEGLosslessSV1, JPEGExtended12Bit, RLELossless]


@cache
def encoded(syntax: str) -> bytes:
    if syntax == RLELossless:
        high, low = (SAMPLES >> 8).astype("u1").tobytes(), (SAMPLES & 255).astype("u1").tobytes()
        planes = [imagecodecs.packbits_encode(plane) for plane in (high, low)]
        return pack("<16L", 2, 64, 64 + len(planes[0]), *[0] * 13) + b"".join(planes)
    return {
        HTJ2KLosslessRPCL: lambda: imagecodecs.htj2k_encode(SAMPLES, reversible=True, tlm=True, tilepart=1),
        JPEG2000Lossless: lambda: imagecodecs.jpeg2k_encode(SAMPLES, 0, codecformat="j2k", reversible=True),
        JPEGLSLossless: lambda: imagecodecs.jpegls_encode(SAMPLES),
        JPEGLosslessSV1: lambda: imagecodecs.jpeg8_encode(SAMPLES, lossless=True, bitspersample=16),
        JPEGExtended12Bit: lambda: imagecodecs.jpeg8_encode(SAMPLES, 90, bitspersample=12),
    }[syntax]()


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_whole_frames_decode(syntax: str) -> None:
    assert decode_frame(encoded(syntax), syntax, FORMAT).shape == SAMPLES.shape


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_frames_that_are_cut_off_are_refused(syntax: str) -> None:
    data = encoded(syntax)
    for size in (0, 1, 3, 20, 60, len(data) // 2, len(data) - 40, len(data) - 3):
        with pytest.raises(PixelError):
            decode_frame(data[:size], syntax, FORMAT)


@pytest.mark.parametrize("syntax", SYNTAXES)
@given(data=st.data())
@settings(max_examples=examples(60), deadline=None)
def test_damaged_frames_give_samples_or_our_error(syntax: str, data: st.DataObject) -> None:
    damaged = bytearray(encoded(syntax))
    reach = data.draw(st.sampled_from([64, 200, len(damaged)]))
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, min(reach, len(damaged)) - 1))] = data.draw(st.integers(0, 255))
    try:
        decoded = decode_frame(bytes(damaged), syntax, FORMAT)
    except PixelError:
        return
    assert (decoded.shape, decoded.dtype) == (SAMPLES.shape, SAMPLES.dtype)


@pytest.mark.parametrize("syntax", SYNTAXES)
@given(noise=st.binary(max_size=200))
@settings(max_examples=examples(30), deadline=None)
def test_noise_is_refused(syntax: str, noise: bytes) -> None:
    with pytest.raises(PixelError):
        decode_frame(noise, syntax, FORMAT)


def with_size(data: bytes, place: int, layout: str, *numbers: int) -> bytes:
    block = pack(layout, *numbers)
    return data[:place] + block + data[place + len(block) :]


def bombs() -> list[tuple[str, bytes]]:
    """Small codestreams that call themselves 65,500 × 65,500 pixels."""
    side = 65_500
    found = []
    for syntax in (HTJ2KLosslessRPCL, JPEG2000Lossless):
        found.append((syntax, with_size(encoded(syntax), 8, ">8L", side, side, 0, 0, side, side, 0, 0)))
    for syntax, marker in (
        (JPEGLSLossless, b"\xff\xf7"),
        (JPEGLosslessSV1, b"\xff\xc3"),
        (JPEGExtended12Bit, b"\xff\xc1"),
    ):
        place = encoded(syntax).index(marker) + 5
        found.append((syntax, with_size(encoded(syntax), place, ">HH", side, side)))
    return [*found, (RLELossless, encoded(RLELossless)), (ExplicitVRLittleEndian, b"\0" * 1000)]


@pytest.mark.parametrize("agreeing", [False, True])
def test_bombs_are_refused_before_memory_is_taken(agreeing: bool) -> None:
    format_ = dataclasses.replace(FORMAT, rows=65_500, columns=65_500) if agreeing else FORMAT
    for syntax, bomb in bombs():
        if not agreeing and syntax in (RLELossless, ExplicitVRLittleEndian):
            continue
        tracemalloc.start()
        try:
            with pytest.raises(PixelError):
                decode_frame(bomb, syntax, format_)
            assert tracemalloc.get_traced_memory()[1] < 1 << 20
        finally:
            tracemalloc.stop()


def test_tiles_that_do_not_cover_the_image_are_refused() -> None:
    data = encoded(HTJ2KLosslessRPCL)
    for grid in (
        (50, 40, 0, 0, 50, 40, 0, 7),
        (50, 40, 0, 0, 0, 40, 0, 0),
        (50, 40, 0, 0, 50, 0, 0, 0),
        (50, 40, 50, 0, 50, 40, 0, 0),
    ):
        with pytest.raises(PixelError, match="do not cover"):
            read_j2k(with_size(data, 8, ">8L", *grid))
    with pytest.raises(PixelError, match="tiles"):
        read_j2k(with_size(data, 8, ">8L", 65_000, 65_000, 0, 0, 1, 1, 0, 0))


def test_components_of_different_depth_are_refused() -> None:
    colour = imagecodecs.htj2k_encode(image("u1", (20, 20, 3)), reversible=True, planar=False)
    with pytest.raises(PixelError, match="differ in depth"):
        read_j2k(with_size(colour, 42, "B", 11))


def test_errors_that_the_codec_only_reports_are_raised() -> None:
    large = image("i2", (300, 200))
    data = imagecodecs.htj2k_encode(large, reversible=True, tlm=True, tilepart=1)
    damaged = bytearray(data)
    damaged[173] = 86
    with pytest.raises(PixelError, match="HTJ2K codestream is damaged"):
        decode_frame(bytes(damaged), HTJ2KLosslessRPCL, make_format(large))
    np.testing.assert_array_equal(decode_frame(data, HTJ2KLosslessRPCL, make_format(large)), large)


def test_run_length_headers_are_checked() -> None:
    data = encoded(RLELossless)
    for header in (pack("<L", 3), pack("<LL", 2, 10), pack("<LLL", 2, 64, 64), pack("<LLL", 2, 64, 1 << 30)):
        with pytest.raises(PixelError, match="RLE"):
            decode_frame(header + data[len(header) :], RLELossless, FORMAT)


def test_messages_of_damage_say_what_is_wrong() -> None:
    with pytest.raises(PixelError, match="EOI marker"):
        decode_frame(encoded(JPEGExtended12Bit)[:-20], JPEGExtended12Bit, FORMAT)
    with pytest.raises(PixelError, match="cut off"):
        decode_frame(encoded(JPEG2000Lossless)[:-20], JPEG2000Lossless, FORMAT)
    assert np.array_equal(decode_frame(encoded(JPEG2000Lossless) + b"\0", JPEG2000Lossless, FORMAT), SAMPLES)


@pytest.mark.parametrize("syntax", [JPEGLosslessSV1, JPEGExtended12Bit])
@pytest.mark.parametrize("kept", [0.3, 0.5, 0.9])
def test_a_scan_that_ends_early_with_a_proper_end_marker_is_refused(syntax: str, kept: float) -> None:
    data = encoded(syntax)
    with pytest.raises(PixelError, match="scan ends before"):
        decode_frame(data[: int(len(data) * kept)].rstrip(b"\xff") + b"\xff\xd9", syntax, FORMAT)


@pytest.mark.parametrize("syntax", [JPEGLosslessSV1, JPEGExtended12Bit])
def test_a_codestream_without_end_marker_decodes_only_when_its_scan_is_whole(syntax: str) -> None:
    data = encoded(syntax)
    for padding in (b"", b"\0", b"\0\0\0", b"\xff"):
        assert np.array_equal(decode_frame(data[:-2] + padding, syntax, FORMAT), decode_frame(data, syntax, FORMAT))
        for cut in (*range(5, 40), 100, 300):
            with pytest.raises(PixelError, match="EOI marker"):
                decode_frame(data[:-cut] + padding, syntax, FORMAT)


def test_only_a_single_scan_without_restarts_may_lack_its_end_marker() -> None:
    grey = (SAMPLES >> 4).astype("u1")
    format_ = make_format(grey)
    for options in ({"progressive": True}, {"restart_marker_rows": 1}):
        buffer = io.BytesIO()
        Image.fromarray(grey).save(buffer, "jpeg", **options)
        data = buffer.getvalue()
        assert decode_frame(data, JPEGBaseline8Bit, format_).shape == grey.shape
        with pytest.raises(PixelError, match="EOI marker"):
            decode_frame(data[:-2], JPEGBaseline8Bit, format_)


@pytest.mark.parametrize("syntax", [JPEGLosslessSV1, JPEGExtended12Bit])
def test_fill_bytes_before_the_end_marker_do_no_harm(syntax: str) -> None:
    data = encoded(syntax)
    assert np.array_equal(
        decode_frame(data[:-2] + b"\xff\xff\xff\xd9", syntax, FORMAT), decode_frame(data, syntax, FORMAT)
    )
