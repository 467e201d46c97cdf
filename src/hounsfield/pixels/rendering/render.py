"""Rendering of a stored frame as JPEG or PNG (PS3.18 section 8.7.4).

encoded frame ─▶ decoded, no finer than is needed ─▶ grey or colour of 8 bits ─▶ viewport ─▶ JPEG or PNG
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from hounsfield.pixels.codecs.colour import JPEG_CODESTREAMS, rgb_of_jpeg
from hounsfield.pixels.codecs.decode import decode_frame, decode_reduced
from hounsfield.pixels.errors import PixelError
from hounsfield.pixels.format import PixelFormat
from hounsfield.pixels.rendering.colour import COLOURS, Palette, apply_palette, convert_to_rgb
from hounsfield.pixels.rendering.greyscale import GreyscalePresentation, render_greyscale
from hounsfield.pixels.rendering.viewport import Viewport, crop_and_scale, locate_region
from hounsfield.pixels.rendering.voi_window import Window

_GREY: Final = frozenset({"MONOCHROME1", "MONOCHROME2"})
_PALETTE: Final = "PALETTE COLOR"
_QUALITY: Final = 90


class RenderedMediaType(StrEnum):
    """Media types of pictures."""

    JPEG = "image/jpeg"
    PNG = "image/png"


@dataclass(frozen=True, slots=True)
class Appearance:
    """How a client wants a picture.

    Attributes
    ----------
    kind : RenderedMediaType
        Its media type.
    quality : int
        Of JPEG, from 1 to 100.
    window : Window or None
        Takes the place of what the instance says; colour has none.
    viewport : Viewport or None
        What part is shown, and how large; None for all pixels of the frame.
    """

    kind: RenderedMediaType = RenderedMediaType.JPEG
    quality: int = _QUALITY
    window: Window | None = None
    viewport: Viewport | None = None


@dataclass(frozen=True, slots=True)
class FramePresentation:
    """What must be known to show a frame.

    Attributes
    ----------
    format : PixelFormat
        Of the pixel data as it came.
    transfer_syntax : str
        How the frame is stored.
    interpretation : str
        What its decoded samples mean.
    grey : GreyscalePresentation
        For one sample per pixel.
    palette : Palette or None
        For palette indices.
    plain : str
        Type of the samples, such as ``<f4``, where frames are stored as plain values that no codec knows; else empty.
    """

    format: PixelFormat
    transfer_syntax: str
    interpretation: str
    grey: GreyscalePresentation
    palette: Palette | None = None
    plain: str = ""


def render_frame(encoded: bytes, presentation: FramePresentation, appearance: Appearance) -> bytes:
    """Return a frame as a picture.

    Parameters
    ----------
    encoded : bytes
        The frame as it is stored.
    presentation : FramePresentation
        What its data set says of it.
    appearance : Appearance
        How the client wants it.

    Raises
    ------
    PixelError
        The frame cannot be shown, does not decode, or does not have the region that is asked for.
    """
    picture = np.ascontiguousarray(_picture(encoded, presentation, appearance))
    try:
        return _encoded(picture, appearance)
    except RuntimeError as problem:
        raise PixelError(f"the picture cannot be encoded as {appearance.kind}: {problem}") from problem


def _encoded(picture: NDArray[np.uint8], appearance: Appearance) -> bytes:
    if appearance.kind is RenderedMediaType.PNG:
        # Fast, and nearly as small.
        return bytes(imagecodecs.png_encode(picture, 1, strategy=3, filter=16))
    # Colour is not subsampled: what is shown may be looked at closely.
    subsampling = "444" if picture.ndim == 3 else None
    return bytes(imagecodecs.jpeg8_encode(picture, appearance.quality, subsampling=subsampling))


def _picture(encoded: bytes, presentation: FramePresentation, appearance: Appearance) -> NDArray[np.uint8]:
    viewport = appearance.viewport
    if viewport is None:
        return _render_samples(_decoded(encoded, presentation, 0), presentation, appearance)
    frame = presentation.format.rows, presentation.format.columns
    place = locate_region(viewport, *frame)
    samples = _decoded(encoded, presentation, place.halvings)
    return crop_and_scale(_render_samples(samples, presentation, appearance), place, viewport, frame)


def _decoded(encoded: bytes, presentation: FramePresentation, halvings: int) -> NDArray[Any]:
    format_ = presentation.format
    if presentation.plain:
        dtype = np.dtype(presentation.plain)
        count = format_.rows * format_.columns
        if len(encoded) < count * dtype.itemsize:
            raise PixelError(f"the native frame has {len(encoded)} bytes, {count * dtype.itemsize} are needed")
        return np.frombuffer(encoded, dtype, count).reshape(format_.rows, format_.columns)
    # Indices and the values of segments have no mean; nothing can be halved of them.
    if halvings and presentation.interpretation != _PALETTE and format_.bits_stored > 1:
        samples = decode_reduced(encoded, presentation.transfer_syntax, format_, halvings)
    else:
        samples = decode_frame(encoded, presentation.transfer_syntax, format_)
    return rgb_of_jpeg(samples, format_) if presentation.transfer_syntax in JPEG_CODESTREAMS else samples


def _render_samples(
    samples: NDArray[Any], presentation: FramePresentation, appearance: Appearance
) -> NDArray[np.uint8]:
    format_, interpretation = presentation.format, presentation.interpretation
    if format_.samples_per_pixel == 1 and interpretation in _GREY:
        grey = presentation.grey if appearance.window is None else replace(presentation.grey, voi=appearance.window)
        return render_greyscale(samples, grey)
    if format_.samples_per_pixel == 1 and interpretation == _PALETTE and presentation.palette is not None:
        return apply_palette(samples, presentation.palette)
    if format_.samples_per_pixel == 3 and interpretation in COLOURS:
        return convert_to_rgb(samples, interpretation, format_.bits_stored)
    raise PixelError(
        f"pixels of {format_.samples_per_pixel} samples with Photometric Interpretation {interpretation[:16]} "
        f"cannot be shown"
    )
