"""The audit trail by the administration API: what is found in it, how it is verified, and who may."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from support.audit_trail import audit_bytes, record_of, records
from support.clients.administration import administer, call, refused
from support.clients.signed_http import send_signed
from support.identities.users_and_roles import UsersAndRoles, allow, user_arn
from support.servers import ServerProcess, wait_for

HIDDEN = "HIDDEN_DUE_TO_SECURITY_REASONS"
UID = "1.2.826.0.1.3680043.8.498.4711"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server of its own: its trail is changed."""
    settings = {"HOUNSFIELD_AUDIT_FILE_BYTES": "20000"}
    process = ServerProcess(tmp_path_factory.mktemp("looked-up") / "data", settings).start()
    yield process
    process.stop()


@pytest.fixture(scope="module")
def ada(server: ServerProcess, world: UsersAndRoles) -> tuple[str, str]:
    """A user who listed and tried to delete, whose calls are recorded."""
    key = world.user("ada", allow("iam:ListUsers"))
    administer(server, "ListUsers", key)
    denied = call(server, "DeleteUser", key, UserName="nobody")
    looked = send_signed(server, "GET", f"/datastore/{'0' * 32}/studies/{UID}/metadata")
    for answer in (denied, looked):
        record_of(server, answer.headers["x-amzn-requestid"])
    return key


def found(server: ServerProcess, **members: Any) -> list[dict[str, Any]]:
    """Return all events of a look-up, newest first."""
    events, token = [], {}
    while token is not None:
        page = administer(server, "LookupEvents", **members, **token)
        events += page["Events"]
        token = {"NextToken": page["NextToken"]} if "NextToken" in page else None
    return events


def names(events: list[dict[str, Any]]) -> list[str]:
    return [event["EventName"] for event in events]


def test_events_are_found_by_what_they_say(server: ServerProcess, ada: tuple[str, str]) -> None:
    for caller in ("ada", ada[0], user_arn("ada")):
        assert {"DeleteUser", "ListUsers"} <= set(names(found(server, Caller=caller)))
    (denied,) = found(server, Caller="ada", Outcome="Denied")
    assert (denied["EventName"], denied["ErrorCode"], denied["Username"]) == (
        "DeleteUser",
        "AccessDeniedException",
        "ada",
    )
    assert (denied["AccessKeyId"], denied["ReadOnly"], denied["SourceIPAddress"]) == (ada[0], False, "127.0.0.1")
    assert denied["Resources"] == [{"ResourceType": "AWS::IAM::User", "ResourceName": user_arn("nobody")}]
    whole = json.loads(denied["CloudTrailEvent"])
    assert (whole["eventID"], whole["requestID"]) == (denied["EventId"], denied["RequestId"])
    assert found(server, EventId=denied["EventId"]) == [denied]
    assert found(server, RequestId=denied["RequestId"]) == [denied]
    assert found(server, ResourceName="user/nobody", EventName="DeleteUser") == [denied]
    assert found(server, Text="USER/NOBODY", ReadOnly=False) == [denied]
    assert found(server, Text="user/nobody", ReadOnly=True, Outcome="Denied") == []
    (study,) = found(server, Uid=UID)
    assert study["ErrorCode"] == "ResourceNotFoundException"
    assert found(server, Uid=UID[:-1]) == []


def test_events_are_found_by_their_time(server: ServerProcess, ada: tuple[str, str]) -> None:
    del ada
    (denied,) = found(server, Caller="ada", Outcome="Denied")
    at = denied["EventTime"]
    assert denied in found(server, StartTime=at, Caller="ada")
    assert denied not in found(server, EndTime=at, Caller="ada")
    later = time.strftime("%Y-%m-%dT%H:%M:%S+01:00", time.gmtime(time.time() + 3600 + 60))
    assert denied in found(server, EndTime=later, Caller="ada")
    assert found(server, StartTime=later) == []


def test_pages_hold_every_record_once(server: ServerProcess, ada: tuple[str, str]) -> None:
    del ada
    before = {record["eventID"] for record in records(server)}
    events = found(server, MaxResults=3)
    ids = [event["EventId"] for event in events]
    assert len(set(ids)) == len(ids)
    assert before <= set(ids)
    times = [event["EventTime"] for event in events]
    assert times == sorted(times, reverse=True)
    token = administer(server, "LookupEvents", MaxResults=1)["NextToken"]
    told = refused(server, "LookupEvents", Caller="ada", NextToken=token)
    assert "NextToken must be what" in told[2]


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"StartTime": "yesterday"}, "StartTime must be a time with its offset"),
        ({"StartTime": "2026-03-14T12:00:00"}, "StartTime must be a time with its offset"),
        ({"Outcome": "Failure"}, "Outcome must be one of Succeeded, Failed, Denied"),
        ({"Text": ""}, "Text must have 1 to 256 characters"),
        ({"Caller": "a\nb"}, "no control characters"),
        ({"MaxResults": 1001}, "MaxResults must be 1 to 1000"),
        ({"ReadOnly": "true"}, "ReadOnly must be true or false"),
        ({"NextToken": "made-up"}, "NextToken must be what"),
        ({"EventSource": "iam"}, "There is no member EventSource"),
    ],
)
def test_what_cannot_be_looked_up_is_said(server: ServerProcess, members: dict[str, Any], said: str) -> None:
    status, code, message = refused(server, "LookupEvents", **members)
    assert (status, code) == (400, "ValidationException")
    assert said in message


def test_who_may_look_may_not_verify(server: ServerProcess, world: UsersAndRoles) -> None:
    nobody = world.some_user(allow("medical-imaging:*"))
    told = refused(server, "LookupEvents", nobody)
    assert (told[0], "cloudtrail:LookupEvents on resource: *" in told[2]) == (403, True)
    reader = world.some_user(allow("cloudtrail:LookupEvents"))
    administer(server, "LookupEvents", reader)
    told = refused(server, "VerifyTrail", reader)
    assert (told[0], "hounsfield:VerifyAuditTrail on resource: *" in told[2]) == (403, True)
    administer(server, "VerifyTrail", world.some_user(allow("hounsfield:VerifyAuditTrail")))


def test_the_record_of_a_look_up_does_not_say_what_was_looked_for(server: ServerProcess) -> None:
    answer = call(server, "LookupEvents", Text="Müller", Uid=UID, Caller="ada")
    record = record_of(server, answer.headers["x-amzn-requestid"])
    assert (record["eventSource"], record["eventName"]) == ("cloudtrail.amazonaws.com", "LookupEvents")
    assert record["requestParameters"] == {"caller": "ada", "uid": HIDDEN, "text": HIDDEN}
    assert (record["readOnly"], record["responseElements"]) == (True, None)
    assert "Müller".encode() not in audit_bytes(server)
    verified = record_of(server, call(server, "VerifyTrail").headers["x-amzn-requestid"])
    assert verified["readOnly"] is True


def verified(server: ServerProcess) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Verify to the end; gives the last answer, and what all steps found."""
    findings, token = [], {}
    while True:
        answer = administer(server, "VerifyTrail", **token)
        findings += answer["Findings"]
        if answer["Complete"]:
            return answer, findings
        token = {"NextToken": answer["NextToken"]}


def test_a_trail_is_verified_and_a_change_is_told(server: ServerProcess, ada: tuple[str, str]) -> None:
    del ada
    for _ in range(40):
        administer(server, "ListUsers")
    wait_for(lambda: len(list((server.data / "audit").glob("*-api-*.000002.jsonl"))) > 0, "a second file")
    answer, findings = verified(server)
    assert (answer["Intact"], findings) == (True, [])
    assert answer["Records"] > 40
    assert 0 < answer["Bytes"] <= answer["TotalBytes"]
    told = refused(server, "VerifyTrail", NextToken="made-up")
    assert "NextToken must be what" in told[2]
    files = sorted((server.data / "audit").glob("*-api-*.jsonl"))
    path = next(path for path in files if b"ListUsers" in path.read_bytes())
    path.write_bytes(path.read_bytes().replace(b"ListUsers", b"ListUserz", 1))
    answer, (finding,) = verified(server)
    assert answer["Intact"] is False
    assert finding["Problem"] is True
    assert finding["Place"].startswith(f"{path.name}:")
    assert "was changed" in finding["Text"]
