"""Image sets while an update is under way, and updates that survive the end of the process that makes them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from support.faults.suspended_runner import suspended
from support.files.synthetic import slice_of, uid
from support.imaging.imports import frame
from support.imaging.updates import Store, by_uid, instance, patient, study
from support.processes import runners
from support.servers import ServerProcess, wait_for


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server whose runner may be stopped."""
    process = ServerProcess(tmp_path_factory.mktemp("locked") / "data", {"HOUNSFIELD_LEASE_SECONDS": "2"}).start()
    yield process
    process.stop()


@pytest.fixture
def store(own_server: ServerProcess) -> Store:
    return Store(own_server, own_server.client())


def code_of(call: Any, *arguments: Any, **named: Any) -> str:
    with pytest.raises(ClientError) as error:
        call(*arguments, **named)
    return str(error.value.response["Error"]["Code"])


def test_a_locked_set_refuses_writes_and_shows_its_old_versions(store: Store) -> None:
    one, two = store.imported(slice_of(1), slice_of(2))
    before = store.document(one)
    frame_id = by_uid(before)[uid(1, 1, 1)]["ImageFrames"][0]["ID"]
    runner = suspended(store.server)
    try:
        store.ask(one, "1", update=patient(PatientID="P-2"), includeStudyImageSets=True)
        found = {image_set: store.get(image_set) for image_set in (one, two)}
        assert {entry["imageSetState"] for entry in found.values()} == {"LOCKED"}
        assert {entry["versionId"] for entry in found.values()} == {"2"}
        assert found[one]["imageSetWorkflowStatus"] == "UPDATING"
        assert found[two]["imageSetWorkflowStatus"] == "UPDATING_FOR_STUDY_CONSISTENCY"
        for image_set in (one, two):
            assert code_of(store.ask, image_set, "2", update=patient(PatientID="P-3")) == "ConflictException"
            assert code_of(store.document, image_set) == "ConflictException"
            assert store.summary(image_set)["DICOMTags"]["DICOMPatientId"] == "P-1"
        assert store.document(one, versionId="1") == before
        assert store.get(one, versionId="1")["imageSetState"] == "ACTIVE"
        assert frame(store.client, store.id, one, frame_id)[0]
        listed = store.versions(one)
        assert [entry["ImageSetWorkflowStatus"] for entry in listed] == ["UPDATING", "CREATED"]
    finally:
        runner.resume()
    for image_set in (one, two):
        assert store.settled(image_set)["imageSetWorkflowStatus"] == "UPDATED"
        assert store.summary(image_set)["DICOMTags"]["DICOMPatientId"] == "P-2"


def test_one_locked_set_of_the_study_keeps_all_from_changing(store: Store) -> None:
    one, two = store.imported(slice_of(1), slice_of(2))
    runner = suspended(store.server)
    try:
        store.ask(two, "1", update=patient(PatientComments="first"))
        code = code_of(store.ask, one, "1", update=patient(PatientID="P-2"), includeStudyImageSets=True)
        assert code == "ConflictException"
        assert (store.get(one)["versionId"], store.get(one)["imageSetState"]) == ("1", "ACTIVE")
    finally:
        runner.resume()
    assert store.settled(two)["imageSetWorkflowStatus"] == "UPDATED"


def test_an_update_outlives_the_runner(store: Store) -> None:
    image_set = store.series()
    runner = suspended(store.server)
    store.ask(image_set, "1", update={**instance(2, {"DICOM": {"InstanceNumber": "22"}}), **patient(PatientID="P-2")})
    runner.kill()
    runner.wait(120)
    assert store.settled(image_set)["imageSetWorkflowStatus"] == "UPDATED"
    found = store.document(image_set)
    assert by_uid(found)[uid(1, 1, 2)]["DICOM"]["InstanceNumber"] == "22"
    assert found["Patient"]["DICOM"]["PatientID"] == "P-2"
    wait_for(lambda: runners(store.server), "another runner to start")


def test_an_import_waits_for_the_update_of_the_set_it_extends(store: Store) -> None:
    image_set = store.series(1)
    rounds = 5
    last = "1"
    for number in range(rounds):
        importing = threading.Thread(target=store.imported, args=(slice_of(number=2, AcquisitionNumber=number),))
        importing.start()
        comment = f"round {number}"
        try:
            answer = store.ask(image_set, last, update=patient(PatientComments=comment))
        except ClientError as error:
            # The import was quicker and made the version that the update took for its own.
            assert error.response["Error"]["Code"] == "ResourceNotFoundException"  # noqa: PT017 - only one of two ways
            comment = ""
        else:
            assert int(answer["latestVersionId"]) == int(last) + 1
        importing.join()
        found = store.settled(image_set)
        assert int(found["versionId"]) == int(last) + (2 if comment else 1)
        last = found["versionId"]
        content = store.document(image_set)
        assert by_uid(content)[uid(1, 1, 2)]["DICOM"]["AcquisitionNumber"].strip() == str(number)
        assert not comment or content["Patient"]["DICOM"]["PatientComments"] == comment
    statuses = {entry["ImageSetWorkflowStatus"] for entry in store.versions(image_set)}
    assert statuses <= {"CREATED", "IMPORTED", "UPDATED"}


def test_on_postgresql(tmp_path: Any, postgresql_url: str) -> None:
    server = ServerProcess(tmp_path / "data", {"HOUNSFIELD_DATABASE_URL": postgresql_url}).start()
    try:
        store = Store(server, server.client())
        one, two = store.imported(slice_of(1), slice_of(2))
        before = store.document(one)
        store.updated(one, "1", update=instance(1, {"DICOM": {"InstanceNumber": "5"}}))
        codes: list[str] = []

        def update(image_set: str) -> None:
            latest = {one: "2", two: "1"}[image_set]
            try:
                store.ask(image_set, latest, update=study(StudyDescription=image_set), includeStudyImageSets=True)
                codes.append("done")
            except ClientError as error:
                codes.append(error.response["Error"]["Code"])

        writers = [threading.Thread(target=update, args=(image_set,)) for image_set in (one, two, one, two)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        assert codes.count("done") == 1
        assert set(codes) <= {"done", "ConflictException", "ResourceNotFoundException"}
        descriptions = set()
        for image_set in (one, two):
            assert store.settled(image_set)["imageSetWorkflowStatus"] == "UPDATED"
            descriptions.add(store.document(image_set)["Study"]["DICOM"]["StudyDescription"])
        assert len(descriptions) == 1
        assert store.updated(one, "3", revert="1") == before
        assert len(store.versions(one)) == 4
    finally:
        server.stop()
