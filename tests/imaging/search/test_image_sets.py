"""SearchImageSets: every filter, order and page against a brute-force filter over the known data."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from support.imaging.imports import image_sets
from support.search.brute_force import (
    ATTRIBUTES,
    check_filters,
    check_sorts,
    equal,
    found,
    moment,
    populate,
    study_moment,
)
from support.servers import ServerProcess, active_datastore


@pytest.fixture(scope="module")
def searched(server: ServerProcess, client: Any) -> str:
    datastore_id = active_datastore(client)
    populate(server, client, datastore_id, "searched")
    return datastore_id


def test_everything_is_found_without_criteria(client: Any, searched: str) -> None:
    entries = image_sets(client, searched)
    assert len(entries) == 26
    assert sorted(entry["isPrimary"] for entry in entries) == [False] * 2 + [True] * 24
    assert [entry["updatedAt"] for entry in entries] == sorted((e["updatedAt"] for e in entries), reverse=True)
    answer = client.search_image_sets(datastoreId=searched, searchCriteria={})
    assert answer["sort"] == {"sortField": "updatedAt", "sortOrder": "DESC"}


def test_every_filter_finds_what_brute_force_finds(client: Any, searched: str) -> None:
    assert check_filters(client, searched) > 100


@pytest.mark.parametrize("page", [1, 7, 50])
def test_every_order_holds_over_pages(client: Any, searched: str, page: int) -> None:
    check_sorts(client, searched, page)


def test_study_times_within_a_day_sort_by_time(client: Any, searched: str) -> None:
    entries = found(client, searched, sort={"sortField": "DICOMStudyDateAndTime", "sortOrder": "ASC"})
    moments = [study_moment(entry) for entry in entries]
    assert moments == sorted(moments)


def test_pages_with_a_filter_hold_everything_once(client: Any, searched: str) -> None:
    whole = found(client, searched, filters=[equal("DICOMPatientId", "P-1")])
    paged = found(client, searched, 2, filters=[equal("DICOMPatientId", "P-1")])
    assert len(whole) == 6
    assert [entry["imageSetId"] for entry in paged] == [entry["imageSetId"] for entry in whole]


def test_matching_is_exact_and_knows_no_wildcards(client: Any, searched: str) -> None:
    for value in ("p-1", "P-", "P-*", "P-%", "P__", "P-1 ", "' OR 1=1 --"):
        assert found(client, searched, filters=[equal("DICOMPatientId", value)]) == []
    assert len(found(client, searched, filters=[equal("DICOMPatientId", "p-0")])) == 2


@pytest.mark.parametrize(
    "filters",
    [
        [{"operator": "BETWEEN", "values": [{"DICOMPatientId": "a"}, {"DICOMPatientId": "b"}]}],
        [{"operator": "BETWEEN", "values": [{"DICOMStudyDateAndTime": moment("20240101")}]}],
        [{"operator": "EQUAL", "values": [{"DICOMPatientId": "a"}, {"DICOMPatientId": "b"}]}],
        [{"operator": "BETWEEN", "values": [{"isPrimary": False}, {"isPrimary": True}]}],
        [
            {
                "operator": "BETWEEN",
                "values": [{"createdAt": 1}, {"updatedAt": 2}],
            }
        ],
        [equal("DICOMPatientId", "a"), equal("DICOMStudyId", "b")],
        [equal("DICOMPatientId", "a")] * 3,
    ],
)
def test_filters_that_cannot_be_are_refused(server: ServerProcess, searched: str, filters: list[Any]) -> None:
    with pytest.raises(ClientError) as caught:
        server.client(parameter_validation=False).search_image_sets(
            datastoreId=searched, searchCriteria={"filters": filters}
        )
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert caught.value.response["Error"]["Code"] == "ValidationException"


def test_tags_tell_what_the_files_say(client: Any, searched: str) -> None:
    (entry,) = found(client, searched, filters=[equal("DICOMAccessionNumber", "A-3")])[:1]
    assert set(ATTRIBUTES.values()) <= entry["DICOMTags"].keys()
    expected = {
        "DICOMPatientId": "P-3",
        "DICOMPatientName": "Roe^Jane",
        "DICOMPatientBirthDate": "19700101",
        "DICOMPatientSex": "F",
        "DICOMStudyId": "S-0",
        "DICOMStudyDescription": "Head",
        "DICOMStudyDate": "20240113",
        "DICOMStudyTime": "101112",
        "DICOMSeriesModality": "CT",
        "DICOMSeriesBodyPart": "HEAD",
        "DICOMNumberOfStudyRelatedSeries": 1,
        "DICOMNumberOfStudyRelatedInstances": 1,
    }
    assert expected.items() <= entry["DICOMTags"].items()
    assert entry["DICOMTags"]["DICOMSeriesNumber"] in {1, 2}
