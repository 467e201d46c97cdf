"""The pages on DICOMweb: their examples run in their order, and their tables hold for the code and for a real server."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate

from hounsfield.api.dicomweb.media_types import media_type
from hounsfield.api.dicomweb.resources import ROUTES
from hounsfield.imaging.ingest.files import FailureReason
from hounsfield.pixels.transfer_syntaxes import TABLE, LosslessFormat, find_treatment
from hounsfield.settings import Settings
from hounsfield.storage.blobs.spool import MEMORY_BYTES
from support.clients.dicomweb import part10, root, session, store
from support.doc_pages import Page, PythonReader, codes, run_shell
from support.files.synthetic import noise, save, slice_of, uid
from support.required_tools import required_tool
from support.servers import ServerProcess

CONNECT = Page.of("docs/how-to/connect-dicomweb-clients.md")
INDEX, STORE, RETRIEVE, RENDERED = (
    Page.of(f"docs/reference/dicomweb/{name}.md") for name in ("index", "store", "retrieve", "rendered")
)
PREFIX = "1.2.840.10008.1.2"
EXPLICIT, HTJ2K, J2K, JPEG = (PREFIX + part for part in (".1", ".4.202", ".4.90", ".4.50"))
MPEG_2 = PREFIX + ".4.100"
UIDS = {"STUDY": uid(351), "SERIES": uid(351, 1), "INSTANCE": uid(351, 1, 1)}
DOCUMENT = bytes(range(256)) * 5000


def test_the_curl_lines_run(server: ServerProcess, datastore: str, tmp_path: Path) -> None:
    required_tool(shutil.which("curl") is not None, "curl is not installed")
    dataset = slice_of(study=351)
    save(dataset, tmp_path / "slice.dcm")
    key_id, secret = server.key()
    given = {"KEY_ID": key_id, "SECRET": secret, "ENDPOINT": server.url, "DATASTORE": datastore, **UIDS}
    printed = run_shell(server, CONNECT.section("## curl").block("sh"), tmp_path, **given)
    assert uid(351, 1, 1) in printed
    assert pydicom.dcmread(tmp_path / "retrieved.dcm").file_meta.TransferSyntaxUID == HTJ2K


def test_the_python_examples_run_in_their_order(
    server: ServerProcess,
    datastore: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Any,
) -> None:
    save(slice_of(study=351, EncapsulatedDocument=DOCUMENT), tmp_path / "first.dcm")
    save(slice_of(study=351, number=2), tmp_path / "second.dcm")
    save(slice_of(study=352), tmp_path / "of-another-study.dcm")
    (tmp_path / "notes.txt").write_text("no DICOM at all")
    reader = PythonReader(server, monkeypatch, tmp_path, DATASTORE=datastore, **UIDS)
    # The workers start with the first request; on a busy machine that is longer than the 20 s that dicomweb-client waits.
    assert store(server, datastore, [part10(slice_of(study=353))]).status_code == 200

    def printed_by(page: Page, heading: str) -> list[str]:
        for code in page.section(heading).blocks("python"):
            reader.types(code)
        return capsys.readouterr().out.splitlines()

    assert printed_by(CONNECT, "## requests") == []
    assert printed_by(CONNECT, "## dicomweb-client") == ["2 Explicit VR Little Endian"]
    single, several, *failed = printed_by(STORE, "# Store")
    assert single == f"200 ['{root(server, datastore)}/studies/{uid(351)}']"
    assert several == "202"
    assert [line.split(" ", 1)[0] for line in failed] == ["A901", "C000"]
    kinds = [line.split()[1] for line in printed_by(RETRIEVE, "## Transfer syntaxes")]
    assert kinds == [f"transfer-syntax={syntax}" for syntax in (EXPLICIT, HTJ2K, J2K, HTJ2K)]
    assert printed_by(RETRIEVE, "## Frames") == []
    assert reader.names["samples"] == noise(64, 64, seed=1).tobytes()
    np.testing.assert_array_equal(imagecodecs.htj2k_decode(reader.names["codestream"]), noise(64, 64, seed=1))
    part, again = printed_by(RETRIEVE, "## Ranges and caches")
    assert part == f"206 bytes 0-1023/{len(reader.names['codestream'])}"
    assert again == "200 304 0"
    served = [HTJ2K, EXPLICIT, J2K, "1.2.840.10008.1.2.4.201"]
    assert printed_by(RETRIEVE, "## Metadata and bulk data") == [f"{served} {len(DOCUMENT)}"]
    assert reader.names["document"] == DOCUMENT
    assert printed_by(RETRIEVE, "## ZIP") == ["2"]


def test_the_requests_are_those_of_the_routes() -> None:
    rows = [row for page in (INDEX, STORE, RETRIEVE, RENDERED) for row in page.rows("request", "operation")]
    told = {(*codes(row["request"])[0].split(), codes(row["operation"])[0]) for row in rows}
    routes = {(method, f"/{path}", name) for method, path, name in ROUTES}
    assert told <= routes
    assert {route for route in routes - told if not route[2].startswith("Search")} == set()


def test_the_reasons_are_those_of_the_code() -> None:
    assert {int(codes(row["reason"])[0], 16) for row in STORE.rows("reason")} == set(FailureReason)


def test_the_sizes_are_those_of_the_code() -> None:
    assert f"`HOUNSFIELD_MAX_STORE_BYTES` ({Settings().max_store_bytes >> 20:,} MiB" in STORE.text
    assert f"`HOUNSFIELD_MAX_BODY_BYTES` ({Settings().max_body_bytes >> 20} MiB)" in INDEX.text
    assert f"Up to {MEMORY_BYTES >> 20} MiB of one wait in memory" in STORE.text


def test_the_media_types_of_frames_are_those_of_the_code() -> None:
    rows = RETRIEVE.rows("media type of frames")
    told = {
        PREFIX + suffix: codes(row["media type of frames"])[0]
        for row in rows
        for suffix in codes(row["transfer syntaxes, after 1.2.840.10008.1.2"])
    }
    assert told == {syntax: media_type(syntax) for syntax in told}
    stored = {
        find_treatment(syntax, lossless=form, bits_allocated=8).stored_transfer_syntax
        for syntax in TABLE
        for form in LosslessFormat
    }
    assert stored <= told.keys()


def as_jpeg() -> Dataset:
    """A frame that is kept as it came."""
    pixels = np.clip(noise(64, 64) // 8 + 128, 0, 255).astype(np.uint8)
    dataset = slice_of(series=2, pixels=pixels)
    dataset.PixelData = encapsulate([imagecodecs.jpeg8_encode(pixels, 90)])
    dataset["PixelData"].VR = "OB"
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.UID(JPEG)
    return dataset


def as_object() -> Dataset:
    """A video, which is kept as one object."""
    dataset = slice_of(series=4)
    dataset.PixelData = encapsulate([bytes.fromhex("000001b3") + bytes(60)])
    dataset["PixelData"].VR = "OB"
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.UID(MPEG_2)
    return dataset


def bare() -> Dataset:
    """An instance without pixel data."""
    dataset = slice_of(series=3)
    del dataset.PixelData
    return dataset


def test_the_transfer_syntaxes_can_be_had_as_the_table_says(server: ServerProcess, datastore: str) -> None:
    kept = [(slice_of(), HTJ2K), (as_jpeg(), JPEG), (bare(), EXPLICIT), (as_object(), MPEG_2)]
    assert store(server, datastore, [part10(dataset) for dataset, _ in kept]).status_code == 200
    rows = RETRIEVE.section("## Transfer syntaxes").rows("asked for")
    assert len(rows) == 5
    signed = session(server)
    for row in rows:
        asked, *cells = row.values()
        for cell, (dataset, stored) in zip(cells, kept, strict=True):
            for wanted in asked_for(asked, stored):
                answer = signed.get(
                    f"{root(server, datastore)}/studies/{uid(1)}/series/{dataset.SeriesInstanceUID}"
                    f"/instances/{dataset.SOPInstanceUID}",
                    headers={"Accept": f"application/dicom{wanted and f'; transfer-syntax={wanted}'}"},
                    timeout=60,
                )
                if cell.startswith("406"):
                    assert answer.status_code == 406, (asked, stored)
                    continue
                expected = {"de": EXPLICIT, "Ex": EXPLICIT, "as": stored}[cell[:2]]
                expected = wanted if "encoded on the way" in cell else expected
                assert answer.headers["content-type"] == f"application/dicom; transfer-syntax={expected}", (
                    asked,
                    stored,
                )


def asked_for(cell: str, stored: str) -> list[str]:
    if cell == "nothing":
        return [""]
    if cell == "what it is stored as":
        return [stored]
    return [code if code == "*" else PREFIX + code for code in codes(cell)]
