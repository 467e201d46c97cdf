"""Charts: the geometry of bars and lines over time, which templates draw as SVG.

    values by time ─▶ scale that ends at a round number ─▶ rectangles and points in units of the plot ─▶ macros/chart.html

The plot is stretched to the room there is; labels of the axes are text of the page, so that they keep their size.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

WIDTH: Final = 1000.0
HEIGHT: Final = 100.0
"""Size of the plot in its own units; y grows downwards, as in SVG."""
_TICKS: Final = 4
_STEPS: Final = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 7.5, 10.0)
_GAP: Final = 0.25
"""Part of the room of a bar that is left between it and the next."""
_LABELS: Final = 3


@dataclass(frozen=True, slots=True)
class Series:
    """What is drawn in one colour.

    Attributes
    ----------
    title : str
        What it is.
    css_class : str
        Class of what is drawn, which has its colour.
    values : sequence of float
        One for each time, none negative.
    """

    title: str
    css_class: str
    values: Sequence[float]


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle, in units of the plot, for one value of a series at a time."""

    x: float
    y: float
    width: float
    height: float
    series: Series
    place: int

    @property
    def value(self) -> float:
        """What it stands for."""
        return self.series.values[self.place]


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart over time.

    Attributes
    ----------
    title : str
        What it shows.
    unit : str
        ``size`` for bytes, ``number`` for everything else.
    times : sequence of str
        When, in ISO 8601: days, or moments.
    series : sequence of Series
        What is drawn, the lowest first: bars are put on each other.
    """

    title: str
    unit: str
    times: Sequence[str]
    series: Sequence[Series]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not any(value for series in self.series for value in series.values)

    @property
    def top(self) -> float:
        """The value at the upper end of the scale."""
        most = max(
            (sum(series.values[place] for series in self.series) for place in range(len(self.times))), default=0.0
        )
        return round_up(most)

    @property
    def ticks(self) -> list[tuple[float, float]]:
        """Values of the scale from its upper end to 0, each with its distance from the upper end, in units of the plot."""
        return [(self.top * (_TICKS - n) / _TICKS, HEIGHT * n / _TICKS) for n in range(_TICKS + 1)]

    @property
    def labels(self) -> list[str]:
        """Times that are written below the plot, from the first to the last, at the same distances."""
        count = len(self.times)
        if count <= _LABELS:
            return list(self.times)
        return [self.times[round(n * (count - 1) / (_LABELS - 1))] for n in range(_LABELS)]

    def bars(self) -> Iterator[Bar]:
        """Yield the rectangles of all values that are not 0, those of a time on each other."""
        room = WIDTH / max(1, len(self.times))
        scale = HEIGHT / self.top if self.top else 0.0
        for place in range(len(self.times)):
            below = 0.0
            for series in self.series:
                height = series.values[place] * scale
                if height > 0:
                    # What is there is seen, however little it is.
                    shown = max(height, 1.0)
                    y = max(0.0, HEIGHT - below - shown)
                    yield Bar(room * (place + _GAP / 2), y, room * (1 - _GAP), shown, series, place)
                below += height

    def points(self, series: Series) -> str:
        """Return the points of a line through the values of a series, as SVG has them."""
        scale = HEIGHT / self.top if self.top else 0.0
        room = WIDTH / max(1, len(series.values) - 1)
        return " ".join(f"{room * n:.1f},{HEIGHT - value * scale:.2f}" for n, value in enumerate(series.values))


def round_up(most: float) -> float:
    """Return a round number that is at least as large, with quarters that are round too; 0 for 0."""
    if most <= 0:
        return 0.0
    power = 10.0 ** math.floor(math.log10(most / _TICKS))
    fitting = (step * power for step in _STEPS if step * power * _TICKS >= most * (1 - 1e-9))
    return next((step for step in fitting if step == int(step)), 1.0) * _TICKS
