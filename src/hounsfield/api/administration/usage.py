"""Usage: what is stored, what was imported, and which operations were called."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from hounsfield.api.administration.answers import time_text
from hounsfield.api.administration.context import Call, Context
from hounsfield.api.administration.members import Form, Member
from hounsfield.api.administration.operation import Answer, Operation, Source, on_datastore, on_everything
from hounsfield.audit.call_counts import CountedCalls
from hounsfield.audit.events import Json
from hounsfield.aws.protocol.errors import ValidationException
from hounsfield.aws.protocol.members import moment, optional_integer, optional_text
from hounsfield.aws.protocol.model import Parameters
from hounsfield.iam.authorization import Permission
from hounsfield.imaging.datastores import get_datastore
from hounsfield.imaging.search.usage import KEPT_SECONDS, Amount, Usage

DEFAULT_DAYS: Final = 30
MOST_DAYS: Final = 366
MOST_HOURS: Final = 8 * 24
"""Hours of calls at most where they are told by the hour; by the day it is `MOST_DAYS`."""
HOUR, DAY = "HOUR", "DAY"
_DATASTORE: Final = Member("DatastoreId", least=32, most=32)
_HOUR: Final = "%Y-%m-%dT%H"


def _on_datastore_or_all(context: Context, call: Call, action: str) -> Sequence[Permission]:
    which = on_datastore if "DatastoreId" in call.parameters else on_everything
    return which(context, call, action)


def _usage(context: Context, call: Call) -> Answer:
    datastore_id = optional_text(call.parameters, "DatastoreId")
    if datastore_id is not None:
        get_datastore(context.image_store, datastore_id)
    days = optional_integer(call.parameters, "Days") or DEFAULT_DAYS
    usage = context.usage.read(datastore_id)
    primary, total = usage.primary, usage.total
    return {
        "CountedAt": time_text(usage.counted_at),
        "KeptSeconds": int(KEPT_SECONDS),
        "Total": {
            **_amount(total),
            "PrimaryImageSets": primary.image_sets,
            "Studies": usage.studies,
            "Series": primary.image_sets,
        },
        "ByDatastore": None if datastore_id is not None else _by("DatastoreId", usage.by_datastore),
        "ByStorageTier": _by("StorageTier", usage.by_tier),
        "ByModality": _by("Modality", usage.by_modality),
        "ByDay": _growth(usage, days),
        "ImportsByDay": [
            {
                "Date": counted.day.isoformat(),
                "Jobs": counted.jobs,
                "CompletedJobs": counted.completed,
                "FailedJobs": counted.failed,
                "ImportedFiles": counted.imported_files,
                "FailedFiles": counted.failed_files,
            }
            for counted in usage.import_days(days)
        ],
    }


def _growth(usage: Usage, days: int) -> list[Json]:
    return [
        {"Date": grown.day.isoformat(), "Added": _amount(grown.added), "Total": _amount(grown.total)}
        for grown in usage.growth(days)
    ]


def _by(member: str, amounts: Mapping[str, Amount]) -> list[Json]:
    return [{member: name, **_amount(amount)} for name, amount in amounts.items()]


def _amount(amount: Amount) -> dict[str, Json]:
    return {
        "ImageSets": amount.image_sets,
        "Instances": amount.instances,
        "ImageFrames": amount.frames,
        "Bytes": amount.bytes,
    }


def _calls(context: Context, call: Call) -> Answer:
    parameters = call.parameters
    period = optional_text(parameters, "Period") or HOUR
    since, until = _span(parameters, timedelta(days=MOST_DAYS) if period == DAY else timedelta(hours=MOST_HOURS))
    counted = context.calls.count(f"{since:{_HOUR}}", f"{until:{_HOUR}}")
    datastore_id, event = optional_text(parameters, "DatastoreId"), optional_text(parameters, "EventName")
    wanted = {
        calls: number
        for calls, number in counted.counts.items()
        if datastore_id in (None, calls.datastore_id) and event in (None, calls.operation)
    }
    length = len("2026-03-14") if period == DAY else len("2026-03-14T09")
    return {
        "StartTime": time_text(since),
        "EndTime": time_text(until),
        "Period": period,
        "ByTime": [
            {"Time": _begins(period, at), **numbers} for at, numbers in _tally(wanted, lambda c: c.hour[:length])
        ],
        "ByOperation": [{"EventName": name, **numbers} for name, numbers in _tally(wanted, lambda c: c.operation)],
        "ByErrorCode": [
            {"ErrorCode": code, "Count": numbers["Errors"]}
            for code, numbers in _tally({c: number for c, number in wanted.items() if c.error}, lambda c: c.error)
        ],
        "Complete": counted.left_bytes == 0,
        "BytesLeft": counted.left_bytes,
        "TotalBytes": counted.total_bytes,
    }


def _span(parameters: Parameters, most: timedelta) -> tuple[datetime, datetime]:
    """Return the hours that calls are counted of: the first, and that after the last; the last 24 where none are named."""
    until = moment(parameters["EndTime"]) if "EndTime" in parameters else datetime.now(UTC)
    hour = until.replace(minute=0, second=0, microsecond=0)
    try:
        until = hour if hour == until else hour + timedelta(hours=1)
        since = moment(parameters["StartTime"]) if "StartTime" in parameters else until - timedelta(hours=24)
    except OverflowError:
        raise ValidationException("EndTime must be a time between the years 1 and 9999.") from None
    since = since.replace(minute=0, second=0, microsecond=0)
    if not timedelta(0) < until - since <= most:
        raise ValidationException(f"EndTime must be after StartTime, by at most {most.days} days.")
    return since, until


def _tally(counts: Mapping[CountedCalls, int], of: Callable[[CountedCalls], str]) -> list[tuple[str, dict[str, int]]]:
    """Return how many calls and how many errors there are of each of something, in its order."""
    found: dict[str, dict[str, int]] = {}
    for calls, number in counts.items():
        numbers = found.setdefault(of(calls), {"Count": 0, "Errors": 0})
        numbers["Count"] += number
        numbers["Errors"] += number if calls.error else 0
    return sorted(found.items())


def _begins(period: str, at: str) -> str:
    return f"{at}T00:00:00Z" if period == DAY else f"{at}:00:00Z"


OPERATIONS: Final = (
    Operation(
        "GetUsage",
        Source.MEDICAL_IMAGING,
        "hounsfield:GetUsage",
        _on_datastore_or_all,
        (_DATASTORE, Member("Days", Form.INTEGER, most=MOST_DAYS)),
        _usage,
    ),
    Operation(
        "GetCallStatistics",
        Source.MEDICAL_IMAGING,
        "hounsfield:GetCallStatistics",
        _on_datastore_or_all,
        (
            _DATASTORE,
            Member("StartTime", Form.MOMENT),
            Member("EndTime", Form.MOMENT),
            Member("Period", choices=(HOUR, DAY)),
            Member("EventName", most=128),
        ),
        _calls,
    ),
)
