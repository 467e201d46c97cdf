"""The versions of an image set, and who made them (API operations ListImageSetVersions and LookupEvents).

    versions ───────────────────────────────────────────────┐
    audit records that name the image set and changed it ───┴─▶ by version that the answer names, else by time ─▶ who

Imports and DICOMweb name series, not image sets, so their records are not among these.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from hounsfield.console.imagesets.image_set import ImageSet, ImageSetVersion, read_version
from hounsfield.console.visit import Visit

LOOKUP: Final = "cloudtrail:LookupEvents"
MOST_VERSIONS: Final = 50
_MOST_EVENTS: Final = 1000
_MOST_PAGES: Final = 4
_DAY: Final = 86_400
_SOME_SECONDS: Final = 5


@dataclass(frozen=True, slots=True)
class Event:
    """A call that changed an image set.

    Attributes
    ----------
    name : str
        Operation.
    time : str
        When it began, in ISO 8601.
    caller : str
        Who called; empty where nobody was proven.
    address : str
        Where from.
    request_id : str
        Identifier of the request.
    event_id : str
        Identifier of the record.
    """

    name: str
    time: str
    caller: str
    address: str
    request_id: str
    event_id: str


@dataclass(frozen=True, slots=True)
class History:
    """Who made the versions.

    Attributes
    ----------
    events : Mapping of str to Event
        By version.
    deletion : Event or None
        The call that deleted the image set.
    looked_back_to : str
        Time before which records were not looked at, as there are too many; empty where all were.
    """

    events: Mapping[str, Event]
    deletion: Event | None
    looked_back_to: str


async def list_versions(
    visit: Visit, image_set: ImageSet, page: str | None = None
) -> tuple[list[ImageSetVersion], str | None]:
    """Return a page of versions, newest first, and the token of the next page.

    Parameters
    ----------
    visit : Visit
        The visit.
    image_set : ImageSet
        The image set.
    page : str or None
        Token of the page.

    Raises
    ------
    ApiError
        Who asks may not list them.
    """
    query = {"maxResults": MOST_VERSIONS, "nextToken": page}
    found = (await visit.calls.post(f"{image_set.api_path}/listImageSetVersions", query=query)).json()
    return [read_version(entry) for entry in found["imageSetPropertiesList"]], found.get("nextToken")


async def look_up_history(visit: Visit, image_set: ImageSet, versions: Sequence[ImageSetVersion]) -> History:
    """Look up who made versions.

    Raises
    ------
    ApiError
        Who asks may not look records up.
    """
    times = [_time(version) for version in versions]
    latest = image_set.latest.deleted_at or max(times) + _SOME_SECONDS
    wanted: dict[str, object] = {
        # Wherever it stands in the record: of a copy, the answer alone names the new image set.
        "Text": image_set.id,
        "ReadOnly": False,
        "Outcome": "Succeeded",
        "StartTime": _iso(min(times) - _DAY),
        "EndTime": _iso(latest + _SOME_SECONDS),
        "MaxResults": _MOST_EVENTS,
    }
    records: list[Mapping[str, Any]] = []
    looked_back_to, token = "", None
    for _ in range(_MOST_PAGES):
        found = await visit.calls.administration("LookupEvents", **wanted, NextToken=token)
        records += found["Events"]
        looked_back_to, token = found.get("LookedBackTo") or "", found.get("NextToken")
        if token is None:
            break
    events = {}
    for version in versions:
        record = next((one for one in records if _made(one, image_set, version)), None)
        if record is not None:
            events[version.version] = _event(record)
    deletion = next((_event(one) for one in records if one["EventName"] == "DeleteImageSet"), None)
    return History(events, deletion, looked_back_to if token is not None else "")


def _made(record: Mapping[str, Any], image_set: ImageSet, version: ImageSetVersion) -> bool:
    """Return whether a call made a version: its answer names it, or it changed the image set in the second of the version."""
    body = json.loads(record["CloudTrailEvent"])
    answer = body.get("responseElements") or {}
    told = [answer.get("destinationImageSetProperties"), answer]
    for entry in told:
        if isinstance(entry, dict) and entry.get("imageSetId") == image_set.id and "latestVersionId" in entry:
            return bool(entry["latestVersionId"] == version.version)
    touched = any(resource["ResourceName"] == image_set.arn for resource in record["Resources"])
    return touched and str(answer.get("updatedAt", ""))[:19] == _iso(_time(version))[:19]


def _event(record: Mapping[str, Any]) -> Event:
    return Event(
        record["EventName"],
        record["EventTime"],
        record.get("Username") or "",
        record.get("SourceIPAddress") or "",
        record.get("RequestId") or "",
        record["EventId"],
    )


def _time(version: ImageSetVersion) -> float:
    """Return when a version was begun."""
    return version.updated_at or version.created_at or 0.0


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(max(0.0, seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
