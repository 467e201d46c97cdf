"""The pages on DICOMweb: the examples of pictures and capabilities run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hounsfield.api.dicomweb.rendering_parameters import MOST_PIXELS_A_SIDE, RENDERED, THUMBNAIL_SIDE
from hounsfield.api.dicomweb.wado_frames import MOST_FRAMES
from hounsfield.pixels.rendering.render import Appearance
from support.clients.dicomweb import part10, store, web_client
from support.doc_pages import Page, PythonReader
from support.files.synthetic import slice_of, uid
from support.servers import ServerProcess

CONNECT = Page.of("docs/how-to/connect-dicomweb-clients.md")
INDEX, RENDERED_PAGE = (Page.of(f"docs/reference/dicomweb/{name}.md") for name in ("index", "rendered"))


def test_the_examples_run(
    server: ServerProcess, datastore: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    assert store(server, datastore, [part10(slice_of(study=354))]).ok
    names = {"STUDY": uid(354), "SERIES": uid(354, 1), "INSTANCE": uid(354, 1, 1), "DATASTORE": datastore}
    reader = PythonReader(server, monkeypatch, tmp_path, web=web_client(server, datastore), **names)
    sections = CONNECT.section("## requests"), RENDERED_PAGE, INDEX.section("## Capabilities")
    for section in sections:
        for code in section.blocks("python"):
            reader.types(code)
    assert capsys.readouterr().out.splitlines() == [
        "image/png image/jpeg",
        "200 True",
        "['GET', 'OPTIONS', 'POST']",
    ]


def test_the_parameters_are_those_of_the_code() -> None:
    told = {row["parameter"].strip("`") for row in RENDERED_PAGE.rows("parameter")}
    assert told == set(RENDERED) - {"imageSetId"}
    text = RENDERED_PAGE.text
    assert f"up to {MOST_PIXELS_A_SIDE} × {MOST_PIXELS_A_SIDE}" in text
    assert f"at most {THUMBNAIL_SIDE} × {THUMBNAIL_SIDE} pixels" in text
    assert f"of JPEG; {Appearance().quality} when" in text
    assert f"more than {MOST_FRAMES:,} pictures" in text
