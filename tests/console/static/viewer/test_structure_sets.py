"""Contours over images: they lie where the standard's equation puts their points."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Page, expect

from support.browser.accessibility import check_accessibility, press
from support.browser.pages import sign_in
from support.browser.viewer_canvas import ACTIVE, open_overlay, open_viewer, read_canvas, show_image
from support.files.segmentations import SHAPE, askew_series, position
from support.files.structure_sets import Region, structure_set
from support.files.synthetic import uid
from support.servers import ServerProcess

HOSTILE: Final = '<img src=x onerror="document.title=1">'
RED, GREEN, BLUE = (200, 30, 30), (20, 180, 60), (60, 60, 255)
CONTOURS: Final = f"""() => {ACTIVE}.layers.find((one) => one.series).contoursOn({ACTIVE}.frame).map(
  ({{ key, contours, points }}) => [key, [...contours, ...points].map(({{ type, places }}) => {{
    const step = Math.ceil(places.length / 2000)
    return [type, places.length / 2, step, [...places].filter((_, at) => (at >> 1) % step === 0)]
  }})])"""
"""Contours of the image that is shown: type, number of points, and each so many of them."""


def _in_patient(slice_: float, places: NDArray[Any]) -> NDArray[Any]:
    """Put columns and rows, counted from the middle of the first pixel, into the patient (PS3.3 equation C.7.6.2.1-1)."""
    columns, rows = places.T[:, :, None]
    return np.asarray(position(slice_, rows, columns))


def _rectangle(left: float, top: float, right: float, bottom: float) -> NDArray[Any]:
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)], float)


def _ring(count: int, radius: float) -> NDArray[Any]:
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    wavy = radius + 0.2 * np.cos(40 * angle)
    return np.stack([26 + wavy * np.cos(angle), 19 + wavy * np.sin(angle)], axis=1)


OUTER, INNER = _rectangle(5, 4, 40, 32), _rectangle(15, 10, 28, 24)
# To the hole and back along the same line, round it the other way.
KEYHOLE: Final = np.array([*OUTER, OUTER[0], INNER[0], *INNER[::-1], OUTER[0]])


def _within(places: NDArray[Any], margin: float) -> NDArray[np.bool_]:
    """Say which pixels lie within a rectangle, made larger by a margin."""
    rows, columns = np.mgrid[: SHAPE[1], : SHAPE[2]]
    (left, top), (right, bottom) = places[0] - margin, places[2] + margin
    found: NDArray[np.bool_] = (columns > left) & (columns < right) & (rows > top) & (rows < bottom)
    return found


@pytest.fixture
def viewer(page: Page, server: ServerProcess) -> Page:
    page.set_viewport_size({"width": 1280, "height": 900})
    sign_in(page, server.key())
    return page


def test_contours_lie_where_their_points_are(server: ServerProcess, datastore: str, viewer: Page) -> None:
    wavy = _ring(100_000, 12)
    far = _rectangle(1, 1, 9, 9)
    drawn: dict[str, list[tuple[str, float, NDArray[Any]]]] = {
        "Outer": [("CLOSED_PLANAR", number, _rectangle(3.25, 2.5, 20 + number, 30)) for number in (1, 2)],
        "Excluded": [("CLOSEDPLANAR_XOR", 0, OUTER), ("CLOSEDPLANAR_XOR", 0, INNER)],
        "Keyhole": [("CLOSED_PLANAR", 3, KEYHOLE)],
        "Line": [("OPEN_PLANAR", 2, far[:3]), ("POINT", 2, np.array([(30.0, 20.0)]))],
        "Between": [("CLOSED_PLANAR", 3.4, far), ("CLOSED_PLANAR", 1.7, far), ("CLOSED_PLANAR", 2.1, OUTER)],
        "Wavy": [("CLOSED_PLANAR", 4, wavy)],
    }
    colours = dict(zip(drawn, (None, RED, GREEN, BLUE, BLUE, RED), strict=True))
    regions = [
        Region(name, [(kind, _in_patient(slice_, places)) for kind, slice_, places in contours], colours[name])
        for name, contours in drawn.items()
    ]
    expected: dict[int, dict[int, list[tuple[str, NDArray[Any]]]]] = {number: {} for number in range(SHAPE[0])}
    for key, contours in enumerate(drawn.values(), start=1):
        for kind, slice_, places in contours:
            if slice_ != 1.7:  # on that image lies the contour at 2.1, which is nearer
                expected[round(slice_)].setdefault(key, []).append((kind, places))
    open_viewer(viewer, server, datastore, [*askew_series(), structure_set(41, regions)])
    plain = [show_image(viewer, number) for number in range(SHAPE[0])]
    open_overlay(viewer, 41)
    for number in range(SHAPE[0]):
        show_image(viewer, number)
        found = dict(viewer.evaluate(CONTOURS))
        assert found.keys() == expected[number].keys(), number
        for key, contours in expected[number].items():
            for (kind, count, step, places), (wanted_kind, wanted) in zip(found[key], contours, strict=True):
                assert (kind, count) == (wanted_kind, len(wanted))
                assert np.abs(np.reshape(places, (-1, 2)) - (wanted[::step] + 0.5)).max() < 1e-3
    # The area, without the hole, is of the region's colour; nothing else is touched but the lines.
    legend = viewer.get_by_role("region", name="Structures 41")
    press(viewer, legend.get_by_label("Opacity"), "End")
    ring = _within(OUTER, -2) & ~_within(INNER, 2)
    outside = ~_within(OUTER, 2) | _within(INNER, -2)
    for number, colour in ((0, RED), (3, GREEN)):
        legend.get_by_role("button", name="Hide all").click()
        legend.get_by_label("Excluded" if number == 0 else "Keyhole", exact=True).check()
        canvas = show_image(viewer, number)
        # Edges that meet, as on the way to a hole, are smoothed twice.
        assert np.abs(canvas - colour).max(axis=-1)[ring].max() <= 8, number
        assert (canvas == plain[number])[outside].all(), number
        viewer.keyboard.press("]")
        turned = read_canvas(viewer)
        assert np.abs(turned - colour).max(axis=-1)[ring].max() <= 8, number
        viewer.keyboard.press("[")
    legend.get_by_role("button", name="Show all").click()
    press(viewer, legend.get_by_role("button", name="First image of Wavy"))
    expect(viewer.locator("[data-active]")).to_contain_text("Image 5 of 5")
    check_accessibility(viewer)


def test_contours_that_cannot_be_shown_are_told(server: ServerProcess, datastore: str, viewer: Page) -> None:
    flat = _in_patient(2, OUTER)
    tilted = flat.copy()
    tilted[0, 2] += 3
    regions = [
        Region(
            HOSTILE, [("CLOSED_PLANAR", flat), ("CLOSED_PLANAR", tilted), ("CLOSED_PLANAR", _in_patient(4.7, OUTER))]
        ),
        Region("Elsewhere", [("CLOSED_PLANAR", flat)], reference=uid(78)),
        Region("Sphere", [("CLOSED_SPHERE", flat)]),
        Region("Broken", [("CLOSED_PLANAR", flat), ("CLOSED_PLANAR", flat)]),
        Region("Empty", []),
        Region("Not described", [("CLOSED_PLANAR", flat)]),
    ]
    wrong = structure_set(42, regions)
    wrong.ROIContourSequence[3].ContourSequence[0].NumberOfContourPoints = 9
    wrong.StructureSetROISequence.pop()
    lost = structure_set(43, [Region("Elsewhere", [("CLOSED_PLANAR", flat)], reference=uid(78))], of_series=uid(9))
    lost.ReferencedFrameOfReferenceSequence[0].FrameOfReferenceUID = uid(78)
    open_viewer(viewer, server, datastore, [*askew_series(), wrong, lost])
    open_overlay(viewer, 42)
    expect(viewer.locator(".overlays .words li")).to_have_text(
        [
            "Sphere has contours of a type that is not shown: CLOSED_SPHERE.",
            "1 contour of Broken is malformed: left out.",
            "There are contours of region 6, which the file does not describe: left out.",
            f"1 contour of {HOSTILE} lies in planes that are not parallel to these images: not shown.",
            f"1 contour of {HOSTILE} lies in places where there is no image: not shown.",
            "1 contour of Elsewhere lies in another frame of reference than these images: not shown.",
        ]
    )
    expect(viewer.get_by_text("ORGAN · MANUAL · no contours")).to_have_count(2)
    assert viewer.title() == "Viewer – Hounsfield"
    viewer.locator(f"[data-series='{uid(1, 43)}']").click()
    expect(viewer.locator("[data-status]")).to_have_text(
        "The series that it was made for is not in this study, or you may not see it. "
        "No longer over the images: Structures 42. Overlays (Y) lays it over again."
    )
    expect(viewer.get_by_text("Plan A")).to_be_visible()
