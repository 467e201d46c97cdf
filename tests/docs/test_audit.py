"""The pages on the audit trail: what they show works, and the fields they name are those of records."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hounsfield.audit.cloudtrail_record import RecordBuilder
from hounsfield.audit.events import AuditEvent, Category, EventType, Failure, Origin
from hounsfield.iam.principals import root_of
from hounsfield.settings import load_settings
from hounsfield.settings.audit_on_failure import AuditFailureMode
from support.audit_trail import record_of
from support.doc_pages import Page
from support.programs import path_of_programs
from support.servers import ServerProcess

PAGE = Page.of("docs/reference/audit-record.md")
TRAIL = Page.of("docs/how-to/audit-trail.md")
CALL = AuditEvent(
    name="GetImageFrame",
    source="medical-imaging.amazonaws.com",
    time=0.0,
    origin=Origin("127.0.0.1", "client", "host", tls=True),
    category=Category.DATA,
    read_only=True,
    principal=root_of("aws", "000000000000"),
    request_id="1",
    failure=Failure("AccessDeniedException", "no"),
    resources=["arn:aws:medical-imaging:us-east-1:000000000000:datastore/1"],
    additional={"bytesTransferredOut": 1},
    details={"of": "service events"},
)


def test_the_table_has_the_fields_of_records_in_their_order() -> None:
    record = json.loads(RecordBuilder("000000000000", "us-east-1").record(CALL))
    assert [row["field"].strip("`") for row in PAGE.section("## Fields").rows("field")] == list(record)


def test_the_events_of_the_service_are_listed() -> None:
    text = PAGE.section("## What is recorded").text
    sources = [path.read_text() for path in Path(sys.modules["hounsfield"].__path__[0]).rglob("*.py")]
    ended = ("ImportJobCompleted", "ImportJobFailed", "ImageSetStorageReleased", "VerificationCompleted")
    for name in (*ended, "AuditRecordsLost", "UnprovenCallsCounted"):
        assert f"`{name}`" in text
        assert any(f'"{name}"' in source for source in sources)
    assert EventType.SERVICE == "AwsServiceEvent"


def test_the_values_of_the_policy_are_listed() -> None:
    rows = PAGE.section("## Files and durability").rows("value")
    assert [row["value"].strip("`") for row in rows] == [value.value for value in AuditFailureMode]


def test_the_settings_for_shipping_are_settings(tmp_path: Path) -> None:
    config = tmp_path / "hounsfield.toml"
    config.write_text(TRAIL.section("## Deliver to a bucket").block("toml"))
    assert load_settings({"HOUNSFIELD_CONFIG": str(config)}).audit_s3_uri == "s3://audit-bucket/hounsfield"


@pytest.mark.parametrize("position", range(4))
def test_the_commands_work_as_they_stand_there(server: ServerProcess, client: Any, position: int) -> None:
    command = TRAIL.block("sh").splitlines()[position].replace("--data data", f"--data {server.data}")
    answer = client.list_datastores()
    record_of(server, answer["ResponseMetadata"]["RequestId"])
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("HOUNSFIELD_")},
        "PATH": path_of_programs(),
        "IMAGE_SET": "0f" * 16,
    }
    done = subprocess.run(
        ["bash", "-ec", command], env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    if "tail" in command:
        assert "ListDatastores" in done.stdout
    if "verify" in command:
        assert "intact" in done.stdout
