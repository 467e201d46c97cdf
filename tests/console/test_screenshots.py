"""Pictures of every page at three widths in both themes, for people to look at, and those of the documentation.

``make screenshots`` puts the latter where the pages have them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pydicom
import pytest
from PIL import Image
from playwright.sync_api import Page
from pydicom.data import get_testdata_file

from hounsfield.phantom.ct_series import STUDY_UID, ct_files
from hounsfield.phantom.torso import PARTS, empty_volume
from support.browser.chromium import PICTURES
from support.browser.pages import settle, sign_in, take_pictures
from support.browser.world import World, make_hospital
from support.clients.dicomweb import store
from support.files.hospital import STUDIES, write_hospital
from support.servers import ServerProcess, active_datastore

Prepare = Callable[[Page], None]


@dataclass(frozen=True)
class Documented:
    """A picture of the documentation: the address of the page, and what is done there before it is taken."""

    path: str
    prepare: Prepare | None = None


IMAGE_SET: Final = "/console/datastores/{datastore}/imagesets/{imageset}"


def _open_metadata(page: Page) -> None:
    """Open the patient and the first instance."""
    page.locator("details.branch > summary").first.click()
    page.locator("h2 + details.branch > summary").click()
    page.get_by_role("row", name="ImageType").wait_for()


def _upload(page: Page) -> None:
    """Upload a series that is there already, with what is no image among it."""
    with TemporaryDirectory() as folder:
        write_hospital(Path(folder, "disc"), STUDIES[-2:])
        Path(folder, "disc", "README.txt").write_text("What is on this disc\n")
        page.locator("#folder").set_input_files(Path(folder, "disc"))
        page.locator("#upload[data-state=done]").wait_for()


def _review_edit(page: Page) -> None:
    """Correct the patient ID, up to the review."""
    page.get_by_label("Attribute", exact=True).fill("PatientID")
    page.get_by_role("button", name="Add").click()
    page.get_by_label("New value").fill("00412078")
    page.get_by_role("button", name="Review changes").click()
    page.get_by_role("button", name="Send changes").wait_for()


DOCUMENTED: Final[Mapping[str, Documented]] = {
    "console-data-stores": Documented("/console/datastores"),
    "console-studies": Documented("/console/datastores/{datastore}/studies"),
    "console-study": Documented("/console/datastores/{datastore}/studies/{study}"),
    "console-image-sets": Documented("/console/datastores/{datastore}/imagesets"),
    "console-import": Documented("/console/datastores/{datastore}/imports/{job}"),
    "console-new-import": Documented("/console/datastores/{datastore}/imports/new?input_uri=s3://input/"),
    "console-upload": Documented("/console/datastores/{datastore}/upload", _upload),
    "console-edit": Documented(f"{IMAGE_SET}/edit", _review_edit),
    "console-user": Documented("/console/users/{user}"),
    "console-access": Documented("/console/datastores/{datastore}/access?everybody=yes"),
    "console-usage": Documented("/console/usage"),
    "console-audit": Documented("/console/audit?kind=change"),
    "console-image-set": Documented(IMAGE_SET),
    "console-metadata": Documented(f"{IMAGE_SET}/metadata", _open_metadata),
    "console-compare": Documented(f"{IMAGE_SET}/compare"),
}
"""By the name of the file."""
COLOURS: Final = 128
SCREEN: Final = {"width": 1120, "height": 700}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    process = ServerProcess(tmp_path_factory.mktemp("hospital") / "data").start()
    yield process
    process.stop()


@pytest.fixture(scope="module")
def world(server: ServerProcess) -> World:
    return make_hospital(server)


def test_every_page(world: World, page: Page) -> None:
    page.goto("/console/sign-in")
    take_pictures(page, "sign-in", PICTURES)
    sign_in(page, world.server.key())
    for path, some in groupby(world.addresses(), key=itemgetter(0)):
        name = "".join(letter if letter.isalnum() else "-" for letter in path.removeprefix("/console/")).strip("-")
        for number, (_, address) in enumerate(some):
            page.goto(address)
            settle(page)
            take_pictures(page, f"{name}-{number}" if number else name, PICTURES)


def test_those_of_the_documentation(world: World, page: Page) -> None:
    page.set_viewport_size(SCREEN)
    page.goto("/console/sign-in")
    keep(page, "console-sign-in")
    sign_in(page, world.server.key())
    for name, documented in DOCUMENTED.items():
        page.goto(world.address(documented.path))
        if documented.prepare is not None:
            documented.prepare(page)
        keep(page, name)


def test_those_of_the_viewer(server: ServerProcess, page: Page) -> None:
    page.set_viewport_size(SCREEN)
    datastore = active_datastore(server.client(), datastoreName="demo")
    volume = empty_volume()
    for paint in PARTS:
        paint(volume)
    files = [content for _, content in ct_files(volume)]
    for first in range(0, len(files), 50):
        assert store(server, datastore, files[first : first + 50]).status_code == 200
    sign_in(page, server.key(), f"/console/datastores/{datastore}/view?study={STUDY_UID}")
    _scroll_to(page, 90)
    keep(page, "viewer-ct")
    page.keyboard.press("2")
    keep(page, "viewer-lung")
    page.keyboard.press("1")
    page.keyboard.press("l")
    _drag(page, (0.253, 0.5), (0.747, 0.5))
    page.keyboard.press("e")
    _drag(page, (0.365, 0.41), (0.425, 0.47))
    keep(page, "viewer-measure")


def test_those_of_documents_in_the_viewer(server: ServerProcess, page: Page) -> None:
    page.set_viewport_size(SCREEN)
    datastore = active_datastore(server.client(), datastoreName="documents")
    sign_in(page, server.key())
    for name, file in (("viewer-ecg", "waveform_ecg.dcm"), ("viewer-report", "test-SR.dcm")):
        path = Path(str(get_testdata_file(file)))
        assert store(server, datastore, [path.read_bytes()]).status_code == 200
        page.goto(f"/console/datastores/{datastore}/view?study={pydicom.dcmread(path).StudyInstanceUID}")
        page.locator(".document h2").wait_for()
        if name == "viewer-ecg":
            page.get_by_role("combobox", name="Layout").first.select_option("3×4")
            page.locator(".waveform").first.evaluate("section => section.scrollIntoView()")
        keep(page, name)


def _scroll_to(page: Page, number: int) -> None:
    """Wait until the first image is there, and go to another one."""
    whole = "() => document.querySelector('[data-viewer]').viewer.active.image?.isWhole"
    page.wait_for_function(whole)
    page.evaluate(f"() => document.querySelector('[data-viewer]').viewer.active.stack.go({number})")
    page.wait_for_function(whole)


def _drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag over the image, from and to parts of its width and height."""
    box = page.locator("[data-active] canvas").bounding_box()
    assert box is not None
    (x0, y0), (x1, y1) = ((box["x"] + box["width"] * x, box["y"] + box["height"] * y) for x, y in (start, end))
    page.mouse.move(x0, y0)
    page.mouse.down()
    page.mouse.move(x1, y1, steps=5)
    page.mouse.up()


def keep(page: Page, name: str) -> None:
    """Keep what is to be seen of a page, as a small file."""
    page.wait_for_load_state("networkidle")
    settle(page)
    path = PICTURES / "docs" / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=path)
    with Image.open(path) as picture:
        small = picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    small.save(path, optimize=True)
