"""Beside the image of the viewer: metadata, measuring by keys, calibration, several images at once, fingers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Page, expect
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from support.browser.accessibility import check_accessibility
from support.browser.fixtures import NewContext
from support.browser.pages import check_width, sign_in
from support.browser.viewer import ACTIVE, click_points, measured_texts, open_series, open_study, wait_shown
from support.clients.dicomweb import part10, store
from support.files.synthetic import slice_of, uid
from support.imaging.rendered_images import picture
from support.servers import ServerProcess

HOSTILE: Final = '<img src=x onerror="alert(1)">'
AXIAL: Final = [1, 0, 0, 0, 1, 0]


@pytest.fixture
def viewer(page: Page, server: ServerProcess) -> Page:
    page.set_viewport_size({"width": 1400, "height": 900})
    sign_in(page, server.key())
    return page


def _slices() -> list[Dataset]:
    """Make three slices with hostile texts wherever text goes, private elements and sequences in sequences."""
    slices = []
    for number in (1, 2, 3):
        dataset = slice_of(
            number=number,
            PatientName=f"Roe^{HOSTILE}",
            PatientComments=HOSTILE * 3,
            SeriesDescription=HOSTILE,
            StudyDescription=HOSTILE,
            ProtocolName=HOSTILE,
            BodyPartExamined="HEAD",
            RescaleSlope="1",
            RescaleIntercept="0",
            RescaleType=HOSTILE,
            WindowCenter=["40", "50"],
            WindowWidth=["400", "500"],
            WindowCenterWidthExplanation=[HOSTILE, "Second"],
            ImagePositionPatient=[0, 0, number],
            ImageOrientationPatient=AXIAL,
        )
        dataset.private_block(0x0019, HOSTILE, create=True).add_new(0x0A, "LO", f"{HOSTILE} own of {number}")
        inner, outer = Dataset(), Dataset()
        inner.CodeValue, inner.CodeMeaning, inner.CodingSchemeDesignator = "T-1", f"Deep {number} {HOSTILE}", "99X"
        outer.PurposeOfReferenceCodeSequence = Sequence([inner])
        outer.ReferencedSOPInstanceUID = uid(9)
        dataset.ReferencedImageSequence = Sequence([outer])
        slices.append(dataset)
    return slices


def _enhanced() -> Dataset:
    """Make an instance of three frames with functional groups of their own."""
    dataset = slice_of(series=2, pixels=np.zeros((3, 16, 16), "u2"))
    groups = []
    for number in (1, 2, 3):
        position, group = Dataset(), Dataset()
        position.ImagePositionPatient = [0, 0, number * 11]
        group.PlanePositionSequence = Sequence([position])
        groups.append(group)
    dataset.PerFrameFunctionalGroupsSequence = Sequence(groups)
    return dataset


def test_metadata_is_searched_and_follows_scrolling(server: ServerProcess, datastore: str, viewer: Page) -> None:
    files = [part10(one) for one in (*_slices(), _enhanced())]
    assert store(server, datastore, files).status_code in {200, 202}
    open_study(viewer, datastore, str(slice_of().StudyInstanceUID))
    assert wait_shown(viewer) == ""
    viewer.keyboard.press("d")
    panel = viewer.get_by_role("complementary", name="Metadata")
    rows = panel.locator(".tree > li")
    expect(panel).to_contain_text("SOPInstanceUID")
    expect(panel).to_contain_text(uid(1, 1, 1))
    expect(rows.filter(has_text="PatientComments")).to_contain_text(HOSTILE * 3)
    expect(rows.filter(has_text="own of 1")).to_contain_text(f"{HOSTILE} 0A")
    check_accessibility(viewer)
    viewer.locator("[data-active]").focus()
    viewer.keyboard.press("ArrowDown")
    expect(panel).to_contain_text(uid(1, 1, 2))
    search = panel.get_by_label("Keyword, tag or value")
    for wanted, found in (
        ("(0010,0020)", "PatientID(0010,0020)"),
        ("instancenum", "InstanceNumber"),
        ("deep 2", "ReferencedImageSequence › PurposeOfReferenceCodeSequence › CodeMeaning"),
        ("head", "BodyPartExamined"),
    ):
        search.fill(wanted)
        expect(rows).to_have_count(1)
        expect(rows).to_contain_text(found)
    search.fill("nothing has this")
    expect(panel).to_contain_text("Nothing in this data set has it.")
    search.fill("")
    open_series(viewer, uid(1, 2))
    groups = panel.locator("li", has_text="PerFrameFunctionalGroupsSequence").first
    groups.locator("summary").first.click()
    groups.locator("summary", has_text="PlanePositionSequence").click()
    expect(groups).to_contain_text("0 \\ 0 \\ 11")
    viewer.locator("[data-active]").focus()
    viewer.keyboard.press("End")
    # What was opened stays open, of another frame.
    expect(groups).to_contain_text("Item 3, of this frame")
    expect(groups).to_contain_text("0 \\ 0 \\ 33")
    assert viewer.locator("img[src=x]").count() == 0
    viewer.set_viewport_size({"width": 360, "height": 740})
    check_width(viewer)
    # Escape closes the menu, then the panel, also from its own field.
    viewer.locator(".more summary").click()
    viewer.keyboard.press("Escape")
    expect(viewer.locator(".more")).not_to_have_attribute("open", "")
    expect(panel).to_be_visible()
    search.focus()
    viewer.keyboard.press("Escape")
    expect(panel).to_be_hidden()


def test_one_measures_by_keys_and_removes_one_of_several(server: ServerProcess, datastore: str, viewer: Page) -> None:
    pixels = np.arange(64 * 64, dtype="u2").reshape(64, 64)
    assert store(server, datastore, [part10(slice_of(pixels=pixels, PixelSpacing=["0.5", "0.25"]))]).status_code == 200
    open_study(viewer, datastore, str(slice_of().StudyInstanceUID))
    assert wait_shown(viewer) == ""
    # Rows are twice as far apart as columns, and shown so.
    scale = viewer.evaluate(f"() => {ACTIVE}.scale")
    assert scale["y"] == pytest.approx(2 * scale["x"])
    viewer.locator("[data-active]").focus()
    for key in ("l", "Enter", "Enter", *["ArrowRight"] * 4, "Shift+ArrowDown", "Enter"):
        viewer.keyboard.press(key)
    assert measured_texts(viewer) == [f"{np.hypot(4 * 0.25, 10 * 0.5):.1f} mm"]
    for key in ("q", "Enter", "Enter", "m"):
        viewer.keyboard.press(key)
    panel = viewer.get_by_role("complementary", name="Measurements")
    entries = panel.get_by_role("listitem")
    expect(entries).to_have_count(2)
    expect(entries.last).to_contain_text(f"Pixel value, image 1: {pixels[32, 32]}")
    check_accessibility(viewer)
    entries.first.get_by_role("button", name="Length").click()
    viewer.keyboard.press("Delete")
    expect(entries).to_have_count(1)
    assert measured_texts(viewer) == [str(pixels[32, 32])]
    viewer.locator("[data-active]").focus()
    for key in ("r", "Enter", "Enter", "Escape"):
        viewer.keyboard.press(key)
    expect(entries).to_have_count(1)
    viewer.keyboard.press("Shift+Delete")
    expect(panel).to_contain_text("Nothing is measured.")


def _region(left: int, right: int, units: tuple[int, int], deltas: tuple[float, float]) -> Dataset:
    region = Dataset()
    region.RegionSpatialFormat, region.RegionDataType, region.RegionFlags = 1, 1, 0
    region.RegionLocationMinX0, region.RegionLocationMinY0 = left, 0
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = right, 63
    region.PhysicalUnitsXDirection, region.PhysicalUnitsYDirection = units
    region.PhysicalDeltaX, region.PhysicalDeltaY = deltas
    return region


CALIBRATED: Final[dict[str, tuple[dict[str, Any], str, str]]] = {
    "at the detector": ({"ImagerPixelSpacing": ["0.2", "0.2"]}, "mm at the detector (ImagerPixelSpacing)", "10.0 mm"),
    "by the magnification": (
        {"ImagerPixelSpacing": ["0.2", "0.2"], "EstimatedRadiographicMagnificationFactor": "1.25"},
        "divided by the estimated magnification of 1.25",
        "8.0 mm",
    ),
    "said to be the same": (
        {"ImagerPixelSpacing": ["0.2", "0.2"], "PixelSpacing": ["0.2", "0.2"]},
        "PixelSpacing is ImagerPixelSpacing",
        "10.0 mm",
    ),
    "by a fiducial": (
        {
            "ImagerPixelSpacing": ["0.2", "0.2"],
            "PixelSpacing": ["0.1", "0.1"],
            "PixelSpacingCalibrationType": "FIDUCIAL",
        },
        "calibrated by fiducial",
        "5.0 mm",
    ),
    "as fine as in the eye": ({"PixelSpacing": ["0.0039", "0.0039"]}, "", "0.195 mm"),
    "not at all": ({"PixelSpacing": ["0", "0"]}, "not calibrated", "50.0 px"),
    "by region": (
        {"SequenceOfUltrasoundRegions": Sequence([_region(0, 63, (3, 3), (0.01, 0.02))])},
        "calibrated by region",
        "5.0 mm",
    ),
    "by time": (
        {"SequenceOfUltrasoundRegions": Sequence([_region(0, 63, (4, 7), (0.002, 0.5))])},
        "calibrated by region",
        "0.1 s, 0 cm/s",
    ),
    "over two regions": (
        {"SequenceOfUltrasoundRegions": Sequence([_region(0, 20, (3, 3), (1, 1)), _region(21, 63, (3, 3), (1, 1))])},
        "calibrated by region",
        "50.0 px",
    ),
}
"""By what a pixel is measured: elements, what the viewer says of them, and 50 columns by it."""


def test_lengths_say_what_they_are_by(server: ServerProcess, datastore: str, viewer: Page) -> None:
    files = [
        part10(slice_of(series=number, Modality="DX", **elements))
        for number, (elements, _, _) in enumerate(CALIBRATED.values(), 1)
    ]
    colour = slice_of(series=20, pixels=np.random.default_rng(3).integers(0, 256, (64, 64, 3), "u1"))
    del colour.NumberOfFrames
    colour.Rows, colour.Columns, colour.SamplesPerPixel = 64, 64, 3
    colour.PhotometricInterpretation, colour.PlanarConfiguration = "RGB", 0
    assert store(server, datastore, [*files, part10(colour)]).status_code == 200
    open_study(viewer, datastore, str(slice_of().StudyInstanceUID))
    for number, (name, (_, words, length)) in enumerate(CALIBRATED.items(), 1):
        assert open_series(viewer, uid(1, number)) == "", name
        expect(viewer.locator("[data-active] [data-place=bottom-right]")).to_contain_text(words)
        # Points by keys, which are exact.
        viewer.locator("[data-active]").focus()
        for key in ("l", "Enter", *["Shift+ArrowLeft"] * 3, "Enter", *["Shift+ArrowRight"] * 5, "Enter"):
            viewer.keyboard.press(key)
        assert measured_texts(viewer)[0] == length, name
    assert open_series(viewer, uid(1, 20)) == ""
    click_points(viewer, "r", (10, 10), (40, 30))
    (left, top), (right, bottom) = viewer.evaluate(f"() => {ACTIVE}.measurements[0].points")
    rows, columns = np.mgrid[0:64, 0:64] + 0.5
    inside = colour.pixel_array[(columns >= left) & (columns <= right) & (rows >= top) & (rows <= bottom)]
    red = inside[:, 0]
    assert f"red mean {red.mean():.1f} SD {red.std():.1f} ({red.min()} … {red.max()})" in measured_texts(viewer)


def test_four_images_scroll_together_by_their_place(server: ServerProcess, datastore: str, viewer: Page) -> None:
    placed = {"ImageOrientationPatient": AXIAL, "FrameOfReferenceUID": uid(5)}
    files = [
        part10(slice_of(series=series, number=number, ImagePositionPatient=[0, 0, z], **placed))
        for series, places in ((1, (0, 5, 10, 15)), (2, (0, 2, 4, 6, 8, 10, 12)))
        for number, z in enumerate(places, 1)
    ]
    sagittal = {"ImageOrientationPatient": [0, 1, 0, 0, 0, -1], "FrameOfReferenceUID": uid(5)}
    files += [
        part10(slice_of(series=3, number=number, ImagePositionPatient=[number, 0, 0], **sagittal)) for number in (1, 2)
    ]
    assert store(server, datastore, files).status_code == 200
    open_study(viewer, datastore, str(slice_of().StudyInstanceUID))
    assert wait_shown(viewer) == ""
    viewer.locator("[data-layout-of='4']").click()
    ports = viewer.locator("[data-viewport]")
    for place, series in ((1, 2), (2, 3), (3, 1)):
        ports.nth(place).click()
        assert open_series(viewer, uid(1, series)) == ""
    ports.nth(0).click()
    viewer.keyboard.press("ArrowDown")
    viewer.keyboard.press("ArrowDown")
    for place, words in enumerate(("Image 3 of 4", "Image 6 of 7", "Image 1 of 2", "Image 3 of 4")):
        expect(ports.nth(place)).to_contain_text(words)
    viewer.keyboard.press("n")
    viewer.keyboard.press("ArrowDown")
    expect(ports.nth(0)).to_contain_text("Image 4 of 4")
    expect(ports.nth(1)).to_contain_text("Image 6 of 7")
    check_accessibility(viewer)


def test_fingers_zoom_pan_and_use_the_tool(server: ServerProcess, datastore: str, new_context: NewContext) -> None:
    files = [part10(slice_of(number=number, WindowCenter="40", WindowWidth="400")) for number in (1, 2)]
    assert store(server, datastore, files).status_code == 200
    context, _ = new_context(viewport={"width": 400, "height": 800}, has_touch=True)
    page = context.new_page()
    sign_in(page, server.key())
    open_study(page, datastore, str(slice_of().StudyInstanceUID))
    assert wait_shown(page) == ""
    box = page.locator("[data-active] canvas").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    devtools = context.new_cdp_session(page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        given = [{"x": px, "y": py, "id": number} for number, (px, py) in enumerate(points)]
        devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": given})

    # At first a finger scrolls, and leaves the window as it is.
    expect(page.locator("[data-tool=scroll]")).to_have_attribute("aria-pressed", "true")
    touch("touchStart", (x, y))
    touch("touchMove", (x, y + 40))
    touch("touchEnd")
    expect(page.locator("[data-active]")).to_contain_text("Image 2 of 2")
    assert page.evaluate(f"() => {ACTIVE}.window.width") == 400
    page.keyboard.press("w")
    touch("touchStart", (x, y))
    touch("touchMove", (x + 30, y))
    touch("touchEnd")
    assert page.evaluate(f"() => {ACTIVE}.window.width") > 400
    touch("touchStart", (x - 20, y), (x + 20, y))
    touch("touchMove", (x - 60, y), (x + 60, y))
    touch("touchEnd")
    page.wait_for_function(f"() => {ACTIVE}.view.zoom > 2")
    before = page.evaluate(f"() => {ACTIVE}.view.panX")
    touch("touchStart", (x - 20, y), (x + 20, y))
    touch("touchMove", (x + 20, y), (x + 60, y))
    touch("touchEnd")
    page.wait_for_function(f"before => {ACTIVE}.view.panX > before + 20", arg=before)
    # Two fingers set no points of the tool that is chosen.
    page.keyboard.press("l")
    touch("touchStart", (x - 20, y), (x + 20, y))
    touch("touchMove", (x - 30, y), (x + 30, y))
    touch("touchEnd")
    assert page.evaluate(f"() => {ACTIVE}.measurements.length") == 0


def test_what_one_must_know_is_in_the_corners(server: ServerProcess, datastore: str, viewer: Page) -> None:
    enhanced = _enhanced()
    anatomy, shared = Dataset(), Dataset()
    anatomy.FrameLaterality = "L"
    shared.FrameAnatomySequence = Sequence([anatomy])
    enhanced.SharedFunctionalGroupsSequence = Sequence([shared])
    view = Dataset()
    view.CodeValue, view.CodingSchemeDesignator, view.CodeMeaning = "399162004", "SCT", "cranio-caudal"
    lossy = {"LossyImageCompression": "01", "LossyImageCompressionRatio": "12.5"}
    mammogram = {"Modality": "MG", "ImageLaterality": "R", "ViewPosition": "CC", "ViewCodeSequence": Sequence([view])}
    radiograph = {"Modality": "DX", "Laterality": "L", "ViewPosition": "AP", "ProtocolName": "RT"}
    files = [
        slice_of(**mammogram),
        enhanced,
        slice_of(series=3, **radiograph, LossyImageCompressionMethod="ISO_10918_1", **lossy),
    ]
    # Image 3 of five at even distances is not there.
    files += [
        slice_of(
            series=4,
            number=number,
            ImagePositionPatient=[0, 0, number * 2.5],
            ImageOrientationPatient=AXIAL,
            SliceThickness="1.5",
        )
        for number in (1, 2, 4, 5, 6)
    ]
    assert store(server, datastore, [part10(dataset) for dataset in files]).status_code == 200
    open_study(viewer, datastore, str(slice_of().StudyInstanceUID))
    assert wait_shown(viewer) == ""
    port = viewer.locator("[data-active]")
    words = port.locator("[data-view]")
    expect(words).to_have_text("R CC (cranio-caudal)")
    for line in ("Roe, Jane", "born 1 Jan 1970, F"):
        expect(port.locator("[data-place=top-left]")).to_contain_text(line)
    for line in ("2 Jan 2024, 10:11:12", "accession A-1", "Series 1"):
        expect(port.locator("[data-place=top-right]")).to_contain_text(line)
    assert open_series(viewer, uid(1, 2)) == ""
    expect(words).to_have_text("Left")
    assert open_series(viewer, uid(1, 3)) == ""
    expect(words).to_have_text("Left AP")
    expect(port.locator("[data-place=bottom-left]")).to_contain_text("Lossy 12.5:1 JPEG")
    expect(port.locator("[data-place=bottom-left] div").last).to_have_text("protocol RT")
    assert open_series(viewer, uid(1, 4)) == ""
    for line in ("thickness 1.5 mm", "at 2.5 mm", "May be missing: 1 image between 2 and 3"):
        expect(port.locator("[data-place=bottom-left]")).to_contain_text(line)
    viewer.locator("[data-layout-of='2']").click()
    expect(viewer.locator("[data-empty]").nth(1)).to_be_visible()
    check_accessibility(viewer)
    # What is no study says so where it cannot be overlooked.
    viewer.goto(f"/console/datastores/{datastore}/view?study=2.25.404")
    expect(viewer.locator("[data-missing]")).to_contain_text("There is no such study")
    check_accessibility(viewer)
    viewer.get_by_role("link", name="Back to the studies").click()
    expect(viewer.locator("[data-viewer]")).to_have_count(0)


def test_a_saved_picture_says_whose_it_is_and_which_side_is_which(
    server: ServerProcess, datastore: str, viewer: Page
) -> None:
    black = np.zeros((64, 64), "i2")
    placed = {"ImagePositionPatient": [0, 0, 1], "ImageOrientationPatient": AXIAL, "PixelSpacing": [1, 1]}
    image = slice_of(pixels=black, WindowCenter="1000", WindowWidth="400", **placed)
    assert store(server, datastore, [part10(image)]).status_code == 200
    open_study(viewer, datastore, str(image.StudyInstanceUID))
    assert wait_shown(viewer) == ""
    viewer.keyboard.press("h")
    click_points(viewer, "l", (20, 20), (40, 40))
    named = _saved(viewer)
    places = (
        "[data-place=top-left]",
        "[data-place=top-right]",
        "[data-side=left]",
        "[data-side=right]",
        "svg polyline",
    )
    assert [_is_written(viewer, named, place) for place in places] == [True] * 5
    boxes = [viewer.locator(f"[data-active] {place}").bounding_box() for place in places]
    viewer.keyboard.press("t")
    nameless = _saved(viewer)
    found = [_is_written(viewer, nameless, place, box) for place, box in zip(places, boxes, strict=True)]
    assert found == [False, False, True, True, True]


def _saved(page: Page) -> NDArray[Any]:
    with page.expect_download() as download:
        page.keyboard.press("k")
    assert download.value.suggested_filename == "CT-20240102-series-1-image-1.png"
    return picture(Path(download.value.path()).read_bytes())[..., :3]


def _is_written(page: Page, pixels: NDArray[Any], place: str, box: Any = None) -> bool:
    """Return whether a picture has anything bright where the page has an element."""
    found = box or page.locator(f"[data-active] {place}").bounding_box()
    canvas = page.locator("[data-active] canvas").bounding_box()
    assert found is not None
    assert canvas is not None
    left, top = int(found["x"] - canvas["x"]), int(found["y"] - canvas["y"])
    return bool(pixels[top : top + int(found["height"]) + 1, left : left + int(found["width"]) + 1].max() > 100)


def test_prone_images_scroll_along_and_others_say_why_not(server: ServerProcess, datastore: str, viewer: Page) -> None:
    prone, sagittal = [-1, 0, 0, 0, -1, 0], [0, 1, 0, 0, 0, -1]
    files = [
        part10(
            slice_of(
                series=series,
                number=number,
                ImagePositionPatient=[0, 0, number * 5],
                ImageOrientationPatient=orientation,
                FrameOfReferenceUID=uid(frame),
            )
        )
        for series, orientation, frame in ((1, AXIAL, 5), (2, prone, 5), (3, AXIAL, 6), (4, sagittal, 5))
        for number in (1, 2, 3)
    ]
    # Planes that look the other way: what comes next there is before it here.
    mirrored = {"ImageOrientationPatient": [1, 0, 0, 0, -1, 0], "FrameOfReferenceUID": uid(5)}
    files += [
        part10(slice_of(series=5, number=number, ImagePositionPatient=[0, 0, number * 5], **mirrored))
        for number in (1, 2, 3)
    ]
    assert store(server, datastore, files).status_code == 200
    open_study(viewer, datastore, str(slice_of().StudyInstanceUID))
    assert wait_shown(viewer) == ""
    viewer.locator("[data-layout-of='4']").click()
    ports = viewer.locator("[data-viewport]")
    for place, series in ((1, 2), (2, 3), (3, 4)):
        ports.nth(place).click()
        assert open_series(viewer, uid(1, series)) == ""
    ports.nth(0).click()
    viewer.keyboard.press("End")
    for place, words in (
        (1, "Image 3 of 3"),
        (2, "Not linked: another frame of reference"),
        (3, "Not linked: its planes are not parallel"),
    ):
        expect(ports.nth(place)).to_contain_text(words)
    expect(ports.nth(2)).to_contain_text("Image 1 of 3")
    ports.nth(3).click()
    assert open_series(viewer, uid(1, 5)) == ""
    expect(ports.nth(3)).to_contain_text("Image 1 of 3")
    viewer.keyboard.press("ArrowDown")
    viewer.keyboard.press("ArrowDown")
    # The first of these lies at 15 mm, their last at 5 mm.
    for place in (0, 1):
        expect(ports.nth(place)).to_contain_text("Image 1 of 3")
    viewer.keyboard.press("n")
    expect(viewer.get_by_text("Not linked")).to_have_count(0)
