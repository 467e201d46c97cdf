"""Pictures of every page at three widths in both themes, for people to look at, and those of the documentation.

``make screenshots`` puts the latter where the pages have them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from PIL import Image
from playwright.sync_api import Page

from support.browser.chromium import PICTURES
from support.browser.pages import settle, sign_in, take_pictures
from support.browser.world import World, make_hospital
from support.servers import ServerProcess

DOCUMENTED: Final = {
    "console-data-stores": "/console/datastores",
}
"""Pictures of the documentation: the name of the file, and the address of the page."""
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
    for path, address in world.addresses():
        page.goto(address)
        settle(page)
        name = f"{path.removeprefix('/console/')}{address.removeprefix(world.address(path))}"
        take_pictures(page, "".join(letter if letter.isalnum() else "-" for letter in name).strip("-"), PICTURES)


def test_those_of_the_documentation(world: World, page: Page) -> None:
    page.set_viewport_size(SCREEN)
    sign_in(page, world.server.key())
    for name, path in DOCUMENTED.items():
        page.goto(world.address(path))
        page.wait_for_load_state("networkidle")
        settle(page)
        keep(page, PICTURES / "docs" / f"{name}.png")


def keep(page: Page, path: Path) -> None:
    """Keep what is to be seen of a page, as a small file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=path)
    with Image.open(path) as picture:
        small = picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    small.save(path, optimize=True)
