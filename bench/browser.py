"""Debian's chromium without a screen, signed in to the console of a server."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from playwright.sync_api import Browser, Page, sync_playwright

from bench.server import BenchmarkError, Server
from hounsfield.iam.root_credentials import credentials_file, root_key

SCREEN: Final = {"width": 1440, "height": 900}
_QUIET: Final = """() => document.readyState === "complete" && performance.getEntriesByType("navigation")[0].loadEventEnd > 0
  && !document.querySelector(".htmx-request, .htmx-swapping, .htmx-settling")"""
_USABLE: Final = "() => performance.getEntriesByType('navigation')[0].loadEventEnd"


@dataclass(frozen=True)
class Visit:
    """What it took to show a page.

    Attributes
    ----------
    bytes : int
        All that came over the wire, headers too, until nothing was asked for any more.
    milliseconds : float
        From the start until the page and all that it needs was loaded and its scripts had run.
    """

    bytes: int
    milliseconds: float


def chromium() -> str | None:
    """Return the path of chromium, None where it is not installed."""
    return shutil.which("chromium")


@contextmanager
def signed_in(server: Server) -> Iterator[tuple[Browser, dict[str, Any]]]:
    """Start a browser; give it with the cookies of a session of root."""
    key = root_key(credentials_file(server.settings.data))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), chromium_sandbox=os.geteuid() != 0)
        page = browser.new_page(base_url=server.url)
        page.goto("/console/sign-in")
        page.get_by_label("Access key", exact=True).fill(key.id)
        page.get_by_label("Secret access key").fill(key.secret)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("button", name="Sign out").wait_for()
        cookies: Any = page.context.storage_state()
        page.close()
        yield browser, cookies
        browser.close()


@contextmanager
def new_page(server: Server, browser: Browser, cookies: Any) -> Iterator[Page]:
    """Open a page that has nothing in its cache."""
    with browser.new_context(base_url=server.url, storage_state=cookies, viewport=SCREEN) as context:  # type: ignore[arg-type]
        yield context.new_page()


def visit(page: Page, address: str) -> Visit:
    """Open an address in a page; raises `BenchmarkError` when it is refused."""
    session = page.context.new_cdp_session(page)
    sizes: list[int] = []
    session.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    session.send("Network.enable")
    answer = page.goto(address)
    if answer is None or answer.status != 200:
        raise BenchmarkError(f"{address} answers {answer and answer.status}")
    page.wait_for_load_state("networkidle")
    page.wait_for_function(_QUIET)
    milliseconds = page.evaluate(_USABLE)
    session.detach()
    return Visit(sum(sizes), milliseconds)
