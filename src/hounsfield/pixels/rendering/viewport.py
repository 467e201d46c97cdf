"""Viewports: which part of a frame is shown, how large, and which way round (PS3.18 section 8.3.5.1.3)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hounsfield.pixels.errors import PixelError


@dataclass(frozen=True, slots=True)
class Viewport:
    """The size of a picture, and the region of the frame that it shows.

    The region keeps its shape: the picture is the largest of that shape that fits into the size.

    Attributes
    ----------
    width, height : int
        Largest size of the picture in pixels.
    left, top : float
        Corner of the region in pixels of the frame.
    across, down : float or None
        Its size; None for all that is right of or below the corner.
    mirrored, upside_down : bool
        Whether the picture is flipped from left to right, or from top to bottom.
    enlarging : bool
        Whether a small region is enlarged.
    """

    width: int
    height: int
    left: float = 0.0
    top: float = 0.0
    across: float | None = None
    down: float | None = None
    mirrored: bool = False
    upside_down: bool = False
    enlarging: bool = True


@dataclass(frozen=True, slots=True)
class FrameRegion:
    """A viewport on a frame of a known size: the region that it shows, and the size of the picture."""

    left: float
    top: float
    right: float
    bottom: float
    width: int
    height: int

    @property
    def halvings(self) -> int:
        """How often the frame can be halved with no less detail than the picture needs."""
        scale = min((self.right - self.left) / self.width, (self.bottom - self.top) / self.height)
        return max(0, int(math.log2(scale)))


def locate_region(viewport: Viewport, rows: int, columns: int) -> FrameRegion:
    """Place a viewport on a frame; raises `PixelError` when its region is not within the frame."""
    across = columns - viewport.left if viewport.across is None else viewport.across
    down = rows - viewport.top if viewport.down is None else viewport.down
    right, bottom = viewport.left + across, viewport.top + down
    if not (0 <= viewport.left < right <= columns and 0 <= viewport.top < bottom <= rows):
        raise PixelError(
            f"the region of the viewport must lie within the {columns} columns and {rows} rows of the frame"
        )
    scale = min(viewport.width / across, viewport.height / down)
    if not viewport.enlarging:
        scale = min(scale, 1.0)
    size = (max(1, min(viewport.width, round(across * scale))), max(1, min(viewport.height, round(down * scale))))
    return FrameRegion(viewport.left, viewport.top, right, bottom, *size)


def crop_and_scale(
    picture: NDArray[np.uint8], place: FrameRegion, viewport: Viewport, frame: tuple[int, int]
) -> NDArray[np.uint8]:
    """Return the part of a picture that a viewport shows.

    Parameters
    ----------
    picture : numpy.ndarray
        Shape ``(rows, columns)`` or ``(rows, columns, 3)``; the frame, or the frame halved some times.
    place : FrameRegion
        Where the viewport is on the frame.
    viewport : Viewport
        The viewport.
    frame : tuple of int
        Rows and columns of the frame.
    """
    down, across = picture.shape[0] / frame[0], picture.shape[1] / frame[1]
    box = (place.left * across, place.top * down, place.right * across, place.bottom * down)
    if (place.width, place.height) == (picture.shape[1], picture.shape[0]) == (box[2] - box[0], box[3] - box[1]):
        result: NDArray[Any] = picture
    else:
        image = Image.fromarray(picture)
        # Bilinear is a mean over all pixels that become one when a picture is made smaller.
        resized = image.resize((place.width, place.height), Image.Resampling.BILINEAR, box, reducing_gap=3.0)
        result = np.asarray(resized)
    if viewport.mirrored:
        result = result[:, ::-1]
    if viewport.upside_down:
        result = result[::-1]
    return np.ascontiguousarray(result)
