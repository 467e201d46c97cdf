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
from hounsfield.pixels.codecs.htj2k import decode_htj2k, decode_low_band
from hounsfield.pixels.codecs.wavelet import reduce_resolutions
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
        return _is(_reduced(whole, header, halvings), checksum)
    if _is(decode_htj2k(codestream, halvings), checksum):
        return True
    # Checksums are of samples within their range; at sharp edges the codec alone lets them wrap around.
    limited = decode_low_band(codestream, header, halvings)
    return _is(limited.astype(whole.dtype, copy=False), checksum)


def _reduced(whole: NDArray[Any], header: J2kHeader, halvings: int) -> NDArray[Any]:
    reductions = reduce_resolutions(
        whole, halvings, colour_transform=header.colour_transform, precision=header.samples.precision
    )
    return np.ascontiguousarray(reductions[-1].limited)


def _is(samples: NDArray[Any], checksum: LevelChecksum) -> bool:
    return samples.shape[:2] == (checksum.height, checksum.width) and crc32(samples) == checksum.crc32
