"""The viewer plays video as the browser can, and says so where it cannot."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Locator, Page, expect
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import MPEG2MPML, MPEG4HP41, VideoEndoscopicImageStorage

from support.browser.accessibility import check_accessibility
from support.browser.page_faults import PageFaults
from support.browser.pages import check_width, sign_in
from support.clients.dicomweb import get, part10, store
from support.files.synthetic import slice_of
from support.servers import ServerProcess

VIDEO: Final = Path(__file__).parents[3] / "support" / "files" / "video_h264.mp4"
"""H.264 in MP4, 64 × 48, three seconds of ten frames; frame number n, from 0 on, is grey of the level 8n."""
GREY: Final = """video => {
  const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight), context = canvas.getContext("2d")
  context.drawImage(video, 0, 0)
  return context.getImageData(32, 24, 1, 1).data[1]
}"""
AT: Final = (
    "([video, seconds]) => !video.seeking && video.readyState >= 2 && Math.abs(video.currentTime - seconds) < 0.001"
)


def video_of(stream: bytes, transfer_syntax: str, number: int) -> Dataset:
    """Make a video of a stream in three fragments, as senders cut them."""
    made = slice_of(series=number, SOPClassUID=VideoEndoscopicImageStorage, Modality="ES")
    made.file_meta.MediaStorageSOPClassUID = VideoEndoscopicImageStorage
    made.file_meta.TransferSyntaxUID = transfer_syntax
    made.Rows, made.Columns, made.SamplesPerPixel, made.NumberOfFrames = 48, 64, 3, 30
    made.PhotometricInterpretation, made.PlanarConfiguration, made.PixelRepresentation = "YBR_PARTIAL_420", 0, 0
    made.BitsAllocated = made.BitsStored = 8
    made.HighBit, made.CineRate, made.FrameTime = 7, "10", "100"
    made.PixelData = encapsulate([stream + b"\0" * (len(stream) % 2)], fragments_per_frame=3, has_bot=False)
    made["PixelData"].VR, made["PixelData"].is_undefined_length = "OB", True
    return made


def open_video(page: Page, datastore: str, dataset: Dataset) -> Locator:
    series = f"&series={dataset.SeriesInstanceUID}"
    page.goto(f"/console/datastores/{datastore}/view?study={dataset.StudyInstanceUID}{series}")
    body = page.locator(".document-body")
    expect(body).to_contain_text("Frame rate")
    return body


@pytest.fixture
def signed_in(page: Page, server: ServerProcess) -> Page:
    sign_in(page, server.key())
    return page


def wait_at(page: Page, video: Locator, seconds: float) -> None:
    handle: Any = video.element_handle()
    page.wait_for_function(AT, arg=[handle, seconds])


def test_a_video_plays_and_is_scrubbed_by_keys(
    server: ServerProcess, datastore: str, signed_in: Page, faults: PageFaults
) -> None:
    stream = VIDEO.read_bytes()
    dataset = video_of(stream, MPEG4HP41, 1)
    assert store(server, datastore, [part10(dataset)]).status_code == 200
    series = f"studies/{dataset.StudyInstanceUID}/series/{dataset.SeriesInstanceUID}"
    frame = f"{series}/instances/{dataset.SOPInstanceUID}/frames/1"
    part = get(server, datastore, frame, "application/octet-stream; transfer-syntax=*", Range="bytes=100-1099")
    assert part.status_code == 206
    assert part.content == stream[100:1100]

    body = open_video(signed_in, datastore, dataset)
    video, place = body.locator("video"), body.locator("output")
    expect(place).to_have_text("0.00 of 3.00 s, frame 1 of 30")
    assert video.evaluate("video => [video.duration, video.videoWidth, video.videoHeight]") == [3, 64, 48]
    check_accessibility(signed_in)
    signed_in.locator("[data-viewport]").first.focus()
    for key, seconds, number in (
        ("ArrowDown", 0.15, 2),
        ("ArrowDown", 0.25, 3),
        ("ArrowUp", 0.15, 2),
        ("End", 3.0, 30),
        ("Home", 0.0, 1),
        ("PageDown", 3.0, 30),
    ):
        signed_in.keyboard.press(key)
        wait_at(signed_in, video, seconds)
        expect(place).to_contain_text(f"frame {number} of 30")
        # Pixels of video are limited in range and coded with loss.
        assert video.evaluate(GREY) == pytest.approx(8 * (number - 1), abs=4), key
    video.evaluate("video => { video.currentTime = 1.55 }")
    wait_at(signed_in, video, 1.55)
    assert video.evaluate(GREY) == pytest.approx(8 * 15, abs=4)
    signed_in.keyboard.press("Home")
    wait_at(signed_in, video, 0)
    signed_in.keyboard.press(" ")
    signed_in.wait_for_function("video => video.currentTime > 0.3", arg=video.element_handle())
    signed_in.keyboard.press(" ")
    signed_in.wait_for_function("video => video.paused", arg=video.element_handle())
    with signed_in.expect_download() as saved:
        signed_in.get_by_role("link", name="Save file").click()
    assert saved.value.suggested_filename == "video.mp4"
    assert Path(saved.value.path()).read_bytes() == stream
    signed_in.set_viewport_size({"width": 360, "height": 740})
    check_width(signed_in)
    assert faults.found == []


def test_video_that_no_browser_plays_says_so(
    server: ServerProcess, datastore: str, signed_in: Page, faults: PageFaults
) -> None:
    program = video_of(b"\0\0\1\xba" + bytes(2000), MPEG2MPML, 1)
    still = slice_of(series=3, number=9)
    among = video_of(VIDEO.read_bytes(), MPEG4HP41, 3)
    broken = video_of(VIDEO.read_bytes()[:200] + b"\xff" * 800, MPEG4HP41, 2)
    assert store(server, datastore, [part10(one) for one in (program, broken, still, among)]).status_code == 200
    body = open_video(signed_in, datastore, program)
    expect(body).to_contain_text("Browsers do not play MPEG-2 in an MPEG program stream.")
    expect(body.locator("video")).to_have_count(0)
    expect(signed_in.get_by_role("link", name="Save file")).to_have_attribute("download", "video.mpg")
    body = open_video(signed_in, datastore, broken)
    expect(body).to_contain_text(re.compile("This browser cannot play this video"))
    expect(body.locator("video")).to_be_hidden()
    # Among stills of its series it is a button away.
    page_of = f"/console/datastores/{datastore}/view?study={still.StudyInstanceUID}&series={still.SeriesInstanceUID}"
    signed_in.goto(page_of)
    expect(signed_in.locator("[data-active]")).to_contain_text("Image 1 of 1")
    signed_in.get_by_role("button", name="Videos (1)").click()
    expect(body.locator("output")).to_have_text("0.00 of 3.00 s, frame 1 of 30")
    signed_in.get_by_role("button", name="Images (1)").click()
    expect(signed_in.locator("[data-active]")).to_contain_text("Image 1 of 1")
    assert faults.found == []
