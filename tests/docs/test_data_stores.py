"""docs/reference/api/data-stores.md and docs/reference/api/tags.md: what they show is run as it stands there."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from hounsfield.api.healthimaging.media_types import media_type
from hounsfield.imaging.retrieve.image_frame import StoredImageFrame
from hounsfield.pixels.transfer_syntaxes import LosslessFormat
from hounsfield.settings import Settings
from support.doc_pages import Page, PythonReader, codes, run_shell
from support.files.synthetic import save, slice_of
from support.imaging.imports import run_import
from support.servers import ServerProcess, wait_for

STORES = Page.of("docs/reference/api/data-stores.md")
TAGS = Page.of("docs/reference/api/tags.md")


def test_the_examples_of_data_stores_run(
    server: ServerProcess, client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    create, delete = STORES.blocks("sh")
    printed = run_shell(server, f'{create}echo "made $DATASTORE"\n{delete}', tmp_path)
    made = re.search(r"made (\w{32})", printed)[1]
    state = wait_for(lambda: settled(client, made), "the data store to be deleted")
    assert (state["datastoreName"], state["datastoreStatus"]) == ("head-ct", "DELETED")

    reader = PythonReader(server, monkeypatch, tmp_path)
    create_jpeg, listing = STORES.blocks("python")
    reader.types(create_jpeg)
    assert capsys.readouterr().out.split() == ["exchange", "ACTIVE", "JPEG_2000_LOSSLESS"]
    reader.types(listing)
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert reader.names["datastore"] in listed
    assert made not in listed


def settled(client: Any, datastore: str) -> dict[str, Any] | None:
    properties = client.get_datastore(datastoreId=datastore)["datastoreProperties"]
    return properties if not properties["datastoreStatus"].endswith("ING") else None


def test_the_lossless_formats_are_those_of_the_code() -> None:
    told = {
        codes(row["`losslessStorageFormat`"])[0]: (
            codes(row["transfer syntax of the frames"]),
            codes(row["GetImageFrame answers"]),
        )
        for row in STORES.rows("`losslessStorageFormat`")
    }
    assert told == {
        form: (
            [form.transfer_syntax],
            [media_type(StoredImageFrame(form.transfer_syntax, is_frame=True, size=0, chunk_count=0, chunks=iter(())))],
        )
        for form in LosslessFormat
    }


def test_the_examples_of_tags_run(
    server: ServerProcess,
    client: Any,
    datastore: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Any,
) -> None:
    save(slice_of(study=321), server.bucket("input") / "tags-page" / "one.dcm")
    (entry,) = run_import(server, client, datastore, "tags-page/").summary["imageSetsSummary"]
    printed = run_shell(server, TAGS.block("sh"), tmp_path, DATASTORE=datastore, IMAGE_SET=entry["imageSetId"])
    assert json.loads(printed)["tags"] == {"project": "head-ct", "reader": "second"}
    PythonReader(server, monkeypatch, tmp_path, DATASTORE=datastore).types(TAGS.block("python"))
    assert capsys.readouterr().out == "{'project': 'head-ct'}\n"


def test_the_rules_of_tags_are_those_of_the_model(client: Any) -> None:
    rules = {row["rule"]: row[""] for row in TAGS.rows("rule")}
    allowed = "".join(
        "".join(map(chr, range(ord(part[0]), ord(part[2]) + 1))) if len(part) == 3 else part
        for part in codes(rules["key"])[0].split()
    )
    key, value = (client.meta.service_model.shape_for(name).metadata for name in ("TagKey", "TagValue"))
    assert {chr(code) for code in range(128) if re.fullmatch(key["pattern"], chr(code))} == set(allowed)
    assert re.match(rf"{key['min']} to {key['max']} of", rules["key"])
    assert rules["value"] == f"up to {value['max']} characters"
    assert rules["how many"].startswith(f"{Settings().quota_tags} a resource")
