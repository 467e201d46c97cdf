"""Overlay planes: their bits on the canvas are those of the file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Page, expect
from pydicom.dataset import Dataset

from support.browser.accessibility import check_accessibility
from support.browser.pages import sign_in
from support.browser.viewer_canvas import ACTIVE, open_viewer, read_canvas, show_image
from support.clients.dicomweb import get
from support.files.synthetic import slice_of, uid
from support.imaging.rendered_images import picture
from support.servers import ServerProcess

ROWS, COLUMNS = 39, 53
COLOURS: Final = ((126, 231, 135), (255, 170, 90))
"""Of the first two planes."""


def _bits(*shape: int, seed: int = 0) -> NDArray[np.bool_]:
    return np.random.default_rng(seed).random(shape) < 0.3


def _add_plane(dataset: Dataset, group: int, bits: NDArray[np.bool_] | None, **said: Any) -> None:
    """Add a plane; without bits of its own it is in the pixel data."""
    rows, columns = (ROWS, COLUMNS) if bits is None else bits.shape[-2:]
    values: Mapping[int, tuple[str, Any]] = {
        0x0010: ("US", rows),
        0x0011: ("US", columns),
        0x0040: ("CS", "G"),
        0x0050: ("SS", said.get("origin", [1, 1])),
        0x0100: ("US", 1 if bits is not None else dataset.BitsAllocated),
        0x0102: ("US", said.get("position", 0)),
    }
    for element, (vr, value) in values.items():
        dataset.add_new((group, element), vr, value)
    if "frames" in said:
        dataset.add_new((group, 0x0015), "IS", said["frames"])
    if "first" in said:
        dataset.add_new((group, 0x0051), "US", said["first"])
    if "label" in said:
        dataset.add_new((group, 0x1500), "LO", said["label"])
    if bits is not None:
        packed = np.packbits(bits.ravel(), bitorder="little").tobytes()
        dataset.add_new((group, 0x3000), "OW", packed + b"\0" * (len(packed) % 2))


def _laid(bits: NDArray[np.bool_], origin: tuple[int, int] = (1, 1)) -> NDArray[np.bool_]:
    """Put bits where they lie on an image, whose first pixel is 1\\1."""
    found = np.zeros((ROWS, COLUMNS), bool)
    rows, columns = np.nonzero(bits)
    y, x = rows + origin[0] - 1, columns + origin[1] - 1
    inside = (y >= 0) & (y < ROWS) & (x >= 0) & (x < COLUMNS)
    found[y[inside], x[inside]] = True
    return found


def _drawn(page: Page, colour: tuple[int, int, int]) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = (read_canvas(page) == colour).all(axis=-1)
    return found


@pytest.fixture
def viewer(page: Page, server: ServerProcess) -> Page:
    page.set_viewport_size({"width": 1280, "height": 900})
    sign_in(page, server.key())
    return page


def test_planes_are_drawn_where_the_file_says(server: ServerProcess, datastore: str, viewer: Page) -> None:
    samples = np.random.default_rng(3).integers(0, 4096, (ROWS, COLUMNS)).astype("<u2")
    said = {"BitsStored": 12, "HighBit": 11, "WindowCenter": "2048", "WindowWidth": "4096"}
    inside, outside, huge = _bits(20, 31), _bits(ROWS, COLUMNS, seed=1), _bits(3000, 3001, seed=2)
    embedded = _bits(ROWS, COLUMNS, seed=4)
    files = [slice_of(number=number, pixels=samples, **said) for number in (1, 2, 4)]
    _add_plane(files[0], 0x6000, inside, origin=[5, 9], label='<img src=x onerror="document.title=1">')
    _add_plane(files[0], 0x6002, outside, origin=[-3, 0])
    _add_plane(files[1], 0x6000, huge)
    _add_plane(files[2], 0x6000, _bits(4, 4))
    files[2][0x6000, 0x3000].value = b"\0\0"
    files[2][0x6000, 0x0010].value = 400
    within = slice_of(number=3, pixels=samples | (embedded.astype("<u2") << 13), **said)
    _add_plane(within, 0x6000, None, position=13)
    open_viewer(viewer, server, datastore, [*files, within])
    show_image(viewer, 0)
    second = _laid(outside, (-3, 0))
    assert (_drawn(viewer, COLOURS[0]) == (_laid(inside, (5, 9)) & ~second)).all()
    assert (_drawn(viewer, COLOURS[1]) == second).all()
    for key in "]v":
        viewer.keyboard.press(key)
    assert (_drawn(viewer, COLOURS[1]) == second).all()
    show_image(viewer, 1)
    assert (_drawn(viewer, COLOURS[0]) == _laid(huge)).all()
    show_image(viewer, 2)
    assert (_drawn(viewer, COLOURS[0]) == embedded).all()
    # The values are those without the plane's bits.
    viewer.keyboard.press("g")
    levels = picture(get(server, datastore, f"{_path(viewer)}/rendered", "image/png").content).astype(int)
    assert np.abs(read_canvas(viewer) - levels[..., None]).max() <= 1
    viewer.keyboard.press("g")
    viewer.keyboard.press("y")
    legend = viewer.get_by_role("region", name="Overlay planes")
    expect(legend.get_by_label('<img src=x onerror="document.title=1">')).to_be_checked()
    legend.get_by_label('<img src=x onerror="document.title=1">').uncheck()
    assert not _drawn(viewer, COLOURS[0]).any()
    legend.get_by_label('<img src=x onerror="document.title=1">').check()
    check_accessibility(viewer)
    show_image(viewer, 3)
    assert viewer.evaluate(f"() => {ACTIVE}.layers[0].failureOf({ACTIVE}.frame)") == "it has 2 bytes, 200 are needed."
    assert viewer.title() == "Viewer – Hounsfield"


def _path(page: Page) -> str:
    path: str = page.evaluate(f"() => {ACTIVE}.frame.path")
    return path[path.index("studies/") :]


def test_planes_of_several_frames_begin_where_the_file_says(
    server: ServerProcess, datastore: str, viewer: Page
) -> None:
    frames = np.random.default_rng(6).integers(0, 200, (4, ROWS, COLUMNS), np.uint8)
    moving, still = _bits(2, ROWS, COLUMNS, seed=7), _bits(6, 5, seed=8)
    file = slice_of(pixels=frames)
    _add_plane(file, 0x6000, moving, frames=2, first=2)
    _add_plane(file, 0x6002, still, origin=[2, 3])
    open_viewer(viewer, server, datastore, [file])
    for index in range(4):
        show_image(viewer, index)
        expected = _laid(moving[index - 1]) if index in (1, 2) else np.zeros((ROWS, COLUMNS), bool)
        assert (_drawn(viewer, COLOURS[1]) == _laid(still, (2, 3))).all(), index
        assert (_drawn(viewer, COLOURS[0]) == expected & ~_laid(still, (2, 3))).all(), index
    assert uid(1, 1) in _path(viewer)
