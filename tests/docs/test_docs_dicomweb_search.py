"""The examples of docs/reference/dicomweb/search.md are run in the order in which they stand there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from dicomweb.web import part10, store
from servers import ServerProcess
from synthetic import noise, slice_of

PAGE = Path(__file__).resolve().parents[2] / "docs/reference/dicomweb/search.md"


def test_the_examples_of_the_page_run(server: ServerProcess, datastore: str, monkeypatch: pytest.MonkeyPatch) -> None:
    slices = [slice_of(series, 1, pixels=noise(4, 4), SliceThickness="2") for series in (1, 2)]
    for dataset in slices:
        dataset.private_block(0x0019, "ACME", create=True).add_new(0x01, "LO", "own")
    assert store(server, datastore, [part10(dataset) for dataset in slices]).status_code == 200
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(server.data / "credentials"))
    monkeypatch.setenv("HOUNSFIELD_URL", server.url)
    monkeypatch.setenv("DATASTORE", datastore)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(blocks) >= 4
    names: dict[str, Any] = {}
    found = []
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)
        found.append(names.get("found"))
    assert len(names["studies"]) == 1
    assert len(names["series"]) == 2
    assert [len(entry) for entry in found if entry is not None] == [1, 2]
    assert {"00180050", "00190010", "00191001"} <= names["found"][0].keys()
    assert {"00180050", "00080008"} <= names["everything"].keys()
