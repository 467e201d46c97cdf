"""Look-up in the audit trail: every record once, newest first, whatever the pages and whatever is written meanwhile."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hounsfield.audit import backwards
from hounsfield.audit.chain_files import chain_files
from hounsfield.audit.chain_writer import ChainWriter
from hounsfield.audit.find import Outcome, RecordFilter
from hounsfield.audit.lookup import Place, look_up_records
from support.examples import examples

KEY = bytes(range(32))
NOON = (datetime.now(UTC) + timedelta(days=1)).replace(hour=12, minute=0, second=0, microsecond=0)
"""Tomorrow: files tell when they were opened, and no record is older than its file."""
TODAY = f"{NOON:%Y-%m-%d}"
ARN = "arn:aws:medical-imaging:us-east-1:000000000000:datastore/0123456789abcdef0123456789abcdef"


def time_of(seconds: int) -> str:
    return f"{NOON + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%SZ}"


def record(number: int, seconds: int, **members: Any) -> bytes:
    content = {
        "userIdentity": {"type": "IAMUser", "userName": "ada", "arn": "arn:aws:iam::000000000000:user/ada"},
        "eventTime": time_of(seconds),
        "eventName": "GetImageFrame",
        "requestParameters": None,
        "requestID": f"request-{number}",
        "readOnly": True,
        "resources": [{"ARN": ARN}],
        **members,
    }
    return json.dumps(content, separators=(",", ":")).encode()


def pages(folder: Path, wanted: RecordFilter, limit: int, most_bytes: int = 1 << 30) -> Iterator[list[str]]:
    """Yield the request ids of each page."""
    place: Place | None = None
    while True:
        found = look_up_records(folder, wanted, after=place, limit=limit, most_bytes=most_bytes)
        assert len(found.records) <= limit
        yield [json.loads(body)["requestID"] for body in found.records]
        if found.end is None:
            return
        place = found.end


def everything(folder: Path, wanted: RecordFilter, limit: int = 1000) -> list[str]:
    return [request for page in pages(folder, wanted, limit) for request in page]


STEPS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 40)), min_size=1, max_size=40)
"""Which process writes, how many seconds after the one before, and how long its call took."""


@settings(max_examples=examples(150), deadline=None)
@given(
    STEPS,
    st.integers(1, 7),
    st.sampled_from([1, 700, 5000, 1 << 30]),
    st.sampled_from([400, 1500, 256 * 1024]),
    st.booleans(),
)
def test_every_record_is_found_once(
    steps: list[tuple[int, int, int]], limit: int, most_bytes: int, block: int, is_before: bool
) -> None:
    """Also of calls that began before the files were opened that their records are in."""
    with tempfile.TemporaryDirectory() as made, pytest.MonkeyPatch.context() as patched:
        patched.setattr(backwards, "_BLOCK_BYTES", block)
        folder = Path(made)
        writers = [ChainWriter(folder, KEY, "api", file_bytes=2500, file_seconds=3600) for _ in range(3)]
        second, written = -3 * 86_400 if is_before else 0, []
        for number, (writer, pause, took) in enumerate(steps):
            second += pause
            writers[writer].add([record(number, second - took)])
            writers[writer].sync()
            written.append(f"request-{number}")
        found, page = [], None
        while page is None or page.end is not None:
            after = None if page is None else page.end
            page = look_up_records(folder, RecordFilter(), after=after, limit=limit, most_bytes=most_bytes)
            found += [json.loads(body)["requestID"] for body in page.records]
            # What is written while somebody reads on is in none of the pages.
            writers[0].add([record(1000, second + 10 * 86_400)])
            writers[0].sync()
        assert sorted(name for name in found if name != "request-1000") == sorted(written)
        assert "request-1000" not in found
        if not (is_before or any(took for _, _, took in steps)):
            times = [int(name.removeprefix("request-")) for name in found]
            seconds = [sum(step[1] for step in steps[: number + 1]) for number in times]
            assert seconds == sorted(seconds, reverse=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trail of two processes, of five records each, one a minute."""
    folder = tmp_path_factory.mktemp("trail")
    writers = [ChainWriter(folder, KEY, "api", file_bytes=900, file_seconds=3600) for _ in range(2)]
    for number in range(10):
        more: dict[str, Any] = {}
        if number == 3:
            more = {"errorCode": "AccessDeniedException", "errorMessage": 'User "ada" may not'}
        if number == 4:
            more = {"errorCode": "ValidationException", "errorMessage": "Größe"}
        if number == 5:
            more = {"eventName": "DeleteImageSet", "readOnly": False, "requestParameters": {"imageSetId": "f" * 32}}
        writers[number % 2].add([record(number, 60 * number, **more)])
        writers[number % 2].sync()
    for writer in writers:
        writer.close()
    assert len(list(chain_files(folder))) > 4
    return folder


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (RecordFilter(), "9876543210"),
        (RecordFilter(event="DeleteImageSet"), "5"),
        (RecordFilter(event="Delete"), ""),
        (RecordFilter(caller="ada"), "9876543210"),
        (RecordFilter(caller="bob"), ""),
        (RecordFilter(resource="0123456789abcdef"), "9876543210"),
        (RecordFilter(request_id="request-7"), "7"),
        (RecordFilter(outcome=Outcome.FAILED), "43"),
        (RecordFilter(outcome=Outcome.DENIED), "3"),
        (RecordFilter(outcome=Outcome.SUCCEEDED), "98765210"),
        (RecordFilter(read_only=False), "5"),
        (RecordFilter(text='"ADA" may'), "3"),
        (RecordFilter(text="größe"), "4"),
        (RecordFilter(text="FFFFFFFF"), "5"),
        (RecordFilter(text='"eventName":"'), ""),
        (RecordFilter(since=time_of(420)), "987"),
        (RecordFilter(until=time_of(120)), "10"),
        (RecordFilter(since=time_of(120), until=time_of(240)), "32"),
        (RecordFilter(since=TODAY), "9876543210"),
        (RecordFilter(until=TODAY), ""),
        (RecordFilter(since="2100"), ""),
    ],
)
def test_records_are_found_by_what_they_say(folder: Path, wanted: RecordFilter, expected: str) -> None:
    names = [f"request-{number}" for number in expected]
    assert everything(folder, wanted) == names
    assert [name for page in pages(folder, wanted, 2) for name in page] == names


def test_a_page_reads_no_more_than_it_may_and_goes_on(folder: Path) -> None:
    found = list(pages(folder, RecordFilter(event="DeleteImageSet"), 5, most_bytes=600))
    assert len(found) > 3
    assert [name for page in found for name in page] == ["request-5"]


def test_a_file_that_is_removed_meanwhile_is_passed_over(folder: Path, tmp_path: Path) -> None:
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    first = look_up_records(tmp_path, RecordFilter(), limit=2)
    for file in list(chain_files(tmp_path)):
        file.path.unlink()
    assert look_up_records(tmp_path, RecordFilter(), after=first.end).records == []


def test_lines_that_are_no_records_are_passed_over(folder: Path, tmp_path: Path) -> None:
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    last = sorted(chain_files(tmp_path))[-1].path
    last.write_bytes(last.read_bytes() + b'\xff"eventTime":"2026-03-14T12:00:00Z"\n{"eventTime":"\xff\n\nhalf a line')
    assert everything(tmp_path, RecordFilter()) == everything(folder, RecordFilter())
