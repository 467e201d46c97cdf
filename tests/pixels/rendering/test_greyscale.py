"""The grey pipeline, lookup tables and viewports, against plain formulas and pydicom."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut

from hounsfield.pixels.errors import PixelError
from hounsfield.pixels.rendering.greyscale import GreyscalePresentation, render_greyscale
from hounsfield.pixels.rendering.lookup_table import LookupTable, lookup_table
from hounsfield.pixels.rendering.viewport import Viewport, locate_region
from hounsfield.pixels.rendering.voi_window import Window, WindowFunction

numbers = st.floats(-1e5, 1e5, allow_nan=False)
windows = st.builds(Window, numbers, st.floats(1, 1e5), st.sampled_from(WindowFunction))


@given(windows, st.lists(numbers, min_size=2, max_size=40))
def test_a_window_goes_from_black_to_white_and_never_back(window: Window, values: list[float]) -> None:
    bright = window(np.sort(np.array(values)))
    assert (bright >= 0).all()
    assert (bright <= 1).all()
    assert (np.diff(bright) >= 0).all()
    assert abs(window(np.array([window.center - (window.function == "LINEAR") * 0.5]))[0] - 0.5) <= 0.5


@given(windows, numbers, st.sampled_from(["<i2", "<u2", "i1", "u1"]), st.booleans())
def test_the_table_of_small_samples_gives_what_is_computed(
    window: Window, slope: float, dtype: str, inverted: bool
) -> None:
    samples = np.random.default_rng(5).integers(*_range(dtype), (7, 9)).astype(dtype)
    presentation = GreyscalePresentation(slope, -3.5, voi=window, inverted=inverted)
    assert np.array_equal(
        render_greyscale(samples, presentation), render_greyscale(samples.astype(np.int64), presentation)
    )


@settings(deadline=None)
@given(
    st.sampled_from(["<i2", "<u2", "i1", "u1", ">i2"]),
    st.data(),
    st.booleans(),
    st.sampled_from([None, (-4, -4), (0, 9)]),
)
def test_a_frame_without_a_window_is_shown_over_its_own_values(
    dtype: str, data: st.DataObject, inverted: bool, padding: tuple[int, int] | None
) -> None:
    low, high = _range(dtype)
    values = data.draw(st.lists(st.integers(low, high - 1), min_size=1, max_size=12))
    samples = np.array(values).astype(dtype)
    presentation = GreyscalePresentation(2.0, -1024.0, inverted=inverted, padding=padding)
    assert np.array_equal(
        render_greyscale(samples, presentation), render_greyscale(samples.astype(np.int64), presentation)
    )


def _range(dtype: str) -> tuple[int, int]:
    info = np.iinfo(dtype)
    return int(info.min), int(info.max) + 1


def test_values_that_are_no_numbers_do_not_stretch_the_window() -> None:
    samples = np.array([[np.nan, np.inf, -np.inf, 1.0, 3.0, 2.0]])
    assert render_greyscale(samples, GreyscalePresentation()).tolist() == [[0, 255, 0, 0, 255, 128]]
    assert render_greyscale(np.full((2, 2), np.nan), GreyscalePresentation()).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize("inverted", [False, True])
def test_padding_is_black(inverted: bool) -> None:
    presentation = GreyscalePresentation(padding=(-2000, -2000), inverted=inverted)
    assert render_greyscale(np.full((2, 2), -2000, "<i2"), presentation).max() == 0
    for dtype in ("<i2", "<f4"):
        shown = render_greyscale(np.array([[-2000, 0, 100]], dtype), presentation)
        assert shown.tolist() == [[0, 255, 0] if inverted else [0, 0, 255]]


@pytest.mark.parametrize("width", [0, 0.5, -1, float("nan"), float("inf")])
def test_an_impossible_window_is_refused(width: float) -> None:
    with pytest.raises(PixelError, match="width"):
        Window(0, width)


def test_entries_of_a_lookup_table() -> None:
    table = LookupTable(-2, 8, np.array([5, 6, 7], "<u2").tobytes())
    assert table(np.array([-100, -2, -1, 0, 1, 100, np.nan])).tolist() == [5, 5, 6, 7, 7, 7, 7]
    octets = lookup_table((3, 0, 8), bytes([1, 2, 3]))
    assert octets.entries.tolist() == [1, 2, 3]
    assert lookup_table((2, 0, 8), np.array([1, 4095], "<u2").tobytes()).bits == 12, "what the entries need"
    assert len(lookup_table((0, 0, 16), bytes(131072)).entries) == 65536


@pytest.mark.parametrize(
    ("descriptor", "data"),
    [((4, 0, 16), bytes(3)), ((4, 0, 17), bytes(8)), ((4, 0, 0), bytes(8)), ((70000, 0, 16), bytes(140000))],
)
def test_a_lookup_table_that_is_none(descriptor: tuple[int, int, int], data: bytes) -> None:
    with pytest.raises(PixelError, match="lookup table"):
        lookup_table(descriptor, data)


SEGMENTS = {
    "discrete and linear": [0, 2, 10, 20, 1, 4, 60, 0, 1, 7],
    "indirect": [0, 2, 10, 20, 1, 3, 50, 2, 2, 0, 0, 0, 1, 9],
    "linear down": [0, 1, 100, 1, 5, 0],
}


@pytest.mark.parametrize("case", SEGMENTS)
def test_segments_are_expanded_as_by_pydicom(case: str) -> None:
    data = np.array(SEGMENTS[case], "<u2").tobytes()
    count = {"discrete and linear": 7, "indirect": 11, "linear down": 6}[case]
    dataset = Dataset()
    dataset.set_original_encoding(is_implicit_vr=False, is_little_endian=True)
    for colour in ("Red", "Green", "Blue"):
        setattr(dataset, f"{colour}PaletteColorLookupTableDescriptor", [count, 0, 16])
        setattr(dataset, f"Segmented{colour}PaletteColorLookupTableData", data)
    expected = apply_color_lut(np.arange(count, dtype="u2"), dataset)[:, 0]
    assert lookup_table((count, 0, 16), data, segmented=True).entries.tolist() == expected.tolist()


@pytest.mark.parametrize("units", [[1, 2, 3], [9, 1, 1], [0, 1, 5], [2, 5, 0, 0], [0, 1, 5, 2, 2, 6, 0], []])
def test_segments_that_are_none(units: list[int]) -> None:
    with pytest.raises(PixelError):
        lookup_table((40, 0, 16), np.array(units, "<u2").tobytes(), segmented=True)


def test_segments_without_entries_are_not_gone_through_again_and_again() -> None:
    empty, calls = [0, 0] * 16000, [2, 16000, 6, 0] * 8000
    with pytest.raises(PixelError, match="more than 131072 segments"):
        lookup_table((0, 0, 16), np.array([0, 1, 7, *empty, *calls], "<u2").tobytes(), segmented=True)


@given(st.lists(st.integers(0, 65535), max_size=200), st.integers(1, 500), st.sampled_from([8, 16]))
def test_any_segments_are_expanded_or_refused(units: list[int], count: int, bits: int) -> None:
    data = np.array(units, "<u2").tobytes()
    try:
        table = lookup_table((count, 0, bits), data, segmented=True)
    except PixelError:
        return
    assert len(table.entries) == count


sides = st.integers(1, 3000)


@given(sides, sides, sides, sides, st.booleans())
def test_a_picture_fits_its_viewport_and_keeps_its_shape(
    width: int, height: int, rows: int, columns: int, enlarging: bool
) -> None:
    place = locate_region(Viewport(width, height, enlarging=enlarging), rows, columns)
    assert 1 <= place.width <= width
    assert 1 <= place.height <= height
    if enlarging:
        assert place.width == width or place.height == height
    else:
        assert place.width <= columns
        assert place.height <= rows
    assert abs(place.width * rows - place.height * columns) <= max(rows, columns)
    halved = 1 << place.halvings
    assert halved == 1 or place.width <= -(-columns // halved)


@pytest.mark.parametrize(
    "viewport",
    [Viewport(9, 9, left=10), Viewport(9, 9, top=5, down=6), Viewport(9, 9, left=-1), Viewport(9, 9, down=0)],
)
def test_a_region_outside_of_the_frame(viewport: Viewport) -> None:
    with pytest.raises(PixelError, match="region"):
        locate_region(viewport, 10, 10)


def test_a_narrow_table_wraps_nothing() -> None:
    samples: NDArray[np.generic] = np.array([[0, 65535]], "<u2")
    presentation = GreyscalePresentation(voi=Window(32768, 65536, WindowFunction.LINEAR_EXACT))
    assert render_greyscale(samples, presentation).tolist() == [[0, 255]]
