"""The audit trail: look up what was recorded (CloudTrail LookupEvents), and verify that it is as it was written.

It is the trail of the machine that answers. A call reads a bounded part of it, and says where the next goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import orjson

from hounsfield.api.administration.answers import time_text
from hounsfield.api.administration.context import Call, Context
from hounsfield.api.administration.members import Form, Member
from hounsfield.api.administration.operation import Answer, Operation, Source, on_everything
from hounsfield.api.administration.tokens import LONGEST_TOKEN, NextPage
from hounsfield.audit.anchors import read_anchors
from hounsfield.audit.events import Json
from hounsfield.audit.find import Outcome, RecordFilter
from hounsfield.audit.hash_chain import Position
from hounsfield.audit.lookup import Place, look_up_records
from hounsfield.audit.uid_redaction import make_uid_sealer
from hounsfield.audit.verify import VerificationStep, VerifiedUpTo, verify_step
from hounsfield.aws.protocol.members import moment, optional_boolean, optional_integer, optional_text
from hounsfield.aws.protocol.model import Parameters
from hounsfield.aws.protocol.pagination import JsonValue

DEFAULT_EVENTS: Final = 50
MOST_EVENTS: Final = 1000
STEP_BYTES: Final = 16 * 1024 * 1024
"""What one step of a verification reads, and the rest of a file."""


def _look_up(context: Context, call: Call) -> Answer:
    following = NextPage(context, call, "LookupEvents")
    found = look_up_records(
        context.trail.path,
        _filter(context, call.parameters),
        after=_place(following.start),
        limit=optional_integer(call.parameters, "MaxResults") or DEFAULT_EVENTS,
    )
    end = found.end
    return {
        "Events": [_event(body) for body in found.records],
        "NextToken": None if end is None else following.token([end.time, dict(end.unread)]),
        "LookedBackTo": None if end is None else end.time,
    }


def _place(start: JsonValue) -> Place | None:
    match start:
        case [str(time), dict(unread)]:
            return Place(time, {name: offset for name, offset in unread.items() if isinstance(offset, int)})
    return None


def _filter(context: Context, parameters: Parameters) -> RecordFilter:
    def said(member: str) -> str:
        return optional_text(parameters, member) or ""

    uid, outcome = said("Uid"), optional_text(parameters, "Outcome")
    return RecordFilter(
        event=said("EventName"),
        caller=said("Caller"),
        resource=said("ResourceName"),
        request_id=said("RequestId"),
        event_id=said("EventId"),
        since=_time(parameters, "StartTime"),
        until=_time(parameters, "EndTime"),
        outcome=None if outcome is None else Outcome(outcome),
        uids=frozenset({uid, make_uid_sealer(context.trail.key)(uid)}) if uid else frozenset(),
        text=said("Text"),
        read_only=optional_boolean(parameters, "ReadOnly"),
    )


def _time(parameters: Parameters, member: str) -> str:
    return (time_text(moment(parameters[member])) or "") if member in parameters else ""


def _event(body: bytes) -> Mapping[str, Json]:
    """Return a record as CloudTrail lists it, with what one looks for first."""
    record: dict[str, Any] = orjson.loads(body)
    identity = record["userIdentity"]
    resources = [{"ResourceType": entry["type"], "ResourceName": entry["ARN"]} for entry in record.get("resources", ())]
    return {
        "EventId": record["eventID"],
        "EventName": record["eventName"],
        "EventTime": record["eventTime"],
        "EventSource": record["eventSource"],
        "ReadOnly": record["readOnly"],
        "Username": _name_of(identity),
        "AccessKeyId": identity.get("accessKeyId"),
        "SourceIPAddress": record["sourceIPAddress"],
        "RequestId": record.get("requestID"),
        "ErrorCode": record.get("errorCode"),
        "Resources": resources,
        "CloudTrailEvent": body.decode(),
    }


def _name_of(identity: Mapping[str, Any]) -> str | None:
    """Return who called: the name of a user, role and session of a role, ``root``; None where nobody was proven."""
    if identity["type"] == "Root":
        return "root"
    if identity["type"] == "AssumedRole":
        return str(identity["arn"]).partition("assumed-role/")[2]
    name = identity.get("userName") or identity.get("invokedBy")
    return None if name is None else str(name)


@dataclass(frozen=True, slots=True)
class _Verified:
    """What the steps of a verification have seen together."""

    chains: int = 0
    files: int = 0
    records: int = 0
    bytes: int = 0
    problems: int = 0

    def and_step(self, step: VerificationStep) -> _Verified:
        found = step.found
        return _Verified(
            self.chains + found.chains,
            self.files + found.files,
            self.records + found.records,
            self.bytes + step.bytes_read,
            self.problems + sum(finding.problem for finding in found.findings),
        )


def _verify(context: Context, call: Call) -> Answer:
    trail, following = context.trail, NextPage(context, call, "VerifyTrail")
    after, before = _progress(following.start)
    step = verify_step(
        trail.path,
        trail.key,
        [] if after is not None else read_anchors(context.image_store.database),
        only_folder=trail.is_only,
        after=after,
        most_bytes=STEP_BYTES,
    )
    so_far, go_on = before.and_step(step), step.following
    total = sum(path.stat().st_size for path in trail.path.glob("*.jsonl"))
    place: JsonValue = None
    if go_on is not None:
        place = [go_on.chain, go_on.file, go_on.at.sequence, go_on.at.mac.hex(), *asdict(so_far).values()]
    return {
        "Complete": go_on is None,
        "Intact": so_far.problems == 0,
        "Chains": so_far.chains,
        "Files": so_far.files,
        "Records": so_far.records,
        "Bytes": so_far.bytes,
        "TotalBytes": max(total, so_far.bytes),
        "Findings": [
            {"Place": finding.place, "Text": finding.text, "Problem": finding.problem}
            for finding in step.found.findings
        ],
        "NextToken": following.token(place),
    }


def _progress(start: JsonValue) -> tuple[VerifiedUpTo | None, _Verified]:
    match start:
        case [str(chain), int(file), int(sequence), str(mac), *counts]:
            seen = _Verified(*(count for count in counts if isinstance(count, int)))
            return VerifiedUpTo(chain, file, Position(sequence, bytes.fromhex(mac))), seen
    return None, _Verified()


OPERATIONS: Final = (
    Operation(
        "LookupEvents",
        Source.CLOUDTRAIL,
        "cloudtrail:LookupEvents",
        on_everything,
        (
            Member("StartTime", Form.MOMENT),
            Member("EndTime", Form.MOMENT),
            Member("EventName", most=128),
            Member("EventId", most=64),
            Member("Caller", most=2048),
            Member("ResourceName", most=2048),
            Member("Uid", most=64, shown=False),
            Member("RequestId", most=64),
            Member("Outcome", choices=tuple(Outcome)),
            Member("ReadOnly", Form.BOOLEAN),
            Member("Text", most=256, shown=False),
            Member("MaxResults", Form.INTEGER, most=MOST_EVENTS),
            Member("NextToken", most=LONGEST_TOKEN, shown=False),
        ),
        _look_up,
    ),
    Operation(
        "VerifyTrail",
        Source.CLOUDTRAIL,
        "hounsfield:VerifyAuditTrail",
        on_everything,
        (Member("NextToken", most=LONGEST_TOKEN, shown=False),),
        _verify,
    ),
)
