"""Colour of JPEG codestreams: YCbCr or RGB, as the codestream itself says.

    JFIF segment             YCbCr                                   ITU-T T.871 section 6.1
    Adobe segment            RGB when its transform is 0, else YCbCr ITU-T T.872 section 6.5.3
    component ids 'R' 'G' 'B' RGB                                    what encoders without either write
    chrominance subsampled,
    or ids 1 2 3             YCbCr, of lossy codestreams             what decoders suppose
    nothing of these         it does not say: the data set does

The first that is there decides, as in libjpeg, so that colours are those which other viewers show. Photometric Interpretation
is often wrong: a JPEG file was put into a data set that says RGB.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.pixels.processing import convert_color_space

from hounsfield.pixels.codecs.codestream import jpeg_segments
from hounsfield.pixels.format import PixelFormat

_APP0, _APP14 = 0xE0, 0xEE
_FRAMES: Final = frozenset({*range(0xC0, 0xD0)}) - {0xC4, 0xC8, 0xCC}
_LOSSLESS: Final = frozenset({0xC3, 0xC7, 0xCB, 0xCF})
_ADOBE_TRANSFORM: Final = 11
_FRAME_COMPONENTS: Final = 6
_RGB_IDS: Final = tuple(b"RGB")
_YBR: Final = frozenset({"YBR_FULL", "YBR_FULL_422"})
_FROM_RGB: Final = np.array(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32
).T
_TO_RGB: Final = np.array([[1, 0, 1.402], [1, -0.344136, -0.714136], [1, 1.772, 0]], np.float32).T


def is_ybr(codestream: bytes) -> bool | None:
    """Return whether a JPEG codestream of three components says that it is YCbCr, or RGB; None when it says neither.

    Raises
    ------
    PixelError
        Its header is damaged.
    """
    components: list[tuple[int, int]] = []
    jfif, transform, lossless = False, None, False
    for marker, content in jpeg_segments(codestream):
        if marker == _APP0 and content.startswith(b"JFIF\0"):
            jfif = True
        elif marker == _APP14 and content.startswith(b"Adobe") and len(content) > _ADOBE_TRANSFORM:
            transform = content[_ADOBE_TRANSFORM]
        elif marker in _FRAMES:
            described = content[_FRAME_COMPONENTS:]
            components = list(zip(described[0::3], described[1::3], strict=False))
            lossless = marker in _LOSSLESS
    if len(components) != 3:
        return None
    if jfif or transform is not None:
        return jfif or transform != 0
    ids = tuple(identifier for identifier, _ in components)
    if ids == _RGB_IDS:
        return False
    subsampled = components[1][1] != components[0][1]
    return True if not lossless and (subsampled or ids == (1, 2, 3)) else None


def interpretation_of_jpeg(codestream: bytes, format: PixelFormat) -> str:  # noqa: A002
    """Return the Photometric Interpretation that is true of a JPEG codestream: the data set's unless it says another colour."""
    given = format.photometric_interpretation
    if format.samples_per_pixel != 3 or given not in _YBR | {"RGB"}:
        return given
    ybr = is_ybr(codestream)
    if ybr is None or ybr == (given in _YBR):
        return given
    return "YBR_FULL_422" if ybr else "RGB"


def to_described(samples: NDArray[Any], codestream: bytes, precision: int, format: PixelFormat) -> NDArray[Any]:  # noqa: A002
    """Convert the samples of a decoded JPEG codestream to the colour that the data set says they have.

    Parameters
    ----------
    samples : numpy.ndarray
        As they are in the codestream, shape ``(rows, columns, 3)``, unsigned.
    codestream : bytes
        What they are of.
    precision : int
        Bits of a sample in it.
    format : PixelFormat
        The description of the pixel data.
    """
    given = format.photometric_interpretation
    true = interpretation_of_jpeg(codestream, format)
    if true == given:
        return samples
    if samples.dtype == np.uint8 and precision == 8:
        return np.asarray(
            convert_color_space(samples, *(("YBR_FULL", "RGB") if given == "RGB" else ("RGB", "YBR_FULL")))
        )
    centre = np.array([0, 1 << precision - 1, 1 << precision - 1], np.float32)
    values = samples.astype(np.float32)
    converted = (values - centre) @ _TO_RGB if given == "RGB" else values @ _FROM_RGB + centre
    return np.asarray(np.clip(np.rint(converted), 0, (1 << precision) - 1), samples.dtype)
