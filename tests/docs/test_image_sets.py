"""docs/reference/api/image-sets.md: its examples run in their order, its tables are those of the documents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support.doc_pages import Page, PythonReader, codes, run_shell
from support.files.synthetic import save, slice_of, uid
from support.imaging.imports import document, instances, run_import
from support.servers import ServerProcess, wait_for

PAGE = Page.of("docs/reference/api/image-sets.md")


@pytest.fixture
def image_set(server: ServerProcess, client: Any, datastore: str) -> str:
    save(slice_of(study=301), server.bucket("input") / "image-sets-page" / "one.dcm")
    outcome = run_import(server, client, datastore, "image-sets-page/")
    return str(outcome.summary["imageSetsSummary"][0]["imageSetId"])


def settled(client: Any, datastore: str, image_set: str) -> str:
    """Wait until an image set is not LOCKED and return its workflow status."""

    def status() -> str | None:
        found = client.get_image_set(datastoreId=datastore, imageSetId=image_set)
        return found["imageSetWorkflowStatus"] if found["imageSetState"] != "LOCKED" else None

    return wait_for(status, "the image set to settle")


def test_the_commands_of_the_page_run(
    server: ServerProcess, client: Any, datastore: str, image_set: str, tmp_path: Path
) -> None:
    statuses = []
    for block in PAGE.blocks("sh"):
        run_shell(server, block, tmp_path, DATASTORE=datastore, IMAGE_SET=image_set)
        statuses.append(settled(client, datastore, image_set))
        if "update-image-set-metadata" in block:
            patient = document(client, datastore, image_set)["Patient"]["DICOM"]
            assert patient["PatientName"] == "ROE^JANE"
    assert statuses == ["CREATED", "UPDATED", "UPDATED", "DELETED"]


def test_the_python_of_the_page_runs(
    server: ServerProcess,
    datastore: str,
    image_set: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Any,
) -> None:
    reader = PythonReader(server, monkeypatch, tmp_path, DATASTORE=datastore, IMAGE_SET=image_set)
    reader.types(PAGE.block("python"))
    printed = capsys.readouterr().out.splitlines()
    assert printed == ["1 ACTIVE CREATED True", "P-1", f"{uid(301, 1, 1)} 1 frames"]


def test_the_members_are_those_of_the_document(client: Any, datastore: str, image_set: str) -> None:
    found = document(client, datastore, image_set)
    (series,) = found["Study"]["Series"].values()
    ((_, instance),) = instances(found)
    told = {row["where"].strip("`"): codes(row["members"]) for row in PAGE.rows("where", "members")}
    assert told == {
        "the document": list(found),
        "Patient": list(found["Patient"]),
        "Study": list(found["Study"]),
        "a series": list(series),
        "an instance": list(instance),
    }
