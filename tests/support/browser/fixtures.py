"""Fixtures of tests in the browser; ``tests/console/conftest.py`` has them for all files of its folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page

from support.browser.chromium import PICTURES, Chromium
from support.browser.page_faults import PageFaults
from support.servers import ServerProcess

NewContext = Callable[..., tuple[BrowserContext, PageFaults]]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chromium]:
    """The browser of this process, started when the first test asks for it."""
    browser = Chromium()
    yield browser
    browser.close()


@pytest.fixture
def new_context(chromium: Chromium, server: ServerProcess) -> Iterator[NewContext]:
    """Open further contexts: another user, another width, a browser without scripts."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(chromium.context(options.pop("url", server.url), **options))


@pytest.fixture
def context(new_context: NewContext, request: pytest.FixtureRequest) -> Iterator[BrowserContext]:
    """A context of the test's own on the server; of a test that fails a picture of each page is kept."""
    opened, request.node.page_faults = new_context()
    yield opened
    if getattr(request.node, "failed", False):
        _keep_pictures(request.node.name, opened)


@pytest.fixture
def page(context: BrowserContext) -> Page:
    """An empty page in a context of its own."""
    return context.new_page()


@pytest.fixture
def faults(context: BrowserContext, request: pytest.FixtureRequest) -> PageFaults:
    """What `page` did that it must not do, for tests that allow some of it."""
    watched: PageFaults = request.node.page_faults
    return watched


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report: Any = yield
    if report.when == "call":
        item.failed = report.failed  # type: ignore[attr-defined]
    return report


def _keep_pictures(name: str, context: BrowserContext) -> None:
    folder = PICTURES / "failed"
    folder.mkdir(parents=True, exist_ok=True)
    safe = "".join(letter if letter.isalnum() else "-" for letter in name)[:100]
    for number, page in enumerate(context.pages):
        page.screenshot(path=folder / f"{safe}-{number}.png", full_page=True)
