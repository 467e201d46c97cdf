"""docs/reference/dicomweb/conformance.md names the resources that there are, no others."""

from __future__ import annotations

from hounsfield.api.dicomweb.capabilities import MEDIA_TYPES
from hounsfield.api.dicomweb.resources import ROUTES
from hounsfield.pixels.rendering.render import RenderedMediaType
from support.doc_pages import Page, codes

PAGE = Page.of("docs/reference/dicomweb/conformance.md")


def test_the_resources_are_those_of_the_routes() -> None:
    rows = PAGE.rows("method", "path", "operation")
    told = [(row["method"], codes(row["path"])[0], codes(row["operation"])[0]) for row in rows]
    assert told == [(method, f"/{path}", name) for method, path, name in ROUTES]
    for row in rows:
        assert codes(row["media types of the answer"]) == list(MEDIA_TYPES[codes(row["operation"])[0]])


def test_pictures_are_of_the_kinds_that_are_told() -> None:
    (row,) = [row for row in PAGE.rows("what", "supported") if row["what"] == "rendered"]
    assert codes(row["supported"])[: len(RenderedMediaType)] == list(RenderedMediaType)
