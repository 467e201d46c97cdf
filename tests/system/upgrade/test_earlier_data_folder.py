"""A data folder that commit 3d65919 made opens, answers as it did there, and takes what is new."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest

from support.audit_trail import verified
from support.clients.dicomweb import part10, store, updated
from support.faults.data_rules import check_data_rules
from support.files.synthetic import noise, save, slice_of, uid
from support.imaging.imports import document, frame, image_sets, instances, run_import
from support.servers import ServerProcess
from support.upgrade.answers import Answers, answers

ARCHIVE = Path(__file__).parent / "3d65919.tar.xz"
AVAILABLE_TRANSFER_SYNTAX_UID = "00083002"
SETTINGS = {
    "HOUNSFIELD_ARCHIVE_AFTER_DAYS": "0",
    "HOUNSFIELD_AUDIT_RETENTION_DAYS": "0",
    "HOUNSFIELD_JOB_RETENTION_SECONDS": "3e9",
}
"""The age of the folder changes no answer."""


@dataclass
class Earlier:
    """A server of today on the folder, and what the one that made it answered."""

    server: ServerProcess
    users: dict[str, tuple[str, str]]
    answers: Answers

    def datastore(self, name: str) -> str:
        stores = self.answers["data stores"]
        return str(next(store["datastoreId"] for store in stores if store["datastoreName"] == name))

    def image_set(self, datastore: str, series: str) -> str:
        """Find the primary image set of a series."""
        return next(
            entry["imageSetId"]
            for entry in image_sets(self.server.client(), datastore)
            if entry["isPrimary"] and entry["DICOMTags"]["DICOMSeriesInstanceUID"] == series
        )


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Earlier]:
    folder = tmp_path_factory.mktemp("earlier")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    recorded = json.loads((folder / "answers.json").read_bytes())
    server = ServerProcess(folder / "data", SETTINGS).start()
    try:
        yield Earlier(server, {name: tuple(key) for name, key in recorded["users"].items()}, recorded["answers"])
    finally:
        server.stop()


def as_compared(answer: Any) -> Any:
    """Take the first of the transfer syntaxes that an instance is served in: 3d65919 named no others."""
    if isinstance(answer, dict):
        return {
            name: {**member, "Value": member["Value"][:1]}
            if name == AVAILABLE_TRANSFER_SYNTAX_UID
            else as_compared(member)
            for name, member in answer.items()
        }
    return [as_compared(member) for member in answer] if isinstance(answer, list) else answer


def test_every_answer_is_the_recorded_one(earlier: Earlier) -> None:
    now = json.loads(json.dumps(answers(earlier.server, earlier.users)))
    assert now.keys() == earlier.answers.keys()
    different = {
        question: (answer, now[question])
        for question, answer in earlier.answers.items()
        if as_compared(answer) != as_compared(now[question])
    }
    assert different == {}
    check_data_rules(earlier.server)


def test_the_folder_takes_what_is_new(earlier: Earlier) -> None:
    server, client = earlier.server, earlier.server.client()
    clinic = earlier.datastore("clinic")
    series = earlier.image_set(clinic, uid(1, 1))
    before = document(client, clinic, series)
    assert before["Patient"]["DICOM"]["PatientName"] == "ROE^JANE^Q"

    third = slice_of(1, 3, pixels=noise(24, 20, seed=3), PatientName="ROE^JANE^Q")
    save(third, server.bucket("input") / "new" / "3.dcm")
    assert run_import(server, client, clinic, "new").failure == []
    assert store(server, clinic, [part10(slice_of(1, 4, pixels=noise(24, 20, seed=4)))]).status_code == 200
    updated(client, clinic, series, {"SchemaVersion": 1.1, "Patient": {"DICOM": {"PatientName": "ROE^JANE^R"}}})

    after = document(client, clinic, series)
    assert after["Patient"]["DICOM"]["PatientName"] == "ROE^JANE^R"
    frames = {name: instance["ImageFrames"] for name, instance in instances(after)}
    assert frames.keys() == {uid(1, 1, number) for number in (1, 2, 3, 4)}
    assert all(frames[name] == instance["ImageFrames"] for name, instance in instances(before))
    for number in (1, 2, 3, 4):
        (described,) = frames[uid(1, 1, number)]
        content, _ = frame(client, clinic, series, described["ID"])
        assert np.array_equal(imagecodecs.htj2k_decode(content), noise(24, 20, seed=number))

    client.delete_image_set(datastoreId=clinic, imageSetId=earlier.image_set(clinic, uid(1, 2)))
    assert document(client, clinic, series, versionId="2") == before
    assert "intact" in verified(server)
