"""Usage by the administration API: what is stored and imported, what was called, and who may see it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from support.audit_trail import record_of
from support.clients.administration import administer, call, refused
from support.files.synthetic import slice_of
from support.identities.users_and_roles import UsersAndRoles, allow
from support.imaging.updates import Store
from support.servers import ServerProcess, wait_for

ARN = "arn:aws:medical-imaging:us-east-1:000000000000:datastore/"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server of its own: what is counted is kept for a minute."""
    process = ServerProcess(tmp_path_factory.mktemp("used") / "data").start()
    yield process
    process.stop()


@pytest.fixture(scope="module")
def store(server: ServerProcess) -> Store:
    store = Store(server, server.client())
    store.imported(slice_of(number=1), slice_of(number=2), slice_of(series=2, Modality="MR"))
    store.imported(slice_of(PatientID="P-OTHER"))
    return store


def test_usage_is_told_of_a_data_store_and_of_all(server: ServerProcess, store: Store) -> None:
    other = Store(server, store.client)
    usage = administer(server, "GetUsage", DatastoreId=store.id)
    total = usage["Total"]
    assert {name: total[name] for name in total if name != "Bytes"} == {
        "ImageSets": 3, "PrimaryImageSets": 2, "Studies": 1, "Series": 2, "Instances": 4, "ImageFrames": 4
    }  # fmt: skip
    assert total["Bytes"] > 4 * 500
    assert [entry["StorageTier"] for entry in usage["ByStorageTier"]] == ["FREQUENT_ACCESS"]
    assert {entry["Modality"]: entry["Instances"] for entry in usage["ByModality"]} == {"CT": 3, "MR": 1}
    assert sum(entry["Bytes"] for entry in usage["ByModality"]) == total["Bytes"]
    assert len(usage["ByDay"]) == len(usage["ImportsByDay"]) == 30
    assert usage["ByDay"][-1]["Total"]["Instances"] == 4
    assert sum(day["ImportedFiles"] for day in usage["ImportsByDay"]) == 4
    assert sum(day["Jobs"] for day in usage["ImportsByDay"]) == 2
    assert "ByDatastore" not in usage
    assert len(administer(server, "GetUsage", DatastoreId=store.id, Days=366)["ByDay"]) == 366
    of_all = administer(server, "GetUsage")
    assert [entry["DatastoreId"] for entry in of_all["ByDatastore"]] == [store.id]
    assert of_all["Total"] == total
    assert administer(server, "GetUsage", DatastoreId=other.id)["Total"]["ImageSets"] == 0


@pytest.mark.parametrize(
    ("operation", "members", "status", "said"),
    [
        ("GetUsage", {"DatastoreId": "0" * 32}, 404, "does not exist"),
        ("GetUsage", {"DatastoreId": "short"}, 400, "must have 32 to 32 characters"),
        ("GetUsage", {"Days": 0}, 400, "Days must be 1 to 366"),
        ("GetCallStatistics", {"Period": "WEEK"}, 400, "Period must be one of HOUR, DAY"),
        ("GetCallStatistics", {"StartTime": "2026-03-14T00:00:00Z"}, 400, "by at most 8 days"),
        ("GetCallStatistics", {"StartTime": "2020-01-01T00:00:00Z", "Period": "DAY"}, 400, "by at most 366 days"),
        (
            "GetCallStatistics",
            {"StartTime": "2026-03-14T00:00:00Z", "EndTime": "2026-03-14T00:00:00Z"},
            400,
            "EndTime must be after StartTime",
        ),
        ("GetCallStatistics", {"StartTime": "0001-01-01T00:00:00Z", "EndTime": "9999-12-31T23:59:59Z"}, 400, "9999"),
        ("GetCallStatistics", {"EndTime": "0001-01-01T00:30:00Z"}, 400, "between the years 1 and 9999"),
    ],
)
def test_what_cannot_be_told_is_said(
    server: ServerProcess, operation: str, members: dict[str, Any], status: int, said: str
) -> None:
    told = refused(server, operation, **members)
    assert told[0] == status
    assert said in told[2]


def statistics(server: ServerProcess, **members: Any) -> dict[str, Any]:
    """Count until all is counted."""

    def complete() -> dict[str, Any] | None:
        answer = administer(server, "GetCallStatistics", **members)
        return answer if answer["Complete"] else None

    return wait_for(complete, "all calls to be counted")


def test_calls_and_errors_are_counted(server: ServerProcess, store: Store, world: UsersAndRoles) -> None:
    nobody = world.some_user()
    for _ in range(3):
        denied = call(server, "ListUsers", nobody)
    record_of(server, denied.headers["x-amzn-requestid"])
    answer = statistics(server)
    users = next(entry for entry in answer["ByOperation"] if entry["EventName"] == "ListUsers")
    assert users["Errors"] == users["Count"] >= 3
    assert {entry["ErrorCode"]: entry["Count"] for entry in answer["ByErrorCode"]}["AccessDeniedException"] >= 3
    assert sum(entry["Count"] for entry in answer["ByTime"]) == sum(entry["Count"] for entry in answer["ByOperation"])
    assert all(entry["Time"].endswith(":00:00Z") for entry in answer["ByTime"])
    of_store = statistics(server, DatastoreId=store.id)
    assert {
        entry["EventName"]: entry["Count"]
        for entry in of_store["ByOperation"]
        if entry["EventName"].startswith("Start")
    } == {"StartDICOMImportJob": 2}
    assert "ListUsers" not in [entry["EventName"] for entry in of_store["ByOperation"]]
    one = statistics(server, EventName="StartDICOMImportJob", Period="DAY")
    assert [entry["EventName"] for entry in one["ByOperation"]] == ["StartDICOMImportJob"]
    assert all(entry["Time"].endswith("T00:00:00Z") for entry in one["ByTime"])
    earlier = datetime.now(UTC) - timedelta(days=2)
    assert (
        statistics(server, StartTime=f"{earlier:%Y-%m-%dT%H:%M:%SZ}", EndTime=f"{earlier:%Y-%m-%dT23:59:59Z}")["ByTime"]
        == []
    )


@pytest.mark.parametrize("operation", ["GetUsage", "GetCallStatistics"])
def test_who_may_see_one_data_store_does_not_see_all(
    server: ServerProcess, store: Store, world: UsersAndRoles, operation: str
) -> None:
    one = world.some_user(allow(f"hounsfield:{operation}", ARN + store.id))
    answer = call(server, operation, one, DatastoreId=store.id)
    assert answer.status == 200
    assert f"hounsfield:{operation} on resource: *" in refused(server, operation, one)[2]
    assert refused(server, operation, one, DatastoreId="0" * 32)[0] == 403
    record = record_of(server, answer.headers["x-amzn-requestid"])
    assert (record["eventSource"], record["eventName"]) == ("medical-imaging.amazonaws.com", operation)
    assert record["resources"][0]["ARN"] == ARN + store.id
    assert record["requestParameters"] == {"datastoreId": store.id}
    assert record["readOnly"] is True
