"""docs/reference/api/search.md: its examples find what they say, and its tables hold for a real server."""

from __future__ import annotations

import json
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from hounsfield.api.healthimaging.search import SORT_FIELDS
from support.doc_pages import Page, PythonReader, codes, run_shell
from support.files.synthetic import save, slice_of, uid
from support.imaging.imports import run_import
from support.servers import ServerProcess

PAGE = Page.of("docs/reference/api/search.md")
VALUES: dict[str, Any] = {
    "isPrimary": True,
    "createdAt": datetime.now(UTC),
    "updatedAt": datetime.now(UTC),
    "DICOMStudyDateAndTime": {"DICOMStudyDate": "20240102"},
}


@pytest.fixture
def filled(server: ServerProcess, client: Any, datastore: str) -> str:
    """A data store with three studies, of two patients."""
    days = {331: ("20240102", "101112"), 332: ("20240131", "235959"), 333: ("20240201", "000000")}
    for study, (date, time) in days.items():
        dataset = slice_of(study=study, StudyDate=date, StudyTime=time, PatientID="P-2" if study == 332 else "P-1")
        save(dataset, server.bucket("input") / "searching-page" / f"{study}.dcm")
    run_import(server, client, datastore, "searching-page/")
    return datastore


def studies(found: list[dict[str, Any]]) -> list[str]:
    return [entry["DICOMTags"]["DICOMStudyInstanceUID"] for entry in found]


def test_the_examples_run(server: ServerProcess, filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = PythonReader(server, monkeypatch, tmp_path, DATASTORE=filled, STUDY=uid(332))
    reader.types(PAGE.block("python"))
    assert sorted(studies(reader.names["of_patient"])) == [uid(331), uid(333)]
    assert studies(reader.names["new_of_study"]) == [uid(332)]
    assert studies(reader.names["of_january"]) == [uid(331), uid(332)]
    answer = json.loads(run_shell(server, PAGE.block("sh"), tmp_path, DATASTORE=filled))
    assert len(answer["imageSetsMetadataSummaries"]) == 3
    assert answer["sort"] == {"sortField": "createdAt", "sortOrder": "DESC"}


def test_filters_take_the_operators_that_the_page_says(client: Any, datastore: str) -> None:
    rows = PAGE.rows("member", "`EQUAL`, one value", "`BETWEEN`, two values")
    members = {codes(row["member"])[0]: row for row in rows}
    assert members.keys() == set(client.meta.service_model.shape_for("SearchByAttributeValue").members)
    for member, row in members.items():
        for operator, count in (("EQUAL", 1), ("BETWEEN", 2)):
            column = next(name for name in row if operator in name)
            given = {"operator": operator, "values": [{member: VALUES.get(member, "1.2.3")}] * count}
            refusal = nullcontext() if row[column] == "yes" else pytest.raises(ClientError, match="ValidationException")
            with refusal:
                client.search_image_sets(datastoreId=datastore, searchCriteria={"filters": [given]})
            assert row[column] in {"yes", "no"}, member


def test_the_orders_are_those_of_the_code() -> None:
    assert {codes(row["`sortField`"])[0] for row in PAGE.rows("`sortField`")} == set(SORT_FIELDS)


def test_the_answers_have_the_members_that_the_page_names(client: Any, filled: str) -> None:
    rows = PAGE.rows("level", "members of `DICOMTags`")
    told = {name for row in rows for name in codes(row["members of `DICOMTags`"])}
    assert told == set(client.meta.service_model.shape_for("DICOMTags").members)
    for entry in client.search_image_sets(datastoreId=filled)["imageSetsMetadataSummaries"]:
        assert set(entry["DICOMTags"]) == told
