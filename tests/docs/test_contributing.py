"""CONTRIBUTING.md names files, folders and commands that are there."""

from __future__ import annotations

import re

import pytest

from support.doc_pages import ROOT, Page, codes

PAGE = Page.of("CONTRIBUTING.md")
FOLDERS = [
    ROOT,
    ROOT / "src/hounsfield",
    ROOT / "src/hounsfield/api/healthimaging",
    ROOT / "src/hounsfield/api/dicomweb",
]
"""Where what the page names may be. A name without a folder is one of both APIs."""
PROSE = re.sub(r"^```.*?^```$", "", PAGE.text, flags=re.DOTALL | re.MULTILINE)
IN_BLOCKS = re.findall(r"tests/\S+\.py", "".join(PAGE.blocks("sh")))
MADE = {"site/"}
PLACE = re.compile(r"[\w./-]+(/|\.(py|md|toml))|tests/\w+|\.ci/run")
PLACES = sorted({place for place in [*codes(PROSE), *IN_BLOCKS] if PLACE.fullmatch(place)} - MADE)
TARGETS = sorted(set(re.findall(r"\bmake ([\w-]+)", PAGE.text)))


def test_the_page_names_places_and_targets() -> None:
    assert len(PLACES) > 25
    assert len(TARGETS) > 8


@pytest.mark.parametrize("place", PLACES)
def test_a_named_place_is_there(place: str) -> None:
    assert any((folder / place).exists() for folder in FOLDERS)


@pytest.mark.parametrize("target", TARGETS)
def test_a_named_target_of_make_is_there(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
