"""docs/reference/api/image-frames.md: its examples decode and check a real frame, its tables are those of the code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hounsfield.api.healthimaging.media_types import media_type
from hounsfield.imaging.retrieve.image_frame import StoredImageFrame
from hounsfield.pixels.transfer_syntaxes import TABLE, LosslessFormat, find_treatment
from support.doc_pages import Page, PythonReader, codes
from support.files.synthetic import noise, save, slice_of
from support.imaging.imports import document, instances, run_import
from support.servers import ServerProcess

PAGE = Page.of("docs/reference/api/image-frames.md")
SHAPE = (300, 260)
EDGES = np.random.default_rng(1).integers(0, 2, SHAPE)
PIXELS = {
    "noise": (noise(*SHAPE, 5), 16),
    "edges of 16 bits": ((EDGES * 65535 - 32768).astype("<i2"), 16),
    "edges of 12 bits": ((EDGES * 4095).astype("<u2"), 12),
    "edges of 8 bits": ((EDGES * 255).astype("u1"), 8),
}


@pytest.fixture(params=["noise"])
def image_set(server: ServerProcess, client: Any, datastore: str, request: pytest.FixtureRequest) -> str:
    pixels, bits = PIXELS[request.param]
    folder = server.bucket("input") / f"frames-page-{list(PIXELS).index(request.param)}"
    save(slice_of(study=341, pixels=pixels, BitsStored=bits, HighBit=bits - 1), folder / "one.dcm")
    (entry,) = run_import(server, client, datastore, f"{folder.name}/").summary["imageSetsSummary"]
    return str(entry["imageSetId"])


@pytest.mark.parametrize("image_set", PIXELS, indirect=True)
def test_the_examples_run(
    request: pytest.FixtureRequest,
    server: ServerProcess,
    datastore: str,
    image_set: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Any,
) -> None:
    reader = PythonReader(server, monkeypatch, tmp_path, DATASTORE=datastore, IMAGE_SET=image_set)
    decoding, smaller = PAGE.blocks("python")
    reader.types(decoding)
    np.testing.assert_array_equal(reader.names["samples"], PIXELS[request.node.callspec.params["image_set"]][0])
    reader.types(smaller)
    shapes = [line.split(" ", 2)[:2] for line in capsys.readouterr().out.splitlines()]
    assert shapes == [["(300,", "260)"], ["(150,", "130)"], ["(75,", "65)"], ["(38,", "33)"]]
    checked = reader.names["frame"]["PixelDataChecksumFromBaseToFullResolution"]
    assert [(level["Width"], level["Height"]) for level in checked] == [(130, 150), (260, 300)]
    assert reader.names["start"] == reader.names["data"][: reader.names["ends"][0]]


def test_the_members_are_those_of_the_document(client: Any, datastore: str, image_set: str) -> None:
    ((_, instance),) = instances(document(client, datastore, image_set))
    told = {name for row in PAGE.rows("member") for name in codes(row["member"])}
    assert told == set(instance["ImageFrames"][0])


def test_the_media_types_are_those_of_the_code() -> None:
    told = {}
    for row in PAGE.rows("stored as", "ends with", "Content-Type"):
        for suffix in codes(row["ends with"]):
            told[f"1.2.840.10008.1.2{suffix}"] = codes(row["Content-Type"])[0]
    stored = {
        find_treatment(syntax, lossless=lossless, bits_allocated=bits).stored_transfer_syntax
        for syntax in TABLE
        for lossless in LosslessFormat
        for bits in (1, 8)
    }
    kinds = {
        syntax: media_type(StoredImageFrame(syntax, is_frame=True, size=0, chunk_count=0, chunks=iter(())))
        for syntax in stored
    }
    assert told.keys() <= kinds.keys()
    assert told == {syntax: kind for syntax, kind in kinds.items() if syntax in told}
    assert {kind for syntax, kind in kinds.items() if syntax not in told} <= {"application/octet-stream"}
