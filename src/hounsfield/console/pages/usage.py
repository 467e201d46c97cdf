"""Usage: what is stored and imported, and what was called, of the installation or of a data store.

API operations GetUsage and GetCallStatistics.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from starlette.responses import Response

from hounsfield.console.calls import ApiError
from hounsfield.console.charts import Chart, Series
from hounsfield.console.datastore import Datastore, open_datastore
from hounsfield.console.page import Page
from hounsfield.console.visit import Visit

PATH: Final = "/console/usage"
TAB: Final = "/console/datastores/{datastore}/usage"
_DAYS: Final = (7, 30, 90, 366)
_SPANS: Final[Mapping[str, tuple[str, timedelta, str]]] = {
    "day": ("Last 24 hours", timedelta(hours=24), "HOUR"),
    "week": ("Last 7 days", timedelta(days=7), "HOUR"),
    "month": ("Last 30 days", timedelta(days=30), "DAY"),
    "year": ("Last 366 days", timedelta(days=366), "DAY"),
}
"""Spans of time over which calls are shown: their words, how long they are, and what is shown together."""
_MOST_NAMES: Final = 500


async def show_usage(visit: Visit) -> Response:
    """Show what is stored and imported."""
    datastore = await _datastore(visit)
    chosen = visit.query.get("days", "")
    days = int(chosen) if chosen in map(str, _DAYS) else 30
    usage = await visit.calls.administration(
        "GetUsage", DatastoreId=None if datastore is None else datastore.id, Days=days
    )
    return visit.render(
        "usage/stored.html",
        datastore=datastore,
        tab="usage",
        section="stored",
        usage=usage,
        days=days,
        choices=[(str(number), f"Last {number} days") for number in _DAYS],
        names=await _names(visit) if datastore is None else {},
        may_see_calls=_may_see_calls(visit, datastore),
        charts=_charts(usage),
    )


async def show_calls(visit: Visit) -> Response:
    """Show which operations were called, and how many calls failed."""
    datastore = await _datastore(visit)
    span = visit.query.get("span", "")
    span = span if span in _SPANS else "day"
    _, length, period = _SPANS[span]
    event = visit.query.get("operation", "").strip()
    # Up to the end of this hour, or day, and as far back from there.
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    until = now + timedelta(hours=1) if period == "HOUR" else now.replace(hour=0) + timedelta(days=1)
    calls = await visit.calls.administration(
        "GetCallStatistics",
        DatastoreId=None if datastore is None else datastore.id,
        StartTime=(until - length).isoformat(),
        EndTime=until.isoformat(),
        Period=period,
        EventName=event or None,
    )
    return visit.render(
        "usage/calls.html",
        datastore=datastore,
        tab="usage",
        section="calls",
        calls=calls,
        operations=sorted(calls["ByOperation"], key=lambda entry: (-entry["Count"], entry["EventName"])),
        errors=sorted(calls["ByErrorCode"], key=lambda entry: (-entry["Count"], entry["ErrorCode"])),
        span=span,
        choices=[(name, words) for name, (words, _, _) in _SPANS.items()],
        operation=event,
        may_see_calls=True,
        may_look_up=visit.may("cloudtrail:LookupEvents", "*"),
        chart=_calls_chart(calls, period),
    )


async def _datastore(visit: Visit) -> Datastore | None:
    return await open_datastore(visit) if "datastore" in visit.labels else None


def _may_see_calls(visit: Visit, datastore: Datastore | None) -> bool:
    return visit.may("hounsfield:GetCallStatistics", "*" if datastore is None else datastore.arn)


async def _names(visit: Visit) -> Mapping[str, str]:
    """Return the names of data stores by their ids, as far as they may be listed."""
    names: dict[str, str] = {}
    token = None
    try:
        while len(names) < _MOST_NAMES:
            found = (await visit.calls.get("/datastore", {"maxResults": 50, "nextToken": token})).json()
            names |= {one["datastoreId"]: one.get("datastoreName") or "" for one in found["datastoreSummaries"]}
            token = found.get("nextToken")
            if token is None:
                break
    except ApiError:
        # Who may see how much there is need not see what it is called.
        return names
    return names


def _charts(usage: Mapping[str, Any]) -> Sequence[Chart]:
    days, imports = usage["ByDay"], usage["ImportsByDay"]
    times = [day["Date"] for day in days]
    return [
        Chart("Bytes stored", "size", times, [Series("Bytes", "one", [day["Total"]["Bytes"] for day in days])]),
        Chart(
            "Instances added",
            "number",
            times,
            [Series("Instances", "one", [day["Added"]["Instances"] for day in days])],
        ),
        Chart(
            "Files of imports",
            "number",
            times,
            [
                Series("Imported", "good", [day["ImportedFiles"] for day in imports]),
                Series("Failed", "bad", [day["FailedFiles"] for day in imports]),
            ],
        ),
    ]


def _calls_chart(calls: Mapping[str, Any], period: str) -> Chart:
    step = timedelta(hours=1) if period == "HOUR" else timedelta(days=1)
    at, until = datetime.fromisoformat(calls["StartTime"]), datetime.fromisoformat(calls["EndTime"])
    counted = {entry["Time"]: entry for entry in calls["ByTime"]}
    times = []
    while at < until:
        times.append(f"{at:%Y-%m-%dT%H:%M:%SZ}")
        at += step
    entries = [counted.get(time, {"Count": 0, "Errors": 0}) for time in times]
    return Chart(
        "Calls",
        "number",
        [time[:10] for time in times] if period == "DAY" else times,
        [
            Series("Answered as asked", "one", [entry["Count"] - entry["Errors"] for entry in entries]),
            Series("Errors", "bad", [entry["Errors"] for entry in entries]),
        ],
    )


PAGES: Final = (
    Page(PATH, show_usage),
    Page(f"{PATH}/calls", show_calls),
    Page(TAB, show_usage),
    Page(f"{TAB}/calls", show_calls),
)
