"""The torso: its parts in the order in which they are painted, for one hides what it covers of those before.

table ▶ trunk ▶ diaphragm ▶ abdomen ▶ lungs ▶ airways ▶ heart ▶ skeleton ▶ noise
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hounsfield.phantom.abdomen import paint_abdomen
from hounsfield.phantom.chest import paint_airways, paint_diaphragm, paint_heart, paint_lungs
from hounsfield.phantom.scanner import add_noise, paint_table
from hounsfield.phantom.skeleton import paint_skeleton
from hounsfield.phantom.trunk import paint_trunk
from hounsfield.phantom.volume import Volume

_AIR: Final = -1000
PARTS: Final[tuple[Callable[[Volume], None], ...]] = (
    paint_table,
    paint_trunk,
    paint_diaphragm,
    paint_abdomen,
    paint_lungs,
    paint_airways,
    paint_heart,
    paint_skeleton,
    add_noise,
)
"""What is painted, in this order; together the same values on every machine."""


def empty_volume() -> Volume:
    """Return the air that the parts are painted into."""
    return Volume(_AIR)
