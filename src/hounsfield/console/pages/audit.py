"""The audit trail: search, one event, the download of a search, and verification.

API operations LookupEvents and VerifyTrail.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson
from starlette.responses import Response

from hounsfield.console.calls import ApiError, Calls, label
from hounsfield.console.downloads import MadeDownload
from hounsfield.console.form import Form
from hounsfield.console.page import Page
from hounsfield.console.visit import Visit, to_json

PATH: Final = "/console/audit"
_A_PAGE: Final = 50
_SHORT: Final = 10
"""Digits of an id that are shown in a list."""
_LONGEST_NAME: Final = 40
_MOST_DOWNLOADED: Final = 100_000
_MOST_PAGES_OF_ONE: Final = 20
_SPANS: Final[Mapping[str, tuple[str, timedelta | None]]] = {
    "hour": ("Last hour", timedelta(hours=1)),
    "day": ("Last 24 hours", timedelta(days=1)),
    "week": ("Last 7 days", timedelta(days=7)),
    "month": ("Last 30 days", timedelta(days=30)),
    "all": ("Whole trail", None),
    "own": ("From … to …", None),
}
_OUTCOMES: Final = (("", "Any"), ("Succeeded", "Succeeded"), ("Failed", "Failed"), ("Denied", "Denied"))
_KINDS: Final = (("", "Any"), ("change", "Changes only"), ("read", "Reads only"))
_TEXTS: Final[Mapping[str, str]] = {
    "operation": "EventName",
    "caller": "Caller",
    "resource": "ResourceName",
    "text": "Text",
    "uid": "Uid",
    "request": "RequestId",
}
"""Fields of the form, and the members of the request that they are."""
_IMAGE_SET: Final = re.compile(r":datastore/([0-9a-f]{32})/imageset/([0-9a-f]{32})$")
_DATASTORE: Final = re.compile(r":datastore/([0-9a-f]{32})$")


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for in the audit trail.

    Attributes
    ----------
    values : Mapping of str to str
        The fields of the form as they were filled in.
    members : Mapping of str to object
        Members of the request.
    errors : Mapping of str to str
        What is wrong, by the name of the field.
    """

    values: Mapping[str, str]
    members: Mapping[str, object]
    errors: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, given: Mapping[str, str]) -> Search:
        """Read the fields of a form or a query."""
        values = {name: given.get(name, "").strip() for name in (*_TEXTS, "span", "from", "to", "outcome", "kind")}
        if values["from"] or values["to"]:
            values["span"] = "own"
        elif values["span"] not in _SPANS:
            values["span"] = "all" if _names_one(values) else "day"
        errors: dict[str, str] = {}
        members: dict[str, object] = {member: values[name] or None for name, member in _TEXTS.items()}
        members["Outcome"] = values["outcome"] if values["outcome"] in dict(_OUTCOMES) and values["outcome"] else None
        members["ReadOnly"] = {"change": False, "read": True}.get(values["kind"])
        length = _SPANS[values["span"]][1]
        if length is not None:
            # All pages of a search begin where the first did.
            since = given.get("since", "") if given.get("page") else ""
            members["StartTime"] = since or f"{datetime.now(UTC) - length:%Y-%m-%dT%H:%M:%SZ}"
        elif values["span"] == "own":
            for name, member in (("from", "StartTime"), ("to", "EndTime")):
                try:
                    members[member] = _read_time(values[name])
                except ValueError:
                    errors[name] = "A date and time such as 2026-03-14T09:15"
        return cls(values, members, errors)

    @property
    def is_narrow(self) -> bool:
        """Whether something is asked for that few ask for, so that the fields of it are to be seen."""
        return bool(self.values["uid"] or self.values["request"] or self.values["kind"])


def _names_one(values: Mapping[str, str]) -> bool:
    """Return whether a search names something of which there are few records, whenever they were written."""
    return bool(values["request"] or values["uid"] or values["resource"])


def _read_time(text: str) -> str | None:
    """Read a time in UTC; raises ValueError."""
    if not text:
        return None
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()


async def search(visit: Visit) -> Response:
    """Show the records that say what is asked for."""
    wanted = Search.of(visit.query)
    found: Mapping[str, Any] = {"Events": []}
    error: ApiError | None = None
    if wanted.errors:
        visit.require("cloudtrail:LookupEvents", "*")
    else:
        try:
            found = await _page(visit.calls, wanted, visit.query.get("page") or None, _A_PAGE)
        except ApiError as refused:
            if refused.status != 400:
                raise
            error = refused
    return visit.render(
        "audit/search.html",
        status=400 if wanted.errors else None,
        wanted=wanted,
        error=error,
        events=found["Events"],
        next_page=visit.address(page=found["NextToken"], since=wanted.members.get("StartTime"))
        if "NextToken" in found
        else None,
        looked_back_to=found.get("LookedBackTo"),
        spans=[(name, words) for name, (words, _) in _SPANS.items()],
        outcomes=_OUTCOMES,
        kinds=_KINDS,
        may_verify=visit.may("hounsfield:VerifyAuditTrail", "*"),
        resource_of=_resource_of,
    )


def _resource_of(event: Mapping[str, Any]) -> tuple[str, str]:
    """Return of the last resource of an event what it is, and as much of its name as there is room for."""
    if not event["Resources"]:
        return "", ""
    arn = str(event["Resources"][-1]["ResourceName"])
    if found := _IMAGE_SET.search(arn):
        return "Image set", f"{found[2][:_SHORT]}…"
    if found := _DATASTORE.search(arn):
        return "Data store", f"{found[1][:_SHORT]}…"
    name = arn.split(":", 5)[-1]
    kind = {"AWS::IAM::User": "User", "AWS::IAM::Role": "Role", "AWS::IAM::ManagedPolicy": "Policy"}.get(
        event["Resources"][-1]["ResourceType"], ""
    )
    name = name.partition("/")[2] if kind else name
    return kind or ("Bucket" if ":s3:" in arn else ""), name if len(
        name
    ) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…"


async def download(visit: Visit) -> Response:
    """Return the records of a search as JSON lines, newest first."""
    wanted = Search.of(visit.form.values())
    for message in wanted.errors.values():
        raise ApiError(400, "ValidationException", f"The time must be {message[0].lower()}{message[1:]}.", "")
    # What is refused is said by a page, before anything is sent.
    first = await _page(visit.calls, wanted, None, 1000)
    name = f"audit-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.jsonl"
    return MadeDownload(_lines(visit.calls, wanted, first), "application/x-ndjson", name)


async def _lines(calls: Calls, wanted: Search, page: Mapping[str, Any]) -> AsyncIterator[bytes]:
    count = 0
    while True:
        yield b"".join(event["CloudTrailEvent"].encode() + b"\n" for event in page["Events"])
        count += len(page["Events"])
        token = page.get("NextToken")
        if token is None or count >= _MOST_DOWNLOADED:
            return
        page = await _page(calls, wanted, token, 1000)


async def _page(calls: Calls, wanted: Search, token: str | None, most: int) -> Mapping[str, Any]:
    found: Mapping[str, Any] = await calls.administration(
        "LookupEvents", MaxResults=most, NextToken=token, **wanted.members
    )
    return found


async def show_event(visit: Visit) -> Response:
    """Show one record. Its address has when it was, as its id alone would have to be looked for everywhere."""
    members: dict[str, object] = {"EventId": visit.labels["event"]}
    try:
        at = datetime.fromisoformat(visit.query.get("time", ""))
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        members |= {"StartTime": at.isoformat(), "EndTime": (at + timedelta(seconds=1)).isoformat()}
    except (ValueError, OverflowError):
        pass
    wanted, token = Search({}, members), None
    for _ in range(_MOST_PAGES_OF_ONE):
        found = await _page(visit.calls, wanted, token, 1)
        if found["Events"]:
            return _render_event(visit, orjson.loads(found["Events"][0]["CloudTrailEvent"]))
        token = found.get("NextToken")
        if token is None:
            break
    reason = "The audit trail of this machine has no such record."
    if token is not None:
        reason = "The newest part of the audit trail has no such record. Search for it by its time."
    raise ApiError(404, "NotFound", reason, "")


def _render_event(visit: Visit, record: dict[str, Any]) -> Response:
    resources = [{"arn": entry["ARN"], "path": _path_of(entry["ARN"])} for entry in record.get("resources") or ()]
    return visit.render(
        "audit/event.html",
        record=record,
        identity=record["userIdentity"],
        issuer=record["userIdentity"].get("sessionContext", {}).get("sessionIssuer"),
        resources=resources,
        parameters=_flat(record.get("requestParameters")),
        answer=_flat(record.get("responseElements")),
        details=_flat(record.get("serviceEventDetails")) + _flat(record.get("additionalEventData")),
        text=to_json(record),
    )


def _path_of(arn: str) -> str:
    """Return the address of the page of a resource; empty where there is none."""
    if found := _IMAGE_SET.search(arn):
        return f"/console/datastores/{label(found[1])}/imagesets/{label(found[2])}"
    found = _DATASTORE.search(arn)
    return f"/console/datastores/{label(found[1])}" if found else ""


def _flat(value: object, name: str = "") -> list[tuple[str, str]]:
    """Return the values inside an element of a record, each with the names that lead to it."""
    if isinstance(value, dict):
        return [pair for key, inner in value.items() for pair in _flat(inner, f"{name}.{key}" if name else key)]
    if isinstance(value, list):
        if all(not isinstance(inner, dict | list) for inner in value):
            return [(name, ", ".join(map(str, value)))]
        return [pair for number, inner in enumerate(value, 1) for pair in _flat(inner, f"{name} {number}")]
    return [] if value is None else [(name, str(value))]


async def ask_verification(visit: Visit) -> Response:
    """Say what verification is, before it begins."""
    visit.require("hounsfield:VerifyAuditTrail", "*")
    return visit.render("audit/verify.html", state=None, findings=[])


async def verify(visit: Visit) -> Response:
    """Do one step of a verification, and show how far it is."""
    state = await visit.calls.administration("VerifyTrail", NextToken=visit.form.text("token") or None)
    findings = [*_earlier_findings(visit.form), *state["Findings"]]
    return visit.render("audit/verify.html", state=state, findings=findings)


def _earlier_findings(form: Form) -> Sequence[Mapping[str, Any]]:
    """Return what earlier steps found, which the page sends along."""
    found = []
    for text in form.texts("finding"):
        kind, _, rest = text.partition(" ")
        place, _, words = rest.partition("\t")
        found.append({"Problem": kind == "problem", "Place": place, "Text": words})
    return found


PAGES: Final = (
    Page(PATH, search),
    Page(f"{PATH}/download", download, ("POST",)),
    Page(f"{PATH}/events/{{event}}", show_event),
    Page(f"{PATH}/verify", ask_verification),
    Page(f"{PATH}/verify", verify, ("POST",)),
)
