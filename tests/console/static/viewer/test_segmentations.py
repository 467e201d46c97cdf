"""Segmentations over images: what lies on the canvas is what highdicom reads of the same file."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import highdicom as hd
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Page, expect
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset

from support.browser.accessibility import check_accessibility, press
from support.browser.pages import sign_in
from support.browser.viewer_canvas import ACTIVE, open_overlay, open_viewer, read_canvas, show_image
from support.clients.dicomweb import part10, store
from support.files.segmentations import (
    COLOURS,
    SHAPE,
    SPACING,
    askew_frames,
    askew_series,
    blobs,
    geometry,
    segmentation,
)
from support.files.synthetic import uid
from support.servers import ServerProcess


@pytest.fixture
def viewer(page: Page, server: ServerProcess, datastore: str) -> Page:
    page.set_viewport_size({"width": 1280, "height": 900})
    sign_in(page, server.key())
    return page


def _blended(plain: NDArray[Any], shares: NDArray[Any], of_segments: Sequence[Sequence[int]] = COLOURS) -> NDArray[Any]:
    """Lay colours over an image in the order of the segments, each half as opaque as its share of a pixel."""
    over = np.zeros((*plain.shape[:2], 4))
    for body in range(shares.shape[-1]):
        alpha = shares[..., body, None] * 0.5
        below = over[..., 3:] * (1 - alpha)
        both = alpha + below
        colours = np.array(of_segments[body]) * alpha + over[..., :3] * below
        over[..., :3] = np.divide(colours, both, out=over[..., :3].copy(), where=both > 0)
        over[..., 3:] = both
    return plain * (1 - over[..., 3:]) + over[..., :3] * over[..., 3:]


def _half_size(masks: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], dict[str, Any]]:
    """Take every other pixel of every image; the first of them lies where the first of the image does."""
    measures = hd.PixelMeasuresSequence([2 * one for one in SPACING[1:]], SPACING[0], SPACING[0])
    places = [
        hd.PlanePositionSequence("PATIENT", geometry(number)["ImagePositionPatient"]) for number in range(SHAPE[0])
    ]
    return masks[:, ::2, ::2], {"pixel_measures": measures, "plane_positions": places}


def _shares(read: hd.seg.Segmentation, images: Sequence[Dataset]) -> NDArray[Any]:
    """Return what highdicom reads: slices, rows, columns, segments, from 0 to 1."""
    found = read.get_pixels_by_source_instance(
        [one.SOPInstanceUID for one in images], assert_missing_frames_are_empty=True, rescale_fractional=True
    )
    return np.asarray(found, float)


def test_masks_are_those_that_highdicom_reads(server: ServerProcess, datastore: str, viewer: Page) -> None:
    images = askew_series()
    masks = blobs()
    fractions = masks * np.linspace(0.1, 1, SHAPE[2])[None, None, :, None]
    labels = np.zeros(SHAPE, np.uint16)
    for body in range(3):
        labels[masks[..., body]] = body + 1
    wide = np.where(labels == 3, 303, labels).astype(np.uint16)
    palette = hd.PaletteColorLUTTransformation.from_colors(
        ["#000000", *(f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in COLOURS)]
    )
    coarse, where = _half_size(masks)
    made = {
        11: segmentation(images, masks, "BINARY", 11),
        12: segmentation(images, fractions.astype(np.float32), "FRACTIONAL", 12, max_fractional_value=200),
        13: segmentation(images, labels.astype(np.uint8), "LABELMAP", 13),
        14: segmentation(images[::-1], masks[::-1], "BINARY", 14),
        15: segmentation(images, coarse, "BINARY", 15, **where),
        16: segmentation(images, wide, "LABELMAP", 16, segments={1: "One", 2: "Two", 303: "Three"}),
        17: segmentation(images, labels, "LABELMAP", 17, coloured=False, palette_color_lut_transformation=palette),
    }
    open_viewer(viewer, server, datastore, [*images, *made.values()])
    plain = {number: show_image(viewer, number) for number in range(SHAPE[0])}
    for series, file in made.items():
        if series == 15:
            shares = np.repeat(np.repeat(coarse, 2, axis=1), 2, axis=2)[:, : SHAPE[1], : SHAPE[2]].astype(float)
            # The pixel between two is nearest to both: that it is either is right.
            compared = (slice(None, None, 2), slice(None, None, 2))
        elif series == 16:
            # highdicom 0.28 takes segments above 255 for others.
            shares, compared = (wide[..., None] == (1, 2, 303)).astype(float), (slice(None), slice(None))
        else:
            shares, compared = _shares(file, images), (slice(None), slice(None))
        open_overlay(viewer, series)
        for number in range(SHAPE[0]):
            found = show_image(viewer, number)
            expected = _blended(plain[number], shares[number])
            difference = np.abs(found - expected).max(axis=2)[compared]
            assert difference.max() <= 3, (series, number, np.argwhere(difference > 3)[:5])
            untouched = ~shares[number].any(axis=-1)
            assert (found[compared] == plain[number][compared])[untouched[compared]].all(), (series, number)


REAL: Final = ("ct_binary", "ct_binary_overlap", "ct_binary_fractional", "ct_true_fractional")
"""Segmentations of a series that pydicom carries."""


@pytest.mark.slow
def test_masks_of_real_files_are_those_that_highdicom_reads(
    server: ServerProcess, datastore: str, viewer: Page, shared_data: Path
) -> None:
    folder = Path(str(get_testdata_file("DICOMDIR"))).parent / "77654033" / "CT2"
    images = [pydicom.dcmread(path) for path in folder.iterdir()]
    files = [hd.seg.segread(shared_data / "highdicom" / "test_files" / f"seg_image_{name}.dcm") for name in REAL]
    assert store(server, datastore, [part10(one) for one in (*images, *files)]).status_code == 200
    first = images[0]
    viewer.goto(f"/console/datastores/{datastore}/view?study={first.StudyInstanceUID}&series={first.SeriesInstanceUID}")
    viewer.wait_for_function(f"() => {ACTIVE}.image?.isWhole")
    order = viewer.evaluate(f"() => {ACTIVE}.stack.frames.map((one) => one.sop)")
    images.sort(key=lambda one: order.index(one.SOPInstanceUID))
    plain = [show_image(viewer, number) for number in range(len(images))]
    touched = 0
    for name, file in zip(REAL, files, strict=True):
        series = str(file.SeriesInstanceUID)
        viewer.locator(f"[data-series='{series}']").click()
        viewer.wait_for_function(f"uid => {ACTIVE}.layers.some((one) => one.series === uid)", arg=series)
        shares = _shares(file, images)
        colours = viewer.evaluate(f"() => {ACTIVE}.layers[0].items.map((one) => one.colour)")
        for number in range(len(images)):
            expected = _blended(plain[number], shares[number], colours)
            assert np.abs(show_image(viewer, number) - expected).max() <= 3, (name, number)
            touched += bool(shares[number].any())
    assert touched >= 8


def test_only_frames_near_the_image_are_fetched(server: ServerProcess, datastore: str, viewer: Page) -> None:
    image = askew_frames(30)
    # Without a window of the file that of the series grows with what has come of it.
    image.WindowCenter, image.WindowWidth = 2000, 4000
    masks = blobs((30, 16, 18))
    file = segmentation([image], masks, "BINARY", 11, omit_empty_frames=False)
    asked: list[str] = []
    viewer.on(
        "request", lambda request: asked.append(request.url) if f"{uid(1, 11)}/instances" in request.url else None
    )
    open_viewer(viewer, server, datastore, [image, file])
    plain = show_image(viewer, 12)
    open_overlay(viewer, 11)
    show_image(viewer, 12)
    viewer.wait_for_load_state("networkidle")
    # Three segments of the first image and its neighbours, of the thirteenth and of those about it.
    assert len(set(asked)) == len(asked)
    assert len(asked) <= 3 * (3 + 5)
    found = (read_canvas(viewer) != plain).any(axis=-1)
    assert (found == masks[12].any(axis=-1)).mean() > 0.99


HOSTILE: Final = '<img src=x onerror="document.title=1">'


def test_the_legend_is_worked_by_keyboard(server: ServerProcess, datastore: str, viewer: Page) -> None:
    images = askew_series()
    masks = blobs()
    masks[0, ..., 1] = False
    labels = {1: "Liver", 2: HOSTILE, 3: "A name of a segment that is far too long"}
    file = segmentation(images, masks, "BINARY", 11, segments=labels, coloured=False)
    file.SeriesDescription = HOSTILE
    open_viewer(viewer, server, datastore, [*images, file])
    plain = {number: show_image(viewer, number) for number in (0, 1, 2)}
    show_image(viewer, 0)
    viewer.keyboard.press("y")
    offer = viewer.get_by_role("button", name=f"Lay over: SEG 11 {HOSTILE}")
    expect(offer).to_be_focused()
    viewer.keyboard.press("Enter")
    legend = viewer.get_by_role("region", name=HOSTILE)
    expect(viewer.locator("[data-status]")).to_have_text(f"{HOSTILE} lies over the images.")
    expect(legend.get_by_label("Opacity")).to_be_focused()
    expect(viewer.get_by_role("button", name="Overlays (1 of 1)")).to_be_visible()
    # A volume has no overlays, and says so; nothing else is said of them there.
    viewer.keyboard.press("u")
    expect(viewer.locator(".volume-overlays")).to_have_text(f"Not shown in the volume: {HOSTILE}")
    expect(viewer.locator(".overlays > .words")).to_contain_text("Not shown in the volume.")
    expect(viewer.locator("[data-status]")).to_have_text("")
    viewer.keyboard.press("u")
    expect(viewer.locator(".overlays > .words")).to_have_count(0)
    for number, label in labels.items():
        expect(legend.get_by_label(label, exact=True)).to_be_checked()
        assert (show_image(viewer, 1) != plain[1]).any(axis=-1)[masks[1, ..., number - 1]].all()
    expect(legend.get_by_text("Liver · AUTOMATIC, Finder")).to_have_count(2)
    check_accessibility(viewer)
    # Turned and flipped, everything is where it was in the image.
    before = show_image(viewer, 1)
    for key in "]h":
        viewer.keyboard.press(key)
    assert np.abs(show_image(viewer, 1) - before).max() <= 1
    assert viewer.evaluate(f"() => {ACTIVE}.view.rotation") == 90
    # What is saved is what is seen.
    with viewer.expect_download() as saved:
        viewer.keyboard.press("k")
    picture = np.asarray(Image.open(saved.value.path()).convert("RGB"))
    width, height, data = viewer.evaluate(CANVAS)
    # What is seen, and in the corners what it is of.
    seen = (picture == np.frombuffer(base64.b64decode(data), np.uint8).reshape(height, width, 4)[..., :3]).all(axis=-1)
    assert seen[height // 4 : -height // 4, width // 4 : -width // 4].all()
    press(viewer, legend.get_by_label(labels[3], exact=True), "Space")
    assert (show_image(viewer, 1) == plain[1])[~masks[1, ..., :2].any(axis=-1)].all()
    opacity = legend.get_by_label("Opacity")
    press(viewer, opacity, "End")
    found = show_image(viewer, 1)[masks[1, ..., 1]]
    assert (found == found[0]).all()
    press(viewer, opacity, "Home")
    assert (show_image(viewer, 1) == plain[1]).all()
    press(viewer, legend.get_by_role("button", name=f"First image of {HOSTILE}"))
    expect(viewer.locator("[data-active]")).to_contain_text("Image 2 of 5")
    press(viewer, legend.get_by_role("button", name="Remove"))
    expect(offer).to_be_focused()
    viewer.keyboard.press("y")
    expect(viewer.locator("[data-side-panel]")).to_be_hidden()
    assert viewer.title() == "Viewer – Hounsfield"


def test_segmentations_of_one_name_are_told_apart(server: ServerProcess, datastore: str, viewer: Page) -> None:
    images = askew_series()
    files = [
        segmentation(images, blobs(), "BINARY", series, segments={1: label, 2: "Vessel", 3: "Cyst"})
        for series, label in ((11, "Liver"), (12, "Kidney"))
    ]
    for file in files:
        file.SeriesNumber, file.SeriesDescription, file.ContentLabel = 11, "Organs", "LABEL"
        file.ContentDate = "20200203"
    open_viewer(viewer, server, datastore, [*images, *files])
    viewer.keyboard.press("y")
    offers = viewer.get_by_role("button", name="Lay over: SEG 11 Organs")
    expect(offers).to_have_count(2)
    for label in ("Liver", "Kidney"):
        expect(offers.filter(has_text=f"LABEL · {label}, Vessel, Cyst · automatic")).to_have_count(1)
    # Stays at the image that is read; what other images take away is told, and can be had again.
    show_image(viewer, 2)
    offers.first.click()
    button = viewer.locator("[data-action=overlays]")
    expect(button).to_have_text("Overlays (1 of 2)")
    viewer.locator(f"[data-series='{uid(1, 1)}']").click()
    expect(viewer.locator("[data-status]")).to_have_text(
        "No longer over the images: Organs. Overlays (Y) lays it over again."
    )
    expect(button).to_have_text("Overlays (0 of 2)")
    expect(viewer.locator("[data-active]")).to_contain_text("Image 3 of 5")
    expect(offers).to_have_count(2)


CANVAS: Final = f"""() => {{
  const {{ canvas, context }} = {ACTIVE}
  let text = ""
  for (const byte of context.getImageData(0, 0, canvas.width, canvas.height).data) text += String.fromCharCode(byte)
  return [canvas.width, canvas.height, btoa(text)]
}}"""


def _changed(file: hd.seg.Segmentation, series: int, change: Callable[[Dataset], object]) -> Dataset:
    """Return a copy in a series of its own that is wrong somewhere."""
    copy = pydicom.dcmread(io.BytesIO(part10(file)))
    copy.SeriesInstanceUID, copy.SOPInstanceUID, copy.SeriesNumber = uid(1, series), uid(1, series, 1), series
    change(copy)
    copy.file_meta.MediaStorageSOPInstanceUID = copy.SOPInstanceUID
    return copy


def _without_sources(file: Dataset) -> None:
    """Only places say what the frames are of, and segments have them with other digits."""
    del file.ReferencedSeriesSequence
    for number, group in enumerate(file.PerFrameFunctionalGroupsSequence):
        del group.DerivationImageSequence
        place = group.PlanePositionSequence[0]
        place.ImagePositionPatient = [float(one) + 0.003 * (number % 2) for one in place.ImagePositionPatient]


def _lie_elsewhere(file: Dataset) -> None:
    """The first frame lies a metre off, and names an image that is nowhere."""
    group = file.PerFrameFunctionalGroupsSequence[0]
    group.PlanePositionSequence[0].ImagePositionPatient = [1000, 1000, 1000]
    group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID = uid(9)


def _turn(file: Dataset) -> None:
    file.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0].ImageOrientationPatient = [1, 0, 0, 0, 0, -1]


def _name_nothing_here(file: Dataset) -> None:
    file.ReferencedSeriesSequence[0].SeriesInstanceUID = uid(8)
    file.FrameOfReferenceUID = uid(78)
    for group in file.PerFrameFunctionalGroupsSequence:
        group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID = uid(9)


def _other_size(file: Dataset) -> None:
    """Nothing says where a frame lies, and it is smaller than the image."""
    file.Rows -= 1
    del file.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence


WRONG: Final[dict[int, tuple[Callable[[Dataset], object], str]]] = {
    21: (
        lambda file: file.SegmentSequence.pop(1),
        "5 frames name segment 2, which the file does not describe: left out.",
    ),
    22: (_lie_elsewhere, "1 frame is not laid over these images: none of these images is in its place."),
    23: (_turn, "its planes are not parallel to these images."),
    24: (
        lambda file: setattr(file, "FrameOfReferenceUID", uid(78)),
        "its frame of reference is not that of these images.",
    ),
    25: (_name_nothing_here, "The series that it was made for is not in this study, or you may not see it."),
    26: (_other_size, "it has another size than these images, and the files do not say where it lies."),
    27: (lambda file: setattr(file, "SegmentationType", "GUESS"), "is of a type that is not known here: GUESS."),
}
"""Series by number: what is made wrong in a segmentation, and what is said of it."""


def test_what_is_wrong_is_told_in_words(server: ServerProcess, datastore: str, viewer: Page) -> None:
    images = askew_series()
    masks = blobs()
    file = segmentation(images, masks, "BINARY", 11, omit_empty_frames=False)
    wrong = [_changed(file, series, change) for series, (change, _) in WRONG.items()]
    loose = _changed(file, 31, _without_sources)
    open_viewer(viewer, server, datastore, [*images, loose, *wrong])
    plain = {number: show_image(viewer, number) for number in (0, 2)}
    open_overlay(viewer, 31)
    assert ((show_image(viewer, 2) != plain[2]).any(axis=-1) == masks[2].any(axis=-1)).mean() > 0.99
    for series in (21, 22):
        open_overlay(viewer, series)
        expect(viewer.locator(".overlays .words").first).to_have_text(WRONG[series][1])
    found = (show_image(viewer, 0) != plain[0]).any(axis=-1)
    assert not found[masks[0, ..., 0] & ~masks[0, ..., 1:].any(axis=-1)].any()
    for series in range(23, 28):
        viewer.locator(f"[data-series='{uid(1, series)}']").click()
        status = viewer.locator("[data-status]")
        expect(status).to_contain_text(WRONG[series][1])
        expect(status).to_contain_text("It is shown as pictures of its own.")
        viewer.wait_for_function(
            f"uid => {ACTIVE}.frame?.path.includes(uid) && {ACTIVE}.image?.isWhole", arg=uid(1, series)
        )
