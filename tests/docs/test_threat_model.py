"""The page on threats names tests and settings that are there."""

from __future__ import annotations

import re

from hounsfield.settings import PREFIX, Settings
from support.doc_pages import ROOT, Page, codes

PAGE = Page.of("docs/explanation/threat-model.md")


def test_each_threat_names_a_measure_and_what_shows_it() -> None:
    rows = PAGE.section("## Threats").rows("threat", "kind", "measure", "shown by")
    assert len(rows) >= 20
    for row in rows:
        tests = [name for name in codes(row["shown by"]) if name.startswith("tests/")]
        assert tests or ".md)" in row["shown by"], row["threat"]
        for name in tests:
            assert (ROOT / name).is_file(), name


def test_settings_are_there() -> None:
    names = set(re.findall(rf"`{PREFIX}([A-Z_]+)`", PAGE.text))
    assert len(names) >= 6
    assert {name.lower() for name in names} <= set(Settings.__dataclass_fields__)
