"""What becomes of calls while the audit trail cannot be written, and what is told of records that were lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hounsfield.audit.chain_writer import ChainWriter
from hounsfield.audit.cloudtrail_record import RecordBuilder
from hounsfield.audit.events import AuditEvent, Category, Failure, Origin
from hounsfield.audit.trail import NotRecordedError, Trail
from hounsfield.audit.unknown_callers import UnknownCallers
from hounsfield.audit.verify import verify
from hounsfield.aws.protocol.errors import ServiceUnavailableException
from hounsfield.gateway.audit_record import CallRecord, Recorder
from hounsfield.settings.audit_on_failure import AuditFailureMode
from support.faults.unwritable_disk import put_back, take_away
from support.servers import wait_for

KEY = bytes(32)
CAPACITY = 50
SCOPE = {"type": "http", "headers": [], "query_string": b"", "client": ("127.0.0.1", 1), "scheme": "http"}
EVENT = AuditEvent("ListDatastores", "service", 0.0, Origin("127.0.0.1"), Category.MANAGEMENT, read_only=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "audit"


@pytest.fixture
def trail(folder: Path) -> Iterator[Trail]:
    chain = ChainWriter(folder, KEY, "api", file_bytes=1, file_seconds=3600)
    trail = Trail(chain, RecordBuilder("000000000000", "us-east-1"), "service", UnknownCallers(1), capacity=CAPACITY)
    trail.start()
    yield trail
    trail.stop()


def broken(folder: Path, trail: Trail) -> Path:
    """Let the disk take nothing from now on."""
    away = take_away(folder)

    def fails() -> bool:
        trail.put(EVENT)
        return not trail.is_ready

    wait_for(fails, "the trail to fail")
    return away


def mended(folder: Path, away: Path, trail: Trail) -> None:
    put_back(folder, away)
    wait_for(lambda: trail.is_ready, "the trail to work again")


def is_allowed(
    trail: Trail, policy: AuditFailureMode, operation: str, category: Category, *, data_events: bool = True
) -> bool:
    call = CallRecord(Recorder(trail, "service", "arn:", data_events=data_events, on_failure=policy), SCOPE)
    call.set_operation(operation, category, dict)
    try:
        call.require_recordable()
    except ServiceUnavailableException:
        return False
    return True


def test_calls_that_cannot_be_recorded_are_treated_as_the_setting_says(folder: Path, trail: Trail) -> None:
    data, management = Category.DATA, Category.MANAGEMENT
    for policy in AuditFailureMode:
        assert is_allowed(trail, policy, "DeleteImageSet", management)
    away = broken(folder, trail)
    assert not is_allowed(trail, AuditFailureMode.REFUSE, "GetImageFrame", data)
    assert not is_allowed(trail, AuditFailureMode.REFUSE, "ListDatastores", management)
    assert is_allowed(trail, AuditFailureMode.REFUSE, "GetImageFrame", data, data_events=False)
    assert not is_allowed(trail, AuditFailureMode.REFUSE_WRITES, "StoreDICOM", data)
    assert not is_allowed(trail, AuditFailureMode.REFUSE_WRITES, "DeleteImageSet", management)
    assert is_allowed(trail, AuditFailureMode.REFUSE_WRITES, "GetImageFrame", data)
    assert is_allowed(trail, AuditFailureMode.REFUSE_WRITES, "AssumeRole", management)
    assert is_allowed(trail, AuditFailureMode.CONTINUE, "DeleteImageSet", management)
    with pytest.raises(NotRecordedError):
        trail.put_durably(EVENT).result(120)
    mended(folder, away, trail)
    trail.put_durably(EVENT).result(120)


def test_records_that_were_lost_are_counted_and_told(folder: Path, trail: Trail) -> None:
    away = broken(folder, trail)
    put = 3 * CAPACITY
    for _ in range(put):
        trail.put(EVENT)
    mended(folder, away, trail)

    def told() -> list[dict[str, int]]:
        lines = [
            json.loads(line) for path in sorted(folder.glob("*-api-*.jsonl")) for line in path.read_bytes().splitlines()
        ]
        bodies = [line["body"] for line in lines if line["kind"] == "record"]
        return [body["serviceEventDetails"] for body in bodies if body["eventName"] == "AuditRecordsLost"]

    (lost,) = wait_for(told, "the loss to be recorded")
    assert put - CAPACITY <= lost["count"] <= put
    found = verify(folder, KEY)
    assert found.intact
    assert found.findings == []


def test_a_call_whose_details_cannot_be_written_is_recorded_without_them(folder: Path, trail: Trail) -> None:
    half = "\ud800"  # no text: it has no form in UTF-8
    failure = Failure("AccessDenied", f"not allowed on {half}")
    event = replace(EVENT, name="DeleteImageSet", read_only=False, parameters={"name": half}, failure=failure)
    trail.put_durably(event).result(30)
    trail.stop()
    assert verify(folder, KEY).intact
    lines = [json.loads(line) for path in sorted(folder.glob("*.jsonl")) for line in path.read_bytes().splitlines()]
    bodies = [line["body"] for line in lines if line["kind"] == "record"]
    (record,) = [body for body in bodies if body["eventName"] == "DeleteImageSet"]
    assert record["errorCode"] == "AccessDenied"
    assert record.get("requestParameters") is None
