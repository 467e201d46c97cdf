"""Results of import jobs as the console shows and hands them out, from the job's output files.

ListImportJobResults ─▶ lines ─┬─▶ table
                               └─▶ download: JSON lines as the job wrote them, or CSV for spreadsheets
"""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import orjson

from hounsfield.console.calls import ApiError
from hounsfield.console.downloads import MadeDownload
from hounsfield.console.visit import Visit

_A_PAGE: Final = 50
_MOST_AT_ONCE: Final = 1000
_LONGEST_TEXT: Final = 256
_NOTHING_DICOM: Final = "DICOM attributes does not exist"
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


class Kind(StrEnum):
    """Kinds of results, as the API has them."""

    FAILURE = "FAILURE"
    WARNING = "WARNING"
    SUCCESS = "SUCCESS"


@dataclass(frozen=True, slots=True)
class ResultsQuery:
    """What is looked for among the results of a job.

    Attributes
    ----------
    datastore_id, job_id : str
        The job.
    kind : Kind
        The kind of results.
    contains : str
        What a result must say somewhere; empty for all.
    """

    datastore_id: str
    job_id: str
    kind: Kind
    contains: str

    async def read(self, visit: Visit, token: str | None, most: int) -> Mapping[str, Any]:
        """Read one page; raises `ApiError`."""
        found: Mapping[str, Any] = await visit.calls.administration(
            "ListImportJobResults",
            DatastoreId=self.datastore_id,
            JobId=self.job_id,
            Kind=self.kind,
            Contains=self.contains[:_LONGEST_TEXT] or None,
            MaxResults=most,
            NextToken=token or None,
        )
        return found


@dataclass(frozen=True, slots=True)
class Results:
    """A page of results.

    Attributes
    ----------
    lines : sequence of Result
        The results.
    next_page : str or None
        Token of the next page.
    error : ApiError or None
        Why there are none.
    """

    lines: Sequence[Result] = ()
    next_page: str | None = None
    error: ApiError | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a file.

    Attributes
    ----------
    file : str
        Its key in the bucket.
    words : str
        Why it failed, or what is warned of; empty where all is well.
    code : str
        Name of the error, or codes of the warnings.
    image_set_id, version, is_primary
        Where it went; empty, empty and None for a file that failed.
    """

    file: str
    words: str
    code: str
    image_set_id: str
    version: str
    is_primary: bool | None

    @property
    def is_no_dicom(self) -> bool:
        """Whether the message means that the file is not DICOM at all; its words are those of AWS."""
        return self.words == _NOTHING_DICOM

    @classmethod
    def of(cls, line: Mapping[str, Any]) -> Result:
        """Return what a line of an output file tells."""
        exception, response = line.get("exception") or {}, line.get("importResponse") or {}
        warnings = response.get("warnings") or ()
        return cls(
            str(line.get("inputFile", "")),
            str(exception.get("message", "")) or " ".join(str(one.get("message", "")) for one in warnings),
            str(exception.get("exceptionType", "")) or " ".join(_code(one) for one in warnings),
            str(response.get("imageSetId", "")),
            str(response.get("imageSetVersion", "")),
            response.get("isPrimary"),
        )


def _code(warning: Mapping[str, Any]) -> str:
    return f"0x{int(warning.get('warning_reason_code', 0)):04X}"


async def read_results(visit: Visit, wanted: ResultsQuery, token: str | None) -> Results:
    """Return a page of results, or why there is none."""
    try:
        found = await wanted.read(visit, token, _A_PAGE)
    except ApiError as error:
        return Results(error=error)
    return Results([Result.of(line) for line in found["Results"]], found.get("NextToken"))


async def download_results(visit: Visit, wanted: ResultsQuery, *, as_csv: bool) -> MadeDownload:
    """Return all results as a file, read page by page while it is sent; raises `ApiError` before the first line.

    In CSV, a text that a spreadsheet would take for a formula has an apostrophe before it: names of files are anybody's.
    """
    first = await wanted.read(visit, None, _MOST_AT_ONCE)

    async def lines() -> AsyncIterator[bytes]:
        page = first
        if as_csv:
            yield _csv([["file", "message", "code", "imageSetId", "version", "isPrimary"]])
        while True:
            found = page["Results"]
            if as_csv:
                yield _csv([_row(Result.of(line)) for line in found])
            else:
                yield b"".join(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in found)
            token = page.get("NextToken")
            if token is None:
                return
            page = await wanted.read(visit, token, _MOST_AT_ONCE)

    suffix, media_type = ("csv", "text/csv; charset=utf-8") if as_csv else ("ndjson", "application/x-ndjson")
    name = f"import-{wanted.job_id}-{wanted.kind.lower()}.{suffix}"
    return MadeDownload(lines(), media_type, name)


def _row(result: Result) -> Sequence[str]:
    primary = "" if result.is_primary is None else str(result.is_primary).lower()
    texts = (result.file, result.words, result.code, result.image_set_id, result.version, primary)
    return [f"'{text}" if text.startswith(_FORMULA) else text for text in texts]


def _csv(rows: Sequence[Sequence[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode("utf-8", "replace")
