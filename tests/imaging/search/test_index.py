"""What is searched follows every change of image sets, and can be made anew out of what is stored."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from hounsfield.bootstrap.image_store import open_image_store
from hounsfield.dicom.healthimaging.document import Levels
from hounsfield.imaging.instance_columns import read_columns
from hounsfield.imaging.levels import index_entry
from hounsfield.imaging.study_rows import refresh_studies
from hounsfield.settings import Settings
from hounsfield.storage.db.image_set_tables import image_sets, instances
from hounsfield.storage.db.study_tables import studies, study_words
from support.clients.dicomweb import part10, root, session, store, values
from support.files.synthetic import noise, slice_of, uid
from support.servers import ServerProcess, active_datastore, wait_for

TINY = noise(4, 4)
UIDS = frozenset(
    {"patient_id", "study_uid", "study_id", "study_date", "accession_number", "series_uid", "series_number"}
)
"""What image sets are found by otherwise, and what tells primary ones apart."""


class Searched:
    """A data store, changed and searched."""

    def __init__(self, server: ServerProcess) -> None:
        self.server, self.client, self.session = server, server.client(), session(server)
        self.id = active_datastore(self.client)

    def store(self, *datasets: Any) -> None:
        assert store(self.server, self.id, [part10(dataset) for dataset in datasets]).status_code == 200

    def find(self, path: str, **parameters: str) -> list[dict[str, Any]]:
        answer = self.session.get(f"{root(self.server, self.id)}/{path}", params=parameters, timeout=60)
        assert answer.status_code == 200, answer.text
        return list(answer.json())

    def image_set(self, *, primary: bool = True) -> str:
        found = self.client.search_image_sets(datastoreId=self.id)["imageSetsMetadataSummaries"]
        return next(entry["imageSetId"] for entry in found if entry["isPrimary"] is primary)

    def settle(self, image_set_id: str, *statuses: str) -> None:
        def status() -> str | None:
            found = self.client.get_image_set(datastoreId=self.id, imageSetId=image_set_id)
            return found["imageSetWorkflowStatus"] if found["imageSetState"] != "LOCKED" else None

        assert wait_for(status, "the image set to settle") in statuses

    def change(self, image_set_id: str, latest: str, **updates: Any) -> None:
        if "content" in updates:
            content = json.dumps({"SchemaVersion": 1.1, **updates.pop("content")}).encode()
            updates = {"DICOMUpdates": {"updatableAttributes": content}}
        self.client.update_image_set_metadata(
            datastoreId=self.id, imageSetId=image_set_id, latestVersionId=latest, updateImageSetMetadataUpdates=updates
        )
        self.settle(image_set_id, "UPDATED")


@pytest.fixture
def searched(server: ServerProcess) -> Searched:
    return Searched(server)


def test_updates_and_their_reversal_are_followed(searched: Searched) -> None:
    searched.store(slice_of(number=1, pixels=TINY), slice_of(number=2, pixels=TINY))
    image_set = searched.image_set()
    content = {
        "Patient": {"DICOM": {"PatientName": "Moe^Max"}},
        "Study": {
            "DICOM": {"StudyDescription": "Neck"},
            "Series": {uid(1, 1): {"DICOM": {"Modality": "MR"}}},
        },
    }
    searched.change(image_set, "1", content=content)
    (study,) = searched.find("studies", PatientName="moe*", ModalitiesInStudy="MR", StudyDescription="Neck")
    assert values(study, "00080061") == ["MR"]
    assert searched.find("studies", PatientName="roe*") == searched.find("series", Modality="CT") == []
    assert searched.find("studies", PatientName="jane", fuzzymatching="true") == []
    number = {"Study": {"Series": {uid(1, 1): {"Instances": {uid(1, 1, 1): {"DICOM": {"InstanceNumber": "7"}}}}}}}
    searched.change(image_set, "2", content=number)
    assert [values(item, "00200013") for item in searched.find("instances")] == [[2], [7]]
    searched.change(image_set, "3", revertToVersionId="1")
    assert [values(item, "00200013") for item in searched.find("instances", PatientName="Roe^Jane")] == [[1], [2]]
    assert searched.find("studies", PatientName="moe*") == []
    assert len(searched.find("studies", PatientName="jane", fuzzymatching="true")) == 1


def test_one_series_of_a_study_after_the_other_goes(searched: Searched) -> None:
    others = [slice_of(2, number, pixels=TINY, Modality="MR") for number in (1, 2)]
    searched.store(slice_of(1, 1, pixels=TINY), *others)
    (study,) = searched.find("studies")
    assert [values(study, tag) for tag in ("00080061", "00201206", "00201208")] == [["CT", "MR"], [2], [3]]
    for left in (1, 0):
        image_set = searched.image_set()
        searched.client.delete_image_set(datastoreId=searched.id, imageSetId=image_set)
        wait_for(lambda left=left: len(searched.find("series")) == left, "the series to be gone")
        assert [values(item, "00201206") for item in searched.find("studies")] == [[left]] * min(left, 1)
    assert searched.find("instances") == []
    # It can come again.
    searched.store(slice_of(1, 1, pixels=TINY))
    assert len(searched.find("studies", ModalitiesInStudy="CT")) == 1


def test_only_primary_image_sets_are_found(searched: Searched) -> None:
    searched.store(slice_of(number=1, pixels=TINY))
    searched.store(slice_of(number=2, pixels=TINY, PatientID="P-OTHER"))
    assert [values(item, "00100020") for item in searched.find("studies")] == [["P-1"]]
    assert len(searched.find("instances")) == len(searched.find("series")) == 1
    assert searched.find("instances", SOPInstanceUID=uid(1, 1, 2)) == []
    other = searched.image_set(primary=False)
    searched.client.delete_image_set(datastoreId=searched.id, imageSetId=searched.image_set())
    wait_for(lambda: searched.find("studies") == [], "the primary set to be gone")
    copied = searched.client.copy_image_set(
        datastoreId=searched.id,
        sourceImageSetId=other,
        copyImageSetInformation={"sourceImageSet": {"latestVersionId": "1"}},
        promoteToPrimary=True,
    )
    searched.settle(copied["destinationImageSetProperties"]["imageSetId"], "COPIED")
    assert [values(item, "00100020") for item in searched.find("studies")] == [["P-OTHER"]]
    assert [values(item, "00080018") for item in searched.find("instances")] == [[uid(1, 1, 2)]]


def test_appended_and_replaced_instances(searched: Searched) -> None:
    searched.store(slice_of(number=1, pixels=TINY, PatientName="Old^Name"))
    searched.store(slice_of(number=1, pixels=noise(8, 6), PatientName="New^Name"), slice_of(number=2, pixels=TINY))
    items = searched.find("instances")
    assert [values(item, "00280010") for item in items] == [[8], [4]]
    assert searched.find("studies", PatientName="Old^Name") == []
    assert values(searched.find("studies")[0], "00201208") == [2]


def test_the_index_is_made_anew_from_what_is_stored(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data").start()
    try:
        searched = Searched(server)
        searched.store(
            slice_of(1, 1, pixels=TINY, PerformedProcedureStepStartDate="20240101", ReferringPhysicianName="Doc^Ann"),
            slice_of(1, 2, pixels=TINY),
            slice_of(2, 1, pixels=TINY, AccessionNumber="A-1", SeriesDescription="Two"),
            slice_of(1, 1, study=2, pixels=TINY, PatientName="Doe^Jim", AccessionNumber="A" * 20),
        )
        searched.store(slice_of(1, 9, pixels=TINY, PatientID="P-OTHER"))
        paths = (
            "studies",
            "series",
            "instances",
            "instances?WarningReason=*",
            "studies?fuzzymatching=true&PatientName=j",
        )
        before = [searched.find(path) for path in paths]
        assert [len(found) for found in before] == [2, 3, 4, 1, 2]
    finally:
        server.stop()
    rows = _rows(tmp_path / "data")
    _forget_index(tmp_path / "data")
    again = ServerProcess(tmp_path / "data")
    again.port, again.url = server.port, server.url
    again.start()
    try:
        searched.session = session(again)
        wait_for(lambda: len(searched.find("series")) == 3, "the index to be made anew")
        wait_for(lambda: [searched.find(path) for path in paths] == before, "the index to be as before")
    finally:
        again.stop()
    assert _rows(tmp_path / "data") == rows


def _rows(data: Path) -> list[Any]:
    """Return all rows of the index; what is in them must be what `refresh_studies` makes of the image sets."""
    image_store, _ = open_image_store(Settings(data=data))
    try:
        with image_store.database.write() as connection:
            first = [sorted(map(tuple, connection.execute(select(table)))) for table in (studies, study_words)]
            uids = set(connection.execute(select(image_sets.c.study_uid)).scalars())
            datastore_id = connection.execute(select(image_sets.c.datastore_id)).scalars().first()
            connection.execute(delete(studies))
            connection.execute(delete(study_words))
            refresh_studies(connection, str(datastore_id), uids)
            second = [sorted(map(tuple, connection.execute(select(table)))) for table in (studies, study_words)]
            assert first == second
            own = [
                connection.execute(select(table).order_by(*table.primary_key)).all()
                for table in (image_sets, instances)
            ]
            return [first, [[tuple(row) for row in rows] for rows in own]]
    finally:
        image_store.database.close()


def _forget_index(data: Path) -> None:
    """Leave what a database has right after the migration that brings the index."""
    image_store, _ = open_image_store(Settings(data=data))
    entry = {name: value for name, value in asdict(index_entry(Levels({}, {}, {}))).items() if name not in UIDS}
    with image_store.database.write() as connection:
        connection.execute(delete(studies))
        connection.execute(delete(study_words))
        connection.execute(update(image_sets).values(**entry, performed_date="", timezone_offset="", index_version=0))
        connection.execute(update(instances).values(**asdict(read_columns({}))))
    image_store.database.close()
