"""The two ways to use a page, for tests that do the same by mouse and by keyboard alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import pytest
from playwright.sync_api import Locator, Page

from support.browser.accessibility import press, type_into


@dataclass(frozen=True)
class Way:
    """How somebody presses what a page has, and types into it."""

    press: Callable[[Page, Locator], None]
    type_into: Callable[[Page, Locator, str], None]


BY_MOUSE: Final = Way(lambda _, target: target.click(), lambda _, target, text: target.fill(text))
BY_KEYBOARD: Final = Way(press, type_into)

both_ways: Final = pytest.mark.parametrize(
    "way", [pytest.param(BY_MOUSE, id="mouse"), pytest.param(BY_KEYBOARD, id="keyboard", marks=pytest.mark.slow)]
)
"""Gives a test its ``way``; the keyboard is slow, as it walks to everything."""
