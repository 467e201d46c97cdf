"""What tests do with pages of the console, whatever page it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

from playwright.sync_api import APIResponse, Page, Response

from support.browser.accessibility import check_accessibility

Theme = Literal["light", "dark"]
THEMES: Final[tuple[Theme, ...]] = ("light", "dark")
WIDTHS: Final = (360, 1024, 1920)
"""A telephone, a small window, a large screen, in CSS pixels."""
_HEIGHTS: Final = {360: 740, 1024: 768, 1920: 1080}
_QUIET: Final = """() => document.readyState === "complete"
  && !document.querySelector(".htmx-request, .htmx-swapping, .htmx-settling, .htmx-added")"""


def sign_in(page: Page, key: tuple[str, str], path: str = "/console/") -> None:
    """Sign in with an access key and its secret, without the form, and open a page."""
    answer = page.request.post(
        "/console/sign-in", form={"access_key_id": key[0], "secret_access_key": key[1]}, max_redirects=0
    )
    assert answer.status == 303, answer.text()
    page.goto(path)
    page.get_by_role("button", name="Sign out").wait_for()
    settle(page)


def sign_in_by_form(page: Page, key: tuple[str, str]) -> None:
    """Sign in as people do, on the way to the first page."""
    page.goto("/console/")
    page.get_by_label("Access key", exact=True).fill(key[0])
    page.get_by_label("Secret access key").fill(key[1])
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Sign out").wait_for()
    settle(page)


def settle(page: Page) -> None:
    """Wait until the page is loaded and no part of it is being asked for or swapped by htmx."""
    page.wait_for_function(_QUIET)


def open_page(page: Page, address: str) -> Response | None:
    """Open a page, wait until it is settled, and return the answer."""
    answer = page.goto(address)
    # It is loaded, and seldom asks for parts of itself: to wait costs it much more than to be asked.
    if not page.evaluate(_QUIET):
        settle(page)
    return answer


def send_form(page: Page, path: str, fields: Mapping[str, str]) -> APIResponse:
    """Send a form in the session of a page, without the page; the answer is not followed."""
    token = page.locator("meta[name='csrf-token']").get_attribute("content") or ""
    return page.request.post(path, form={"csrf_token": token, **fields}, max_redirects=0)


def both_themes(page: Page) -> Iterator[Theme]:
    """Let a page be light, then dark, as the system of its reader asks."""
    for theme in THEMES:
        page.emulate_media(color_scheme=theme)
        yield theme


def widths(page: Page) -> Iterator[int]:
    """Give a page each width in turn."""
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": _HEIGHTS[width]})
        yield width


def check_page(page: Page) -> None:
    """Fail if axe-core finds a violation in either theme, or if the page itself scrolls sideways at the least width."""
    settle(page)
    for theme in both_themes(page):
        # Between themes only colours differ.
        check_accessibility(page, only_colours=theme == THEMES[-1])
    with narrow(page):
        check_width(page)


@contextmanager
def narrow(page: Page) -> Iterator[None]:
    """Give a page the least width for a while."""
    before = page.viewport_size
    page.set_viewport_size({"width": WIDTHS[0], "height": _HEIGHTS[WIDTHS[0]]})
    yield
    if before is not None:
        page.set_viewport_size(before)


_TOO_WIDE: Final = """() => {
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width) return [];
  const inner = element => {
    for (let one = element.parentElement; one && one !== document.body; one = one.parentElement)
      if (getComputedStyle(one).overflowX !== "visible") return true;
    return false;
  };
  const wide = [...document.body.querySelectorAll("*")]
    .filter(element => element.getBoundingClientRect().right > width + 0.5 && !inner(element));
  return [`${document.documentElement.scrollWidth} > ${width}`,
          ...wide.slice(-5).map(element => element.outerHTML.slice(0, 150))];
}"""


def check_width(page: Page) -> None:
    """Fail if the page itself scrolls sideways; a table may, in a region of its own."""
    wide = page.evaluate(_TOO_WIDE)
    assert not wide, f"{page.url} scrolls sideways: {wide}"


def take_pictures(page: Page, name: str, folder: Path) -> None:
    """Keep a picture of the whole page at each width in each theme: ``NAME-WIDTH-THEME.png``."""
    folder.mkdir(parents=True, exist_ok=True)
    for theme in both_themes(page):
        for width in widths(page):
            settle(page)
            page.screenshot(path=folder / f"{name}-{width}-{theme}.png", full_page=True)
