"""Photometric Interpretation of decoded frames."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.pixels.processing import convert_color_space

from hounsfield.pixels.codecs.encode import names_colour_transform
from hounsfield.pixels.format import PixelFormat
from hounsfield.pixels.transfer_syntaxes import JPEG_XL_RECOMPRESSION

_4: Final = "1.2.840.10008.1.2.4."
JPEG_BASELINE: Final = _4 + "50"
JPEG_XL: Final = _4 + "112"
JPEG_CODESTREAMS: Final = frozenset({JPEG_BASELINE, JPEG_XL_RECOMPRESSION})
"""Kept frames that decode as lossy JPEG does."""
_UNDONE_BY_DECODER: Final = frozenset({"YBR_RCT", "YBR_ICT", "XYB"})
_FULL: Final = frozenset({"YBR_FULL", "YBR_FULL_422"})


def decoded_interpretation(format: PixelFormat, stored_transfer_syntax: str) -> str:  # noqa: A002
    """Say what the samples of a decoded frame mean (PS3.3 section C.7.6.3.1.2).

    Parameters
    ----------
    format : PixelFormat
        The description of the pixel data that came in.
    stored_transfer_syntax : str
        What the frame is decoded from. JPEG decodes to RGB, as `rgb_of_jpeg` makes it; codecs of the JPEG 2000 family
        and JPEG XL undo their own colour transform; all others leave the colour, but no longer subsampled.
    """
    given = format.photometric_interpretation
    if format.samples_per_pixel != 3:
        return given
    if given in _UNDONE_BY_DECODER or stored_transfer_syntax == JPEG_XL:
        return "RGB"
    if given in _FULL:
        return "RGB" if stored_transfer_syntax in JPEG_CODESTREAMS else "YBR_FULL"
    return given


def encoded_interpretation(format: PixelFormat) -> str:  # noqa: A002
    """Say what the samples of a losslessly encoded frame of a file mean: JPEG 2000 and HTJ2K name their colour transform."""
    if names_colour_transform(format):
        return "YBR_RCT"
    return decoded_interpretation(format, "")


def rgb_of_jpeg(samples: NDArray[Any], format: PixelFormat) -> NDArray[Any]:  # noqa: A002
    """Turn YBR samples of a decoded JPEG frame into RGB, as every viewer of JPEG does; others stay."""
    if format.samples_per_pixel != 3 or format.photometric_interpretation not in _FULL:
        return samples
    return np.asarray(convert_color_space(samples, format.photometric_interpretation, "RGB"))
