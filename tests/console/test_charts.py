"""Geometry of charts: scales end at round numbers, and bars are as high as their values."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hounsfield.console.charts import HEIGHT, WIDTH, Chart, Series, round_up
from support.examples import examples

VALUES = st.lists(st.integers(0, 10**15), min_size=1, max_size=40)


@pytest.mark.parametrize(
    ("most", "top"), [(0, 0), (1, 4), (4, 4), (5, 8), (9, 12), (33, 40), (41, 60), (100, 100), (101, 120), (3e12, 3e12)]
)
def test_a_scale_ends_at_a_round_number(most: float, top: float) -> None:
    assert round_up(most) == top


@settings(max_examples=examples(200), deadline=None)
@given(VALUES, st.data())
def test_what_is_drawn_is_what_there_is(values: list[int], data: st.DataObject) -> None:
    others = data.draw(st.lists(st.integers(0, 10**15), min_size=len(values), max_size=len(values)))
    good, bad = Series("Good", "good", values), Series("Bad", "bad", others)
    chart = Chart("Files", "number", [f"2026-03-{day:02d}" for day in range(1, len(values) + 1)], [good, bad])
    most = max(one + other for one, other in zip(values, others, strict=True))
    assert chart.is_empty is (most == 0)
    assert most * (1 - 1e-9) <= chart.top <= max(4, 2.1 * most)
    assert all(value == int(value) for value, _ in chart.ticks)
    bars = list(chart.bars())
    assert [(bar.place, bar.series) for bar in bars] == [
        (place, series) for place in range(len(values)) for series in (good, bad) if series.values[place]
    ]
    for bar in bars:
        assert 0 <= bar.x < bar.x + bar.width <= WIDTH
        assert 0 <= bar.y < bar.y + bar.height <= HEIGHT + 1
        # What is there is seen, and what is large is as large as it is.
        assert bar.height == pytest.approx(max(1.0, bar.value * HEIGHT / chart.top))
    line = [tuple(map(float, point.split(","))) for point in chart.points(good).split()]
    assert [round(y, 1) for _, y in line] == pytest.approx(
        [round(HEIGHT - value * HEIGHT / chart.top, 1) if chart.top else HEIGHT for value in values], abs=0.2
    )


def test_a_chart_without_times_is_empty() -> None:
    chart = Chart("Calls", "number", [], [Series("Calls", "one", [])])
    assert (chart.is_empty, chart.top, list(chart.bars()), chart.labels) == (True, 0.0, [], [])
