"""The pages that explain: what they name exists."""

from __future__ import annotations

from datetime import date

from bench.__main__ import BENCHMARKS

from support.doc_pages import Page, codes


def test_each_figure_has_a_command_and_a_date() -> None:
    rows = [row for row in Page.of("docs/explanation/performance.md").rows("what", "figure", "limit") if row["figure"]]
    assert len(rows) > 40
    for row in rows:
        names = [name for name in codes(row["command"]) if name != "tc"]
        assert set(names) <= BENCHMARKS.keys(), row["what"]
        assert date.fromisoformat(row["date"])
        assert names or row["command"].endswith("by hand"), row["what"]
