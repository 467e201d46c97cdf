"""CopyImageSet: new image sets, merges, subsets, promotion, and the reasons for which a copy fails."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from support.faults.suspended_runner import suspended
from support.files.synthetic import noise, slice_of, uid
from support.imaging.import_folders import primaries_by_series, sop_instances
from support.imaging.imports import document, frame, image_sets
from support.imaging.stored_series import deleted, imported, settled, verified
from support.servers import ServerProcess, active_datastore

NOT_THE_LATEST = "Requested version(s) of ImageSet(s) is not the latest."
SERIES_DIFFER = "INVALID_REQUEST:  Series of SourceImageSet and DestinationImageSet don't match."


class Copies:
    """Image sets of one data store and the copies among them."""

    def __init__(self, server: ServerProcess, client: Any) -> None:
        self.server, self.client = server, client
        self.id = active_datastore(client)

    def imported(self, *slices: Any) -> list[str]:
        return imported(self.server, self.client, self.id, *slices)

    def begin(self, source: str, into: str | None = None, *, only: list[str] | None = None, **flags: Any) -> Any:
        """Ask for a copy, naming the latest versions."""
        information: dict[str, Any] = {"sourceImageSet": {"latestVersionId": self.version(source)}}
        if into is not None:
            information["destinationImageSet"] = {"imageSetId": into, "latestVersionId": self.version(into)}
        if only is not None:
            information["sourceImageSet"]["DICOMCopies"] = {"copiableAttributes": subset(only)}
        return self.client.copy_image_set(
            datastoreId=self.id, sourceImageSetId=source, copyImageSetInformation=information, **flags
        )

    def ended(self, source: str, into: str | None = None, **options: Any) -> dict[str, Any]:
        """Copy and return the properties of the destination when both image sets are free again."""
        answer = self.begin(source, into, **options)
        settled(self.client, self.id, source)
        return settled(self.client, self.id, answer["destinationImageSetProperties"]["imageSetId"])

    def copied(self, source: str, into: str | None = None, **options: Any) -> dict[str, Any]:
        found = self.ended(source, into, **options)
        assert (found["imageSetState"], found["imageSetWorkflowStatus"]) == ("ACTIVE", "COPIED"), found
        assert "message" not in found
        return found

    def failed(self, source: str, into: str | None = None, **options: Any) -> dict[str, Any]:
        found = self.ended(source, into, **options)
        assert (found["imageSetState"], found["imageSetWorkflowStatus"]) == ("ACTIVE", "COPY_FAILED")
        return found

    def refused(self, source: str, into: str | None = None, **options: Any) -> tuple[str, str]:
        with pytest.raises(ClientError) as caught:
            self.begin(source, into, **options)
        error = caught.value.response["Error"]
        return error["Code"], error["Message"]

    def version(self, image_set: str) -> str:
        return str(self.client.get_image_set(datastoreId=self.id, imageSetId=image_set)["versionId"])

    def uids(self, image_set: str, **version: str) -> set[str]:
        return set(sop_instances(self.client, self.id, image_set, **version))


def subset(uids: list[str], series: str | None = None, **members: Any) -> str:
    series = series or uids[0][:-5]  # the series is the beginning of `synthetic.uid`
    instances: dict[str, dict[str, str]] = {identifier: {} for identifier in uids}
    return json.dumps({"SchemaVersion": "1.1", "Study": {"Series": {series: {"Instances": instances}}}, **members})


def update(copies: Copies, image_set: str, latest: str, correction: dict[str, Any]) -> None:
    copies.client.update_image_set_metadata(
        datastoreId=copies.id,
        imageSetId=image_set,
        latestVersionId=latest,
        updateImageSetMetadataUpdates={
            "DICOMUpdates": {"updatableAttributes": json.dumps({"SchemaVersion": 1.1, **correction}).encode()}
        },
    )
    assert settled(copies.client, copies.id, image_set)["imageSetWorkflowStatus"] == "UPDATED"


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[ServerProcess]:
    process = ServerProcess(tmp_path / "data", {"HOUNSFIELD_LEASE_SECONDS": "1.5"}).start()
    yield process
    process.stop()


@pytest.fixture
def copies(server: ServerProcess, client: Any) -> Copies:
    return Copies(server, client)


def test_a_copy_without_destination_is_a_new_image_set(copies: Copies) -> None:
    source, _ = copies.imported(slice_of(number=1), slice_of(number=2))
    before = copies.client.get_image_set(datastoreId=copies.id, imageSetId=source)
    answer = copies.begin(source)
    assert answer["datastoreId"] == copies.id
    told_source, told = answer["sourceImageSetProperties"], answer["destinationImageSetProperties"]
    assert told_source["imageSetId"] == source
    assert told_source["latestVersionId"] == told["latestVersionId"] == "1"
    assert told_source["imageSetState"] == told["imageSetState"] == "LOCKED"
    assert told_source["imageSetWorkflowStatus"] == "COPYING_WITH_READ_ONLY_ACCESS"
    assert told["imageSetWorkflowStatus"] == "COPYING"
    assert told["imageSetArn"].endswith(f"datastore/{copies.id}/imageset/{told['imageSetId']}")
    assert told_source["createdAt"] == before["createdAt"]

    after = settled(copies.client, copies.id, source)
    assert {**after, "ResponseMetadata": 0} == {**before, "ResponseMetadata": 0}
    copy = told["imageSetId"]
    found = settled(copies.client, copies.id, copy)
    assert (found["imageSetState"], found["imageSetWorkflowStatus"]) == ("ACTIVE", "COPIED")
    assert (found["versionId"], found["isPrimary"]) == ("1", False)
    assert "overrides" not in found
    summaries = {entry["imageSetId"]: entry for entry in image_sets(copies.client, copies.id)}
    assert summaries[copy]["DICOMTags"] == summaries[source]["DICOMTags"]
    assert summaries[source]["isPrimary"]
    assert not summaries[copy]["isPrimary"]


def test_a_copy_has_frames_of_its_own_ids_and_the_same_bytes(copies: Copies) -> None:
    source, _ = copies.imported(slice_of(number=1), slice_of(number=2, pixels=noise(64, 64, seed=5)))
    copy = copies.copied(source)["imageSetId"]
    one, other = verified(copies.client, copies.id, source), verified(copies.client, copies.id, copy)
    assert one.keys() == other.keys()
    for sop_uid, instance in one.items():
        (entry,), (copied,) = instance["ImageFrames"], other[sop_uid]["ImageFrames"]
        assert entry["ID"] != copied["ID"]
        assert {**entry, "ID": copied["ID"]} == copied
        assert instance["DICOM"] == other[sop_uid]["DICOM"]
        assert frame(copies.client, copies.id, source, entry["ID"]) == frame(
            copies.client, copies.id, copy, copied["ID"]
        )
        with pytest.raises(ClientError):
            frame(copies.client, copies.id, source, copied["ID"])
    document_of = {name: document(copies.client, copies.id, name) for name in (source, copy)}
    assert document_of[copy]["ImageSetID"] == copy
    assert document_of[source]["Patient"] == document_of[copy]["Patient"]
    assert document_of[source]["Study"]["DICOM"] == document_of[copy]["Study"]["DICOM"]


def test_a_copy_of_a_copy_stays_readable_when_the_others_are_deleted(copies: Copies) -> None:
    (source,) = copies.imported(slice_of())
    first = copies.copied(source)["imageSetId"]
    second = copies.copied(first)["imageSetId"]
    for gone in (source, first):
        copies.client.delete_image_set(datastoreId=copies.id, imageSetId=gone)
        assert settled(copies.client, copies.id, gone)["imageSetState"] == "DELETED"
    assert verified(copies.client, copies.id, second).keys() == {uid(1, 1, 1)}


@pytest.mark.parametrize("series", ["imageSetId", uid(1, 1)])
def test_a_subset_splits_an_image_set(copies: Copies, series: str) -> None:
    source = copies.imported(*(slice_of(number=number) for number in range(1, 6)))[0]
    chosen = [uid(1, 1, 2), uid(1, 1, 4)]
    copy = copies.copied(source, only=chosen)["imageSetId"]
    assert verified(copies.client, copies.id, copy).keys() == set(chosen)
    assert len(copies.uids(source)) == 5
    counted = {
        entry["imageSetId"]: entry["DICOMTags"]["DICOMNumberOfStudyRelatedInstances"]
        for entry in image_sets(copies.client, copies.id)
    }
    assert counted == {source: 5, copy: 2}


def test_a_merge_makes_a_new_version_of_the_destination(copies: Copies) -> None:
    source = copies.imported(*(slice_of(number=number) for number in range(1, 5)))[0]
    into = copies.copied(source, only=[uid(1, 1, 1)])["imageSetId"]
    answer = copies.begin(source, into, only=[uid(1, 1, 3)])
    told = answer["destinationImageSetProperties"]
    assert (told["imageSetId"], told["latestVersionId"]) == (into, "2")
    found = settled(copies.client, copies.id, into)
    assert (found["versionId"], found["imageSetWorkflowStatus"]) == ("2", "COPIED")
    assert verified(copies.client, copies.id, into).keys() == {uid(1, 1, 1), uid(1, 1, 3)}
    assert copies.uids(into, versionId="1") == {uid(1, 1, 1)}
    old = sop_instances(copies.client, copies.id, into, versionId="1")[uid(1, 1, 1)]
    assert old == sop_instances(copies.client, copies.id, into)[uid(1, 1, 1)]


def test_an_instance_cannot_be_twice_in_an_image_set(copies: Copies) -> None:
    source, _ = copies.imported(slice_of(number=1), slice_of(number=2))
    into = copies.copied(source, only=[uid(1, 1, 1)])["imageSetId"]
    for force in (False, True):
        found = copies.failed(source, into, force=force)
        assert "SOP Instance UIDs" in found["message"]
    assert found["versionId"] == "3"
    assert copies.uids(into) == copies.uids(into, versionId="2") == {uid(1, 1, 1)}
    copies.copied(source, into, only=[uid(1, 1, 2)])
    assert copies.version(into) == "4"


def test_another_series_fails_without_force(copies: Copies) -> None:
    source, other = copies.imported(slice_of(1), slice_of(2))
    into = copies.copied(other)["imageSetId"]
    found = copies.failed(source, into)
    assert found["message"] == SERIES_DIFFER
    assert found["versionId"] == "2"
    assert copies.uids(into) == {uid(1, 2, 1)}
    before = document(copies.client, copies.id, into)
    forced = copies.copied(source, into, force=True)
    assert forced["overrides"] == {"forced": True}
    assert verified(copies.client, copies.id, into).keys() == {uid(1, 1, 1), uid(1, 2, 1)}
    after = document(copies.client, copies.id, into)
    assert after["Patient"] == before["Patient"]
    assert after["Study"]["DICOM"] == before["Study"]["DICOM"]
    assert list(after["Study"]["Series"]) == [uid(1, 2)]


@pytest.mark.parametrize(("level", "name"), [("Patient", "Doe^John"), ("Study", "Roe^Jane")])
def test_each_level_must_agree(copies: Copies, level: str, name: str) -> None:
    (into,) = copies.imported(slice_of(number=1))
    (primary,) = copies.imported(slice_of(number=2, AccessionNumber="A-2", PatientName=name))
    source = copies.copied(primary)["imageSetId"]
    found = copies.failed(source, copies.copied(into)["imageSetId"])
    assert found["message"] == SERIES_DIFFER.replace("Series", level, 1)


def test_a_non_primary_set_is_promoted(copies: Copies) -> None:
    (first,) = copies.imported(slice_of(1))
    (other,) = copies.imported(slice_of(1, 2, AccessionNumber="A-2"))
    assert other != first
    copies.client.delete_image_set(datastoreId=copies.id, imageSetId=first)
    settled(copies.client, copies.id, first)
    found = copies.copied(other, promoteToPrimary=True)
    assert found["isPrimary"] is True
    assert found["imageSetId"] not in {first, other}
    (primary,) = primaries_by_series(copies.client, copies.id).values()
    assert primary["imageSetId"] == found["imageSetId"]
    assert verified(copies.client, copies.id, found["imageSetId"]).keys() == {uid(1, 1, 2)}
    assert copies.client.get_image_set(datastoreId=copies.id, imageSetId=other)["isPrimary"] is False


def test_promotion_adds_to_the_primary_set_of_the_series(copies: Copies) -> None:
    primary, _ = copies.imported(slice_of(number=1), slice_of(number=2))
    part = copies.copied(primary, only=[uid(1, 1, 2)])["imageSetId"]
    found = copies.failed(part, promoteToPrimary=True)
    assert found["imageSetId"] == primary
    assert "SOP Instance UIDs" in found["message"]
    assert copies.uids(primary) == {uid(1, 1, 1), uid(1, 1, 2)}


def test_a_resolved_conflict_is_promoted_into_the_primary_set(copies: Copies) -> None:
    (primary,) = copies.imported(slice_of(number=1))
    (conflicting,) = copies.imported(slice_of(number=2, AccessionNumber="A-2"))
    update(copies, conflicting, "1", {"Study": {"DICOM": {"AccessionNumber": "A-1"}}})
    found = copies.copied(conflicting, promoteToPrimary=True)
    assert (found["imageSetId"], found["versionId"], found["isPrimary"]) == (primary, "2", True)
    assert verified(copies.client, copies.id, primary).keys() == {uid(1, 1, 1), uid(1, 1, 2)}
    assert copies.uids(conflicting) == {uid(1, 1, 2)}
    copies.imported(slice_of(number=3))
    assert len(copies.uids(primary, versionId="3")) == 3


def test_promotion_fails_while_the_conflict_stands(copies: Copies) -> None:
    (primary,) = copies.imported(slice_of(1))
    (conflicting,) = copies.imported(slice_of(1, 2, AccessionNumber="A-2"))
    found = copies.failed(conflicting, promoteToPrimary=True)
    assert found["imageSetId"] == primary
    assert found["message"] == SERIES_DIFFER.replace("Series", "Study", 1)
    (other_series,) = copies.imported(slice_of(2, 1, PatientID="P-9"))
    found = copies.failed(other_series, promoteToPrimary=True)
    assert found["message"].startswith("INVALID_REQUEST:  Study of SourceImageSet")
    assert found["isPrimary"] is False
    assert copies.uids(found["imageSetId"]) == set()
    assert copies.refused(found["imageSetId"])[0] == "ValidationException"
    update(copies, found["imageSetId"], "1", {"Patient": {"DICOM": {"PatientID": "P-1"}}})
    assert document(copies.client, copies.id, found["imageSetId"])["Patient"]["DICOM"]["PatientID"] == "P-1"
    assert deleted(copies.client, copies.id, found["imageSetId"])["imageSetState"] == "DELETED"
    assert set(primaries_by_series(copies.client, copies.id)) == {(uid(1), uid(1, 1))}


def test_what_cannot_be_asked(copies: Copies) -> None:
    primary, _, second = copies.imported(slice_of(number=1), slice_of(number=2), slice_of(2))
    copy = copies.copied(primary)["imageSetId"]
    invalid = "ValidationException"
    assert copies.refused(primary, promoteToPrimary=True)[0] == invalid
    assert copies.refused(copy, promoteToPrimary=True, force=True)[0] == invalid
    assert copies.refused(copy, second, force=True)[0] == invalid
    assert copies.refused(copy, copy)[0] == invalid
    assert copies.refused(copy, only=[uid(1, 1, 99)])[0] == invalid
    assert copies.version(copy) == copies.version(second) == "1"


@pytest.mark.parametrize(
    "attributes",
    [
        "{",
        "[]",
        "{}",
        '{"Study": {"Series": {}}}',
        '{"Study": {"Series": {"1.2": {}}}}',
        '{"Study": {"Series": {"1.2": {"Instances": {}}}}}',
        '{"Study": {"Series": {"1.2": {"Instances": {"1.3": 5}}}}}',
        '{"Study": {"Series": {"1.2": {"Instances": {"1.3": {}}}, "1.4": {"Instances": {"1.5": {}}}}}}',
    ],
)
def test_attributes_that_choose_nothing_are_refused(copies: Copies, attributes: str) -> None:
    (source,) = copies.imported(slice_of())
    with pytest.raises(ClientError) as caught:
        copies.client.copy_image_set(
            datastoreId=copies.id,
            sourceImageSetId=source,
            copyImageSetInformation={
                "sourceImageSet": {"latestVersionId": "1", "DICOMCopies": {"copiableAttributes": attributes}}
            },
        )
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    assert "copiableAttributes" in caught.value.response["Error"]["Message"]


def test_an_outdated_version_is_refused(copies: Copies) -> None:
    (source,) = copies.imported(slice_of(number=1))
    copies.imported(slice_of(number=2))
    into = copies.copied(source)["imageSetId"]
    for versions in (("1", "1"), ("2", "9"), ("12345678901234567890", "1")):
        with pytest.raises(ClientError) as caught:
            copies.client.copy_image_set(
                datastoreId=copies.id,
                sourceImageSetId=source,
                copyImageSetInformation={
                    "sourceImageSet": {"latestVersionId": versions[0]},
                    "destinationImageSet": {"imageSetId": into, "latestVersionId": versions[1]},
                },
            )
        error = caught.value.response["Error"]
        assert (error["Code"], error["Message"]) == ("ResourceNotFoundException", NOT_THE_LATEST)


def test_what_is_not_there_cannot_be_copied(copies: Copies) -> None:
    (source,) = copies.imported(slice_of())
    copy = copies.copied(source)["imageSetId"]
    copies.client.delete_image_set(datastoreId=copies.id, imageSetId=copy)
    settled(copies.client, copies.id, copy)
    assert copies.refused(copy)[0] == "ResourceNotFoundException"
    assert copies.refused(source, copy)[0] == "ResourceNotFoundException"
    other = Copies(copies.server, copies.client)
    with pytest.raises(ClientError) as caught:
        other.client.copy_image_set(
            datastoreId=other.id,
            sourceImageSetId=source,
            copyImageSetInformation={"sourceImageSet": {"latestVersionId": "1"}},
        )
    assert caught.value.response["Error"]["Code"] == "ResourceNotFoundException"


def test_a_copy_has_at_most_a_thousand_frames(copies: Copies) -> None:
    small = noise(8, 8)
    pixels = small[None].repeat(501, axis=0)
    source, _ = copies.imported(*(slice_of(number=number, pixels=pixels) for number in (1, 2)))
    code, message = copies.refused(source)
    assert code == "ServiceQuotaExceededException"
    assert "1002" in message
    copy = copies.copied(source, only=[uid(1, 1, 2)])["imageSetId"]
    (instance,) = sop_instances(copies.client, copies.id, copy).values()
    assert len({entry["ID"] for entry in instance["ImageFrames"]}) == 501
    last = instance["ImageFrames"][-1]
    assert frame(copies.client, copies.id, copy, last["ID"])[0]


def test_a_lock_holds_until_the_copy_is_made_also_when_its_runner_dies(mortal: ServerProcess) -> None:
    copies = Copies(mortal, mortal.client())
    source, _, third = copies.imported(slice_of(number=1), slice_of(number=2), slice_of(2))
    runner = suspended(mortal)
    answer = copies.begin(source)
    copy = answer["destinationImageSetProperties"]["imageSetId"]
    for image_set, status in ((source, "COPYING_WITH_READ_ONLY_ACCESS"), (copy, "COPYING")):
        found = copies.client.get_image_set(datastoreId=copies.id, imageSetId=image_set)
        assert (found["imageSetState"], found["imageSetWorkflowStatus"]) == ("LOCKED", status)
        assert copies.refused(image_set)[0] == "ConflictException"
        assert copies.refused(third, image_set)[0] == "ConflictException"
        with pytest.raises(ClientError, match="ConflictException"):
            copies.client.delete_image_set(datastoreId=copies.id, imageSetId=image_set)
    assert len(verified(copies.client, copies.id, source)) == 2
    with pytest.raises(ClientError, match="ConflictException"):
        document(copies.client, copies.id, copy)
    copies.client.delete_image_set(datastoreId=copies.id, imageSetId=third)
    runner.kill()
    assert settled(copies.client, copies.id, copy)["imageSetWorkflowStatus"] == "COPIED"
    assert settled(copies.client, copies.id, source)["imageSetWorkflowStatus"] == "CREATED"
    assert settled(copies.client, copies.id, third)["imageSetState"] == "DELETED"
    assert len(verified(copies.client, copies.id, copy)) == 2
