"""Debian's chromium without windows: one browser for all tests of a process, a context of its own for each test.

    driver (node, carried by Playwright) ─▶ chromium ─▶ context ─▶ pages
         started with the first test that asks        one a test, watched by `PageFaults`

The synchronous interface of Playwright runs an event loop in the thread of the tests, which says that it runs also between
two calls.
Other tests of the process may want a loop of their own, so ours is set only while a context is open.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, BrowserContext, expect, sync_playwright

from support.browser.page_faults import PageFaults
from support.required_tools import required_tool

PATH: Final = shutil.which("chromium-headless-shell") or shutil.which("chromium")
"""The same engine without the windows of a browser, which take as long as the pages; else the whole browser."""
TIMEOUT_MS: Final = 30_000
"""How long an element may take to come, on a machine that does much else at the same time."""
PICTURES: Final = Path(__file__).parents[3] / "screenshots"
"""Where pictures of pages go; nothing of it is committed."""
SCREEN: Final = {"width": 1024, "height": 768}


class Chromium:
    """A browser without a screen, with the driver that it needs."""

    def __init__(self) -> None:
        required_tool(
            PATH is not None, "neither of Debian's packages chromium-headless-shell and chromium is installed"
        )
        self._playwright = sync_playwright().start()
        self._loop = asyncio.get_running_loop()
        try:
            # Chromium refuses its sandbox to root.
            self._browser: Browser = self._playwright.chromium.launch(
                executable_path=PATH, chromium_sandbox=os.geteuid() != 0
            )
        except BaseException:
            self._playwright.stop()
            raise
        asyncio._set_running_loop(None)

    @contextmanager
    def context(self, url: str, **options: Any) -> Iterator[tuple[BrowserContext, PageFaults]]:
        """Open a context with cookies of its own, and fail at its end if one of its pages did what none may do.

        Parameters
        ----------
        url : str
            The server; a request to any other origin is a fault.
        **options
            Of `playwright.sync_api.Browser.new_context`.
        """
        before = asyncio._get_running_loop()
        asyncio._set_running_loop(self._loop)
        try:
            given = {"viewport": SCREEN, "locale": "en-GB", "timezone_id": "UTC", "reduced_motion": "reduce"}
            context = self._browser.new_context(base_url=url, **{**given, **options})
            try:
                context.set_default_timeout(TIMEOUT_MS)
                expect.set_options(timeout=TIMEOUT_MS)
                faults = PageFaults(context, url)
                yield context, faults
                faults.check()
            finally:
                context.close()
        finally:
            asyncio._set_running_loop(before)

    def close(self) -> None:
        """End the browser and its driver."""
        asyncio._set_running_loop(self._loop)
        try:
            self._browser.close()
            self._playwright.stop()
        finally:
            asyncio._set_running_loop(None)
