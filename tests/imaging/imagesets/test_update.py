"""Versions and updates of image sets: what may be changed, what a version shows, and that old versions never change."""

from __future__ import annotations

import base64
import json
import threading

import pytest
from botocore.exceptions import ClientError

from support.files.synthetic import slice_of, uid
from support.imaging.imports import frame, image_sets, instances
from support.imaging.updates import NOT_THE_LATEST, Store, by_uid, instance, patient, refused, series, study
from support.servers import active_datastore


def test_levels_are_updated_in_a_new_version(store: Store) -> None:
    image_set = store.series()
    before = store.document(image_set)
    answer = store.ask(
        image_set,
        "1",
        update={
            "Patient": {"DICOM": {"PatientName": "Doe^John", "PatientComments": "corrected"}},
            "Study": {
                "DICOM": {"StudyDescription": "Neck"},
                "Series": {uid(1, 1): {"DICOM": {"BodyPartExamined": "NECK"}}},
            },
        },
        remove=patient(PatientSex="F"),
    )
    assert answer["latestVersionId"] == "2"
    assert (answer["imageSetState"], answer["imageSetWorkflowStatus"]) == ("LOCKED", "UPDATING")
    assert answer["createdAt"] <= answer["updatedAt"]
    found = store.settled(image_set)
    assert (found["versionId"], found["imageSetWorkflowStatus"]) == ("2", "UPDATED")
    assert "overrides" not in found
    assert "message" not in found
    after = store.document(image_set)
    expected = json.loads(json.dumps(before))
    expected["Patient"]["DICOM"] |= {"PatientName": "Doe^John", "PatientComments": "corrected"}
    del expected["Patient"]["DICOM"]["PatientSex"]
    expected["Study"]["DICOM"]["StudyDescription"] = "Neck"
    expected["Study"]["Series"][uid(1, 1)]["DICOM"]["BodyPartExamined"] = "NECK"
    assert after == expected
    assert list(after["Patient"]["DICOM"]) == sorted(after["Patient"]["DICOM"])
    assert store.document(image_set, versionId="1") == before


def test_the_search_index_follows(store: Store) -> None:
    image_set = store.series()
    store.updated(
        image_set, "1", update={**patient(PatientID="P-2", PatientName="Doe^John"), **study(StudyDate="20250506")}
    )
    tags = store.summary(image_set)["DICOMTags"]
    assert (tags["DICOMPatientId"], tags["DICOMPatientName"], tags["DICOMStudyDate"]) == ("P-2", "Doe^John", "20250506")
    assert store.summary(image_set)["version"] == 2

    def found(patient_id: str) -> list[str]:
        criteria = {"filters": [{"values": [{"DICOMPatientId": patient_id}], "operator": "EQUAL"}]}
        answer = store.client.search_image_sets(datastoreId=store.id, searchCriteria=criteria)
        return [entry["imageSetId"] for entry in answer["imageSetsMetadataSummaries"]]

    assert found("P-1") == []
    assert found("P-2") == [image_set]


def test_an_instance_is_updated_and_keeps_its_frames(store: Store) -> None:
    image_set = store.series()
    before = store.document(image_set)
    stored = {
        name: frame(store.client, store.id, image_set, entry["ImageFrames"][0]["ID"])
        for name, entry in instances(before)
    }
    after = store.updated(
        image_set,
        "1",
        update=instance(2, {"DICOM": {"InstanceNumber": "22", "AcquisitionNumber": "7"}}),
        remove=instance(2, {"DICOM": {"PhotometricInterpretation": "MONOCHROME2"}}),
    )
    old, new = by_uid(before), by_uid(after)
    changed = new.pop(uid(1, 1, 2))
    origin = old.pop(uid(1, 1, 2))
    assert new == old
    assert (changed["DICOM"]["InstanceNumber"], changed["DICOM"]["AcquisitionNumber"]) == ("22", "7")
    assert "PhotometricInterpretation" not in changed["DICOM"]
    keys = list(changed["DICOM"])
    assert keys.index("AcquisitionNumber") < keys.index("InstanceNumber") < keys.index("Rows")
    assert changed["ImageFrames"] == origin["ImageFrames"]
    for name, entry in instances(after):
        assert frame(store.client, store.id, image_set, entry["ImageFrames"][0]["ID"]) == stored[name]
    assert store.document(image_set, versionId="1") == before


def test_private_elements_need_force_and_a_value_representation(store: Store) -> None:
    image_set = store.series(1)
    added = {"DICOM": {"00190010": "MINE", "001910F9": "97"}, "DICOMVRs": {"00190010": "LO", "001910F9": "DS"}}
    refused(store, image_set, "1", "force", update=instance(1, added))
    after = store.updated(image_set, "1", update=instance(1, added), force=True)
    found = by_uid(after)[uid(1, 1, 1)]
    assert found["DICOM"]["001910F9"] == "97"
    assert found["DICOMVRs"] == {"00190010": "LO", "001910F9": "DS"}
    assert store.get(image_set)["overrides"] == {"forced": True}
    # The value representation of what is there need not be said again.
    after = store.updated(image_set, "2", update=instance(1, {"DICOM": {"001910f9": "98"}}), force=True)
    assert by_uid(after)[uid(1, 1, 1)]["DICOM"]["001910F9"] == "98"
    after = store.updated(image_set, "3", remove=instance(1, {"DICOM": {"001910F9": "98"}}), force=True)
    assert by_uid(after)[uid(1, 1, 1)]["DICOMVRs"] == {"00190010": "LO"}
    failed = store.change(image_set, "4", update=instance(1, {"DICOM": {"00191001": "1"}}), force=True)
    assert (failed["imageSetState"], failed["imageSetWorkflowStatus"]) == ("ACTIVE", "UPDATE_FAILED")
    assert "00191001" in failed["message"]


def test_a_failed_version_keeps_the_content_and_takes_a_number(store: Store) -> None:
    image_set = store.series()
    before = store.document(image_set)
    failed = store.change(
        image_set,
        "1",
        update={**patient(PatientName="Doe^John")},
        remove=instance(3, {"DICOM": {"AcquisitionNumber": None}}),
    )
    assert (failed["versionId"], failed["imageSetState"]) == ("2", "ACTIVE")
    assert failed["imageSetWorkflowStatus"] == "UPDATE_FAILED"
    assert failed["message"].startswith("INVALID_REQUEST: AcquisitionNumber")
    assert store.document(image_set) == before
    assert store.summary(image_set)["DICOMTags"]["DICOMPatientName"] == "Roe^Jane"
    with pytest.raises(ClientError) as stale:
        store.ask(image_set, "1", update=patient(PatientName="Doe^John"))
    assert stale.value.response["Error"]["Code"] == "ResourceNotFoundException"
    assert stale.value.response["Error"]["Message"] == NOT_THE_LATEST
    after = store.updated(image_set, "2", update=patient(PatientName="Doe^John"))
    assert after["Patient"]["DICOM"]["PatientName"] == "Doe^John"


def test_versions_are_listed_newest_first_in_pages(store: Store) -> None:
    image_set = store.series(1)
    for version in range(1, 6):
        store.updated(image_set, str(version), update=patient(PatientComments=f"number {version}"))
    listed = store.versions(image_set)
    assert [entry["versionId"] for entry in listed] == ["6", "5", "4", "3", "2", "1"]
    assert [entry["ImageSetWorkflowStatus"] for entry in listed] == ["UPDATED"] * 5 + ["CREATED"]
    assert all(entry["imageSetState"] == "ACTIVE" and entry["isPrimary"] is True for entry in listed)
    assert "updatedAt" not in listed[-1]
    assert all(newer["updatedAt"] >= newer["createdAt"] == listed[-1]["createdAt"] for newer in listed[:-1])
    paged, token = [], None
    while True:
        more = {} if token is None else {"nextToken": token}
        page = store.client.list_image_set_versions(datastoreId=store.id, imageSetId=image_set, maxResults=4, **more)
        paged.append([entry["versionId"] for entry in page["imageSetPropertiesList"]])
        token = page.get("nextToken")
        if token is None:
            break
    assert paged == [["6", "5", "4", "3"], ["2", "1"]]
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        store.client.list_image_set_versions(datastoreId=store.id, imageSetId="0" * 32)


def test_going_back_gives_the_old_document_in_a_new_version(store: Store) -> None:
    image_set = store.series()
    documents = {"1": store.document(image_set)}
    documents["2"] = store.updated(image_set, "1", update=instance(1, {"DICOM": {"InstanceNumber": "9"}}))
    documents["3"] = store.updated(image_set, "2", remove=instance(2, {}), force=True)
    documents["4"] = store.updated(image_set, "3", update=patient(PatientID="P-9"))
    assert uid(1, 1, 2) not in by_uid(documents["3"])
    assert store.updated(image_set, "4", revert="1") == documents["1"]
    assert store.summary(image_set)["DICOMTags"]["DICOMPatientId"] == "P-1"
    assert store.updated(image_set, "5", revert="3") == documents["3"]
    assert store.updated(image_set, "6", revert="2") == documents["2"]
    for version, content in documents.items():
        assert store.document(image_set, versionId=version) == content
    removed_frame = by_uid(documents["1"])[uid(1, 1, 2)]["ImageFrames"][0]["ID"]
    assert frame(store.client, store.id, image_set, removed_frame)[0]
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        store.ask(image_set, "7", revert="8")


def test_an_import_after_an_update_extends_the_latest_version(store: Store) -> None:
    image_set = store.series(2)
    store.updated(image_set, "1", update=patient(PatientComments="checked"))
    assert store.imported(slice_of(number=3), slice_of(number=1, InstanceNumber=11)) == [image_set, image_set]
    found = store.document(image_set)
    assert store.get(image_set)["versionId"] == "3"
    assert found["Patient"]["DICOM"]["PatientComments"] == "checked"
    assert by_uid(found).keys() == {uid(1, 1, 1), uid(1, 1, 2), uid(1, 1, 3)}
    replaced = by_uid(store.updated(image_set, "3", revert="2"))
    assert replaced == by_uid(store.document(image_set, versionId="1"))
    assert (
        store.client.search_image_sets(datastoreId=store.id, searchCriteria={})["imageSetsMetadataSummaries"][0][
            "DICOMTags"
        ]["DICOMNumberOfStudyRelatedInstances"]
        == 2
    )


def test_rules_of_a_request(store: Store) -> None:
    image_set = store.series(2)
    no = lambda text, **what: refused(store, image_set, "1", text, **what)  # noqa: E731
    no("not JSON", update=b"{")
    no("not JSON", update=b"abcd")
    no("base64 in base64", update=base64.b64encode(json.dumps(patient(PatientName="A")).encode()))
    no("must be a JSON object", update=b"[]")
    no("SchemaVersion", update={"SchemaVersion": 2, **patient(PatientName="A")})
    no("change nothing", update={})
    no("ImageSetID", update={"ImageSetID": image_set})
    no("ImageFrames", update=instance(1, {"ImageFrames": []}))
    no("PixelData", update=instance(1, {"DICOM": {"PixelData": ""}}), force=True)
    no("TransferSyntaxUID", update=instance(1, {"DICOM": {"TransferSyntaxUID": "1.2"}}), force=True)
    no("NoSuchKeyword", update=instance(1, {"DICOM": {"NoSuchKeyword": "1"}}), force=True)
    no("keyword PatientName", update=instance(1, {"DICOM": {"00100010": "A"}}), force=True)
    no("belongs to the level Patient", update=study(PatientName="A"), force=True)
    no("belongs to the level Series", update=instance(1, {"DICOM": {"Modality": "MR"}}), force=True)
    no("Series Instance UID", update=series("1.2.3", Modality="MR"), force=True)
    no("SOP Instance UID", update=instance(7, {"DICOM": {"InstanceNumber": "1"}}), force=True)
    no("PatientComments is to be removed", remove=patient(PatientComments=""))
    no("StudyInstanceUID cannot be removed", remove=study(StudyInstanceUID=""), force=True)
    no("PatientName is in", update=patient(PatientName="A"), remove=patient(PatientName=""))
    no("must be a string", update=patient(PatientName=7), force=True)
    no("integer from 0 to 65535", update=instance(1, {"DICOM": {"Rows": 70000}}), force=True)
    no("256", update=patient(PatientID="x" * 257), force=True)
    no("keeps at least one", remove={"Study": {"Series": {uid(1, 1): {}}}}, force=True)
    both = {"Instances": {uid(1, 1, 1): {}, uid(1, 1, 2): {}}}
    no("keeps at least one", remove={"Study": {"Series": {uid(1, 1): both}}}, force=True)
    no("bytes", code="ServiceQuotaExceededException", update=patient(PatientComments="x" * 10_300))
    for latest in ("0", "2", "9" * 30):
        with pytest.raises(ClientError, match="ResourceNotFoundException") as stale:
            store.ask(image_set, latest, update=patient(PatientName="A"))
        assert stale.value.response["Error"]["Message"] == NOT_THE_LATEST


NEED_FORCE = {
    "sequence": {"Study": {"DICOM": {"ProcedureCodeSequence": [{"CodeValue": "1", "CodeMeaning": "One"}]}}},
    "multi-valued": patient(OtherPatientNames=["A^B", "C^D"]),
    "date": patient(PatientBirthDate="1970-01"),
    "code string": patient(PatientSex="f"),
    "study id": study(StudyID="S2"),
    "uid form": series(TreatmentSessionUID="1.2.x"),
    "length": study(AccessionNumber="A" * 17),
}


def test_what_needs_force_is_done_with_force(store: Store) -> None:
    image_set = store.series(1)
    for update in NEED_FORCE.values():
        refused(store, image_set, "1", "needs force", update=update)
    refused(store, image_set, "1", "needs force", remove=instance(1, {}))
    for version, update in enumerate(NEED_FORCE.values(), start=1):
        store.updated(image_set, str(version), update=update, force=True)
    found = store.document(image_set)
    assert found["Patient"]["DICOM"]["OtherPatientNames"] == ["A^B", "C^D"]
    assert found["Study"]["DICOM"]["ProcedureCodeSequence"] == [{"CodeValue": "1", "CodeMeaning": "One"}]
    assert found["Study"]["DICOM"]["StudyID"] == "S2"
    overrides = [entry.get("overrides") for entry in store.versions(image_set)]
    assert overrides == [{"forced": True}] * len(NEED_FORCE) + [None]


UIDS = {
    "Study": {
        "DICOM": {"StudyInstanceUID": "2.25.100"},
        "Series": {
            uid(1, 1): {
                "DICOM": {"SeriesInstanceUID": "2.25.200"},
                "Instances": {uid(1, 1, 1): {"DICOM": {"SOPInstanceUID": "2.25.300"}}},
            }
        },
    }
}


def test_uids_change_on_non_primary_sets_only(store: Store) -> None:
    image_set = store.non_primary()
    assert store.get(image_set)["isPrimary"] is False
    refused(store, image_set, "1", "force", update=UIDS)
    clash = instance(1, {"DICOM": {"SOPInstanceUID": uid(1, 1, 2)}})
    refused(store, image_set, "1", "unique", update=clash, force=True)
    refused(store, image_set, "1", "digits and dots", update=study(StudyInstanceUID="x"), force=True)
    before = store.document(image_set)
    after = store.updated(image_set, "1", update=UIDS, force=True)
    assert after["Study"]["DICOM"]["StudyInstanceUID"] == "2.25.100"
    assert list(after["Study"]["Series"]) == ["2.25.200"]
    assert after["Study"]["Series"]["2.25.200"]["DICOM"]["SeriesInstanceUID"] == "2.25.200"
    assert by_uid(after).keys() == {"2.25.300", uid(1, 1, 2)}
    changed = by_uid(after)["2.25.300"]
    assert changed["DICOM"]["SOPInstanceUID"] == changed["DICOM"]["MediaStorageSOPInstanceUID"] == "2.25.300"
    assert changed["ImageFrames"] == by_uid(before)[uid(1, 1, 1)]["ImageFrames"]
    tags = store.summary(image_set)["DICOMTags"]
    assert (tags["DICOMStudyInstanceUID"], tags["DICOMSeriesInstanceUID"]) == ("2.25.100", "2.25.200")
    assert store.updated(image_set, "2", revert="1") == before
    primary = next(entry["imageSetId"] for entry in image_sets(store.client, store.id) if entry["isPrimary"])
    for update in (
        study(StudyInstanceUID="2.25.1"),
        series(SeriesInstanceUID="2.25.2"),
        instance(1, {"DICOM": {"SOPInstanceUID": "2.25.3"}}),
    ):
        refused(store, primary, "1", "primary image set", update=update, force=True)


def test_an_update_of_the_study_changes_all_its_primary_sets_at_once(store: Store) -> None:
    one, two, other = store.imported(slice_of(1), slice_of(2), slice_of(1, study=2))
    stray = store.imported(slice_of(1, PatientID="P-OTHER"))[0]
    update = {**patient(PatientID="P-7", PatientName="Doe^John"), **study(StudyDescription="Neck")}
    store.ask(one, "1", update=update, remove=study(AccessionNumber=""), includeStudyImageSets=True)
    for image_set in (one, two):
        found = store.settled(image_set)
        assert (found["versionId"], found["imageSetWorkflowStatus"]) == ("2", "UPDATED")
        content = store.document(image_set)
        assert content["Patient"]["DICOM"]["PatientID"] == "P-7"
        assert content["Study"]["DICOM"]["StudyDescription"] == "Neck"
        assert "AccessionNumber" not in content["Study"]["DICOM"]
        assert store.summary(image_set)["DICOMTags"]["DICOMPatientId"] == "P-7"
    assert (store.get(other)["versionId"], store.get(stray)["versionId"]) == ("1", "1")
    refused(store, stray, "1", "primary image sets only", update=patient(PatientName="A"), includeStudyImageSets=True)
    refused(store, one, "2", "patient and the study level", update=series(Modality="MR"), includeStudyImageSets=True)
    refused(store, one, "2", "revertToVersionId", revert="1", includeStudyImageSets=True)
    # The study is still one: a further series of the corrected patient joins it as primary.
    joined = store.imported(slice_of(3, PatientID="P-7", AccessionNumber=""))[0]
    assert store.get(joined)["isPrimary"] is True


def test_of_many_updates_at_once_each_version_is_made_by_one(store: Store) -> None:
    image_set = store.series(1)
    outcomes: list[str] = []

    def update(number: int) -> None:
        try:
            answer = store.ask(image_set, "1", update=patient(PatientComments=f"writer {number}"))
            outcomes.append(answer["latestVersionId"])
        except ClientError as error:
            outcomes.append(error.response["Error"]["Code"])

    writers = [threading.Thread(target=update, args=(number,)) for number in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert outcomes.count("2") == 1
    assert set(outcomes) <= {"2", "ConflictException", "ResourceNotFoundException"}
    assert store.settled(image_set)["versionId"] == "2"


def test_unknown_image_sets_are_not_found(store: Store) -> None:
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        store.ask("0" * 32, "1", update=patient(PatientName="A"))
    image_set = store.series(1)
    elsewhere = active_datastore(store.client)
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        store.client.list_image_set_versions(datastoreId=elsewhere, imageSetId=image_set)


def test_going_back_fails_when_another_primary_set_took_the_instance(store: Store) -> None:
    image_set = store.series(2)
    before = store.updated(image_set, "1", remove=instance(2, {}), force=True)
    other = store.imported(slice_of(2, SOPInstanceUID=uid(1, 1, 2)))[0]
    assert store.get(other)["isPrimary"] is True
    failed = store.change(image_set, "2", revert="1")
    assert (failed["imageSetState"], failed["imageSetWorkflowStatus"]) == ("ACTIVE", "UPDATE_FAILED")
    assert "Another primary image set holds" in failed["message"]
    assert store.document(image_set) == before
    assert store.updated(image_set, "3", revert="2") == before
