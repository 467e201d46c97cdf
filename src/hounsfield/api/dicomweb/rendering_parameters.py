"""Query parameters of rendered resources and thumbnails (PS3.18 section 8.3.5): how the client wants a picture.

window=40,400,linear & viewport=256,256,0,0,100,-100 & quality=80  ─▶  Appearance
"""

from __future__ import annotations

import math
import re
from typing import Final

from hounsfield.api.dicomweb.request import Call
from hounsfield.aws.protocol.errors import ValidationException
from hounsfield.pixels.errors import PixelError
from hounsfield.pixels.rendering.render import Appearance, RenderedMediaType
from hounsfield.pixels.rendering.viewport import Viewport
from hounsfield.pixels.rendering.voi_window import Window, WindowFunction

MOST_PIXELS_A_SIDE: Final = 8192
THUMBNAIL_SIDE: Final = 128
RENDERED: Final = ("annotation", "iccprofile", "imageSetId", "quality", "viewport", "window")
THUMBNAIL: Final = ("imageSetId", "viewport")

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)
_LONGEST_NUMBER: Final = 32
_PROFILES: Final = ("no", "yes", "srgb", "adobergb", "rommrgb")
_ANNOTATIONS: Final = frozenset({"patient", "technique"})
_FUNCTIONS: Final = {
    "linear": WindowFunction.LINEAR,
    "linear-exact": WindowFunction.LINEAR_EXACT,
    "sigmoid": WindowFunction.SIGMOID,
}


def rendered_appearance(call: Call, kind: RenderedMediaType) -> Appearance:
    """Read the parameters of a rendered resource.

    Raises
    ------
    ValidationException
        One of them is not of its form.
    """
    profile = call.parameter("iccprofile")
    if profile is not None and profile.lower() not in _PROFILES:
        raise ValidationException(f"The query parameter iccprofile must be one of {', '.join(_PROFILES)}.")
    return Appearance(
        kind=kind, quality=_quality(call.parameter("quality")), window=_window(call), viewport=_viewport(call)
    )


def thumbnail_appearance(call: Call, kind: RenderedMediaType) -> Appearance:
    """Read the parameters of a thumbnail; without a size it is at most 128 pixels wide and high, and never enlarged.

    Raises
    ------
    ValidationException
        The viewport is not two numbers.
    """
    viewport = _viewport(call, thumbnail=True)
    return Appearance(kind=kind, viewport=viewport or Viewport(THUMBNAIL_SIDE, THUMBNAIL_SIDE, enlarging=False))


def warnings(call: Call) -> list[tuple[str, str]]:
    """Return the header that tells which annotations were asked for and are not made (PS3.18 section 8.3.5.1.1).

    Raises
    ------
    ValidationException
        An annotation is not one that there is.
    """
    text = call.parameter("annotation")
    if text is None:
        return []
    names = text.split(",")
    if not set(names) <= _ANNOTATIONS:
        raise ValidationException(
            "The query parameter annotation must be patient, technique, or both with ',' between."
        )
    return [("Warning", f'299 {call.base} "The following annotation values are not supported: {", ".join(names)}"')]


def _quality(text: str | None) -> int:
    if text is None:
        return Appearance().quality
    if not re.fullmatch(r"[0-9]{1,3}", text, re.ASCII) or not 1 <= int(text) <= 100:
        raise ValidationException("The query parameter quality must be a whole number from 1 to 100.")
    return int(text)


def _window(call: Call) -> Window | None:
    text = call.parameter("window")
    if text is None:
        return None
    form = "The query parameter window must be center,width,function, the function one of " + ", ".join(_FUNCTIONS)
    parts = text.split(",")
    name = parts[2].lower().replace("_", "-") if len(parts) == 3 else "linear"
    if len(parts) not in {2, 3} or name not in _FUNCTIONS:
        raise ValidationException(form + ".")
    center, width = _number(parts[0]), _number(parts[1])
    if center is None or width is None:
        raise ValidationException(form + "; center and width are numbers.")
    try:
        return Window(center, width, _FUNCTIONS[name])
    except PixelError as error:
        raise ValidationException(f"The query parameter window: {error}.") from error


def _viewport(call: Call, *, thumbnail: bool = False) -> Viewport | None:
    text = call.parameter("viewport")
    if text is None:
        return None
    parts = text.split(",")
    if len(parts) == 2 or (len(parts) == 6 and not thumbnail):
        sides = [int(part) if re.fullmatch(r"[0-9]{1,5}", part, re.ASCII) else 0 for part in parts[:2]]
        if all(1 <= side <= MOST_PIXELS_A_SIDE for side in sides):
            return _region(Viewport(sides[0], sides[1]), parts[2:])
    more = "" if thumbnail else ", or vw,vh,sx,sy,sw,sh"
    raise ValidationException(
        f"The query parameter viewport must be vw,vh{more}; vw and vh are whole numbers from 1 to {MOST_PIXELS_A_SIDE}."
    )


def _region(viewport: Viewport, parts: list[str]) -> Viewport:
    """Read the region; each of its numbers may be left out, and a negative size flips."""
    if not parts:
        return viewport
    values = [_number(part) if part else None for part in parts]
    if any(value is None and part for value, part in zip(values, parts, strict=True)):
        raise ValidationException("In the query parameter viewport sx, sy, sw and sh must be numbers.")
    left, top, across, down = values
    if (left or 0) < 0 or (top or 0) < 0 or across == 0 or down == 0:
        raise ValidationException(
            "In the query parameter viewport sx and sy must be 0 or more, and sw and sh must not be 0."
        )
    return Viewport(
        viewport.width,
        viewport.height,
        left or 0.0,
        top or 0.0,
        None if across is None else abs(across),
        None if down is None else abs(down),
        mirrored=(across or 0) < 0,
        upside_down=(down or 0) < 0,
    )


def _number(text: str) -> float | None:
    if len(text) > _LONGEST_NUMBER or not _NUMBER.fullmatch(text):
        return None
    value = float(text)
    return value if math.isfinite(value) else None
