"""Results of an import job, read back by pages from where anybody may have written since."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hounsfield.imaging.errors import InvalidRequestError, NotFoundError
from hounsfield.imaging.imports.jobs import ImportJob, JobStatus
from hounsfield.imaging.imports.output_files import ResultKind
from hounsfield.imaging.imports.results import read_manifest, read_results
from hounsfield.storage.buckets.buckets import Buckets

NOW = datetime(2026, 3, 14, tzinfo=UTC)
JOB = ImportJob(
    "1" * 32, "2" * 32, None, JobStatus.COMPLETED, "arn", "s3://in/", "s3://results/job/", None, NOW, NOW
)  # fmt: skip


@pytest.fixture
def output(tmp_path: Path) -> Path:
    folder = tmp_path / "results" / "job"
    for kind in ResultKind:
        (folder / kind.value).mkdir(parents=True)
    return folder


@pytest.fixture
def buckets(tmp_path: Path) -> Buckets:
    return Buckets(str(tmp_path))


def failed(number: int) -> dict[str, object]:
    exception = {"exceptionType": "ValidationException", "message": f"Größe {number % 7}"}
    return {"inputFile": f"folder/file {number}.dcm", "exception": exception}


def read(buckets: Buckets, limit: int, contains: str = "") -> list[object]:
    found: list[object] = []
    after: int | None = 0
    while after is not None:
        page = read_results(buckets, JOB, ResultKind.FAILURE, contains=contains, after=after, limit=limit)
        assert len(page.results) <= limit
        found += page.results
        after = page.end
    return found


@pytest.mark.parametrize("limit", [1, 7, 100, 20_000])
def test_lines_are_read_by_pages(output: Path, buckets: Buckets, limit: int) -> None:
    # More than a block, so that a line lies across its end.
    lines = [failed(number) for number in range(15_000 if limit > 50 else 50)]
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    (output / "FAILURE" / "failure.ndjson").write_text(text, encoding="utf-8")
    assert read(buckets, limit) == lines
    assert read(buckets, limit, "GRÖSSE 3") == [line for number, line in enumerate(lines) if number % 7 == 3]
    assert read(buckets, limit, "inputFile") == []


def test_no_lines_are_no_results(output: Path, buckets: Buckets) -> None:
    (output / "FAILURE" / "failure.ndjson").write_bytes(b"")
    assert read(buckets, 10) == []
    assert read_results(buckets, JOB, ResultKind.WARNING, contains="", after=0, limit=10).results == []


@pytest.mark.parametrize(
    "content", [b"rubbish\n", b"[]\n", b'{"a": 1', b"\xff\xfe\n", b"\n", b"x" * (2 << 20), b'{"a": "\n"}\n']
)
def test_what_no_job_wrote_is_refused(output: Path, buckets: Buckets, content: bytes) -> None:
    (output / "FAILURE" / "failure.ndjson").write_bytes(content)
    with pytest.raises(InvalidRequestError, match="not what an import job writes"):
        read(buckets, 10)


def test_what_is_gone_is_told(output: Path, buckets: Buckets) -> None:
    with pytest.raises(NotFoundError, match=r"has no file FAILURE/failure\.ndjson"):
        read(buckets, 10)
    with pytest.raises(NotFoundError, match="has no manifest"):
        read_manifest(buckets, JOB)
    (output / "FAILURE" / "failure.ndjson").symlink_to("/etc/passwd")
    with pytest.raises(InvalidRequestError, match="symbolic link"):
        read(buckets, 10)
    with pytest.raises(InvalidRequestError, match="does not exist"):
        read_manifest(Buckets(str(output)), JOB)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"jobSummary": 1}', b"\xff"])
def test_a_manifest_that_no_job_wrote_is_refused(output: Path, buckets: Buckets, content: bytes) -> None:
    (output / "job-output-manifest.json").write_bytes(content)
    with pytest.raises(InvalidRequestError, match="not what an import job writes"):
        read_manifest(buckets, JOB)


def test_the_summary_of_the_manifest_is_read(output: Path, buckets: Buckets) -> None:
    (output / "job-output-manifest.json").write_text('{"jobSummary": {"numberOfScannedFiles": 3}}')
    assert read_manifest(buckets, JOB) == {"numberOfScannedFiles": 3}
