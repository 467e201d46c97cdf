"""Transcoder of one frame to the form in which it is stored, verified.

    encoded ─▶ decode ─┬─▶ each resolution ─▶ checksums
                       └─▶ encode ─▶ decode again at each resolution ─▶ equal bit for bit? ─▶ stored frame

A frame that does not pass is refused, never stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from hounsfield.pixels.codecs.checksum import LevelChecksum, checksums, crc32, resolutions
from hounsfield.pixels.codecs.decode import decode_samples, describe_decoded, stored_values
from hounsfield.pixels.codecs.encode import encode_frame, stated_precision, uses_colour_transform
from hounsfield.pixels.codecs.wavelet import Reduction, describe_unreduced
from hounsfield.pixels.errors import PixelError
from hounsfield.pixels.format import PixelFormat
from hounsfield.pixels.transfer_syntaxes import LosslessFormat

_DEEPEST_REDUCED = 1 << 31


@dataclass(frozen=True, slots=True)
class StoredFrame:
    """A frame as it is stored.

    Attributes
    ----------
    data : bytes
        The bytes that GetImageFrame gives back.
    checksums : tuple[LevelChecksum, ...]
        One of each resolution, the smallest first; one over `data` for frames kept as they came.
    min_value, max_value : int | None
        Smallest and largest stored value over all samples; None for frames kept as they came.
    """

    data: bytes
    checksums: tuple[LevelChecksum, ...]
    min_value: int | None
    max_value: int | None


def transcode_frame(
    encoded: bytes,
    transfer_syntax: str,
    format: PixelFormat,  # noqa: A002
    lossless: LosslessFormat,
) -> StoredFrame:
    """Bring a frame into a lossless format and prove that nothing of it got lost.

    Bits that are not of the stored ones are kept as they are; they do not count for the smallest and largest value. Only where
    all of those above are 0 although samples are negative, they become what they must be for every reader to see the
    negative value.

    Parameters
    ----------
    encoded : bytes
        One frame, as `FrameSource` gives it.
    transfer_syntax : str
        UID of its transfer syntax.
    format : PixelFormat
        The description of the pixel data.
    lossless : LosslessFormat
        What to bring it into.

    Raises
    ------
    PixelError
        The frame cannot be decoded or encoded, or what would be stored does not decode to what went in.
    """
    format = describe_decoded(format, transfer_syntax)
    decoded = decode_samples(encoded, transfer_syntax, format, strict=True)
    samples, value_range = _with_sign(np.ascontiguousarray(decoded), format)
    colour_transform, precision = uses_colour_transform(format, lossless), stated_precision(format, value_range)
    # Everything that reads the samples and is not the codec comes first, while they are near the processor.
    levels = _checked_resolutions(samples, value_range, precision, colour_transform=colour_transform)
    level_checksums = checksums(levels)
    data = encode_frame(samples, lossless, colour_transform=colour_transform, precision=precision)
    if lossless is LosslessFormat.HTJ2K:
        _verify_htj2k(data, levels)
    else:
        _verify_jpeg_2000(data, samples)
    low, high = _stored_range(samples, value_range, format)
    return StoredFrame(data, level_checksums, low, high)


def store_unchanged(encoded: bytes, format: PixelFormat) -> StoredFrame:  # noqa: A002
    """Keep a frame as it came, with the checksum of its bytes."""
    return StoredFrame(encoded, (LevelChecksum(format.columns, format.rows, crc32(encoded)),), None, None)


def _checked_resolutions(
    samples: NDArray[Any], value_range: tuple[int, int], precision: int, *, colour_transform: bool
) -> list[Reduction]:
    """Resolutions that get a checksum: decoders lose the highest bit of unsigned 32-bit samples at the smaller ones."""
    if samples.dtype == np.uint32 and value_range[1] >= _DEEPEST_REDUCED:
        return [describe_unreduced(samples, value_range)]
    return resolutions(samples, colour_transform=colour_transform, value_range=value_range, precision=precision)


def _with_sign(samples: NDArray[Any], format_: PixelFormat) -> tuple[NDArray[Any], tuple[int, int]]:
    """Extend the sign of samples that have it in the highest stored bit alone (PS3.5 section 8.1.1).

    Decoders give the whole sample and know nothing of BitsStored: left alone, -1 in 12 bits would be shown as 4095.
    Gives the samples and the smallest and largest of them.
    """
    low, high = _value_range(samples)
    if not format_.signed or format_.bits_stored >= format_.bits_allocated or format_.bits_below:
        return samples, (low, high)
    half = 1 << (format_.bits_stored - 1)
    # Beyond these bounds the bits above the stored ones hold something else, such as an overlay.
    if low < -half or not half <= high < 2 * half:
        return samples, (low, high)
    extended = np.ascontiguousarray(stored_values(samples, format_))
    return extended, _value_range(extended)


def _stored_range(samples: NDArray[Any], value_range: tuple[int, int], format_: PixelFormat) -> tuple[int, int]:
    """Smallest and largest value of the stored bits alone."""
    low, high = value_range
    span = 1 << format_.bits_stored
    floor, ceiling = (-span // 2, span // 2) if format_.signed else (0, span)
    if floor <= low and high < ceiling and not format_.bits_below:
        return low, high
    return _value_range(stored_values(samples, format_))


def _value_range(samples: NDArray[Any]) -> tuple[int, int]:
    return int(samples.min()), int(samples.max())


def _verify_htj2k(data: bytes, levels: list[Reduction]) -> None:
    """Decode at each resolution and compare; this decoder wraps samples around that go beyond the range of their type.

    From OpenJPH 0.32 on the codec does not decode resolutions by which the shorter side would have less than a pixel. They
    are those of the same subbands, which the whole image proves: no other subbands give it.

    The output is made to differ everywhere before, so that nothing the decoder leaves out passes for decoded: it holds a
    value that is not in the image, or where none is known the opposite of each sample.
    """
    for skipped, level in enumerate(reversed(levels)):
        expected = level.wrapped
        if not min(levels[-1].wrapped.shape[:2]) >> skipped:
            break
        if level.absent is None:
            decoded = np.invert(expected, order="C")
        else:
            decoded = np.empty(expected.shape, expected.dtype)
            decoded.fill(level.absent)
        try:
            imagecodecs.htj2k_decode(data, planar=False, skipres=skipped or None, out=decoded)
        except (RuntimeError, ValueError, TypeError) as problem:
            raise PixelError(f"verification failed: the encoded frame does not decode, {problem}") from problem
        _compare(decoded, expected)


def _verify_jpeg_2000(data: bytes, samples: NDArray[Any]) -> None:
    """Decode and compare at full resolution; this codec decodes no other."""
    try:
        decoded = imagecodecs.jpeg2k_decode(data, planar=False)
    except (RuntimeError, ValueError, TypeError) as problem:
        raise PixelError(f"verification failed: the encoded frame does not decode, {problem}") from problem
    if decoded.dtype != samples.dtype:
        raise PixelError(
            f"verification failed: the encoded frame decodes to samples of type {decoded.dtype}, not {samples.dtype}"
        )
    _compare(decoded, samples)


def _compare(decoded: NDArray[Any], expected: NDArray[Any]) -> None:
    if decoded.shape != expected.shape or not np.array_equal(_words(decoded), _words(expected)):
        raise PixelError(
            f"verification failed: encoded frame decodes to other samples at {expected.shape[1]} × {expected.shape[0]} pixels"
        )


def _words(samples: NDArray[Any]) -> NDArray[Any]:
    """Samples in a row, as wide integers when they fill these: fewer are compared faster."""
    flat = np.ascontiguousarray(samples).reshape(-1)
    return flat.view(np.uint64) if flat.nbytes % 8 == 0 else flat
