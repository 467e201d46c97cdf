"""docs/reference/dicomweb/search.md: its examples are run in the order in which they stand there."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.clients.dicomweb import part10, store, web_client
from support.doc_pages import Page, PythonReader
from support.files.synthetic import noise, slice_of
from support.servers import ServerProcess

CONNECT = Page.of("docs/how-to/connect-dicomweb-clients.md")
PAGE = Page.of("docs/reference/dicomweb/search.md")


def test_the_examples_of_the_page_run(
    server: ServerProcess, datastore: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slices = [slice_of(series, 1, pixels=noise(4, 4), SliceThickness="2") for series in (1, 2)]
    for dataset in slices:
        dataset.private_block(0x0019, "ACME", create=True).add_new(0x01, "LO", "own")
    assert store(server, datastore, [part10(dataset) for dataset in slices]).status_code == 200
    reader = PythonReader(server, monkeypatch, tmp_path, web=web_client(server, datastore), DATASTORE=datastore)
    for code in CONNECT.section("## requests").blocks("python"):
        reader.types(code)
    found = []
    for code in PAGE.blocks("python"):
        reader.types(code)
        found.append(reader.names.get("found"))
    assert len(reader.names["studies"]) == 1
    assert len(reader.names["series"]) == 2
    assert len(reader.names["latest"]) == 1
    assert [len(entry) for entry in found if entry is not None] == [1, 1, 2]
    assert {"00180050", "00190010", "00191001"} <= reader.names["found"][0].keys()
    assert {"00180050", "00080008"} <= reader.names["everything"].keys()
