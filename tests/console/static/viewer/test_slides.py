"""Slides in the viewer: what is shown at a place and a zoom is what the slide has there."""

from __future__ import annotations

import base64
import io
from typing import Any, Final

import numpy as np
import pytest
from highdicom.ann import AnnotationGroup, MicroscopyBulkSimpleAnnotations
from highdicom.seg import SegmentAlgorithmTypeValues, Segmentation, SegmentDescription
from highdicom.spatial import ImageToReferenceTransformer
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Page, expect
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from support.browser.accessibility import check_accessibility
from support.browser.page_faults import PageFaults
from support.browser.pages import check_width, sign_in
from support.clients.dicomweb import part10, store
from support.files.slides import Pictures, level_of
from support.files.synthetic import slice_of
from support.servers import ServerProcess

GUEST: Final = 'document.querySelector("[data-viewer]").viewer.active.guest'
SETTLED: Final = f"""() => {{
  const guest = {GUEST}
  const isStill = guest?.item && !guest.viewer.world.needsDraw() && !guest.viewer.isAnimating()
  return Boolean(isStill && guest.item.getFullyLoaded() && !guest.running.size)
}}"""
DRAWN: Final = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
PIXELS: Final = f"""([left, top, columns, rows]) => {{
  const [x, y] = {GUEST}.toScreen([left, top])
  const canvas = {GUEST}.viewer.drawer.canvas
  const {{ data }} = canvas.getContext("2d").getImageData(Math.round(x), Math.round(y), columns, rows)
  let text = ""
  for (let at = 0; at < data.length; at += 4) text += String.fromCharCode(data[at], data[at + 1], data[at + 2])
  return btoa(text)
}}"""
ROWS, COLUMNS = 700, 1100
SPACING: Final = (0.0005, 0.0005)


def noise(seed: int, rows: int = ROWS, columns: int = COLUMNS) -> NDArray[np.uint8]:
    """Return a coloured picture of which no part is as another."""
    return np.random.default_rng(seed).integers(0, 256, (rows, columns, 3), np.uint8)


def settle(page: Page) -> None:
    """Wait until all tiles of the view are there and drawn."""
    for _ in range(2):
        page.wait_for_function(SETTLED)
        page.evaluate(DRAWN)


def shown(page: Page, left: int, top: int, columns: int, rows: int) -> NDArray[Any]:
    """Return what is on the canvas from a place of the largest level on, which is shown at 1:1."""
    flat = np.frombuffer(base64.b64decode(page.evaluate(PIXELS, [left, top, columns, rows])), np.uint8)
    return flat.reshape(rows, columns, 3).astype(int)


def centre_on(page: Page, column: int, row: int) -> None:
    """Show the largest level at 1:1, with a place of it in the middle."""
    show_at(page, 1, column, row)
    page.keyboard.press("o")
    page.evaluate(DRAWN)
    settle(page)


def show_at(page: Page, zoom: float, column: int, row: int) -> None:
    """Show a place of the largest level, of which a pixel is so large on the screen."""
    page.evaluate(
        f"""([zoom, column, row]) => {{
          const guest = {GUEST}, {{ viewport }} = guest.viewer, {{ base, width }} = guest.slide, {{ Point }} = guest.library
          viewport.zoomTo(viewport.imageToViewportZoom(zoom), null, true)
          viewport.panTo(new Point(column * base.spacing[1] / width, row * base.spacing[0] / width), true)
          const [x, y] = guest.toScreen([0, 0])
          viewport.panBy(viewport.deltaPointsFromPixels(new Point(x - Math.round(x), y - Math.round(y))), true)
        }}""",
        [zoom, column, row],
    )
    page.evaluate(DRAWN)
    settle(page)


def check_pixels(page: Page, picture: NDArray[np.uint8], left: int, top: int, columns: int, rows: int) -> None:
    found = shown(page, left, top, columns, rows)
    assert np.abs(found - picture[top : top + rows, left : left + columns]).max() == 0


@pytest.fixture
def signed_in(page: Page, server: ServerProcess) -> Page:
    sign_in(page, server.key())
    return page


def open_slide(page: Page, server: ServerProcess, datastore: str, instances: list[Dataset]) -> None:
    answer = store(server, datastore, [part10(instance) for instance in instances])
    assert answer.status_code == 200, answer.text
    page.goto(f"/console/datastores/{datastore}/view?study={slice_of().StudyInstanceUID}")
    settle(page)


def test_tiles_of_all_levels_lie_where_they_belong(server: ServerProcess, datastore: str, signed_in: Page) -> None:
    """Three levels of irregular ratio with tiles at the edges, two optical paths, two focal planes."""
    base: Pictures = {(path, z): noise(number * 10 + int(z)) for number, path in enumerate("AB") for z in (0.0, 2.0)}
    middle: Pictures = {("A", 0.0): noise(50, 255, 400), ("B", 0.0): noise(51, 255, 400)}
    small: Pictures = {("A", 0.0): noise(60, 44, 69), ("B", 0.0): noise(61, 44, 69)}
    levels = [
        level_of(1, 1, base, spacing=SPACING),
        level_of(1, 2, middle, spacing=(0.0005 * 700 / 255, 0.0005 * 1100 / 400)),
        level_of(1, 3, small, spacing=(0.008, 0.008), tile=80),
    ]
    open_slide(signed_in, server, datastore, levels)
    centre_on(signed_in, 550, 350)
    check_pixels(signed_in, base["A", 0.0], 400, 250, 300, 200)
    # The last tiles end where the slide does.
    centre_on(signed_in, 1050, 650)
    check_pixels(signed_in, base["A", 0.0], 900, 600, 200, 100)
    signed_in.keyboard.press("PageDown")
    settle(signed_in)
    check_pixels(signed_in, base["A", 2.0], 900, 600, 200, 100)
    signed_in.get_by_label("Optical path").select_option("Stain B")
    settle(signed_in)
    check_pixels(signed_in, base["B", 2.0], 900, 600, 200, 100)
    # Farther away the smallest level is shown, of which the only focal plane is the nearest one.
    show_at(signed_in, 1 / 16, 550, 350)
    found = shown(signed_in, 0, 0, 69, 44)
    assert np.abs(found - small["B", 0.0]).max() == 0


def test_frames_lie_where_they_say(server: ServerProcess, datastore: str, signed_in: Page) -> None:
    """TILED_SPARSE: frames in no order, some beside the grid, a gap; one image in two parts; the other level is full."""
    picture, small = noise(1), np.full((175, 275, 3), (10, 20, 30), np.uint8)
    places = [(row, column) for row in range(0, ROWS, 128) for column in range(0, COLUMNS, 128)]
    gap = (128, 256)
    places = [place for place in places[::-1] if place != gap and place[0] < 512] + [(512, 60), (512, 188), (520, 900)]
    first, second = (
        level_of(
            1,
            number,
            {("A", 0.0): picture},
            spacing=SPACING,
            places=part,
            ConcatenationUID="2.25.4711",
            InConcatenationNumber=number,
            InConcatenationTotalNumber=2,
            ConcatenationFrameOffsetNumber=offset,
            SOPInstanceUIDOfConcatenationSource="2.25.4712",
        )
        for number, part, offset in ((1, places[:20], 0), (2, places[20:], 20))
    )
    level = level_of(1, 3, {("A", 0.0): small}, spacing=(0.002, 0.002))
    open_slide(signed_in, server, datastore, [second, level, first])
    state = signed_in.evaluate(f"() => [{GUEST}.slide.levels.map(({{ columns }}) => columns), {GUEST}.slide.notes]")
    assert state == [[COLUMNS, 275], []]
    centre_on(signed_in, 550, 350)
    check_pixels(signed_in, picture, 384, 100, 300, 412)
    check_pixels(signed_in, picture, 110, 512, 206, 120)
    check_pixels(signed_in, picture, 900, 520, 90, 120)
    # Where the largest level has nothing the smaller one is seen, also beside a frame within its tile.
    for left, top in ((260, 132), (770, 520)):
        assert set(map(tuple, shown(signed_in, left, top, 120, 120).reshape(-1, 3).tolist())) == {(10, 20, 30)}


def _origin(x: float, y: float) -> list[Dataset]:
    origin = Dataset()
    origin.XOffsetInSlideCoordinateSystem, origin.YOffsetInSlideCoordinateSystem = x, y
    return [origin]


def _drag(page: Page, key: str, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Choose a tool by its key, and draw from one place of the largest level to another."""
    page.keyboard.press(key)
    places = page.evaluate(
        f"""points => {{
          const guest = {GUEST}, {{ left, top }} = guest.canvasBox.getBoundingClientRect()
          return points.map(point => guest.toScreen(point)).map(([x, y]) => [left + x, top + y])
        }}""",
        [start, end],
    )
    page.mouse.move(*places[0])
    page.mouse.down()
    page.mouse.move(*[(one + other) / 2 for one, other in zip(*places, strict=True)])
    page.mouse.move(*places[1])
    page.mouse.up()


def test_a_slide_without_a_small_level_is_shown_in_part(server: ServerProcess, datastore: str, signed_in: Page) -> None:
    """However many tiles there are, no view asks for all of them, nor does the small picture."""
    level = level_of(1, 1, {("A", 0.0): noise(11, 320, 320)}, spacing=SPACING, tile=8)
    assert store(server, datastore, [part10(level)]).status_code == 200
    signed_in.goto(f"/console/datastores/{datastore}/view?study={slice_of().StudyInstanceUID}")
    expect(signed_in.locator(".slide-notes")).to_have_text(
        "This slide has no small level. It is shown a part at a time."
    )
    signed_in.wait_for_function(f"() => {GUEST}.item")
    home = signed_in.evaluate(f"() => {GUEST}.viewer.viewport.getHomeZoom()")
    for key in ("-", "0", "x"):
        signed_in.keyboard.press(key)
        # Half of its height: 400 of 1,600 tiles.
        signed_in.wait_for_function(
            f"home => Math.abs({GUEST}.viewer.viewport.getZoom(true) - 2 * home) < 1e-6", arg=home
        )
    signed_in.wait_for_function(f"() => {GUEST}.viewer.navigator.world.getItemCount() === 0")


def test_lengths_and_places_are_those_of_the_slide(server: ServerProcess, datastore: str, signed_in: Page) -> None:
    """Pixels that are twice as high as wide, on a slide that lies across; places by PS3.3 C.8.12.2.1.1."""
    hostile = '<img src=x onerror="document.title=1">'
    level = level_of(
        1,
        1,
        {("A", 0.0): noise(3, 300, 900)},
        spacing=(0.002, 0.001),
        TotalPixelMatrixOriginSequence=_origin(20.5, 60.25),
        ContainerIdentifier=hostile,
        SeriesDescription=hostile,
    )
    level.OpticalPathSequence[0].OpticalPathDescription = hostile
    open_slide(signed_in, server, datastore, [level])
    show_at(signed_in, 0.5, 450, 150)
    slide = signed_in.locator(".slide")
    expect(slide).to_contain_text(hostile)
    # The scale bar is as long on the screen as it says: half a pixel of the screen is a micrometre.
    bar, words = slide.locator(".slide-scale-line"), slide.locator(".slide-scale-words")
    expect(words).to_have_text("200 µm")
    assert bar.evaluate("element => element.getBoundingClientRect().width - 2") == pytest.approx(100)
    expect(slide).to_contain_text("10× (objective 20×), 2 µm a pixel")
    # Columns run along -y here, rows along -x.
    place = signed_in.evaluate(f"() => {GUEST}.slide.slidePoint([100.5, 50.5])")
    assert place == pytest.approx([20.5 - 50 * 0.002, 60.25 - 100 * 0.001])
    assert signed_in.evaluate(f"place => {GUEST}.slide.matrixPoint(place)", place) == pytest.approx([100.5, 50.5])
    _drag(signed_in, "q", (100.5, 50.5), (100.5, 50.5))
    texts = slide.locator("svg text")
    expect(texts).to_have_text(["x 20.4000 mm, y 60.1500 mm"])
    signed_in.keyboard.press("Delete")
    _drag(signed_in, "l", (100, 100), (400, 300))
    expect(texts).to_have_text([f"{np.hypot(300, 400):.1f} µm"])
    signed_in.keyboard.press("]")
    expect(texts).to_have_text([f"{np.hypot(300, 400):.1f} µm"])
    signed_in.keyboard.press("[")
    signed_in.keyboard.press("Delete")
    _drag(signed_in, "r", (100, 100), (400, 200))
    _drag(signed_in, "e", (100, 100), (400, 200))
    expect(texts).to_have_text([f"{0.3 * 0.2 * 1e6:.0f} µm²", f"{0.3 * 0.2 * np.pi / 4 * 1e6:.0f} µm²"])
    with signed_in.expect_download() as download:
        signed_in.keyboard.press("k")
    assert download.value.suggested_filename == "slide.png"
    saved = np.asarray(Image.open(io.BytesIO(download.value.path().read_bytes())))
    assert list(saved.shape[:2]) == signed_in.evaluate(
        f"() => [{GUEST}.viewer.drawer.canvas.height, {GUEST}.viewer.drawer.canvas.width]"
    )
    assert signed_in.title() == "Viewer – Hounsfield"


def test_the_keyboard_moves_over_a_slide(server: ServerProcess, datastore: str, signed_in: Page) -> None:
    label = level_of(1, 2, {("A", 0.0): noise(5, 90, 120)}, spacing=(0.01, 0.01))
    label.ImageType = ["ORIGINAL", "PRIMARY", "LABEL", "NONE"]
    label.Rows, label.Columns, label.NumberOfFrames = 90, 120, 1
    label.PixelData = noise(5, 90, 120).tobytes()
    open_slide(signed_in, server, datastore, [level_of(1, 1, {("A", 0.0): noise(4)}, spacing=SPACING), label])
    state = f"""() => {{
      const {{ viewport }} = {GUEST}.viewer, {{ x, y }} = viewport.getCenter(true)
      return [x, y, viewport.getZoom(true), viewport.getRotation()]
    }}"""
    x, y, zoom, turned = signed_in.evaluate(state)
    for key in ("+", "+", "ArrowRight", "ArrowDown", "]"):
        signed_in.keyboard.press(key)
    signed_in.wait_for_function(f"before => {GUEST}.viewer.viewport.getZoom(true) > before * 2", arg=zoom)
    signed_in.wait_for_function(f"() => {GUEST}.viewer.viewport.getRotation(true) === 90")
    moved = signed_in.evaluate(state)
    assert moved[0] != x
    assert moved[1] != y
    signed_in.keyboard.press("x")
    signed_in.wait_for_function(f"zoom => Math.abs({GUEST}.viewer.viewport.getZoom(true) - zoom) < 1e-6", arg=zoom)
    assert signed_in.evaluate(state) == pytest.approx([x, y, zoom, turned])
    texts = signed_in.locator(".slide")
    expect(texts).to_contain_text("Roe, Jane")
    signed_in.keyboard.press("t")
    expect(texts).not_to_contain_text("Roe")
    signed_in.get_by_role("button", name="Label and overview").click()
    picture = signed_in.get_by_role("img", name="Label")
    signed_in.wait_for_function("() => document.querySelector('.slide-beside')?.naturalWidth > 0")
    expect(picture).to_be_visible()
    check_accessibility(signed_in)
    signed_in.set_viewport_size({"width": 360, "height": 740})
    check_width(signed_in)


def test_a_tile_that_does_not_come_is_told_and_the_rest_goes_on(
    server: ServerProcess, datastore: str, signed_in: Page, faults: PageFaults
) -> None:
    picture = noise(6)
    level = level_of(1, 1, {("A", 0.0): picture, ("B", 0.0): noise(7)}, spacing=SPACING)
    lost = f"**/{level.SOPInstanceUID}/frames/12"
    signed_in.route(lost, lambda route: route.abort())
    open_slide(signed_in, server, datastore, [level])
    centre_on(signed_in, 400, 300)
    failure = signed_in.locator(".slide-failure")
    expect(failure).to_have_text(
        "1 tile does not come: The server cannot be reached. It is asked again. What lies there is shown coarser or not at all."
    )
    expect(signed_in.locator(".slide svg .lost")).to_have_count(2)
    check_pixels(signed_in, picture, 128, 256, 128, 128)
    assert not shown(signed_in, 260, 140, 100, 100).any()
    signed_in.unroute(lost)
    signed_in.get_by_role("button", name="Load again").click()
    expect(failure).to_have_count(0)
    settle(signed_in)
    check_pixels(signed_in, picture, 200, 100, 300, 300)
    # A right that is taken away takes away what is shown.
    signed_in.route("**/frames/*", lambda route: route.fulfill(status=403))
    signed_in.get_by_label("Optical path").select_option("Stain B")
    expect(failure).to_have_text("You may not see this image.")
    assert signed_in.evaluate(f"() => {GUEST}.viewer.world.getItemCount()") == 0
    faults.forget()  # the tile that was kept from it


def _annotations(images: list[Dataset], kind: str, groups: list[AnnotationGroup], series: int) -> Dataset:
    return MicroscopyBulkSimpleAnnotations(
        source_images=images,
        annotation_coordinate_type=kind,
        annotation_groups=groups,
        series_instance_uid=str(slice_of(series).SeriesInstanceUID),
        series_number=series,
        sop_instance_uid=str(slice_of(series).SOPInstanceUID),
        instance_number=1,
        manufacturer="none",
        manufacturer_model_name="none",
        software_versions="1",
        device_serial_number="1",
    )


def _group(number: int, label: str, kind: str, data: list[NDArray[Any]]) -> AnnotationGroup:
    return AnnotationGroup(
        number=number,
        uid=f"2.25.99{number}",
        label=label,
        annotated_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        annotated_property_type=codes.SCT.Neoplasm,
        graphic_type=kind,
        graphic_data=data,
        algorithm_type="MANUAL",
    )


ALPHA: Final = f"""points => {{
  const context = {GUEST}.annotationCanvas.getContext("2d")
  return points.map(point => {{
    const [x, y] = {GUEST}.toScreen(point)
    return context.getImageData(Math.round(x), Math.round(y), 1, 1).data[3] > 100
  }})
}}"""


def test_annotations_lie_where_highdicom_drew_them(server: ServerProcess, datastore: str, signed_in: Page) -> None:
    """Bulk annotations in millimetres of the slide, and in pixels of its smaller level."""
    where: dict[str, Any] = {"TotalPixelMatrixOriginSequence": _origin(20.5, 60.25)}
    base = level_of(1, 1, {("A", 0.0): noise(8, 400, 600)}, spacing=SPACING, **where)
    small = level_of(1, 2, {("A", 0.0): noise(9, 100, 150)}, spacing=(0.002, 0.002), **where)
    square = np.array([[100.0, 100.0], [200.0, 100.0], [200.0, 180.0], [100.0, 180.0]])
    triangle = np.array([[300.0, 50.0], [400.0, 50.0], [350.0, 150.0]])
    to_slide = ImageToReferenceTransformer.for_image(base, for_total_pixel_matrix=True)
    lines = _group(1, "<b>Areas</b>", "POLYGON", [to_slide(square), to_slide(triangle)])
    dots = _group(2, "Dots", "POINT", [to_slide(np.array([[500.0, 300.0]]))])
    ring = np.array([[20.0, 70.0], [60.0, 70.0], [40.0, 65.0], [40.0, 75.0]])
    answer = (
        _annotations([base], "3D", [lines, dots], 2),
        _annotations([small], "2D", [_group(1, "Ring", "ELLIPSE", [ring])], 3),
    )
    open_slide(signed_in, server, datastore, [base, small, *answer])
    # Their own series leads to the slide, with all of them.
    signed_in.locator(f"[data-series='{slice_of(2).SeriesInstanceUID}']").click()
    panel = signed_in.locator("[data-side-panel]")
    expect(panel.locator("label")).to_have_text(
        ["<b>Areas</b>, Neoplasm (2)", "Dots, Neoplasm (1)", "Ring, Neoplasm (1)"]
    )
    settle(signed_in)
    centre_on(signed_in, 300, 200)
    on = [[150, 100], [200, 140], [350, 50], [500, 300], [160, 260], [80, 280], [240, 280]]
    off = [[150, 140], [350, 100], [160, 280], [520, 300]]
    signed_in.wait_for_function(f"points => ({ALPHA})(points).every(Boolean)", arg=on)
    assert signed_in.evaluate(ALPHA, off) == [False] * len(off)
    check_accessibility(signed_in)
    panel.get_by_label("Ring, Neoplasm (1)").uncheck()
    assert signed_in.evaluate(ALPHA, on) == [True] * 4 + [False] * 3


@pytest.mark.slow
def test_very_many_places_are_read_in_a_thread(server: ServerProcess, datastore: str, signed_in: Page) -> None:
    """A line of frames across a large sparse matrix; only those in the view are fetched."""
    count, tile = 1001, 8
    picture = np.zeros((count * tile, count * tile), np.uint8)
    places = [(index * tile, index * tile) for index in range(count)]
    for index, (row, column) in enumerate(places):
        picture[row : row + tile, column : column + tile] = index % 251 + 1
    base = level_of(1, 1, {("A", 0.0): picture}, spacing=SPACING, tile=tile, places=places)
    small = level_of(1, 2, {("A", 0.0): np.full((125, 125), 9, np.uint8)}, spacing=(0.032, 0.032))
    asked: list[str] = []
    signed_in.on("request", lambda request: asked.append(request.url))
    open_slide(signed_in, server, datastore, [base, small])
    assert signed_in.evaluate(f"() => Boolean({GUEST}.slide.base.dataset.framePlaces)")
    centre_on(signed_in, 4004, 4004)
    for index in (480, 500, 520):
        found = shown(signed_in, index * tile, index * tile, tile, tile)
        assert set(found.reshape(-1).tolist()) == {index % 251 + 1}
    assert sum("/frames/" in url for url in asked) < 200


def _coloured(page: Page, points: list[tuple[int, int]]) -> list[bool]:
    """Whether places of a white slide are coloured."""
    return [bool(np.ptp(shown(page, column, row, 1, 1)) > 20) for column, row in points]


@pytest.mark.parametrize("kind", ["BINARY", pytest.param("LABELMAP", marks=pytest.mark.slow)])
def test_segments_lie_where_highdicom_put_them(
    server: ServerProcess, datastore: str, signed_in: Page, kind: str
) -> None:
    """A segmentation in tiles of its own, sparse, with two segments, as highdicom writes it for the whole matrix."""
    base = level_of(1, 1, {("A", 0.0): np.full((300, 500, 3), 240, np.uint8)}, spacing=SPACING)
    mask = np.zeros((1, 300, 500), np.uint8)
    mask[0, 40:120, 60:200] = 1
    mask[0, 150:280, 300:480] = 2
    described = [
        SegmentDescription(number, label, codes.SCT.Tissue, codes.SCT.Tissue, SegmentAlgorithmTypeValues.MANUAL)
        for number, label in ((1, "<b>Stroma</b>"), (2, "Tumour"))
    ]
    segmentation = Segmentation(
        [base],
        mask,
        kind,
        described,
        series_instance_uid=str(slice_of(2).SeriesInstanceUID),
        series_number=2,
        sop_instance_uid=str(slice_of(2).SOPInstanceUID),
        instance_number=1,
        manufacturer="none",
        manufacturer_model_name="none",
        software_versions="1",
        device_serial_number="1",
        tile_pixel_array=True,
        tile_size=(64, 96),
    )
    open_slide(signed_in, server, datastore, [base, segmentation])
    signed_in.locator(f"[data-series='{slice_of(2).SeriesInstanceUID}']").click()
    panel = signed_in.locator("[data-side-panel]")
    expect(panel.locator("label")).to_have_text(["Segmentation: <b>Stroma</b>", "Segmentation: Tumour"])
    signed_in.wait_for_function(f"() => {GUEST}.segmentations[0].item?.getFullyLoaded()")
    centre_on(signed_in, 250, 150)
    signed_in.wait_for_function(f"() => {GUEST}.segmentations[0].item?.getFullyLoaded()")
    inside = [(60, 40), (199, 119), (300, 150), (479, 279)]
    outside = [(59, 40), (60, 39), (200, 119), (299, 150), (480, 279), (479, 280)]
    assert _coloured(signed_in, inside) == [True] * 4
    assert _coloured(signed_in, outside) == [False] * 6
    panel.get_by_label("Segmentation: Tumour").uncheck()
    signed_in.wait_for_function(f"() => {GUEST}.segmentations[0].item?.getFullyLoaded() && !{GUEST}.running.size")
    settle(signed_in)
    assert _coloured(signed_in, inside) == [True, True, False, False]
