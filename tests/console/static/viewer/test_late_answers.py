"""What comes late, or was begun on another image, is never shown or measured on the image that is there now."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pytest
from playwright.sync_api import Page, Route, expect
from pydicom.dataset import Dataset
from pydicom.uid import BasicTextSRStorage

from support.browser.fixtures import NewContext
from support.browser.page_faults import PageFaults
from support.browser.pages import sign_in
from support.browser.viewer import ACTIVE, click_points, measured_texts, open_series, open_study, wait_shown
from support.clients.dicomweb import part10, store
from support.files.synthetic import noise, slice_of, uid
from support.servers import ServerProcess

STUDY: Final = uid(1)
IMAGES, VOLUME, REPORT, MIXED, FURTHER = (uid(1, number) for number in range(1, 6))
GEOMETRY: Final = {"ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "PixelSpacing": [1, 1]}
VIEWER: Final = 'document.querySelector("[data-viewer]").viewer'
MODULE: Final = (
    """name => import(document.querySelector('script[src*="viewer/viewer.js"]').src.replace("viewer.js", name))"""
)


def _slices(series: int, count: int, **elements: Any) -> list[Dataset]:
    return [
        slice_of(
            series,
            number,
            pixels=noise(32, 32, seed=number),
            ImagePositionPatient=[0, 0, 4 * number],
            **GEOMETRY,
            **elements,
        )
        for number in range(1, count + 1)
    ]


def _report(series: int, number: int = 1) -> Dataset:
    made = slice_of(series, number, SOPClassUID=BasicTextSRStorage, Modality="SR", ValueType="CONTAINER")
    made.file_meta.MediaStorageSOPClassUID = BasicTextSRStorage
    for keyword in ("PixelData", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"):
        del made[keyword]
    del made.SamplesPerPixel, made.PhotometricInterpretation
    return made


@pytest.fixture
def viewer(page: Page, server: ServerProcess, datastore: str) -> Page:
    page.set_viewport_size({"width": 1400, "height": 900})
    files = [
        *_slices(1, 3),
        *_slices(2, 4),
        _report(3),
        *_slices(4, 1),
        _report(4, 2),
        *_slices(5, 3),
    ]
    assert store(server, datastore, [part10(one) for one in files]).status_code == 200
    sign_in(page, server.key())
    open_study(page, datastore, STUDY)
    assert wait_shown(page) == ""
    return page


class Held:
    """Holds answers back until they are let go."""

    def __init__(self, page: Page, pattern: str) -> None:
        self.page, self.pattern = page, pattern
        self.routes: list[Route] = []
        page.route(pattern, lambda route: self.routes.append(route))  # noqa: PLW0108 - Playwright marks the function

    def let_go(self) -> None:
        for route in self.routes:
            route.continue_()
        self.page.unroute(self.pattern)


def _choose(page: Page, series: str) -> None:
    page.locator(f"[data-series='{series}']").click()


def test_another_series_is_not_replaced_by_one_that_comes_late(viewer: Page, faults: PageFaults) -> None:
    held = Held(viewer, "**/documents/structured_report.js")
    with viewer.expect_request(held.pattern):
        _choose(viewer, REPORT)
    assert open_series(viewer, IMAGES) == ""
    held.let_go()
    viewer.evaluate(
        f"async () => {{ await ({MODULE})('documents/structured_report.js'); await new Promise(setTimeout) }}"
    )
    assert viewer.evaluate(f"() => [{ACTIVE}.wanted, {ACTIVE}.guest]") == [IMAGES, None]

    # A volume whose styles come late.
    assert open_series(viewer, VOLUME) == ""
    styles = Held(viewer, "**/viewer/volumes/volume.css")
    with viewer.expect_request(styles.pattern):
        viewer.keyboard.press("u")
    assert open_series(viewer, IMAGES) == ""
    styles.let_go()
    viewer.wait_for_function("() => document.querySelector('link[href*=\"volume.css\"]')?.sheet")
    viewer.evaluate("() => new Promise(setTimeout)")
    assert viewer.evaluate(f"() => {VIEWER}.whole") is None

    # The buttons of a series with several kinds go with it.
    panel = viewer.get_by_role("complementary", name="This series has")
    _choose(viewer, MIXED)
    expect(panel).to_be_visible()
    assert open_series(viewer, IMAGES) == ""
    expect(panel).to_be_hidden()

    # What cannot be opened does not give its name to what is there.
    viewer.route(f"**/series/{FURTHER}/metadata", lambda route: route.fulfill(status=503))
    _choose(viewer, FURTHER)
    expect(viewer.locator("[data-status]")).to_have_text("The server does not give the study (503).")
    viewer.locator("[data-active] canvas").click()
    expect(viewer.locator(f"[data-series='{IMAGES}']")).to_have_attribute("aria-pressed", "true")
    faults.forget()


def test_the_image_that_is_there_keeps_its_number_and_its_points(viewer: Page) -> None:
    place = viewer.locator("[data-active]")
    # Nothing that was fetched ahead is there.
    viewer.evaluate(
        f"""async () => {{
          const {{ ahead, store }} = {ACTIVE}.stack
          ahead.abort()
          await Promise.allSettled([...store.coming.values()])
          store.forget("")
        }}"""
    )
    held = Held(viewer, f"**/{uid(1, 1, 2)}/frames/1")
    with viewer.expect_request(held.pattern):
        viewer.keyboard.press("ArrowDown")
    viewer.keyboard.press("i")
    expect(place).to_contain_text("Image 1 of 3")
    click_points(viewer, "l", (4, 4))
    held.let_go()
    expect(place).to_contain_text("Image 2 of 3")
    assert wait_shown(viewer) == ""
    click_points(viewer, "l", (20, 4), (20, 14))
    found = viewer.evaluate(
        f"() => {ACTIVE}.measurements.map(({{ path, points }}) => [path.split('/').at(-3), points])"
    )
    assert [sop for sop, _ in found] == [uid(1, 1, 2)]
    assert np.round(found[0][1]).tolist() == [[20, 4], [20, 14]]
    assert measured_texts(viewer) == ["10.0 mm"]

    # Series that name no frame of reference are not scrolled by each other's places.
    viewer.locator("[data-layout-of='2']").click()
    viewer.locator("[data-viewport]").nth(1).click()
    assert open_series(viewer, FURTHER) == ""
    viewer.keyboard.press("End")
    assert viewer.evaluate(f"() => {VIEWER}.viewports.slice(0, 2).map(({{ stack }}) => stack.index)") == [1, 2]


def test_a_decoder_that_breaks_is_begun_again(viewer: Page) -> None:
    found = viewer.evaluate(
        f"""async () => {{
          const {{ Decoder }} = await ({MODULE})("decoder.js")
          const {{ frame }} = {ACTIVE}
          const bytes = new Uint8Array(await (await fetch(frame.path, {{ headers: {{ Accept: "image/jphc" }} }})).arrayBuffer())
          const decoder = new Decoder(1)
          const [worker] = decoder.idle
          const broken = decoder.decode(bytes, 0).catch((error) => error.message)
          worker.dispatchEvent(new ErrorEvent("error"))
          return [await broken, (await decoder.decode(bytes, 0)).width]
        }}"""
    )
    assert found == ["the decoder could not be loaded", 32]


def test_a_codec_that_did_not_load_is_asked_for_again(
    server: ServerProcess, datastore: str, new_context: NewContext
) -> None:
    files = [part10(one) for one in _slices(1, 2)]
    assert store(server, datastore, files).status_code == 200
    context, faults = new_context()
    page = context.new_page()
    sign_in(page, server.key())
    page.route("**/openjphjs.wasm", lambda route: route.abort())
    open_study(page, datastore, STUDY)
    assert "does not decode" in wait_shown(page)
    page.unroute("**/openjphjs.wasm")
    page.keyboard.press("ArrowDown")
    page.wait_for_function(f"() => {ACTIVE}.index === 1")
    assert wait_shown(page) == ""
    faults.forget()


def test_absurd_numbers_of_frames_are_bounded(viewer: Page) -> None:
    counts = viewer.evaluate(
        f"""async () => {{
          const {{ framesOfSeries }} = await ({MODULE})("dicom.js")
          const image = (frames) => ({{ "00280010": {{ vr: "US", Value: [1] }}, "00280008": {{ vr: "IS", Value: [frames] }} }})
          const counts = [[3, 2147483647, 5, 2147483647], [1e308, -4]]
          return counts.map((list) => framesOfSeries(list.map(image), "").length)
        }}"""
    )
    assert counts == [1_000_002, 1_000_001]
    planes = viewer.evaluate(
        f"""async () => {{
          const {{ Slide, SLIDE }} = await ({MODULE})("slides/pyramid.js")
          const said = {{ "00080016": SLIDE, "00280008": 2147483647, "00280010": 1, "00280011": 1, "00480303": 4294967295 }}
          const dataset = Object.fromEntries(Object.entries(said).map(([tag, one]) => [tag, {{ vr: "UL", Value: [one] }}]))
          return new Slide([dataset], "").planesOf("").length
        }}"""
    )
    assert planes == 1


def _answer_with_a_long_comment(route: Route) -> None:
    """Answer a request for a part of a codestream, in whose header a comment of many bytes was put."""
    headers = {**route.request.headers}
    _, asked = headers.pop("range", "bytes=0-").split("=")
    answer = route.fetch(headers=headers)
    body = answer.body()
    if body[:4] != b"\xff\x4f\xff\x51":
        route.fulfill(response=answer)
        return
    end = 4 + int.from_bytes(body[4:6], "big")
    body = body[:end] + b"\xff\x64" + (9000).to_bytes(2, "big") + bytes(8998) + body[end:]
    first, _, last = asked.partition("-")
    part = body[int(first) : int(last or len(body)) + 1]
    told = {"Content-Range": f"bytes {first}-{int(first) + len(part) - 1}/{len(body)}"}
    route.fulfill(response=answer, status=206, body=part, headers={**answer.headers, **told})


def test_what_the_decoder_would_change_is_found_behind_a_long_header(
    server: ServerProcess, datastore: str, page: Page
) -> None:
    pixels = np.arange(-128, 128, dtype="i1").reshape(16, 16)
    assert store(server, datastore, [part10(slice_of(pixels=pixels))]).status_code == 200
    sign_in(page, server.key())
    page.route("**/frames/1", _answer_with_a_long_comment)
    open_study(page, datastore, STUDY)
    assert wait_shown(page) == ""
    assert page.evaluate(f"() => [...{ACTIVE}.image.samples]") == pixels.ravel().tolist()


def test_an_instance_that_is_replaced_is_read_with_its_own_data_set(
    viewer: Page, server: ServerProcess, datastore: str
) -> None:
    (other,) = _slices(1, 1, RescaleSlope="2", RescaleIntercept="0")
    other.PixelData = np.full((32, 32), 50, np.uint16).tobytes()
    assert store(server, datastore, [part10(other)]).status_code == 200
    # It is noticed while one looks, and when the series is opened again.
    viewer.evaluate(f"() => {{ {VIEWER}.lookAgainAfter = 0; {VIEWER}.scroll(1) }}")
    expect(viewer.locator("[data-status]")).to_have_text("This series has changed on the server and was loaded anew.")
    probe = f"() => {ACTIVE}.index === 0 && {ACTIVE}.image?.isWhole && {ACTIVE}.probe([3.5, 4.5])?.value"
    viewer.evaluate(f"() => {{ {VIEWER}.lookAgainAfter = Infinity; {VIEWER}.scroll(-Infinity) }}")
    viewer.wait_for_function(f"{probe} === 100")
    other.PixelData = np.full((32, 32), 60, np.uint16).tobytes()
    assert store(server, datastore, [part10(other)]).status_code == 200
    viewer.evaluate(f"uid => {VIEWER}.openSeries(uid)", IMAGES)
    viewer.wait_for_function(f"{probe} === 120")
