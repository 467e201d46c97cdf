"""Volumes in the viewer: planes are those that SimpleITK cuts out of the same files; what is no volume is refused in words."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import SimpleITK
from numpy.typing import NDArray
from playwright.sync_api import Page, expect
from pydicom.dataset import Dataset
from pydicom.uid import PositronEmissionTomographyImageStorage

from support.browser.pages import sign_in
from support.clients.dicomweb import part10, store
from support.files.synthetic import save, slice_of, uid
from support.servers import ServerProcess

VIEW: Final = 'document.querySelector("[data-viewer]").viewer.whole'
FULL: Final = f"() => {VIEW}?.element.dataset.resolution === 'full' && !{VIEW}.frameAsked"
PLANES: Final = f"""() => {VIEW}.planes.map(pane => {{
  const {{ origin, right, down, width, height }} = pane.geometry
  const {{ data }} = pane.context.getImageData(0, 0, width, height)
  const text = bytes => {{
    let made = ""
    for (const byte of bytes) made += String.fromCharCode(byte)
    return btoa(made)
  }}
  return {{ name: pane.name, origin, right, down, width, height, values: text(new Uint8Array(pane.values.buffer)),
    grey: text(data.filter((_, at) => at % 4 === 0)) }}
}})"""
AXIAL: Final = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))
CORONAL: Final = ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0))
SAGITTAL: Final = ((0.0, 1.0, 0.0), (0.0, 0.0, -1.0))


def _turned() -> tuple[Any, Any]:
    """Return rows and columns of an axial image turned about two axes: mutually parallel, and along no axis of the patient."""
    a, b = np.radians(17), np.radians(-23)
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_z = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    both = about_x @ about_z
    return tuple(both[:, 0]), tuple(both[:, 1])


def _noise(slices: int, rows: int, columns: int, seed: int) -> NDArray[Any]:
    random = np.random.default_rng(seed)
    z, y, x = np.mgrid[0:slices, 0:rows, 0:columns]
    return (300 * np.sin(x / 3) + 200 * np.cos(y / 4 + z) + 40 * z + random.normal(0, 60, z.shape)).astype("i2")


def _slices(
    series: int,
    volume: NDArray[Any],
    orientation: tuple[Any, Any] = AXIAL,
    spacing: tuple[float, float, float] = (0.7, 1.1, 2.5),
    first: Sequence[float] = (-13.25, 21.5, 104.75),
    **elements: Any,
) -> list[Dataset]:
    """Make a series whose slices lie along the normal of their orientation; spacing is of rows, columns and slices in mm."""
    normal = np.cross(*orientation)
    made = []
    for number, pixels in enumerate(volume):
        position = np.array(first) + normal * spacing[2] * number
        image = slice_of(
            series=series,
            number=number + 1,
            pixels=pixels,
            PixelSpacing=[f"{spacing[0]:.4f}", f"{spacing[1]:.4f}"],
            ImageOrientationPatient=[f"{one:.12f}"[:16] for direction in orientation for one in direction],
            ImagePositionPatient=[f"{one:.10f}"[:16] for one in position],
            FrameOfReferenceUID=uid(77),
            SeriesDescription=f"series {series}",
            RescaleSlope="1",
            RescaleIntercept="-24",
            RescaleType="HU",
            WindowCenter="100",
            WindowWidth="900",
        )
        for keyword, value in elements.items():
            setattr(image, keyword, value[number] if isinstance(value, list) else value)
        made.append(image)
    return made


VOLUMES: Final[dict[int, tuple[str, list[Dataset]]]] = {
    1: ("axial, thick", _slices(1, _noise(9, 30, 41, seed=1))),
    2: ("axial, from the head down", _slices(2, _noise(12, 24, 32, seed=2)[::-1])[::-1]),
    3: ("coronal", _slices(3, _noise(11, 28, 20, seed=3), CORONAL, (1.3, 0.6, 1.9))),
    4: ("sagittal", _slices(4, _noise(10, 32, 21, seed=4), SAGITTAL, (0.9, 0.9, 3.3))),
    5: ("oblique", _slices(5, _noise(14, 26, 30, seed=5), _turned(), (0.8, 1.2, 1.7))),
    6: (
        "PET with a slope a slice",
        _slices(
            6,
            _noise(8, 24, 24, seed=6),
            SOPClassUID=PositronEmissionTomographyImageStorage,
            Modality="PT",
            Units="BQML",
            RescaleSlope=[f"{0.5 + 0.31 * number:.2f}" for number in range(8)],
            RescaleIntercept="0",
            RescaleType="",
        ),
    ),
}


def _save_series(folder: Path, files: list[Dataset]) -> SimpleITK.Image:
    """Write a series, and read it as SimpleITK does; a type that holds fractions, since it takes that of the first slice."""
    names = [save(image, folder / f"{number}.dcm") or folder / f"{number}.dcm" for number, image in enumerate(files)]
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(names[0].parent)))
    reader.SetOutputPixelType(SimpleITK.sitkFloat32)
    return reader.Execute()


OUTSIDE: Final = -1e6


def _cut(image: SimpleITK.Image, plane: dict[str, Any]) -> NDArray[Any]:
    """Cut a plane out of an image with SimpleITK."""
    right, down = np.array(plane["right"]), np.array(plane["down"])
    scale = float(np.linalg.norm(right))
    right, down = right / scale, down / scale
    grid = SimpleITK.Image(plane["width"], plane["height"], 1, SimpleITK.sitkFloat32)
    grid.SetOrigin(plane["origin"])
    grid.SetSpacing((scale, scale, 1.0))
    grid.SetDirection(np.column_stack([right, down, np.cross(right, down)]).ravel().tolist())
    return SimpleITK.GetArrayFromImage(
        SimpleITK.Resample(image, grid, SimpleITK.Transform(), SimpleITK.sitkLinear, OUTSIDE)
    )[0]


def _compare(page: Page, image: SimpleITK.Image, what: str) -> None:
    """Fail where a plane has other values than SimpleITK's, or other grey levels than its window has."""
    planes = page.evaluate(PLANES)
    assert [plane["name"] for plane in planes] == ["Axial", "Coronal", "Sagittal"]
    window = page.evaluate(f"() => {VIEW}.window")
    for plane in planes:
        shape = plane["height"], plane["width"]
        found = np.frombuffer(base64.b64decode(plane["values"]), np.float32).reshape(shape)
        grey = np.frombuffer(base64.b64decode(plane["grey"]), np.uint8).reshape(shape).astype(int)
        expected = _cut(image, plane)
        inside = (expected != OUTSIDE) & ~np.isnan(found)
        # Only on the outermost edge may rounding decide whether a pixel is inside.
        assert ((expected != OUTSIDE) != ~np.isnan(found)).sum() <= sum(shape), (what, plane["name"])
        assert inside.sum() > 1000, (what, plane["name"])
        assert np.abs(found[inside] - expected[inside]).max() <= 0.02, (what, plane["name"])
        bright = (expected[inside] - (window["center"] - 0.5)) / (window["width"] - 1) + 0.5
        assert np.abs(grey[inside] - np.clip(bright, 0, 1) * 255).max() <= 1, (what, plane["name"])
        assert (grey[~inside & np.isnan(found)] == 0).all()


@pytest.fixture
def studied(page: Page, server: ServerProcess, datastore: str) -> Page:
    """The viewer with a study that has all of `VOLUMES`."""
    files = [part10(image) for _, images in VOLUMES.values() for image in images]
    assert store(server, datastore, files).status_code == 200
    page.set_viewport_size({"width": 900, "height": 640})
    sign_in(page, server.key())
    page.goto(f"/console/datastores/{datastore}/view?study={slice_of().StudyInstanceUID}")
    return page


def _open_series(page: Page, series: int) -> None:
    page.locator(f"[data-series='{uid(1, series)}']").click()
    page.wait_for_function(
        """uid => {
          const { active, whole } = document.querySelector("[data-viewer]").viewer
          const { dataset } = document.querySelector('[data-action="volume"]')
          return !whole && active.frame?.path.includes(uid) && dataset.of === uid
        }""",
        arg=uid(1, series),
    )


def _open_volume(page: Page, series: int) -> None:
    _open_series(page, series)
    page.keyboard.press("u")
    page.wait_for_function(FULL)


def _move(page: Page, point: Sequence[float]) -> list[float]:
    """Put the crosshair at a place of the patient; gives where it is."""
    page.evaluate(f"point => {VIEW}.moveTo(point)", list(point))
    page.wait_for_function(f"() => !{VIEW}.frameAsked")
    return list(page.evaluate(f"() => {VIEW}.cursor"))


def test_planes_are_those_of_simpleitk(studied: Page, tmp_path: Path) -> None:
    for series, (what, files) in VOLUMES.items():
        image = _save_series(tmp_path / str(series), files)
        _open_volume(studied, series)
        _compare(studied, image, what)
        # At another voxel, and near a corner.
        for share in (0.27, 0.98):
            index = [round((count - 1) * share) for count in image.GetSize()]
            place = image.TransformIndexToPhysicalPoint(index)
            assert np.allclose(_move(studied, place), place, atol=1e-3), what
            _compare(studied, image, what)
            probe = float(image[index])
            expect(studied.locator(".probe")).to_contain_text(f": {probe:.6g} ")
        if series == 5:
            studied.get_by_label("Planes along").select_option("patient")
            studied.wait_for_function(f"() => !{VIEW}.frameAsked")
            place = image.TransformContinuousIndexToPhysicalPoint([one * 0.4 for one in image.GetSize()])
            assert np.allclose(_move(studied, place), place, atol=1e-3)
            _compare(studied, image, "along the patient")
            planes = studied.evaluate(PLANES)
            assert np.allclose(np.sign(planes[0]["right"]), [1, 0, 0])
            assert np.allclose(np.sign(planes[2]["down"]), [0, 0, -1])


def _two(series: int, **elements: Any) -> list[Dataset]:
    return _slices(series, _noise(6, 16, 16, seed=series), **elements)


def _tilted(series: int, degrees: float) -> list[Dataset]:
    """Move each slice sideways as a tilted gantry does."""
    images = _two(series)
    for number, image in enumerate(images):
        x, y, z = image.ImagePositionPatient
        image.ImagePositionPatient = [x, f"{float(y) + number * 2.5 * np.tan(np.radians(degrees)):.6f}", z]
    return images


def _without(series: int, keyword: str) -> list[Dataset]:
    images = _two(series)
    delattr(images[2], keyword)
    return images


REFUSED: Final[dict[int, tuple[list[Dataset], str]]] = {
    11: (_tilted(11, 12), "The gantry was tilted: each image is shifted sideways against the one before, by 2.7 mm"),
    12: (
        [image for image in _two(12) if image.InstanceNumber != 4],
        "The images are not at even distances: 5.00 mm between the images 3 and 4, elsewhere 2.50 mm. An image seems to be",
    ),
    13: (
        [*_two(13), *(_slices(13, _noise(7, 16, 16, seed=0), CORONAL)[6:])],
        "The images lie in different directions: 1 of 7 are not parallel to the first.",
    ),
    14: (
        _two(14, FrameOfReferenceUID=[uid(78)] * 3 + [uid(79)] * 3),
        "The images have different frames of reference, so their places cannot be compared.",
    ),
    15: ([*_two(15), *_slices(15, _noise(7, 16, 18, seed=0))[6:]], "The images have different sizes."),
    16: (_two(16, PixelSpacing=[["1", "1"]] * 5 + [["1", "1.1"]]), "The images have different Pixel Spacing."),
    17: (
        _two(17, ImagePositionPatient=[[0, 0, number // 2 * 5] for number in range(6)]),
        "3 of 6 images lie at the place of another, as phases, echoes, b-values and copies do.",
    ),
    18: (_two(18)[:2], "A volume needs at least 3 images, and the series has 2."),
    19: (_without(19, "ImagePositionPatient"), "1 of 6 images has no Image Position (Patient)."),
    20: (_without(20, "PixelSpacing"), "1 of 6 images has no Pixel Spacing."),
    21: (_two(21, Modality="CR"), "Only series of CT, MR and PT are shown as volumes."),
}
"""What is no volume, and why, by the number of the series."""


def test_what_is_no_volume_is_refused_with_the_reason(server: ServerProcess, datastore: str, page: Page) -> None:
    files = [part10(image) for images, _ in REFUSED.values() for image in images]
    assert store(server, datastore, files).status_code == 200
    sign_in(page, server.key())
    page.goto(f"/console/datastores/{datastore}/view?study={slice_of().StudyInstanceUID}")
    button = page.get_by_role("button", name="Volume", exact=True)
    for series, (_, reason) in REFUSED.items():
        _open_series(page, series)
        expect(button).to_have_attribute("aria-disabled", "true")
        page.keyboard.press("u")
        expect(page.locator("[data-status]")).to_contain_text(f"No volume: {reason}")
        assert page.evaluate(f"() => {VIEW}") is None
