"""Results of an import job: its output files, read back from where it wrote them.

    <output>/job-output-manifest.json ─▶ read_manifest ─▶ numbers of files and image sets
    <output>/FAILURE/failure.ndjson   ─▶ read_results  ─▶ some lines, and where the next begin

What is there may have been changed since, or removed: the bucket is not ours alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any, Final

import orjson

from hounsfield.imaging.errors import InvalidRequestError, NotFoundError
from hounsfield.imaging.imports.jobs import ImportJob
from hounsfield.imaging.imports.output_files import MANIFEST, RESULT_FILES, ResultKind
from hounsfield.storage.buckets.buckets import BucketError, Buckets, ObjectReader, S3Uri

_MOST_MANIFEST_BYTES: Final = 64 * 1024 * 1024
_BLOCK_BYTES: Final = 1024 * 1024
_MOST_SCANNED_BYTES: Final = 16 * 1024 * 1024
"""What one page reads at most, however few lines are found in it."""


@dataclass(frozen=True, slots=True)
class ResultPage:
    """Some lines of an output file.

    Attributes
    ----------
    results : list of Mapping
        The lines, each a JSON object as the job wrote it.
    end : int or None
        Offset in bytes at which the next page begins; None when there is no more.
    """

    results: list[Mapping[str, Any]]
    end: int | None


def manifest_uri(job: ImportJob) -> S3Uri:
    """Return where the manifest of a job is."""
    return S3Uri.parse(f"{job.output_uri}{MANIFEST}")


def result_uri(job: ImportJob, kind: ResultKind) -> S3Uri:
    """Return where the lines of a kind are."""
    return S3Uri.parse(f"{job.output_uri}{RESULT_FILES[kind]}")


def read_manifest(buckets: Buckets, job: ImportJob) -> Mapping[str, Any]:
    """Return the summary of a job as its manifest has it.

    Raises
    ------
    NotFoundError
        There is none: the job has not ended, could not write it, or somebody removed it.
    InvalidRequestError
        It cannot be read, or is not what a job writes.
    """
    with _opened(buckets, manifest_uri(job)) as manifest:
        if manifest is None:
            raise NotFoundError(f"import job {job.id} has no manifest in its output location")
        content = manifest.read(0, min(manifest.size, _MOST_MANIFEST_BYTES))
    try:
        summary = orjson.loads(content)["jobSummary"]
    except (ValueError, KeyError, TypeError):
        summary = None
    if not isinstance(summary, dict):
        raise _not_written_by_a_job()
    return summary


def read_results(
    buckets: Buckets, job: ImportJob, kind: ResultKind, *, contains: str, after: int, limit: int
) -> ResultPage:
    """Read some lines of an output file of a job.

    Parameters
    ----------
    buckets : Buckets
        Where the file is.
    job : ImportJob
        Whose file.
    kind : ResultKind
        Which one.
    contains : str
        What a line must say somewhere, in any case; empty for all lines.
    after : int
        Where the page before this one ended, in bytes; 0 at first.
    limit : int
        At most so many lines. There may be fewer, though there is more: no page reads more than 16 MiB.

    Raises
    ------
    NotFoundError
        There is no such file, though the job wrote one.
    InvalidRequestError
        It cannot be read, or is not what a job writes.
    """
    with _opened(buckets, result_uri(job, kind)) as reader:
        if reader is not None:
            return _read_page(reader, contains.casefold(), after, limit)
    if kind is ResultKind.WARNING:
        # A job that warned of nothing writes no such file.
        return ResultPage([], None)
    raise NotFoundError(f"import job {job.id} has no file {RESULT_FILES[kind]} in its output location")


def _read_page(reader: ObjectReader, contains: str, after: int, limit: int) -> ResultPage:
    found: list[Mapping[str, Any]] = []
    at, last = after, min(reader.size, after + _MOST_SCANNED_BYTES)
    while at < last and len(found) < limit:
        for line in _read_lines(reader, at):
            at += len(line)
            entry = _entry(line)
            if not contains or contains in _text(entry):
                found.append(entry)
                if len(found) == limit:
                    break
    return ResultPage(found, at if at < reader.size else None)


def _read_lines(reader: ObjectReader, at: int) -> list[bytes]:
    """Read the whole lines of one block that begins with a line."""
    block = reader.read(at, _BLOCK_BYTES)
    whole = len(block) if at + len(block) >= reader.size else block.rfind(b"\n") + 1
    if whole == 0:
        raise _not_written_by_a_job()
    return block[:whole].splitlines(keepends=True)


def _entry(line: bytes) -> Mapping[str, Any]:
    try:
        entry = orjson.loads(line)
    except ValueError:
        entry = None
    if not isinstance(entry, dict):
        raise _not_written_by_a_job()
    return entry


def _text(value: object) -> str:
    """Return all that an entry says, for what is searched in it."""
    if isinstance(value, dict):
        return "\n".join(map(_text, value.values()))
    if isinstance(value, list):
        return "\n".join(map(_text, value))
    return str(value).casefold()


def _not_written_by_a_job() -> InvalidRequestError:
    return InvalidRequestError("the file in the output location is not what an import job writes")


@contextmanager
def _opened(buckets: Buckets, uri: S3Uri) -> Iterator[ObjectReader | None]:
    """Open an output file, None where there is none."""
    try:
        bucket = buckets.open(uri.bucket)
        entry = bucket.find(uri.key)
        if entry is None:
            yield None
            return
        with closing(bucket.open(entry)) as reader:
            yield reader
    except BucketError as error:
        raise InvalidRequestError(f"the output location cannot be read: {error}") from error
