"""Stored frames hold the checksums that were taken of them, at each resolution, and no others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hounsfield.pixels.codecs.frame_check import find_wrong_resolutions, holds_unchanged
from hounsfield.pixels.codecs.transcode import StoredFrame, store_unchanged, transcode_frame
from hounsfield.pixels.errors import PixelError
from hounsfield.pixels.format import PixelFormat
from hounsfield.pixels.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, LosslessFormat


def _format(samples: NDArray[Any], bits_stored: int | None = None) -> PixelFormat:
    bits = samples.dtype.itemsize * 8
    stored = bits_stored or bits
    count = samples.shape[2] if samples.ndim == 3 else 1
    return PixelFormat(
        rows=samples.shape[0],
        columns=samples.shape[1],
        samples_per_pixel=count,
        photometric_interpretation="RGB" if count == 3 else "MONOCHROME2",
        planar_configuration=0,
        bits_allocated=bits,
        bits_stored=stored,
        high_bit=stored - 1,
        pixel_representation=int(samples.dtype.kind == "i"),
        number_of_frames=1,
    )


def _stored(samples: NDArray[Any], lossless: LosslessFormat, bits_stored: int | None = None) -> StoredFrame:
    return transcode_frame(samples.tobytes(), EXPLICIT_VR_LITTLE_ENDIAN, _format(samples, bits_stored), lossless)


def _edges(shape: tuple[int, ...], dtype: str, bits: int | None = None) -> NDArray[Any]:
    """Return samples that jump from end to end of their range, so that smaller resolutions go beyond it."""
    info = np.iinfo(dtype)
    low, high = int(info.min), int(info.max)
    if bits is not None:
        low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if dtype.startswith("i") else (0, (1 << bits) - 1)
    drawn = np.random.default_rng(1).integers(low, high, shape, endpoint=True)
    return np.where(drawn > (low + high) // 2, high, low).astype(f"<{dtype}")


@pytest.mark.parametrize("lossless", list(LosslessFormat))
@pytest.mark.parametrize(
    ("shape", "dtype", "bits"),
    [
        ((300, 260), "u1", None),
        ((300, 260), "i2", None),
        ((300, 260), "u2", 12),
        ((300, 260), "i2", 12),
        ((300, 260), "i4", None),
        ((300, 260), "u4", None),
        ((300, 260, 3), "u1", None),
        ((2, 20000), "u2", None),
        ((1, 400), "u2", None),
        ((129, 127), "u2", None),
    ],
)
def test_checksums_hold(lossless: LosslessFormat, shape: tuple[int, ...], dtype: str, bits: int | None) -> None:
    samples = _edges(shape, dtype, bits)
    if lossless is LosslessFormat.JPEG_2000_LOSSLESS and dtype.endswith("4"):
        samples = (samples >> 12).astype(samples.dtype)
    stored = _stored(samples, lossless, bits)
    assert find_wrong_resolutions(stored.data, stored.checksums) == []
    for number, level in enumerate(stored.checksums):
        changed = (*stored.checksums[:number], replace(level, crc32=level.crc32 ^ 1), *stored.checksums[number + 1 :])
        assert find_wrong_resolutions(stored.data, changed) == [changed[number]]


def test_another_frame_does_not_hold() -> None:
    first, second = (_stored(_edges((300, 260 - cut), "u2"), LosslessFormat.HTJ2K) for cut in (0, 1))
    assert find_wrong_resolutions(second.data, first.checksums) == list(reversed(first.checksums))
    with pytest.raises(PixelError):
        find_wrong_resolutions(first.data[:-100], first.checksums)


def test_frames_kept_as_they_came_have_the_checksum_of_their_bytes() -> None:
    samples = _edges((16, 16), "u1")
    kept = store_unchanged(samples.tobytes(), _format(samples))
    assert holds_unchanged(kept.data, kept.checksums[0])
    assert not holds_unchanged(kept.data[::-1] + b"x", kept.checksums[0])
