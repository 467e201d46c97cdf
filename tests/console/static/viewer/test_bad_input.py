"""What is wrong with files, connections and rights is told in the viewer, and the rest goes on."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

import imagecodecs
import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import JPEG2000Lossless

from support.browser.fixtures import NewContext
from support.browser.page_faults import PageFaults
from support.browser.pages import sign_in
from support.browser.viewer import ACTIVE, canvas_pixels, open_series, open_study, wait_shown
from support.clients.dicomweb import part10, store
from support.files.synthetic import noise, save, slice_of, uid
from support.identities.users_and_roles import UsersAndRoles, allow
from support.imaging.imports import run_import
from support.servers import ServerProcess

STUDY: Final = str(slice_of().StudyInstanceUID)


@pytest.fixture
def viewer(page: Page, server: ServerProcess) -> Page:
    page.set_viewport_size({"width": 1400, "height": 900})
    sign_in(page, server.key())
    return page


def _window(**elements: Any) -> Dataset:
    return slice_of(pixels=noise(16, 16), **elements)


ODD: Final[dict[str, Callable[[], Dataset]]] = {
    "one pixel": lambda: slice_of(pixels=np.array([[7]], "i2")),
    "one column": lambda: slice_of(pixels=np.arange(3000, dtype="u2").reshape(3000, 1)),
    "one row": lambda: slice_of(pixels=np.arange(3000, dtype="u2").reshape(1, 3000)),
    "no width": lambda: _window(WindowCenter="40", WindowWidth="0"),
    "a negative width": lambda: _window(WindowCenter="40", WindowWidth="-400"),
    "a window of no numbers": lambda: _window(WindowCenter="NaN", WindowWidth="inf"),
    "a window beyond all values": lambda: _window(WindowCenter="1e300", WindowWidth="1e300"),
    "a window without a width": lambda: _window(WindowCenter="40"),
    "a slope beyond all values": lambda: _window(RescaleSlope="1e300", RescaleIntercept="-1e300"),
    "a slope of nothing": lambda: _window(RescaleSlope="0", RescaleIntercept="NaN"),
    "spacing of nothing": lambda: _window(PixelSpacing=["0", "-1"], ImagerPixelSpacing=["NaN", "1"]),
    "a wide spacing": lambda: _window(PixelSpacing=["1e9", "1e-9"]),
    "a spacing beyond all numbers": lambda: _window(PixelSpacing=["1e-300", "1e300"]),
    "a spacing of less than atoms": lambda: _window(PixelSpacing=["1e-300", "1e-300"]),
    "an orientation of nothing": lambda: _window(
        ImageOrientationPatient=[0, 0, 0, 0, 0, 0], ImagePositionPatient=[0, 0, 0]
    ),
}
"""Images with something odd, by name; each is shown."""


def _with_ids(images: list[Dataset], series: Callable[[int], int] = lambda number: number) -> list[bytes]:
    files = []
    for number, dataset in enumerate(images, 1):
        like = slice_of(series=series(number), number=number)
        dataset.SeriesInstanceUID, dataset.SOPInstanceUID = like.SeriesInstanceUID, like.SOPInstanceUID
        dataset.file_meta.MediaStorageSOPInstanceUID, dataset.InstanceNumber = like.SOPInstanceUID, number
        files.append(part10(dataset))
    return files


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_odd_images_are_shown(server: ServerProcess, datastore: str, viewer: Page) -> None:
    files = _with_ids([make() for make in ODD.values()])
    # All of them once more, mixed in one stack.
    mixed = _with_ids([make() for make in ODD.values()], lambda _: 90)
    assert store(server, datastore, [*files, *mixed]).status_code in {200, 202}
    open_study(viewer, datastore, STUDY)
    for number, name in enumerate(ODD, 1):
        assert open_series(viewer, uid(1, number)) == "", name
        assert viewer.evaluate(f"() => {ACTIVE}.scale.x > 0 && {ACTIVE}.scale.y > 0 && {ACTIVE}.hasPixels"), name
    # A window is dragged wherever it is.
    box = viewer.locator("[data-active] canvas").bounding_box()
    assert box is not None
    assert open_series(viewer, uid(1, 7)) == ""
    viewer.mouse.move(box["x"] + 200, box["y"] + 200)
    viewer.mouse.down()
    viewer.mouse.move(box["x"] + 260, box["y"] + 240)
    viewer.mouse.up()
    assert viewer.evaluate(f"() => Number.isFinite({ACTIVE}.window.width) && Number.isFinite({ACTIVE}.window.center)")
    assert open_series(viewer, uid(1, 90)) == ""
    for number in range(2, len(ODD) + 1):
        viewer.keyboard.press("ArrowDown")
        expect(viewer.locator("[data-active]")).to_contain_text(f"Image {number} of {len(ODD)}")
        assert wait_shown(viewer) == ""


def _damaged() -> Dataset:
    """Make five frames of JPEG 2000 whose third has another picture's size, and whose fourth is text."""
    pixels = np.stack([noise(64, 64, seed=seed) for seed in range(5)])
    dataset = slice_of(pixels=pixels)
    frames = [_jpeg_2000(frame) for frame in pixels]
    frames[2], frames[3] = _jpeg_2000(noise(32, 32)), b"no codestream at all" * 8
    dataset.PixelData = encapsulate(frames)
    dataset["PixelData"].VR = "OB"
    dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless
    return dataset


def _jpeg_2000(frame: Any) -> bytes:
    return bytes(imagecodecs.jpeg2k_encode(frame, codecformat="j2k", reversible=True, level=0))


def test_a_frame_that_does_not_decode_is_named(
    server: ServerProcess, datastore: str, viewer: Page, faults: PageFaults
) -> None:
    assert store(server, datastore, [part10(_damaged())]).status_code in {200, 202}
    open_study(viewer, datastore, STUDY)
    assert wait_shown(viewer) == ""
    before = canvas_pixels(viewer)
    failure = viewer.locator("[data-active] [data-failure]")
    for number in (2, 3, 4, 5):
        viewer.keyboard.press("ArrowDown")
        expect(viewer.locator("[data-active]")).to_contain_text(f"Image {number} of 5")
        wait_shown(viewer)
        if number in (3, 4):
            expect(failure).to_contain_text(f"Image {number}: This image does not decode")
            # The picture before is not left there as if it were this one.
            assert canvas_pixels(viewer).max() == 0
        else:
            expect(failure).to_have_text("")
            assert np.abs(canvas_pixels(viewer) - before).max() > 0
    faults.forget()


def test_a_damaged_codestream_is_told(server: ServerProcess, datastore: str, viewer: Page) -> None:
    files = [part10(slice_of(number=number, pixels=noise(128, 128, seed=number))) for number in (1, 2, 3)]
    assert store(server, datastore, files).status_code == 200

    def damage(route: Any) -> None:
        answer = route.fetch()
        body = bytearray(answer.body())
        body[:60] = bytes(60)
        route.fulfill(response=answer, body=bytes(body))

    viewer.route(f"**/{uid(1, 1, 2)}/frames/1", damage)
    open_study(viewer, datastore, STUDY)
    assert wait_shown(viewer) == ""
    viewer.keyboard.press("ArrowDown")
    failure = viewer.locator("[data-active] [data-failure]")
    expect(failure).to_contain_text("Image 2: This image does not decode")
    viewer.keyboard.press("ArrowDown")
    expect(failure).to_have_text("")


def _session_dialog(page: Page) -> Locator:
    return page.get_by_role("dialog", name="Your session has ended")


def test_connection_session_and_right_may_go_and_come_back(
    server: ServerProcess, datastore: str, new_context: NewContext
) -> None:
    count = 130
    files = [part10(slice_of(number=number, pixels=noise(16, 16, seed=number))) for number in range(1, count + 1)]
    assert store(server, datastore, files).status_code == 200
    users = UsersAndRoles(server)
    name = "reader-who-loses-it"
    everything = allow(["medical-imaging:*"])
    key = users.user(name, everything)
    context, faults = new_context()
    faults.allow("ERR_INTERNET_DISCONNECTED|Failed to load")
    page = context.new_page()
    sign_in(page, key)
    open_study(page, datastore, STUDY)
    assert wait_shown(page) == ""
    failure = page.locator("[data-active] [data-failure]")

    context.set_offline(True)
    page.keyboard.press("End")
    expect(failure).to_have_text(f"Image {count}: The server cannot be reached. It is asked again.")
    # What is here already is still shown.
    page.keyboard.press("Home")
    expect(failure).to_have_text("")
    page.keyboard.press("End")
    expect(failure).to_contain_text("cannot be reached")
    context.set_offline(False)
    expect(failure).to_have_text("")
    assert wait_shown(page) == ""

    cookies = context.cookies()
    context.clear_cookies()
    _go_to(page, 65)
    expect(_session_dialog(page)).to_be_visible()
    context.add_cookies(cookies)  # type: ignore[arg-type]
    _session_dialog(page).get_by_label("Access key", exact=True).fill(key[0])
    _session_dialog(page).get_by_label("Secret access key").fill(key[1])
    _session_dialog(page).get_by_role("button", name="Sign in").click()
    expect(_session_dialog(page)).to_be_hidden()
    expect(failure).to_have_text("")
    page.wait_for_function(f"() => {ACTIVE}.image?.isWhole")

    users.let_user(name)
    _wait_for_failure(page, "You may not see this image.")
    expect(failure).to_have_text("Image 65: You may not see this image.")
    users.let_user(name, everything)
    _wait_for_failure(page, "")
    expect(failure).to_have_text("")
    users.close()


def _wait_for_failure(page: Page, message: str) -> None:
    """Ask for the image again until it fails so, or not at all: a server knows of a new policy after a moment."""
    found = page.evaluate(
        f"""async message => {{
          const {{ stack }} = {ACTIVE}
          for (let number = 0; number < 300; number += 1) {{
            stack.store.forget("")
            await stack.show()
            if (({ACTIVE}.failure?.message ?? "") === message) return true
            await new Promise((resolve) => setTimeout(resolve, 100))
          }}
        }}""",
        message,
    )
    assert found, message


def _go_to(page: Page, number: int) -> None:
    page.evaluate(f"index => {{ {ACTIVE}.stack.go(index) }}", number - 1)


@pytest.mark.slow
def test_one_hundred_thousand_frames_open_at_once(server: ServerProcess, datastore: str, viewer: Page) -> None:
    count = 100_000
    dataset = slice_of(pixels=np.zeros((4, 2, 2), "u1"))
    dataset.NumberOfFrames = count
    dataset.PixelData = (bytes(range(256)) * (count * 4 // 256 + 1))[: count * 4]
    assert store(server, datastore, [part10(dataset)]).status_code == 200
    open_study(viewer, datastore, STUDY)
    assert wait_shown(viewer) == ""
    place = viewer.locator("[data-active]")
    expect(place).to_contain_text(f"Image 1 of {count}")
    viewer.keyboard.press("End")
    expect(place).to_contain_text(f"Image {count} of {count}")
    assert wait_shown(viewer) == ""
    stored = viewer.evaluate(f"() => [...{ACTIVE}.image.samples]")
    assert stored == [at % 256 for at in range((count - 1) * 4, count * 4)]
    viewer.keyboard.press("d")
    expect(viewer.get_by_role("complementary", name="Metadata")).to_contain_text(f"frame {count} of its instance")


def test_an_image_that_is_too_large_is_shown_smaller(server: ServerProcess, datastore: str, viewer: Page) -> None:
    rows, columns = 17_000, 40
    pixels = (np.indices((rows, columns)).sum(0) // 70).astype("u2")
    assert store(server, datastore, [part10(slice_of(pixels=pixels))]).status_code == 200
    open_study(viewer, datastore, STUDY)
    assert wait_shown(viewer) == ""
    place = viewer.locator("[data-active]")
    expect(place).to_contain_text(
        re.compile(r"Too large for this browser: shown as 20 × 8500 of 40 × 17000 pixels, without values")
    )
    assert viewer.evaluate(f"() => {ACTIVE}.probe([3, 3])") is None
    found = viewer.evaluate(f"() => [{ACTIVE}.image.width, {ACTIVE}.image.height, {ACTIVE}.image.samples[20 * 8000]]")
    assert found[:2] == [20, 8500]
    assert abs(found[2] - pixels[16000, 0]) <= 2
    for key in ("q", "Enter", "Enter"):
        viewer.keyboard.press(key)
    expect(place.locator("svg text")).to_have_text("no value: the image is shown smaller than it is")


@pytest.mark.slow
def test_an_image_of_thirty_thousand_rows_is_thinned_out(
    server: ServerProcess, client: Any, datastore: str, viewer: Page
) -> None:
    side = 30_000
    dataset = slice_of(pixels=np.zeros((2, 2), "u1"))
    del dataset.PixelData
    dataset.Rows = dataset.Columns = side
    row = (np.arange(side) // 118).astype("u1")
    path = save(dataset, server.bucket("input") / "huge" / "one.dcm")
    with path.open("ab") as file:
        file.write(b"\xe0\x7f\x10\x00OB\x00\x00" + (side * side).to_bytes(4, "little"))
        for shift in range(side):
            file.write(np.roll(row, shift).tobytes())
    run_import(server, client, datastore, "huge/")
    path.unlink()
    open_study(viewer, datastore, STUDY)
    viewer.set_default_timeout(240_000)
    assert wait_shown(viewer) == ""
    expect(viewer.locator("[data-active]")).to_contain_text("shown as 3750 × 3750 of 30000 × 30000 pixels")
    places = np.random.default_rng(1).integers(0, 3750, (200, 2)).tolist()
    found = viewer.evaluate(
        f"places => places.map(([row, column]) => {ACTIVE}.image.samples[row * 3750 + column])", places
    )
    assert found == [int(row[(column * 8 - line * 8) % side]) for line, column in places]


def test_metadata_that_is_too_large_or_cut_off_is_told(server: ServerProcess, datastore: str, viewer: Page) -> None:
    assert store(server, datastore, [part10(slice_of())]).status_code == 200
    open_study(viewer, datastore, STUDY)
    assert wait_shown(viewer) == ""
    told = viewer.evaluate(
        """async () => {
          const place = document.querySelector('script[src*="viewer/viewer.js"]').src
          const { readJson } = await import(place.replace("viewer.js", "json_reader.js"))
          const chunk = new Uint8Array(2 ** 20)
          const endless = new ReadableStream({ pull: (controller) => controller.enqueue(chunk) })
          const cut = new ReadableStream({ pull: (controller) => controller.error(new TypeError("network error")) })
          const why = (stream) => readJson(new Response(stream)).catch((error) => error.message)
          return [await why(endless), await why(cut)]
        }"""
    )
    assert told == [
        "The metadata of this series has more than 256 MiB, which this browser cannot hold.",
        "The connection was lost while the series was read. Open it again.",
    ]


def test_planted_markup_of_windows_and_tables_is_text(server: ServerProcess, datastore: str, viewer: Page) -> None:
    hostile = "<svg onload=alert(1)>"
    dataset = slice_of(
        WindowCenter="1",
        WindowWidth="100",
        WindowCenterWidthExplanation=hostile,
        RescaleSlope="1",
        RescaleIntercept="0",
        RescaleType=hostile[:16],
        Modality="PT",
        Units="BQML",
        PatientName="A^<b>bold</b>",
        ImageComments=hostile,
    )
    code, mapping = Dataset(), Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = hostile[:16], "UCUM", hostile
    mapping.LUTLabel, mapping.LUTExplanation = hostile[:16], hostile
    mapping.MeasurementUnitsCodeSequence = Sequence([code])
    mapping.RealWorldValueFirstValueMapped, mapping.RealWorldValueLastValueMapped = -32768, 32767
    mapping["RealWorldValueFirstValueMapped"].VR = mapping["RealWorldValueLastValueMapped"].VR = "SS"
    mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept = 1.0, 0.0
    dataset.RealWorldValueMappingSequence = Sequence([mapping])
    assert store(server, datastore, [part10(dataset)]).status_code in {200, 202}
    open_study(viewer, datastore, STUDY)
    assert wait_shown(viewer) == ""
    for key in ("q", "Enter", "Enter", "m", "d"):
        viewer.keyboard.press(key)
    expect(viewer.locator("[data-active]")).to_contain_text("A, <b>bold</b>")
    expect(viewer.locator("[data-presets]")).to_contain_text(hostile)
    assert viewer.locator("svg[onload]").count() == 0
