"""Damaged codestreams: their headers are read, or refused, before a decoder is trusted with them."""

from __future__ import annotations

from functools import cache

import imagecodecs
import numpy as np
from hypothesis import strategies as st

from fuzz.fuzzing import damaged, fuzz
from hounsfield.pixels.codestream import read_j2k, read_jpeg, read_size
from hounsfield.pixels.errors import PixelError

SAMPLES = (np.arange(40 * 50, dtype="u2") * 37 % 4096).reshape(40, 50)


@cache
def codestreams() -> list[bytes]:
    return [
        imagecodecs.htj2k_encode(SAMPLES, reversible=True, tlm=True, tilepart=1),
        imagecodecs.jpeg2k_encode(SAMPLES, 0, codecformat="j2k", reversible=True),
        imagecodecs.jpegls_encode(SAMPLES),
        imagecodecs.jpeg8_encode(SAMPLES, lossless=True, bitspersample=16),
        imagecodecs.jpeg8_encode((SAMPLES >> 4).astype("u1"), 90),
    ]


streams = st.deferred(lambda: st.sampled_from(codestreams()))


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
