"""Check of stored frames: each resolution that has a checksum decodes to the samples that the checksum was taken of.

    stored frame ─┬─ kept as it came ─▶ CRC-32 of its bytes
                  └─ transcoded ─▶ decoded at each resolution ─▶ CRC-32 of its samples

What is compared with was taken from the original samples, before the frame was encoded (`hounsfield.pixels.codecs.checksum`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from hounsfield.pixels.codecs.checksum import LevelChecksum, crc32
from hounsfield.pixels.codecs.codestream import J2kHeader, read_j2k
from hounsfield.pixels.codecs.htj2k import decode_htj2k
from hounsfield.pixels.codecs.wavelet import Reduction, reduce_resolutions
from hounsfield.pixels.errors import PixelError


def find_wrong_resolutions(stored: bytes, checksums: Sequence[LevelChecksum]) -> list[LevelChecksum]:
    """Return the checksums that do not hold for a frame in the lossless format of a data store.

    Parameters
    ----------
    stored : bytes
        An HTJ2K or JPEG 2000 codestream.
    checksums : Sequence of LevelChecksum
        One of each resolution, the smallest first.

    Raises
    ------
    PixelError
        The frame does not decode.
    """
    header = read_j2k(stored)
    codestream = stored[header.offset :] if header.offset else stored
    whole = _decode_whole(codestream, header)
    wrong = []
    for halvings, checksum in enumerate(reversed(checksums)):
        if not _holds(codestream, header, whole, halvings, checksum):
            wrong.append(checksum)
    return wrong


def holds_unchanged(stored: bytes, checksum: LevelChecksum) -> bool:
    """Return whether the checksum of a frame that was kept as it came is that of its bytes."""
    return crc32(stored) == checksum.crc32


def _decode_whole(codestream: bytes, header: J2kHeader) -> NDArray[Any]:
    if header.high_throughput:
        return decode_htj2k(codestream)
    try:
        decoded: NDArray[Any] = imagecodecs.jpeg2k_decode(codestream, planar=False)
    except RuntimeError as problem:
        raise PixelError(f"the JPEG 2000 codestream is damaged: {problem}") from problem
    return decoded


def _holds(codestream: bytes, header: J2kHeader, whole: NDArray[Any], halvings: int, checksum: LevelChecksum) -> bool:
    if not halvings:
        return _is(whole, checksum)
    # From OpenJPH 0.32 on the codec leaves no level out by which the shorter side would have less than a pixel.
    if not header.high_throughput or not min(whole.shape[:2]) >> halvings:
        reduced = _reduce(whole, header, halvings, header.samples.precision)
        # JPEG 2000 states no more bits of deep samples than their values need.
        return _is(reduced.limited, checksum) or _is(_reduce(whole, header, halvings, None).limited, checksum)
    decoded = decode_htj2k(codestream, halvings)
    if _is(decoded, checksum):
        return True
    # Checksums are of samples within their range; at sharp edges the codec lets them wrap around.
    reduced = _reduce(whole, header, halvings, header.samples.precision)
    return _is(reduced.limited, checksum) and np.array_equal(decoded, reduced.wrapped)


def _reduce(whole: NDArray[Any], header: J2kHeader, halvings: int, precision: int | None) -> Reduction:
    return reduce_resolutions(whole, halvings, colour_transform=header.colour_transform, precision=precision)[-1]


def _is(samples: NDArray[Any], checksum: LevelChecksum) -> bool:
    return samples.shape[:2] == (checksum.height, checksum.width) and crc32(samples) == checksum.crc32
