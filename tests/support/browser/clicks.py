"""A person who counts how often they must click."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import Locator, Page

from support.browser.pages import settle


class Clicks:
    """Does things on a page and counts them, by the rules of ``docs/explanation/console.md``.

    Parameters
    ----------
    page : Page
        Where counting begins.
    """

    def __init__(self, page: Page) -> None:
        self._page = page
        self.count = 0

    def click(self, target: Locator) -> None:
        """Click: one."""
        target.click()
        self.count += 1
        settle(self._page)

    def choose(self, field: Locator, option: str) -> None:
        """Open a list of options and choose one: two."""
        field.select_option(option)
        self.count += 2
        settle(self._page)

    def type_into(self, field: Locator, text: str) -> None:
        """Click into a field, unless it has the focus already, and type: one, or nothing."""
        if not field.evaluate("element => element === document.activeElement"):
            field.click()
            self.count += 1
        field.fill(text)

    def enter(self) -> None:
        """Press Enter: one."""
        self._page.keyboard.press("Enter")
        self.count += 1
        settle(self._page)

    def give_files(self, field: Locator, files: Sequence[Path] | Path) -> None:
        """Drop files, or choose them in the dialog of the system: one."""
        field.set_input_files(files)
        self.count += 1
