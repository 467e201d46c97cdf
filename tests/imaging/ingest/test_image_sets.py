"""Where imported instances go: one primary image set a series, versions, replacements and conflicts, also when jobs race."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from support.files.synthetic import noise, slice_of, uid
from support.imaging.import_folders import (
    check_counters,
    fill,
    import_folder,
    primaries_by_series,
    sop_instances,
    start_job,
)
from support.imaging.imports import document, image_sets, outcome_of
from support.imaging.stored_frames import decoded_frame, verify_frames
from support.servers import ServerProcess, active_datastore, finished_job


@pytest.fixture(scope="module")
def folders() -> Any:
    """Names of input folders, each given once."""
    return (f"organise-{number}" for number in range(1000))


class Store:
    """A data store of one test and the imports into it."""

    def __init__(self, server: ServerProcess, client: Any, folders: Any) -> None:
        self.server, self.client, self.folders = server, client, folders
        self.id = active_datastore(client)

    def fill(self, *slices: Any) -> str:
        folder = next(self.folders)
        fill(self.server, folder, slices)
        return folder

    def imported(self, *slices: Any) -> list[dict[str, Any]]:
        """Import slices in one job; return where each file went, in order."""
        outcome = import_folder(self.server, self.client, self.id, self.fill(*slices))
        check_counters(outcome)
        assert outcome.failure == []
        return [line["importResponse"] for line in sorted(outcome.success, key=lambda line: line["inputFile"])]

    def raced(self, *folders: str) -> list[Any]:
        """Import folders by jobs started at once; return their outcomes."""
        jobs = [start_job(self.server, self.client, self.id, folder) for folder in folders]
        outcomes = [outcome_of(self.server, finished_job(self.client, self.id, job)) for job in jobs]
        assert all(outcome.job["jobStatus"] == "COMPLETED" for outcome in outcomes)
        for outcome in outcomes:
            check_counters(outcome)
            assert outcome.failure == []
        return outcomes

    def image_set(self, image_set_id: str, **version: str) -> dict[str, Any]:
        found = self.client.get_image_set(datastoreId=self.id, imageSetId=image_set_id, **version)
        return dict(found)

    def instances(self, image_set_id: str, **version: str) -> dict[str, dict[str, Any]]:
        return sop_instances(self.client, self.id, image_set_id, **version)

    def primaries(self) -> dict[tuple[str, str], dict[str, Any]]:
        return primaries_by_series(self.client, self.id)


@pytest.fixture
def store(server: ServerProcess, client: Any, folders: Any) -> Store:
    return Store(server, client, folders)


def test_a_series_in_one_job_is_one_primary_set(store: Store) -> None:
    places = store.imported(*(slice_of(number=number) for number in range(1, 6)))
    assert all(place == places[0] for place in places)
    assert places[0]["isPrimary"] is True
    assert places[0]["imageSetVersion"] == 1
    found = store.image_set(places[0]["imageSetId"])
    assert (found["versionId"], found["imageSetState"], found["imageSetWorkflowStatus"]) == ("1", "ACTIVE", "CREATED")
    assert found["isPrimary"] is True
    assert found["updatedAt"] == found["createdAt"]
    assert set(store.instances(places[0]["imageSetId"])) == {uid(1, 1, number) for number in range(1, 6)}


def test_series_never_share_an_image_set(store: Store) -> None:
    places = store.imported(*(slice_of(series, 1) for series in (1, 2, 3)), slice_of(1, 1, study=2))
    assert len({place["imageSetId"] for place in places}) == 4
    assert all(place["isPrimary"] for place in places)
    assert len(store.primaries()) == 4


def test_a_later_job_extends_the_primary_set_by_one_version(store: Store) -> None:
    (first, _) = store.imported(slice_of(number=1), slice_of(number=2))
    (second, _, _) = store.imported(*(slice_of(number=number) for number in (3, 4, 5)))
    assert second == {**first, "imageSetVersion": 2}
    found = store.image_set(first["imageSetId"])
    assert (found["versionId"], found["imageSetState"], found["imageSetWorkflowStatus"]) == ("2", "ACTIVE", "IMPORTED")
    assert found["updatedAt"] >= found["createdAt"]
    assert found["createdAt"] == store.image_set(first["imageSetId"], versionId="1")["createdAt"]
    assert len(store.instances(first["imageSetId"])) == 5
    assert len(store.instances(first["imageSetId"], versionId="1")) == 2
    assert [entry["version"] for entry in image_sets(store.client, store.id)] == [2]


def test_a_replaced_instance_keeps_its_old_version_readable(store: Store) -> None:
    old, new = noise(64, 64, seed=41), noise(64, 64, seed=42)
    (first, _) = store.imported(slice_of(number=1, pixels=old), slice_of(number=2))
    (second,) = store.imported(slice_of(number=1, pixels=new, ImageComments="again"))
    image_set_id = first["imageSetId"]
    assert second == {**first, "imageSetVersion": 2}
    before, after = store.instances(image_set_id, versionId="1"), store.instances(image_set_id, versionId="2")
    assert before.keys() == after.keys() == {uid(1, 1, 1), uid(1, 1, 2)}
    assert before[uid(1, 1, 2)] == after[uid(1, 1, 2)]
    replaced, current = before[uid(1, 1, 1)], after[uid(1, 1, 1)]
    assert "ImageComments" not in replaced["DICOM"]
    assert current["DICOM"]["ImageComments"] == "again"
    assert replaced["ImageFrames"][0]["ID"] != current["ImageFrames"][0]["ID"]
    for instance, pixels in ((replaced, old), (current, new)):
        (entry,) = instance["ImageFrames"]
        assert np.array_equal(decoded_frame(store.client, store.id, image_set_id, entry), pixels)


def test_versions_once_readable_never_change(store: Store) -> None:
    image_set_id = store.imported(slice_of(number=1))[0]["imageSetId"]
    told = {}
    for version in range(1, 6):
        told[version] = document(store.client, store.id, image_set_id, versionId=str(version))
        assert document(store.client, store.id, image_set_id) == told[version]
        for earlier in range(1, version):
            assert document(store.client, store.id, image_set_id, versionId=str(earlier)) == told[earlier]
        (place,) = store.imported(slice_of(number=version % 3 + 1, pixels=noise(64, 64, seed=version)))
        assert place["imageSetVersion"] == version + 1


def test_of_one_instance_twice_in_a_job_the_later_file_counts(store: Store) -> None:
    first, last = noise(64, 64, seed=1), noise(64, 64, seed=2)
    places = store.imported(slice_of(pixels=first), slice_of(pixels=last))
    assert places[0] == places[1]
    (instance,) = store.instances(places[0]["imageSetId"]).values()
    samples = decoded_frame(store.client, store.id, places[0]["imageSetId"], instance["ImageFrames"][0])
    assert np.array_equal(samples, last)


@pytest.mark.parametrize(
    "difference",
    [
        {"PatientID": "P-2"},
        {"AccessionNumber": "A-2"},
        {"StudyID": "S2"},
        {"StudyDate": "20240103"},
        {"SeriesNumber": 9},
        {"PatientID": ""},
    ],
    ids=str,
)
def test_a_differing_grouping_element_makes_a_non_primary_set(store: Store, difference: dict[str, Any]) -> None:
    (primary,) = store.imported(slice_of(number=1))
    (other, same) = store.imported(slice_of(number=2, **difference), slice_of(number=3, **difference))
    assert other == same
    assert other["isPrimary"] is False
    assert other["imageSetVersion"] == 1
    assert other["imageSetId"] != primary["imageSetId"]
    assert store.image_set(other["imageSetId"])["isPrimary"] is False
    assert store.image_set(primary["imageSetId"])["versionId"] == "1"
    (again,) = store.imported(slice_of(number=2, **difference))
    assert again["isPrimary"] is False
    assert again["imageSetId"] not in {primary["imageSetId"], other["imageSetId"]}
    found = {entry["imageSetId"]: entry["isPrimary"] for entry in image_sets(store.client, store.id)}
    assert found == {primary["imageSetId"]: True, other["imageSetId"]: False, again["imageSetId"]: False}
    sets = store.client.search_image_sets(
        datastoreId=store.id,
        searchCriteria={"filters": [{"operator": "EQUAL", "values": [{"isPrimary": False}]}]},
    )["imageSetsMetadataSummaries"]
    assert {entry["imageSetId"] for entry in sets} == {other["imageSetId"], again["imageSetId"]}


@pytest.mark.parametrize("difference", [{"PatientName": "Roe^Janet"}, {"StudyDescription": "Neck"}], ids=str)
def test_other_elements_do_not_conflict_and_the_latest_wins(store: Store, difference: dict[str, str]) -> None:
    (first,) = store.imported(slice_of(number=1))
    (second,) = store.imported(slice_of(number=2, **difference))
    assert second == {**first, "imageSetVersion": 2}
    (keyword, value), *_ = difference.items()
    (entry,) = image_sets(store.client, store.id)
    assert entry["DICOMTags"][f"DICOM{keyword}"] == value


def test_of_a_job_the_last_file_wins_also_when_the_first_said_the_same(store: Store) -> None:
    names = ("Roe^Jane", "Doe^Jane", "Roe^Jane")
    places = store.imported(*(slice_of(number=number, PatientName=name) for number, name in enumerate(names, 1)))
    assert places[0] == places[1] == places[2]
    assert document(store.client, store.id, places[0]["imageSetId"])["Patient"]["DICOM"]["PatientName"] == "Roe^Jane"


def test_a_conflict_within_the_study_makes_a_new_series_non_primary(store: Store) -> None:
    store.imported(slice_of(series=1))
    (other,) = store.imported(slice_of(series=2, PatientID="P-2"))
    assert other["isPrimary"] is False
    (fitting,) = store.imported(slice_of(series=3))
    assert fitting["isPrimary"] is True


def test_two_variants_in_one_job_are_not_merged(store: Store) -> None:
    places = store.imported(
        slice_of(number=1),
        slice_of(number=2, PatientID="P-2"),
        slice_of(number=3),
        slice_of(number=4, PatientID="P-2"),
        slice_of(number=5),
    )
    assert places[0] == places[2] == places[4]
    assert places[1] == places[3]
    assert (places[0]["isPrimary"], places[1]["isPrimary"]) == (True, False)


def test_an_instance_of_another_primary_series_conflicts(store: Store) -> None:
    (first,) = store.imported(slice_of(series=1, number=1))
    (second,) = store.imported(slice_of(series=2, number=1, SOPInstanceUID=uid(1, 1, 1)))
    assert first["isPrimary"] is True
    assert second["isPrimary"] is False


def test_jobs_at_once_on_one_series_make_one_primary_set(store: Store) -> None:
    """Six jobs, each with slices of its own of one series: one set, one version a job, nothing lost."""
    folders = [store.fill(*(slice_of(number=10 * job + n) for n in range(4))) for job in range(6)]
    outcomes = store.raced(*folders)
    (entry,) = store.primaries().values()
    assert len(image_sets(store.client, store.id)) == 1
    assert entry["version"] == 6
    told = [outcome.success[0]["importResponse"] for outcome in outcomes]
    assert sorted(place["imageSetVersion"] for place in told) == [1, 2, 3, 4, 5, 6]
    assert {place["imageSetId"] for place in told} == {entry["imageSetId"]}
    instances = store.instances(entry["imageSetId"])
    assert instances.keys() == {uid(1, 1, 10 * job + n) for job in range(6) for n in range(4)}
    assert sum(verify_frames(store.client, store.id, entry["imageSetId"], one) for one in instances.values()) == 24
    sizes = [len(store.instances(entry["imageSetId"], versionId=str(version))) for version in range(1, 7)]
    assert sizes == [4, 8, 12, 16, 20, 24]


def test_jobs_at_once_on_the_same_files_replace_each_other(store: Store) -> None:
    folder = store.fill(*(slice_of(series, number) for series in (1, 2) for number in range(4)))
    store.raced(*([folder] * 6))
    primaries = store.primaries()
    assert len(primaries) == len(image_sets(store.client, store.id)) == 2
    for entry in primaries.values():
        assert entry["version"] == 6
        frames = set()
        for version in range(1, 7):
            instances = store.instances(entry["imageSetId"], versionId=str(version))
            assert len(instances) == 4
            frames |= {one["ImageFrames"][0]["ID"] for one in instances.values()}
            for one in instances.values():
                verify_frames(store.client, store.id, entry["imageSetId"], one)
        assert len(frames) == 24


def test_jobs_at_once_that_conflict_leave_one_primary_set(store: Store) -> None:
    """Jobs that each bring another patient for one series: whichever is first is primary, the others are not."""
    folders = [store.fill(*(slice_of(number=n, PatientID=f"P-{job}") for n in range(3))) for job in range(5)]
    store.raced(*folders)
    found = image_sets(store.client, store.id)
    assert len(found) == 5
    assert sorted(entry["isPrimary"] for entry in found) == [False, False, False, False, True]
    assert {entry["version"] for entry in found} == {1}
    assert {entry["DICOMTags"]["DICOMPatientId"] for entry in found} == {f"P-{job}" for job in range(5)}
    assert len(store.primaries()) == 1
