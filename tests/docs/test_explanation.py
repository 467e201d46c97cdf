"""The pages that explain: what they name exists, and they are short enough to be read."""

from __future__ import annotations

import re
from datetime import date
from importlib import import_module

import pytest
from bench.__main__ import BENCHMARKS

from hounsfield.gateway.pipeline import handler_summaries
from support.doc_pages import Page, codes


def test_each_figure_has_a_command_and_a_date() -> None:
    rows = [row for row in Page.of("docs/explanation/performance.md").rows("what", "figure", "limit") if row["figure"]]
    assert len(rows) > 40
    for row in rows:
        names = [name for name in codes(row["command"]) if name != "tc"]
        assert set(names) <= BENCHMARKS.keys(), row["what"]
        assert date.fromisoformat(row["date"])
        assert names or row["command"].endswith("by hand"), row["what"]


PAGES = ("architecture", "life-of-a-file", "life-of-a-request")
MOST_WORDS = 1000
"""Two printed pages."""
MODULE = re.compile(r"[a-z_]+(\.[a-z0-9_]+)+")


@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_on_two_pages(name: str) -> None:
    words = re.findall(r"\w[\w.’'/-]*", Page.of(f"docs/explanation/{name}.md").text)
    assert len(words) <= MOST_WORDS


@pytest.mark.parametrize(("name", "least"), list(zip(PAGES, (14, 30, 30), strict=True)))
def test_every_module_that_a_page_names_is_there(name: str, least: int) -> None:
    prose = re.sub(r"^```.*?^```$", "", Page.of(f"docs/explanation/{name}.md").text, flags=re.DOTALL | re.MULTILINE)
    named = {code for code in codes(prose) if MODULE.fullmatch(code)}
    assert len(named) >= least
    for module in sorted(named):
        import_module(f"hounsfield.{module.removeprefix('hounsfield.')}")


def test_the_handlers_are_those_of_the_pipeline_in_their_order() -> None:
    rows = Page.of("docs/explanation/life-of-a-request.md").rows("handler", "what it does")
    assert [codes(row["handler"])[0] for row in rows] == list(handler_summaries())
