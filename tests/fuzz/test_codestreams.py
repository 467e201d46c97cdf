"""Damaged codestreams: their headers are read, or refused, before a decoder is trusted with them."""

from __future__ import annotations

from contextlib import suppress
from functools import cache

import imagecodecs
import numpy as np
from hypothesis import strategies as st

from hounsfield.pixels.codecs.codestream import read_j2k, read_jpeg, read_size
from hounsfield.pixels.codecs.decode import decode_samples
from hounsfield.pixels.codecs.jpeg_colour import is_ybr
from hounsfield.pixels.errors import PixelError
from hounsfield.pixels.format import PixelFormat
from support.fuzzing import damaged, fuzz

SAMPLES = (np.arange(40 * 50, dtype="u2") * 37 % 4096).reshape(40, 50)


@cache
def codestreams() -> list[bytes]:
    return [
        imagecodecs.htj2k_encode(SAMPLES, reversible=True, tlm=True, tilepart=1),
        imagecodecs.jpeg2k_encode(SAMPLES, 0, codecformat="j2k", reversible=True),
        imagecodecs.jpegls_encode(SAMPLES),
        imagecodecs.jpeg8_encode(SAMPLES, lossless=True, bitspersample=16),
        imagecodecs.jpeg8_encode((SAMPLES >> 4).astype("u1"), 90),
        imagecodecs.jpeg8_encode(np.stack([(SAMPLES >> 4).astype("u1")] * 3, axis=-1), 90),
    ]


streams = st.deferred(lambda: st.sampled_from(codestreams()))


@fuzz(st.sampled_from([70, 50]), st.integers(0, 1200), st.binary(max_size=3), examples=300)
def test_jpeg_without_its_end_is_what_it_was_or_refused(process: int, cut: int, behind: bytes) -> None:
    """What a scan lacks is never made up, whatever the last bytes are."""
    stream = codestreams()[3 if process == 70 else 4]
    syntax, bits = f"1.2.840.10008.1.2.4.{process}", 16 if process == 70 else 8
    format_ = PixelFormat(40, 50, 1, "MONOCHROME2", 0, bits, bits, bits - 1, 0, 1)
    try:
        decoded = decode_samples(stream[: -2 - cut] + behind, syntax, format_)
    except PixelError:
        return
    # Bytes behind a whole scan do no harm; those behind one that is cut may be its own.
    if behind.strip(b"\0") == b"":
        assert np.array_equal(decoded, decode_samples(stream, syntax, format_))


@fuzz(st.one_of(damaged(streams, within=300), damaged(streams), st.binary(max_size=200)), examples=300)
def test_headers_are_read_or_refused(data: bytes) -> None:
    for read in (read_j2k, read_jpeg, read_size):
        try:
            header = read(data)
        except PixelError as error:
            assert 5 < len(str(error)) < 300  # noqa: PT017 - both outcomes are right
            continue
        samples = getattr(header, "samples", header)
        assert 0 < samples.width < 1 << 32
        assert 0 < samples.height < 1 << 32
        assert 1 <= samples.precision <= 38


@fuzz(
    st.one_of(damaged(streams, within=700), st.binary(max_size=60).map(lambda tail: b"\xff\xd8" + tail)), examples=300
)
def test_the_colour_of_jpeg_is_told_or_refused(data: bytes) -> None:
    format_ = PixelFormat(40, 50, 3, "RGB", 0, 8, 8, 7, 0, 1)
    with suppress(PixelError):
        assert is_ybr(data) in {True, False, None}
    with suppress(PixelError):
        assert decode_samples(data, "1.2.840.10008.1.2.4.50", format_).shape == (40, 50, 3)
