"""docs/reference/api/import-jobs.md: its examples run, its tables are those of what a job writes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from hounsfield.dicom.io.leniencies import Leniency
from hounsfield.dicom.values.warnings import WarningCode
from hounsfield.imaging.ingest.pixel_warnings import CODES
from hounsfield.pixels.leniencies import PixelLeniency
from support.doc_pages import Page, PythonReader, codes, run_shell
from support.files.synthetic import save, slice_of, uid
from support.imaging.imports import document, instances, lines, outcome_of
from support.servers import ServerProcess, finished_job

WHOLE = Page.of("docs/reference/api/import-jobs.md")


@pytest.mark.filterwarnings("ignore:The value length")
def test_a_job_from_its_start_to_its_end(
    server: ServerProcess,
    client: Any,
    datastore: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Any,
) -> None:
    folder = server.bucket("incoming") / "study-6"
    save(slice_of(study=312), folder / "one.dcm")
    save(slice_of(study=312, number=2, SeriesDescription="x" * 70), folder / "long.dcm")
    (folder / "notes.txt").write_text("no DICOM at all")
    server.bucket("results")
    (tmp_path / "data").symlink_to(server.data)
    section = WHOLE.section("## A job from its start to its end")
    printed = run_shell(server, section.block("sh"), tmp_path, DATASTORE=datastore)
    (listed,) = json.loads(printed[printed.index("{") :])["jobSummaries"]
    assert (listed["jobName"], listed["jobStatus"]) == ("head-ct", "COMPLETED")

    reader = PythonReader(server, monkeypatch, tmp_path, DATASTORE=datastore)
    reader.types(section.block("python"))
    count, image_set, failure = capsys.readouterr().out.splitlines()
    assert count == "2 files imported"
    assert image_set.split()[1:] == ["2", "2"]
    assert failure.startswith("study-6/notes.txt ")
    check_output_files(reader.names["output"], reader.names["summary"])


def check_output_files(output: Path, summary: dict[str, Any]) -> None:
    """Compare the tables of the page with what a job wrote that had failures and warnings."""
    rows = WHOLE.rows("member of `jobSummary` in `job-output-manifest.json`")
    first = {name for row in rows for name in codes(next(iter(row.values())))}
    assert first == set(summary)
    (entries,) = [codes(row[""]) for row in rows if "`imageSetsSummary`" in next(iter(row.values()))]
    assert set(entries) == set(summary["imageSetsSummary"][0])
    told = {codes(row["file"])[0]: codes(row["its lines"]) for row in WHOLE.rows("file", "its lines")}
    written = {name: lines(output / name)[0] for name in told}
    names = {
        name: {*line, *line.get("importResponse", {}), *line.get("exception", {})} for name, line in written.items()
    }
    (warning,) = [name for name in told if name.startswith("WARNING/")]
    names[warning] |= set(written[warning]["importResponse"]["warnings"][0])
    assert set(told["SUCCESS/success.ndjson"]) == names["SUCCESS/success.ndjson"]
    assert set(told["FAILURE/failure.ndjson"]) == names["FAILURE/failure.ndjson"]
    assert set(told[warning]) == names[warning] - names["SUCCESS/success.ndjson"] | {"importResponse"}


def test_what_is_read_although_it_is_wrong_is_all_that_the_reader_puts_up_with() -> None:
    rows = WHOLE.rows("the message of the warning", "code")
    told = {(re.sub(r"\*(\w+)\*", r"{\1}", row["the message of the warning"]), row["code"]) for row in rows}
    of_data_sets = [leniency.value for leniency in Leniency]
    of_pixels = [(CODES[leniency], leniency.value) for leniency in PixelLeniency]
    assert told == {(text, f"0x{code:04X}") for code, text in [*of_data_sets, *of_pixels]}


def test_the_warnings_are_those_of_the_code() -> None:
    told = {}
    for row in WHOLE.rows("code", "type"):
        told |= dict(zip(row["code"].split(", "), row["type"].split(", "), strict=True))
    assert told == {f"0x{code:04X}": code.type_name for code in WarningCode if f"0x{code:04X}" in told}
    assert {code.name for code in WarningCode if f"0x{code:04X}" not in told} == set(NEVER_GIVEN)


NEVER_GIVEN = ("SOP_CLASS_DATA_MISMATCH", "OTHER")


def test_the_metadata_file_of_the_page(server: ServerProcess, client: Any, datastore: str, tmp_path: Path) -> None:
    for number in (1, 2):
        save(slice_of(number=number, study=311), server.bucket("incoming") / "study-7" / f"{number}.dcm")
    server.bucket("results")
    (tmp_path / "data").symlink_to(server.data)
    block = WHOLE.section("## Metadata files").block("sh")
    printed = run_shell(server, block, tmp_path, DATASTORE=datastore, STUDY=uid(311), INSTANCE=uid(311, 1, 1))
    job = finished_job(client, datastore, json.loads(printed)["jobId"])
    (entry,) = outcome_of(server, job).summary["imageSetsSummary"]
    found = document(client, datastore, entry["imageSetId"])
    assert found["Patient"]["DICOM"]["PatientName"] == "Müller^Anna"
    assert {s["DICOM"]["InstitutionName"] for s in found["Study"]["Series"].values()} == {"General Hospital"}
    comments = {sop_uid: instance["DICOM"].get("ImageComments") for sop_uid, instance in instances(found)}
    assert comments == {uid(311, 1, 1): "The first slice", uid(311, 1, 2): None}
