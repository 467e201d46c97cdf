"""The rules of SearchImageSets: which filters can be, one by one and together; orders; page tokens; days without a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from botocore import xform_name

from support.files.synthetic import slice_of, uid
from support.imaging.imports import image_sets
from support.imaging.stored_series import deleted, imported
from support.search.brute_force import between, equal, found, moment
from support.servers import ServerProcess, active_datastore

NOW = datetime.now(UTC)
VALUES: dict[str, Any] = {
    "DICOMPatientId": "P-1",
    "DICOMAccessionNumber": "A-1",
    "DICOMStudyId": "S1",
    "DICOMStudyInstanceUID": uid(1),
    "DICOMSeriesInstanceUID": uid(1, 1),
    "isPrimary": True,
    "createdAt": NOW,
    "updatedAt": NOW,
    "DICOMStudyDateAndTime": moment("20240102", "101112"),
}
TIMES = {"createdAt", "updatedAt", "DICOMStudyDateAndTime"}
STUDIES = [
    ("20240101", "235959.999"),
    ("20240102", ""),
    ("20240102", "0000"),
    ("20240102", "12"),
    ("20240103", "000000"),
]
"""Study date and time of each study of the data store, in their order."""


@pytest.fixture(scope="module")
def store(server: ServerProcess, client: Any) -> str:
    """One image set for each of the studies, and one that is not primary."""
    datastore_id = active_datastore(client)
    slices = [
        slice_of(study=number, StudyDate=date, StudyTime=time, StudyID=f"S{number}", PatientID=f"P-{number % 2}")
        for number, (date, time) in enumerate(STUDIES, 1)
    ]
    imported(server, client, datastore_id, *slices)
    imported(server, client, datastore_id, slice_of(number=2, PatientID="P-X", StudyDate="20240101", StudyID="S1"))
    return datastore_id


@pytest.fixture(scope="module")
def unchecked(server: ServerProcess) -> Any:
    return server.client(parameter_validation=False)


def search(client: Any, datastore_id: str, *filters: Any, **more: Any) -> dict[str, Any]:
    criteria = {"filters": list(filters), **more.pop("criteria", {})} if filters else more.pop("criteria", {})
    answer: dict[str, Any] = client.search_image_sets(datastoreId=datastore_id, searchCriteria=criteria, **more)
    return answer


def refused(client: Any, datastore_id: str, *filters: Any, **more: Any) -> str:
    with pytest.raises(client.exceptions.ValidationException) as caught:
        search(client, datastore_id, *filters, **more)
    return str(caught.value.response["Error"]["Message"])


def a_filter(member: str, operator: str, count: int) -> dict[str, Any]:
    return {"operator": operator, "values": [{member: VALUES[member]}] * count}


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("operator", ["EQUAL", "BETWEEN"])
@pytest.mark.parametrize("member", VALUES)
def test_each_member_with_each_operator(client: Any, store: str, member: str, operator: str, count: int) -> None:
    """EQUAL takes one value of anything, BETWEEN two of something with an order; the message says which was wrong."""
    given = a_filter(member, operator, count)
    if operator == "BETWEEN" and member not in TIMES:
        assert "BETWEEN needs a date" in refused(client, store, given)
    elif count != {"EQUAL": 1, "BETWEEN": 2}[operator]:
        needed = {"EQUAL": "1 value", "BETWEEN": "2 values"}[operator]
        assert f"operator {operator} needs {needed}" in refused(client, store, given)
    else:
        assert "imageSetsMetadataSummaries" in search(client, store, given)


@pytest.mark.parametrize(("first", "second"), list(product(VALUES, VALUES)), ids=str)
def test_two_filters_are_one_equal_and_one_between(client: Any, store: str, first: str, second: str) -> None:
    attribute = a_filter(first, "EQUAL", 1)
    assert "one with operator EQUAL and one with operator BETWEEN" in refused(
        client, store, attribute, a_filter(second, "EQUAL", 1)
    )
    if second not in TIMES:
        return
    span = a_filter(second, "BETWEEN", 2)
    ids = [
        [entry["imageSetId"] for entry in search(client, store, *both)["imageSetsMetadataSummaries"]]
        for both in ((attribute, span), (span, attribute))
    ]
    assert ids[0] == ids[1]
    if first in TIMES:
        assert "one with operator EQUAL" in refused(client, store, a_filter(first, "BETWEEN", 2), span)


@pytest.mark.parametrize("operator", ["EQUAL", "BETWEEN"])
def test_the_values_of_a_filter_are_of_one_member(client: Any, store: str, operator: str) -> None:
    mixed = {"operator": operator, "values": [{"createdAt": NOW}, {"updatedAt": NOW}]}
    assert "must be of one attribute" in refused(client, store, mixed)


def test_a_service_time_is_found_by_its_second(client: Any, store: str) -> None:
    """boto3 cuts times to whole seconds, so an EQUAL search must find what was made within the second."""
    for member in ("createdAt", "updatedAt"):
        for entry in image_sets(client, store):
            ids = {one["imageSetId"] for one in found(client, store, filters=[equal(member, entry[member])])}
            assert entry["imageSetId"] in ids
        early = NOW - timedelta(days=1)
        assert found(client, store, filters=[equal(member, early)]) == []
        assert len(found(client, store, filters=[between(member, early, NOW + timedelta(days=1))])) == len(STUDIES) + 1


def studies_found(client: Any, datastore_id: str, lower: dict[str, str], upper: dict[str, str]) -> list[int]:
    """Numbers of the studies in a range, of their primary image sets."""
    filters = [between("DICOMStudyDateAndTime", lower, upper), equal("isPrimary", value=True)]
    return sorted(int(e["DICOMTags"]["DICOMStudyId"][1:]) for e in found(client, datastore_id, filters=filters))


@pytest.mark.parametrize(
    ("lower", "upper", "expected"),
    [
        (moment("20240102"), moment("20240103"), [2, 3, 4, 5]),
        (moment("20240102"), moment("20240102"), [2, 3]),
        (moment("20240101"), moment("20240102"), [1, 2, 3]),
        (moment("20240102"), moment("20240102", "235959.999999"), [2, 3, 4]),
        (moment("20240102", "000000.000001"), moment("20240103"), [4, 5]),
        (moment("20240101", "235959.999"), moment("20240102"), [1, 2, 3]),
        (moment("20240101", "235959.9991"), moment("20240102"), [2, 3]),
        (moment("20240102", "12"), moment("20240102", "1200"), [4]),
        (moment("20240102", "115959"), moment("20240102", "120000.0"), [4]),
        (moment("20240103", "000001"), moment("20991231"), []),
        (moment("20240103"), moment("20240101"), []),
    ],
    ids=str,
)
def test_a_day_without_a_time_begins_at_midnight(
    client: Any, store: str, lower: dict[str, str], upper: dict[str, str], expected: list[int]
) -> None:
    assert studies_found(client, store, lower, upper) == expected


@pytest.mark.parametrize(
    ("bad", "member"),
    [
        *(({"DICOMStudyDate": date}, "DICOMStudyDate") for date in ("", "240102", "2024-01-02", "2024010", "٢٠٢٤٠١٠٢")),
        *(
            ({"DICOMStudyDate": "20240102", "DICOMStudyTime": time}, "DICOMStudyTime")
            for time in ("1", "10:11", "101112.", "101112.1234567", "noon")
        ),
    ],
    ids=str,
)
def test_bounds_that_are_no_date_and_time_are_refused(
    client: Any, store: str, bad: dict[str, str], member: str
) -> None:
    for bounds in ((bad, moment("20240102")), (moment("20240102"), bad)):
        message = refused(client, store, between("DICOMStudyDateAndTime", *bounds))
        assert message.startswith(f"{member} of a BETWEEN filter must be")
        assert all(value not in message for value in bad.values() if value)


@pytest.mark.parametrize("order", ["ASC", "DESC"])
@pytest.mark.parametrize("field", ["updatedAt", "createdAt", "DICOMStudyDateAndTime"])
def test_the_order_is_told_and_kept_beside_a_filter(client: Any, store: str, field: str, order: str) -> None:
    sort = {"sortField": field, "sortOrder": order}
    answer = search(client, store, equal("isPrimary", value=True), criteria={"sort": sort})
    assert answer["sort"] == sort
    entries = answer["imageSetsMetadataSummaries"]
    assert len(entries) == len(STUDIES)
    if field == "DICOMStudyDateAndTime":
        # A time left out and midnight are the same moment, in either order.
        numbers = [int(entry["DICOMTags"]["DICOMStudyId"][1:]) for entry in entries]
        numbers = numbers if order == "ASC" else numbers[::-1]
        assert (numbers[0], set(numbers[1:3]), numbers[3:]) == (1, {2, 3}, [4, 5])
    else:
        times = [entry[field] for entry in entries]
        assert times == sorted(times, reverse=order == "DESC")


def test_a_token_is_good_for_its_search_only(client: Any, store: str) -> None:
    primary, other = equal("isPrimary", value=True), equal("isPrimary", value=False)
    sort = {"sortField": "createdAt", "sortOrder": "ASC"}
    first = search(client, store, primary, criteria={"sort": sort}, maxResults=2)
    token = {"nextToken": first["nextToken"]}
    rest = search(client, store, primary, criteria={"sort": sort}, maxResults=50, **token)
    ids = [entry["imageSetId"] for page in (first, rest) for entry in page["imageSetsMetadataSummaries"]]
    assert len(set(ids)) == len(ids) == len(STUDIES)
    assert "nextToken" not in rest
    changed = [
        ((other,), {"sort": sort}),
        ((), {"sort": sort}),
        ((primary, between("createdAt", NOW, NOW)), {"sort": sort}),
        ((primary,), {"sort": {**sort, "sortOrder": "DESC"}}),
        ((primary,), {"sort": {**sort, "sortField": "updatedAt"}}),
        ((primary,), {}),
    ]
    for filters, criteria in changed:
        assert "'nextToken'" in refused(client, store, *filters, criteria=criteria, **token)
    another = active_datastore(client)
    assert "'nextToken'" in refused(client, another, primary, criteria={"sort": sort}, **token)
    client.delete_datastore(datastoreId=another)


def test_both_kinds_are_found_and_deleted_ones_are_not(server: ServerProcess, client: Any, store: str) -> None:
    everything = {entry["imageSetId"]: entry["isPrimary"] for entry in image_sets(client, store)}
    assert sorted(everything.values()) == [False] + [True] * len(STUDIES)
    (extra,) = imported(server, client, store, slice_of(study=9))
    assert extra in {entry["imageSetId"] for entry in image_sets(client, store)}
    deleted(client, store, extra)
    assert {entry["imageSetId"] for entry in image_sets(client, store)} == set(everything)
    assert found(client, store, filters=[equal("DICOMStudyInstanceUID", uid(9))]) == []


LISTINGS = {
    "list_datastores": "datastoreSummaries",
    "list_dicom_import_jobs": "jobSummaries",
    "list_image_set_versions": "imageSetPropertiesList",
    "search_image_sets": "imageSetsMetadataSummaries",
}


def test_each_paginator_gives_everything_once_in_order(server: ServerProcess, client: Any, store: str) -> None:
    names = [xform_name(name) for name in client.meta.service_model.operation_names]
    assert {name for name in names if client.can_paginate(name)} == set(LISTINGS)
    assert client.waiter_names == []
    spare = [active_datastore(client) for _ in range(3)]
    (image_set,) = imported(server, client, store, slice_of(study=8, PatientComments="1"))
    for number in (2, 3):
        imported(server, client, store, slice_of(study=8, number=number))
    one = {"list_image_set_versions": {"datastoreId": store, "imageSetId": image_set}, "list_datastores": {}}
    for name, member in LISTINGS.items():
        parameters = one.get(name, {"datastoreId": store})
        pages = list(client.get_paginator(name).paginate(**parameters, PaginationConfig={"PageSize": 2}))
        assert {len(page[member]) for page in pages[:-1]} == {2}
        assert all("nextToken" in page for page in pages[:-1])
        assert "nextToken" not in pages[-1]
        listed = [entry for page in pages for entry in page[member]]
        whole = client.get_paginator(name).paginate(**parameters)
        assert listed == [entry for page in whole for entry in page[member]]
        assert len(listed) >= 3
    deleted(client, store, image_set)
    for datastore_id in spare:
        client.delete_datastore(datastoreId=datastore_id)


@pytest.mark.parametrize("size", [0, 51, -1])
def test_pages_have_1_to_50_entries(unchecked: Any, store: str, size: int) -> None:
    assert "'maxResults'" in refused(unchecked, store, maxResults=size)
