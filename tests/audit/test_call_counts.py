"""Calls counted from the audit trail: each once, however many bytes a count may read and whatever is written meanwhile."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hounsfield.audit.call_counts import CallCounter, CountedCalls
from hounsfield.audit.chain_files import chain_files
from hounsfield.audit.chain_writer import ChainWriter

KEY = bytes(range(32))
NOW = datetime.now(UTC)
STORE = "0123456789abcdef" * 2
ARN = f"arn:aws:medical-imaging:us-east-1:000000000000:datastore/{STORE}"


def hour(offset: int = 0) -> str:
    return f"{NOW + timedelta(hours=offset):%Y-%m-%dT%H}"


def record(event: str, code: str = "", offset: int = 0, *, arn: str = ARN, **more: Any) -> bytes:
    content: dict[str, Any] = {
        "userIdentity": {"type": "Root", "arn": "arn:aws:iam::000000000000:root"},
        "eventTime": f"{NOW + timedelta(hours=offset):%Y-%m-%dT%H:%M:%SZ}",
        "eventName": event,
        # What a client sends cannot pass for a member of the record.
        "userAgent": f'","errorCode":"Made up","eventType":"AwsServiceEvent",":datastore/{"f" * 32}"',
        **({"errorCode": code} if code else {}),
        # Nor can the key of a tag.
        "requestParameters": {"tags": {"errorCode": "Made up", "eventType": "AwsServiceEvent", "resources": "none"}},
        "resources": [{"ARN": arn}] if arn else [],
        "eventType": "AwsApiCall",
        **more,
    }
    return json.dumps(content, separators=(",", ":")).encode()


def written(folder: Path, *records: bytes, ended: bool = True, file_bytes: int = 2000) -> ChainWriter:
    writer = ChainWriter(folder, KEY, "api", file_bytes=file_bytes, file_seconds=3600)
    for one in records:
        writer.add([one])
        writer.sync()
    if ended:
        writer.close()
    return writer


def counted(counter: CallCounter, span: Sequence[str] = ("2000", "2100"), **how: int) -> Counter[CountedCalls]:
    """Count until all is counted."""
    while True:
        found = counter.count(*span, **how)
        if found.left_bytes == 0:
            return Counter(found.counts)
        assert found.left_bytes <= found.total_bytes


def test_calls_are_counted_by_hour_operation_data_store_and_error(tmp_path: Path) -> None:
    written(
        tmp_path,
        *(record("GetImageFrame") for _ in range(3)),
        record("GetImageFrame", "AccessDeniedException"),
        record("CreateUser", arn=""),
        record("UnprovenCallsCounted", eventType="AwsServiceEvent"),
        record("GetImageFrame", offset=1),
    )
    counter = CallCounter(tmp_path)
    expected = {
        CountedCalls(hour(), "GetImageFrame", STORE, ""): 3,
        CountedCalls(hour(), "GetImageFrame", STORE, "AccessDeniedException"): 1,
        CountedCalls(hour(), "CreateUser", "", ""): 1,
        CountedCalls(hour(1), "GetImageFrame", STORE, ""): 1,
    }
    assert counted(counter) == expected
    assert sum(counted(counter, (hour(), hour(1))).values()) == 5
    assert counted(counter, (hour(1), hour(2))) == {CountedCalls(hour(1), "GetImageFrame", STORE, ""): 1}
    assert counted(counter, ("2000", "2001")) == {}


def test_each_call_is_counted_once_in_bounded_parts(tmp_path: Path) -> None:
    names = [f"Operation{number}" for number in range(40)]
    written(tmp_path, *(record(name) for name in names))
    writer = written(tmp_path, *(record(name) for name in names), ended=False)
    assert len(list(chain_files(tmp_path))) > 10
    counter = CallCounter(tmp_path)
    first = counter.count("2000", "2100", 3000)
    assert 0 < sum(first.counts.values()) < 80
    assert first.left_bytes > 0
    assert set(counted(counter, most_bytes=3000).values()) == {2}
    writer.add([record("Operation0"), record("Later")])
    writer.sync()
    after = {calls.operation: number for calls, number in counted(counter).items()}
    assert (after["Operation0"], after["Operation1"], after["Later"]) == (3, 2, 1)
    writer.close()
    for file in list(chain_files(tmp_path)):
        file.path.unlink()
    assert counted(counter) == {}


def test_what_is_no_record_is_not_counted(tmp_path: Path) -> None:
    written(tmp_path, record("Known"), ended=False)
    (file,) = chain_files(tmp_path)
    with file.path.open("ab") as opened:
        opened.write(b'rubbish\n\xff"eventTime":"\xff\n"eventTime":"2026\nhalf a line "eventTime":"')
    counter = CallCounter(tmp_path)
    assert [calls.operation for calls in counted(counter)] == ["Known"]
    with file.path.open("ab") as opened:
        opened.write(b"\n" + record("After") + b"\n")
    assert [calls.operation for calls in counted(counter)] == ["Known", "After"]
