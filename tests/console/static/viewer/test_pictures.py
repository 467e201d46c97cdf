"""The viewer: what is on its canvas is what the server renders, and what is measured is right."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Page, Route, expect
from pydicom.dataset import Dataset

from support.browser.accessibility import check_accessibility
from support.browser.page_faults import PageFaults
from support.browser.pages import check_width, sign_in
from support.browser.viewer import (
    ACTIVE,
    canvas_pixels,
    click_points,
    measured_texts,
    open_series,
    open_study,
    wait_shown,
)
from support.clients.dicomweb import get, part10, store
from support.files.synthetic import noise, slice_of
from support.identities.users_and_roles import UsersAndRoles
from support.imaging.imports import run_import
from support.imaging.rendered_images import picture
from support.servers import ServerProcess


@pytest.fixture
def signed_in(page: Page, server: ServerProcess) -> Page:
    page.set_viewport_size({"width": 2400, "height": 2400})
    sign_in(page, server.key())
    return page


STATE: Final = f"""() => {{
  const {{ frame, image, stack }} = {ACTIVE}
  const path = frame.path.slice(frame.path.indexOf("studies/"))
  return {{ path, grey: image.components === 1, count: stack.frames.length,
    square: frame.aspect === 1, supplemental: Boolean(frame.palette) && !frame.isPalette }}
}}"""


@pytest.mark.slow
def test_the_canvas_of_real_files_is_what_the_server_renders(
    server: ServerProcess, client: Any, datastore: str, shared_data: Path, signed_in: Page
) -> None:
    """Every real file: 8, 12 and 16 bits, signed or not, MONOCHROME1, palette, RGB, YBR, JPEG, JPEG 2000, multi-frame."""
    folder = server.bucket("input") / "viewed"
    shutil.copytree(shared_data / "pydicom-data" / "files", folder)
    run_import(server, client, datastore, "viewed/")
    compared: dict[str, int] = {}
    for study in get(server, datastore, "studies?limit=1000").json():
        uid = study["0020000D"]["Value"][0]
        if not set(study["00080061"].get("Value", [])) - {"SR", "ECG", "RTPLAN", "RTSTRUCT", "PR", "KO"}:
            continue
        open_study(signed_in, datastore, uid)
        signed_in.locator("[data-series], [data-status]:not(:empty)").first.wait_for()
        if signed_in.get_by_text("This series has no images").count():
            continue
        assert wait_shown(signed_in) == "", uid
        state = signed_in.evaluate(STATE)
        if not state["square"] or state["supplemental"]:
            continue
        expected = get(server, datastore, f"{state['path']}/rendered", "image/png")
        assert expected.status_code == 200, uid
        levels = picture(expected.content).astype(int)
        signed_in.keyboard.press("g")  # the server renders no overlay planes
        found = canvas_pixels(signed_in)
        if levels.ndim == 2:
            levels = np.repeat(levels[..., None], 3, axis=2)
        assert found.shape == levels.shape, uid
        assert np.abs(found - levels).max() <= 1, uid
        kind = "grey" if state["grey"] else "colour"
        compared[kind] = compared.get(kind, 0) + 1
    assert compared.get("grey", 0) >= 5, compared
    assert compared.get("colour", 0) >= 2, compared


def _ramp(low: int, high: int, dtype: str) -> NDArray[Any]:
    return np.linspace(low, high, 48 * 64).reshape(48, 64).astype(dtype)


KINDS: Final[dict[str, tuple[NDArray[Any], dict[str, Any]]]] = {
    "16 bits signed": (_ramp(-1024, 3071, "i2"), {"WindowCenter": "40", "WindowWidth": "400"}),
    "12 bits": (_ramp(0, 4095, "u2"), {"BitsStored": 12, "WindowCenter": "1000", "WindowWidth": "1"}),
    "8 bits": (_ramp(0, 255, "u1"), {}),
    "8 bits signed": (_ramp(-128, 127, "i1"), {"WindowCenter": "-20", "WindowWidth": "100.5"}),
    "dark is high": (_ramp(0, 1023, "u2"), {"BitsStored": 10, "PhotometricInterpretation": "MONOCHROME1"}),
    "sigmoid": (_ramp(0, 4095, "u2"), {"WindowCenter": "1800", "WindowWidth": "900", "VOILUTFunction": "SIGMOID"}),
    "exact": (_ramp(0, 4095, "u2"), {"WindowCenter": "9", "WindowWidth": "0.5", "VOILUTFunction": "LINEAR_EXACT"}),
    "slope": (_ramp(-50, 600, "i2"), {"RescaleSlope": "0.013", "RescaleIntercept": "2.5"}),
    "colour": (np.random.default_rng(1).integers(0, 256, (48, 64, 3), np.uint8), {}),
}
"""Kinds of images by name: samples, and what the data set says of them."""


def _image(number: int, samples: NDArray[Any], elements: dict[str, Any]) -> Dataset:
    dataset = slice_of(series=number, number=number, pixels=samples, **elements)
    if samples.ndim == 3:
        del dataset.NumberOfFrames
        dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = samples.shape
        dataset.PhotometricInterpretation, dataset.PlanarConfiguration = "RGB", 0
    dataset.HighBit = dataset.BitsStored - 1
    return dataset


def test_the_canvas_is_what_the_server_renders(server: ServerProcess, datastore: str, signed_in: Page) -> None:
    files = [part10(_image(number, *kind)) for number, kind in enumerate(KINDS.values(), start=1)]
    assert store(server, datastore, files).status_code == 200
    open_study(signed_in, datastore, str(slice_of().StudyInstanceUID))
    expect(signed_in.locator("[data-series]")).to_have_count(len(KINDS))
    for number, kind in enumerate(KINDS, start=1):
        assert open_series(signed_in, str(slice_of(series=number).SeriesInstanceUID)) == "", kind
        state = signed_in.evaluate(STATE)
        levels = picture(get(server, datastore, f"{state['path']}/rendered", "image/png").content).astype(int)
        expected = levels if levels.ndim == 3 else np.repeat(levels[..., None], 3, axis=2)
        assert np.abs(canvas_pixels(signed_in) - expected).max() <= 1, kind
        assert state["grey"] == (kind != "colour")


def test_measurements_are_those_of_the_pixels(server: ServerProcess, datastore: str, signed_in: Page) -> None:
    samples = np.random.default_rng(2).integers(-1000, 3000, (200, 300)).astype("i2")
    said = {"PixelSpacing": ["0.7", "0.4"], "RescaleSlope": "2", "RescaleIntercept": "-1024", "RescaleType": "HU"}
    assert store(server, datastore, [part10(slice_of(pixels=samples, **said))]).status_code == 200
    open_study(signed_in, datastore, str(slice_of().StudyInstanceUID))
    wait_shown(signed_in)
    click_points(signed_in, "l", (50, 40), (130, 100))
    assert measured_texts(signed_in) == [f"{np.hypot(80 * 0.4, 60 * 0.7):.1f} mm"]
    signed_in.keyboard.press("Delete")
    click_points(signed_in, "a", (100, 40), (60, 40), (60, 90))
    assert measured_texts(signed_in) == ["90.0°"]
    signed_in.keyboard.press("Delete")
    click_points(signed_in, "q", (17.5, 23.5))
    assert measured_texts(signed_in) == [f"{samples[23, 17] * 2 - 1024} HU (stored {samples[23, 17]})"]
    signed_in.keyboard.press("Delete")
    click_points(signed_in, "r", (20, 30), (120, 90))
    points = signed_in.evaluate(f"() => {ACTIVE}.measurements[0].points")
    (left, top), (right, bottom) = points
    rows, columns = np.mgrid[0:200, 0:300] + 0.5
    inside = (columns >= left) & (columns <= right) & (rows >= top) & (rows <= bottom)
    values = samples[inside] * 2.0 - 1024
    area, statistics, ends = measured_texts(signed_in)
    assert area == f"{(right - left) * 0.4 * (bottom - top) * 0.7:.0f} mm²"
    assert statistics == f"mean {values.mean():.1f} SD {values.std():.1f}"
    assert ends == f"{values.min():.0f} … {values.max():.0f} HU"
    # What is measured stays where it is when the image is turned and flipped.
    signed_in.keyboard.press("]")
    signed_in.keyboard.press("h")
    assert measured_texts(signed_in) == [area, statistics, ends]


def test_the_keyboard_does_all(server: ServerProcess, datastore: str, signed_in: Page) -> None:
    hostile = '<img src=x onerror="document.title=1">'
    files = [
        part10(
            slice_of(
                number=number,
                PatientName=f"Roe^{hostile}"[:64],
                SeriesDescription=hostile,
                ImagePositionPatient=[0, 0, -number],
                ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
            )
        )
        for number in range(1, 6)
    ]
    assert store(server, datastore, files).status_code == 200
    open_study(signed_in, datastore, str(slice_of().StudyInstanceUID))
    wait_shown(signed_in)
    texts = signed_in.locator("[data-active]")
    expect(texts).to_contain_text("Image 1 of 5")
    # From the feet to the head, whatever the numbers are.
    expect(texts).to_contain_text("at −5 mm")
    sides = [signed_in.locator(f"[data-active] [data-side={side}]").inner_text() for side in ("top", "right")]
    assert sides == ["A", "L"]
    signed_in.keyboard.press("End")
    expect(texts).to_contain_text("Image 5 of 5")
    signed_in.keyboard.press("ArrowUp")
    expect(texts).to_contain_text("Image 4 of 5")
    signed_in.keyboard.press("h")
    signed_in.keyboard.press("]")
    sides = [signed_in.locator(f"[data-active] [data-side={side}]").inner_text() for side in ("top", "right")]
    # Flipped, the left is at the left; turned to the right, it comes to the top.
    assert sides == ["L", "A"]
    signed_in.keyboard.press("4")
    expect(texts).to_contain_text("W 80 C 40 Brain")
    presets = signed_in.locator("[data-presets]")
    expect(presets.locator("option:checked")).to_contain_text("Brain")
    place = signed_in.locator("[data-active] canvas").bounding_box()
    assert place is not None
    signed_in.mouse.move(place["x"] + 300, place["y"] + 300)
    for notch in (100, 120, 53):
        # A notch of a wheel is one image, whatever a browser makes of it.
        before = signed_in.evaluate(f"() => {ACTIVE}.stack.index")
        signed_in.mouse.wheel(0, -notch)
        signed_in.wait_for_function(f"before => {ACTIVE}.stack.index === before - 1", arg=before)
    signed_in.mouse.down()
    signed_in.mouse.move(place["x"] + 340, place["y"] + 310)
    signed_in.mouse.up()
    expect(presets.locator("option:checked")).to_have_text("Window …")
    signed_in.keyboard.press("t")
    expect(texts).not_to_contain_text("Roe")
    signed_in.keyboard.press("?")
    expect(signed_in.get_by_role("heading", name="Keys")).to_be_focused()
    check_accessibility(signed_in)
    signed_in.keyboard.press("Escape")
    check_accessibility(signed_in)
    assert signed_in.title() == "Viewer – Hounsfield"
    signed_in.set_viewport_size({"width": 360, "height": 740})
    check_width(signed_in)


def test_an_empty_value_of_a_window_is_not_zero(server: ServerProcess, datastore: str, signed_in: Page) -> None:
    image = slice_of(study=8, WindowCenter=["", "2000"], WindowWidth=["400", "3000"])
    assert store(server, datastore, [part10(image)]).status_code == 200
    open_study(signed_in, datastore, str(image.StudyInstanceUID))
    assert wait_shown(signed_in) == ""
    assert signed_in.evaluate(f"() => {ACTIVE}.frame.windows.map(({{ center, width }}) => [center, width])") == [
        [2000, 3000]
    ]


def test_a_twelfth_of_the_bytes_is_a_picture(server: ServerProcess, datastore: str, signed_in: Page) -> None:
    # Slices far from the first, so that none of those that are looked at was fetched ahead.
    files = [part10(slice_of(number=number, pixels=noise(512, 512, seed=number))) for number in (1, 2, 3)]
    assert store(server, datastore, files).status_code == 200
    open_study(signed_in, datastore, str(slice_of().StudyInstanceUID))
    assert wait_shown(signed_in) == ""
    found = signed_in.evaluate(
        f"""async () => {{
          const {{ stack }} = {ACTIVE}
          const {{ store, frames }} = stack
          stack.close()
          // What was fetched ahead already is decoded after that.
          await Promise.allSettled([...store.coming.values()])
          store.forget("")
          const pictures = []
          await store.load(frames[1], {{ onPicture: (one) => pictures.push(one) }})
          return pictures.map(({{ width, bytes, isWhole, samples }}) => [width, bytes, isWhole, Array.from(samples).at(9000)])
        }}"""
    )
    whole = found[-1]
    assert whole[0] == 512
    assert whole[2]
    width, first_bytes, is_whole, value = found[0]
    assert width >= 128
    assert not is_whole
    assert first_bytes <= 0.08 * whole[1]
    # It is a picture of the same thing.
    assert abs(value - noise(512, 512, seed=2)[(9000 // width) * 512 // width, (9000 % width) * 512 // width]) < 150


def test_parts_of_two_images_are_not_put_together(server: ServerProcess, datastore: str, signed_in: Page) -> None:
    pixels = np.random.default_rng(7).integers(0, 4096, (128, 128), dtype=np.uint16)
    assert store(server, datastore, [part10(slice_of(study=7, pixels=pixels))]).status_code == 200
    replaced: list[str] = []

    def replace(route: Route) -> None:
        asked = route.request.headers.get("range", "")
        if not asked.startswith("bytes=") or asked.startswith("bytes=0-"):
            route.continue_()
            return
        answer = route.fetch()
        replaced.append(asked)
        headers = {**answer.headers, "etag": '"another"'}
        route.fulfill(status=206, headers=headers, body=bytes(len(answer.body())))

    signed_in.route("**/frames/**", replace)
    open_study(signed_in, datastore, str(slice_of(study=7).StudyInstanceUID))
    assert wait_shown(signed_in) == ""
    assert replaced
    path = signed_in.evaluate(STATE)["path"]
    levels = picture(get(server, datastore, f"{path}/rendered", "image/png").content).astype(int)
    assert np.abs(canvas_pixels(signed_in) - levels[..., None]).max() <= 1


def test_a_lost_image_is_told_and_the_rest_goes_on(
    server: ServerProcess, datastore: str, signed_in: Page, faults: PageFaults
) -> None:
    files = [part10(slice_of(number=number)) for number in (1, 2, 3)]
    assert store(server, datastore, files).status_code == 200
    signed_in.route(f"**/{slice_of(number=2).SOPInstanceUID}/frames/**", lambda route: route.abort())
    open_study(signed_in, datastore, str(slice_of().StudyInstanceUID))
    wait_shown(signed_in)
    signed_in.keyboard.press("ArrowDown")
    failure = signed_in.locator("[data-active] [data-failure]")
    expect(failure).to_have_text("Image 2: The server cannot be reached. It is asked again.")
    signed_in.keyboard.press("ArrowDown")
    expect(failure).to_have_text("")
    expect(signed_in.locator("[data-active]")).to_contain_text("Image 3 of 3")
    faults.forget()  # the image that was kept from it


def test_who_may_not_see_is_told(server: ServerProcess, datastore: str, users: UsersAndRoles, page: Page) -> None:
    assert store(server, datastore, [part10(slice_of())]).status_code == 200
    sign_in(page, users.some_user())
    answer = page.goto(f"/console/datastores/{datastore}/view?study={slice_of().StudyInstanceUID}")
    assert answer is not None
    assert answer.status == 403
