"""The pages about the console name what is there to press, and show pictures that tests made."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Final

import pytest

from support.doc_pages import ROOT

PAGES: Final = sorted([*(ROOT / "docs/how-to").glob("console-*.md"), ROOT / "docs/tutorials/console.md"])
LITERAL: Final = ("docs/tutorials/console.md", "docs/how-to/console-data-stores.md")
"""Pages that have only what is written on buttons, links and labels in bold."""
CONSOLE: Final = ROOT / "src/hounsfield/console"
TEXTS: Final = html.unescape(
    "\n".join(
        path.read_text()
        for kind in ("*.html", "*.py", "*.js")
        for path in CONSOLE.rglob(kind)
        if path.name != "htmx.min.js"
    )
)
MADE: Final = (ROOT / "tests/console/test_screenshots.py").read_text()
MOST_BYTES: Final = 150_000


def bold(page: Path) -> list[str]:
    return re.findall(r"\*\*(.+?)\*\*", page.read_text())


@pytest.mark.parametrize("name", LITERAL)
def test_what_one_is_to_press_is_there(name: str) -> None:
    named = bold(ROOT / name)
    assert named, "it names nothing to press"
    assert [text for text in named if text not in TEXTS] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_its_pictures_are_made_by_tests_and_small(page: Path) -> None:
    for name in re.findall(r"\]\([./]*assets/(.+?)\.png\)", page.read_text()):
        assert f'"{name}"' in MADE, name
        assert (ROOT / f"docs/assets/{name}.png").stat().st_size <= MOST_BYTES
