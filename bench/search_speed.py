"""SearchImageSets over a million image sets: every filter in every order, late pages, values that half of all have.

search_corpus ─▶ tables ─▶ server ─▶ signed requests over one connection, 50 answers each
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import orjson

from bench.databases import on_each_database
from bench.report import Report, median, percentile
from bench.scale import Run
from bench.search_corpus import COMMON_STUDY_ID, DAY_MS, Series, fill
from bench.server import BenchmarkError, Server
from bench.signing import connect, post, signed_post
from hounsfield.imaging.levels import index_entry

LIMIT_MS = 20
LATE_PAGE_LIMIT = 1.5
PAGE = 50
_PAGES = 1000
_COMPARED_PAGES = 20
ORDERS = tuple(
    {"sortField": field, "sortOrder": order}
    for field in ("updatedAt", "createdAt", "DICOMStudyDateAndTime")
    for order in ("DESC", "ASC")
)

Filters = list[dict[str, Any]]


@dataclass(frozen=True)
class _Answer:
    milliseconds: float
    entries: list[dict[str, Any]]
    token: str | None


def run(setting: Run, report: Report) -> None:
    """Measure the embedded database, and PostgreSQL where the environment names an empty database."""
    on_each_database(setting, report, "search-speed", _measure)


def _measure(setting: Run, report: Report, server: Server, label: str) -> None:
    with server:
        datastore_id = server.datastore()
    image_store = server.image_store()
    series = fill(image_store, datastore_id, setting.scale.indexed_image_sets)
    image_store.database.close()
    report.note(f"{label}: {setting.scale.indexed_image_sets} image sets, {PAGE} answers a page, caches as they come")
    with server:
        searcher = Searcher(server, datastore_id)
        for name, (make, limit) in search_kinds().items():
            _figures(report, f"{label}: {name}", searcher, _chosen(series, setting.scale.searches), make, limit)
        for name, filters, order in _walks():
            _late_pages(report, f"{label}: {name}", searcher, filters, order)
        searcher.close()


def _chosen(series: Sequence[Series], count: int) -> list[Series]:
    return random.Random(7).choices(series, k=count)


class Searcher:
    """Sends searches over one connection."""

    def __init__(self, server: Server, datastore_id: str, page: int = PAGE) -> None:
        self._server = server
        self._path = f"/datastore/{datastore_id}/searchImageSets?maxResults={page}"
        self._connection = connect(server.url)

    def search(self, filters: Filters, order: Mapping[str, str], token: str | None = None) -> _Answer:
        path = self._path if token is None else f"{self._path}&nextToken={quote(token, safe='')}"
        request = signed_post(self._server, path, {"filters": filters, "sort": order} if filters else {"sort": order})
        seconds, body = post(self._connection, request)
        answer = orjson.loads(body)
        return _Answer(seconds * 1000, answer["imageSetsMetadataSummaries"], answer.get("nextToken"))

    def close(self) -> None:
        self._connection.close()


def _figures(
    report: Report,
    name: str,
    searcher: Searcher,
    series: Sequence[Series],
    make: Callable[[Series], Filters],
    limit: float | None,
) -> None:
    by_order = {}
    for order in ORDERS:
        times = []
        for one in series:
            filters = make(one)
            answer = searcher.search(filters, order)
            if not answer.entries or (len(answer.entries) < PAGE and answer.token):
                raise BenchmarkError(f"{name}: a search for what is there found {len(answer.entries)} image sets")
            times.append(answer.milliseconds)
        by_order[" ".join(order.values())] = times
    everything = [time for times in by_order.values() for time in times]
    slowest = max(by_order, key=lambda order: percentile(by_order[order], 99))
    report.figure(f"{name}, p50", median(everything), "ms")
    report.figure(f"{name}, p99", percentile(everything, 99), "ms", limit)
    report.details[name] = {order: {"p50": median(t), "p99": percentile(t, 99)} for order, t in by_order.items()}
    report.details[name]["slowest order"] = slowest


def _late_pages(report: Report, name: str, searcher: Searcher, filters: Filters, order: Mapping[str, str]) -> None:
    times: list[float] = []
    seen: set[str] = set()
    token = None
    while len(times) < _PAGES:
        answer = searcher.search(filters, order, token)
        times.append(answer.milliseconds)
        seen.update(entry["imageSetId"] for entry in answer.entries)
        token = answer.token
        if token is None:
            break
    if len(seen) <= PAGE * (len(times) - 1):
        raise BenchmarkError(f"{name}: {len(times)} pages hold only {len(seen)} image sets")
    part = min(_COMPARED_PAGES, len(times) // 2)
    early, late = median(times[:part]), median(times[-part:])
    report.figure(f"{name}, pages 1 to {part}, p50", early, "ms")
    report.figure(f"{name}, pages {len(times) - part + 1} to {len(times)}, p50", late, "ms")
    report.figure(f"{name}, late pages / early pages", late / early, "×", LATE_PAGE_LIMIT)


def search_kinds() -> dict[str, tuple[Callable[[Series], Filters], float | None]]:
    """Return for each kind of filter how it is made so that it finds a series, and its limit."""
    kinds: dict[str, tuple[Callable[[Series], Filters], float | None]] = {
        "no filter": (lambda _: [], LIMIT_MS),
        "isPrimary true": (lambda _: [_equal("isPrimary", value=True)], LIMIT_MS),
        "isPrimary false": (lambda _: [_equal("isPrimary", value=False)], LIMIT_MS),
        "DICOMStudyId of every second study": (lambda _: [_equal("DICOMStudyId", COMMON_STUDY_ID)], LIMIT_MS),
    }
    for member, field in _ATTRIBUTES.items():
        kinds[member] = (lambda one, member=member, field=field: [_equal(member, _indexed(one, field))], LIMIT_MS)  # type: ignore[misc]
    for days, limit in ((1, LIMIT_MS), (30, LIMIT_MS), (365, None)):
        for member in ("createdAt", "updatedAt", "DICOMStudyDateAndTime"):
            kinds[f"{member} within {days} day{'s' * (days > 1)}"] = (
                lambda one, member=member, days=days: [_within(member, one, days)],  # type: ignore[misc]
                limit,
            )
    kinds["DICOMSeriesInstanceUID and updatedAt"] = (
        lambda one: [_equal("DICOMSeriesInstanceUID", _indexed(one, "series_uid")), _within("updatedAt", one, 1)],
        LIMIT_MS,
    )
    kinds["isPrimary and DICOMStudyDateAndTime within 1 day"] = (
        lambda one: [_equal("isPrimary", one.is_primary), _within("DICOMStudyDateAndTime", one, 1)],
        LIMIT_MS,
    )
    return kinds


_ATTRIBUTES = {
    "DICOMPatientId": "patient_id",
    "DICOMAccessionNumber": "accession_number",
    "DICOMStudyId": "study_id",
    "DICOMStudyInstanceUID": "study_uid",
    "DICOMSeriesInstanceUID": "series_uid",
}


def _walks() -> list[tuple[str, Filters, Mapping[str, str]]]:
    return [
        ("no filter, by updatedAt", [], ORDERS[0]),
        ("DICOMStudyId of every second study, by createdAt", [_equal("DICOMStudyId", COMMON_STUDY_ID)], ORDERS[2]),
        ("isPrimary true, by study date", [_equal("isPrimary", value=True)], ORDERS[5]),
    ]


def _indexed(series: Series, field: str) -> str:
    return str(getattr(index_entry(series.levels), field))


def _equal(member: str, value: object) -> dict[str, Any]:
    return {"operator": "EQUAL", "values": [{member: value}]}


def _within(member: str, series: Series, days: int) -> dict[str, Any]:
    """Return the range of so many days that begins shortly before a series."""
    if member == "DICOMStudyDateAndTime":
        entry = index_entry(series.levels)
        begin = datetime.strptime(entry.study_date, "%Y%m%d").replace(tzinfo=UTC)
        end = datetime.fromtimestamp(begin.timestamp() + days * DAY_MS / 1000, UTC)
        bounds = [{"DICOMStudyDate": f"{moment:%Y%m%d}", "DICOMStudyTime": "000000"} for moment in (begin, end)]
    else:
        begin_ms = series.created_at if member == "createdAt" else series.updated_at
        bounds = [begin_ms // 1000 - 1, begin_ms // 1000 + days * DAY_MS // 1000]
    return {"operator": "BETWEEN", "values": [{member: bound} for bound in bounds]}
