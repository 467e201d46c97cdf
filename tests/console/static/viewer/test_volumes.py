"""Volumes in the viewer: planes are those that SimpleITK cuts out of the same files; what is no volume is refused in words."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import SimpleITK
from numpy.typing import NDArray
from playwright.sync_api import Error, Page, Route, expect
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import EnhancedCTImageStorage, PositronEmissionTomographyImageStorage

from support.browser.accessibility import check_accessibility
from support.browser.page_faults import PageFaults
from support.browser.pages import check_width, sign_in
from support.clients.dicomweb import part10, store
from support.files.synthetic import save, slice_of, uid
from support.imaging.rendered_images import picture
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


def _dose() -> Dataset:
    dose = Dataset()
    dose.RadionuclideTotalDose, dose.RadionuclideHalfLife = "400000000", "6586.2"
    return dose


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
            CorrectedImage="ATTN\\DECY",
            DecayCorrection="ADMIN",
            PatientWeight="80",
            RadiopharmaceuticalInformationSequence=Items([_dose()]),
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


def _ramp(slices: int, rows: int, columns: int) -> NDArray[Any]:
    """Return values that rise evenly along each axis: half of the resolution has the same at the same places."""
    z, y, x = np.mgrid[0:slices, 0:rows, 0:columns]
    return (20 * x + 14 * y + 6 * z).astype("i2")


def _compare_half(page: Page, image: SimpleITK.Image) -> None:
    """Fail where half of the resolution lies elsewhere than the whole: half a pixel would be ten units."""
    for plane in page.evaluate(PLANES):
        found = np.frombuffer(base64.b64decode(plane["values"]), np.float32).reshape(plane["height"], plane["width"])
        expected = _cut(image, plane)
        inside = (expected != OUTSIDE) & ~np.isnan(found)
        assert inside.sum() > 0.8 * (expected != OUTSIDE).sum()
        # At the edges half of the resolution reaches less far.
        assert np.quantile(np.abs(found[inside] - expected[inside]), 0.75) <= 2, plane["name"]


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
        assert inside.sum() > 300, (what, plane["name"])
        assert np.abs(found[inside] - expected[inside]).max() <= 0.02, (what, plane["name"])
        bright = (expected[inside] - (window["center"] - 0.5)) / (window["width"] - 1) + 0.5
        assert np.abs(grey[inside] - np.clip(bright, 0, 1) * 255).max() <= 1, (what, plane["name"])
        assert (grey[~inside & np.isnan(found)] == 0).all()


@pytest.fixture
def studied(page: Page, server: ServerProcess, datastore: str) -> Page:
    """The viewer with a study that has all of `VOLUMES`."""
    files = [part10(image) for _, images in VOLUMES.values() for image in images]
    assert store(server, datastore, files).status_code == 200
    page.set_viewport_size({"width": 720, "height": 540})
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
            if series == 6:
                # By body weight, corrected to the administration: 80 kg and 400 MBq.
                expect(studied.locator(".probe")).to_contain_text(f"SUVbw {probe * 80000 / 4e8:.2f} g/ml")
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


MARKS: Final = {"left": (38, 20, 9), "front": (20, 4, 12), "head": (11, 27, 20)}
"""Columns, rows and slices of bright blocks in a dark volume, each away from the middle towards one side of the patient."""
FROM: Final = {
    "front": ((1, 0, 0), (0, 0, 1)),
    "back": ((-1, 0, 0), (0, 0, 1)),
    "left": ((0, 1, 0), (0, 0, 1)),
    "right": ((0, -1, 0), (0, 0, 1)),
    "head": ((-1, 0, 0), (0, -1, 0)),
    "feet": ((1, 0, 0), (0, -1, 0)),
}
"""What is right and up on the screen for somebody who looks from a side of the patient."""
SPACE: Final = f"""() => {{
  const {{ space }} = {VIEW}
  clearTimeout(space.settling)
  space.isQuick = false
  space.draw()
  const {{ width, height }} = space.canvas
  const copy = new OffscreenCanvas(width, height).getContext("2d")
  copy.drawImage(space.canvas, 0, 0)
  let text = ""
  for (let at = 0, {{ data }} = copy.getImageData(0, 0, width, height); at < data.length; at += 4) {{
    text += String.fromCharCode(data[at])
  }}
  return {{ width, height, scale: space.scale * space.picture.clientWidth / width, grey: btoa(text),
    sides: Object.fromEntries(Object.entries(space.sides).map(([side, one]) => [side, one.textContent])) }}
}}"""


@pytest.mark.parametrize(
    "orientation", [pytest.param(AXIAL, id="axial"), pytest.param(CORONAL, id="coronal", marks=pytest.mark.slow)]
)
def test_marks_lie_where_the_direction_of_sight_says(
    server: ServerProcess, datastore: str, page: Page, orientation: Any
) -> None:
    """Bright blocks are seen from six sides; what is to the left of the patient must not come to the right."""
    volume = np.zeros((24, 32, 44), "i2")
    for column, row, number in MARKS.values():
        volume[number - 1 : number + 2, row - 1 : row + 2, column - 1 : column + 2] = 2000
    spacing, first = (1.1, 0.7, 1.9), (-13.25, 21.5, 104.75)
    files = _slices(
        30, volume, orientation, spacing, first, RescaleIntercept="0", WindowCenter="1000", WindowWidth="2000"
    )
    assert store(server, datastore, [part10(image) for image in files]).status_code == 200
    page.set_viewport_size({"width": 960, "height": 720})
    sign_in(page, server.key())
    page.goto(f"/console/datastores/{datastore}/view?study={slice_of().StudyInstanceUID}")
    _open_volume(page, 30)
    # Its controls lie beside the picture, not on it.
    bar, picture = (page.locator(f"[data-plane=space] .{part}").bounding_box() for part in ("space-bar", "picture"))
    assert bar is not None
    assert picture is not None
    assert bar["y"] + bar["height"] <= picture["y"] + 1
    page.locator("[data-plane=space][data-ready]").wait_for()
    axes = [np.array(one) for one in (*orientation, np.cross(*orientation))]
    steps = [axes[0] * spacing[1], axes[1] * spacing[0], axes[2] * spacing[2]]

    def place(index: Sequence[float]) -> Any:
        return np.array(first) + sum(step * at for step, at in zip(steps, index, strict=True))

    middle = place([(count - 1) / 2 for count in volume.shape[::-1]])
    for side, (right, up) in FROM.items():
        page.locator(f"[data-from={side}]").click()
        found = page.evaluate(SPACE)
        grey = np.frombuffer(base64.b64decode(found["grey"]), np.uint8).reshape(found["height"], found["width"])
        bright = grey > 100
        seen = np.zeros_like(bright)
        for index in MARKS.values():
            way = place(index) - middle
            column = found["width"] / 2 + way @ right / found["scale"]
            row = found["height"] / 2 - way @ up / found["scale"]
            assert bright[round(row), round(column)], (side, index)
            # A block has three voxels, and its edges are blurred over one more.
            reach = 2.6 * max(spacing) / found["scale"]
            rows, columns = np.ogrid[: found["height"], : found["width"]]
            seen |= (abs(rows - row) <= reach) & (abs(columns - column) <= reach)
        assert not (bright & ~seen).any(), side
        letters = {"right": right, "top": up}
        for edge, direction in letters.items():
            axis = int(np.argmax(np.abs(direction)))
            assert found["sides"][edge] == ("LPH" if direction[axis] > 0 else "RAF")[axis]


def _enhanced(series: int, volume: NDArray[Any], spacing: float) -> Dataset:
    """Make an enhanced CT: one instance whose frames lie in another order than their places."""
    image = slice_of(series=series, pixels=volume, SOPClassUID=EnhancedCTImageStorage, FrameOfReferenceUID=uid(77))
    image.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
    shared, measures, orientation = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = ["0.8", "0.8"], "2"
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = Items([measures]), Items([orientation])
    image.SharedFunctionalGroupsSequence = Items([shared])
    frames = []
    for number in range(len(volume)):
        frame, position, transformation = Dataset(), Dataset(), Dataset()
        position.ImagePositionPatient = [0, 0, f"{-number * spacing:.3f}"]
        transformation.RescaleSlope, transformation.RescaleIntercept, transformation.RescaleType = 2, -1000, "HU"
        frame.PlanePositionSequence, frame.PixelValueTransformationSequence = Items([position]), Items([transformation])
        frames.append(frame)
    image.PerFrameFunctionalGroupsSequence = Items(frames)
    return image


VOXELS: Final = f"""() => {{
  const {{ samples, size, slope, intercept }} = {VIEW}.voxels
  return {{ size, slope, intercept, values: Array.from(samples) }}
}}"""


def test_padding_inversion_and_multi_frame_images(server: ServerProcess, datastore: str, page: Page) -> None:
    dark = np.random.default_rng(31).integers(100, 4000, (5, 18, 20)).astype("u2")
    dark[:, :4] = 65535
    monochrome1 = {
        "PhotometricInterpretation": "MONOCHROME1",
        "Modality": "MR",
        "PixelPaddingValue": 65535,
        "RescaleIntercept": "0",
        "RescaleType": "US",
        "WindowCenter": "2000",
        "WindowWidth": "4000",
    }
    frames = np.random.default_rng(32).integers(-500, 1500, (7, 16, 24)).astype("i2")
    files = [*_slices(31, dark, **monochrome1), _enhanced(32, frames, 1.5)]
    assert store(server, datastore, [part10(image) for image in files]).status_code == 200
    page.set_viewport_size({"width": 720, "height": 540})
    sign_in(page, server.key())
    page.goto(f"/console/datastores/{datastore}/view?study={slice_of().StudyInstanceUID}")

    _open_volume(page, 31)
    found = page.evaluate(PLANES)[0]
    shape = found["height"], found["width"]
    values = np.frombuffer(base64.b64decode(found["values"]), np.float32).reshape(shape)
    grey = np.frombuffer(base64.b64decode(found["grey"]), np.uint8).reshape(shape).astype(int)
    # Nothing is between padding and a value: padding is black, though low values are white.
    known = ~np.isnan(values)
    assert values[known].min() >= 100
    assert values[known].max() < 4000
    assert (grey[~known] == 0).all()
    assert np.abs(grey[known] - 255 * np.clip(1 - ((values[known] - 1999.5) / 3999 + 0.5), 0, 1)).max() <= 1
    first = files[0].ImagePositionPatient
    _move(page, [float(first[0]), float(first[1]), float(first[2])])
    expect(page.locator(".probe")).to_contain_text("no value")

    _open_volume(page, 32)
    voxels = page.evaluate(VOXELS)
    assert voxels["size"] == [24, 16, 7]
    assert (voxels["slope"], voxels["intercept"]) == (2, -1000)
    # From the feet to the head, which is the other way round than in the file.
    assert voxels["values"] == frames[::-1].ravel().tolist()
    _move(page, [5 * 0.8, 3 * 0.8, -2 * 1.5])
    expect(page.locator(".probe")).to_have_text(f"L 4.0  P 2.4  F 3.0 mm: {frames[2, 3, 5] * 2 - 1000} HU")


def test_the_crosshair_leads_through_all_planes(studied: Page) -> None:
    _open_series(studied, 1)
    for _ in range(4):
        studied.keyboard.press("ArrowDown")
    expect(studied.locator("[data-active]")).to_contain_text("Image 5 of 9")
    studied.keyboard.press("u")
    studied.wait_for_function(FULL)
    probe = studied.locator(".probe")
    axial, coronal = (studied.locator(f"[data-plane={name}]") for name in ("axial", "coronal"))
    # The volume opens at the image that was being read.
    expect(axial).to_contain_text("5 of 9")
    canvas = axial.locator("canvas")
    box = canvas.bounding_box()
    assert box is not None
    before = probe.inner_text()
    studied.mouse.move(box["x"] + 30 + box["width"] / 2, box["y"] + 40 + box["height"] / 2)
    studied.mouse.wheel(0, 100)
    expect(axial).to_contain_text("6 of 9")
    # A click puts the crosshair there, to the left and back; a drag of it brings it on.
    studied.mouse.click(box["x"] + 30 + box["width"] / 2, box["y"] + 40 + box["height"] / 2)
    expect(probe).not_to_have_text(before)
    place = studied.evaluate(f"() => {VIEW}.cursor")
    middle = studied.evaluate(f"() => {VIEW}.middle")
    scale = studied.evaluate(f"() => {VIEW}.scale")
    assert abs(place[0] - middle[0] - 30 * scale) <= 1.1 / 2 + 1e-3
    assert abs(place[1] - middle[1] - 40 * scale) <= 0.7 / 2 + 1e-3
    cross = studied.evaluate(f"() => {VIEW}.planes[0].toScreen({VIEW}.cursor)")
    studied.mouse.move(box["x"] + cross[0], box["y"] + cross[1])
    studied.mouse.down()
    studied.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=3)
    studied.mouse.up()
    dragged = studied.evaluate(f"() => {VIEW}.cursor")
    assert np.abs(np.array(dragged)[:2] - np.array(middle)[:2]).max() <= 1.1
    # By keys: through the plane, and within it.
    studied.keyboard.press("ArrowUp")
    expect(axial).to_contain_text("5 of 9")
    studied.keyboard.press("End")
    expect(axial).to_contain_text("9 of 9")
    studied.keyboard.press("Shift+ArrowLeft")
    moved = studied.evaluate(f"() => {VIEW}.cursor")
    assert abs(dragged[0] - moved[0] - 1.1) < 1e-3
    # The window is that of all planes.
    studied.keyboard.press("5")
    expect(coronal).to_contain_text("Brain")
    studied.mouse.move(box["x"] + 20, box["y"] + 60)
    studied.mouse.down()
    studied.mouse.move(box["x"] + 60, box["y"] + 60, steps=2)
    studied.mouse.up()
    expect(coronal).not_to_contain_text("Brain")
    # A length, in millimetres of the patient.
    studied.keyboard.press("l")
    studied.mouse.move(box["x"] + 90, box["y"] + 90)
    studied.mouse.down()
    studied.mouse.move(box["x"] + 150, box["y"] + 170, steps=2)
    studied.mouse.up()
    expect(axial.locator("svg text")).to_have_text(f"{100 * scale:.1f} mm")
    studied.get_by_label("Slab").select_option("5")
    expect(axial).to_contain_text("Slab 5 mm, MIP")
    check_accessibility(studied)
    # A pane that does not name the patient does so where it is saved alone.
    coronal.focus()
    shown = coronal.screenshot()
    with studied.expect_download() as download:
        studied.keyboard.press("k")
    assert re.fullmatch(r"CT-20240102-series-1-coronal-\d+\.png", download.value.suggested_filename)
    saved, seen = picture(Path(download.value.path()).read_bytes())[..., :3], picture(shown)[..., :3]
    below_title = (slice(28, 60), slice(8, 90))
    assert (saved[below_title] != seen[below_title]).any()
    coronal.get_by_role("button", name="Enlarge").click()
    expect(axial).to_be_hidden()
    expect(coronal).to_contain_text("Roe, Jane")
    studied.set_viewport_size({"width": 360, "height": 740})
    check_width(studied)
    studied.get_by_role("button", name="Back to images").click()
    # Back at the image that the crosshair is on.
    expect(studied.locator("[data-active]")).to_contain_text("Image 9 of 9")


def _memory(gibibytes: str) -> str:
    """Return a script after which the browser says that its machine has so much memory."""
    return f"Object.defineProperty(navigator, 'deviceMemory', {{ get: () => {gibibytes}, configurable: true }})"


def test_what_does_not_come_is_told_and_what_does_not_fit_stays_small(
    server: ServerProcess, datastore: str, page: Page, faults: PageFaults, tmp_path: Path
) -> None:
    files = _slices(40, _ramp(9, 64, 64))
    assert store(server, datastore, [part10(image) for image in files]).status_code == 200
    page.set_viewport_size({"width": 720, "height": 540})
    # The whole has 72 KiB, and the bound is an eighth of the memory.
    page.add_init_script(_memory("8 * 48 / 1024 ** 2"))
    sign_in(page, server.key())
    page.goto(f"/console/datastores/{datastore}/view?study={slice_of().StudyInstanceUID}")
    _open_series(page, 40)
    page.keyboard.press("u")
    expect(page.locator(".volume-status")).to_contain_text(
        "Half resolution: the whole volume has 0.07 MiB, and 0.05 MiB"
    )
    page.wait_for_function(f"() => !{VIEW}.isLoading && !{VIEW}.frameAsked")
    _compare_half(page, _save_series(tmp_path, files))
    expect(page.locator(".probe")).to_contain_text("at half of the resolution")
    page.evaluate(_memory("8 * 4 / 1024 ** 2"))
    page.keyboard.press("u")
    page.keyboard.press("u")
    expect(page.locator("[data-status]")).to_contain_text("The volume is too large to be shown here")
    page.evaluate(_memory("8"))
    page.route(f"**/{files[6].SOPInstanceUID}/frames/**", lambda route: route.fulfill(status=404))
    page.evaluate("() => document.querySelector('[data-viewer]').viewer.store.forget('')")
    page.keyboard.press("u")
    page.wait_for_function(FULL)
    expect(page.locator(".volume-status")).to_have_text(
        "Full resolution. Image 7 is missing and shown in red: The server does not have this image."
    )
    _move(page, [float(one) for one in files[6].ImagePositionPatient])
    expect(page.locator(".probe")).to_contain_text("no value")
    _move(page, [float(one) for one in files[5].ImagePositionPatient])
    expect(page.locator(".probe")).to_contain_text(" HU")
    # Where nothing comes at all the panes say so, in place of black.
    page.route("**/frames/**", lambda route: route.abort())
    page.keyboard.press("u")
    page.evaluate("() => document.querySelector('[data-viewer]').viewer.store.forget('')")
    page.keyboard.press("u")
    expect(page.locator(".plane .waiting")).to_have_text(["The server cannot be reached. Trying again."] * 4)
    page.goto("about:blank")
    page.unroute("**/frames/**")
    faults.forget()  # the images that were kept from it


@pytest.mark.slow
def test_of_many_slices_every_second_one_is_shown_first(
    server: ServerProcess, datastore: str, page: Page, tmp_path: Path
) -> None:
    files = _slices(41, _ramp(259, 24, 20), spacing=(0.7, 1.1, 0.4))
    for at in range(0, len(files), 50):
        assert store(server, datastore, [part10(image) for image in files[at : at + 50]]).status_code == 200
    image = _save_series(tmp_path, files)
    page.set_viewport_size({"width": 720, "height": 540})
    held: list[Route] = []
    page.route(
        "**/frames/1", lambda route: route.continue_() if "range" in route.request.headers else held.append(route)
    )
    sign_in(page, server.key())
    page.goto(f"/console/datastores/{datastore}/view?study={slice_of().StudyInstanceUID}")
    _open_series(page, 41)
    page.keyboard.press("u")
    page.wait_for_function(f"() => {VIEW}?.element.dataset.resolution === 'half' && !{VIEW}.frameAsked")
    assert page.evaluate(f"() => {VIEW}.voxels.size") == [10, 12, 130]
    _compare_half(page, image)
    page.unroute("**/frames/1")
    for route in held:
        with suppress(Error):  # what was fetched ahead is no longer wanted
            route.continue_()
    page.wait_for_function(FULL)
    assert page.evaluate(f"() => {VIEW}.voxels.size") == [20, 24, 259]
    _compare(page, image, "all slices")
