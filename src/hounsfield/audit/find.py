"""Search of an audit folder by what records say; nothing is verified here, see `verify`."""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

import orjson

from hounsfield.audit.chain_files import chain_files
from hounsfield.audit.hash_chain import record_in
from hounsfield.audit.uid_redaction import UID_MEMBERS

_TAIL_BYTES: Final = 4 * 1024 * 1024


class Outcome(StrEnum):
    """How a call ended."""

    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    """It was not answered as asked, for whatever reason."""
    DENIED = "Denied"
    """It failed because the caller may not do it, or was not proven."""


_DENIALS: Final = ("AccessDenied", "UnrecognizedClient", "InvalidSignature", "MissingAuthentication", "ExpiredToken")
"""What the error codes of denied calls begin with."""


@dataclass(frozen=True, slots=True)
class RecordFilter:
    """What records must say to be found; what is empty is not asked.

    Attributes
    ----------
    event : str
        Name of the operation.
    caller : str
        Access key id, user name, or part of the ARN of who called.
    resource : str
        Part of the ARN of a resource, such as the id of an image set.
    request_id : str
        Identifier of the request.
    since, until : str
        Bounds of the time, as 2026-03-14T09:15:30Z or a beginning of that; until is not included.
    outcome : Outcome or None
        Only calls that ended so.
    uids : frozenset of str
        What stands in a record for the UID of a study, series or instance, in any form; empty when it is not asked for.
    text : str
        What the record says anywhere, in any case.
    read_only : bool or None
        Whether only calls that changed nothing are wanted, or only others.
    event_id : str
        Identifier of the record.
    """

    event: str = ""
    caller: str = ""
    resource: str = ""
    request_id: str = ""
    since: str = ""
    until: str = ""
    outcome: Outcome | None = None
    uids: frozenset[str] = frozenset()
    text: str = ""
    read_only: bool | None = None
    event_id: str = ""

    def matches(self, body: bytes) -> bool:
        """Return whether a record is wanted."""
        record = orjson.loads(body)
        time = record["eventTime"]
        return (
            (not self.event or record["eventName"] == self.event)
            and (not self.since or time >= self.since)
            and (not self.until or time < self.until)
            and (self.outcome is None or _ended(record, self.outcome))
            and (self.read_only is None or record["readOnly"] is self.read_only)
            and (not self.request_id or record.get("requestID") == self.request_id)
            and (not self.event_id or record["eventID"] == self.event_id)
            and (not self.caller or _is_by(record["userIdentity"], self.caller))
            and (not self.uids or not self.uids.isdisjoint(_uids_of(record)))
            and (not self.resource or any(self.resource in entry["ARN"] for entry in record.get("resources", ())))
            and (not self.text or self.text.casefold() in _words(record).casefold())
        )

    def may_match(self, line: bytes) -> bool:
        """Return False where a line cannot have a record that is wanted; much faster than reading it."""
        parts = (self.event, self.caller, self.resource, self.request_id, self.event_id)
        return all(_escaped(part) in line for part in parts if part) and (
            not self.text or not self.text.isascii() or _escaped(self.text).lower() in line.lower()
        )


def _escaped(text: str) -> bytes:
    """Return a text as it is written in JSON."""
    return orjson.dumps(text)[1:-1]


def _words(record: object) -> str:
    """Return all values of a record, each on a line of its own."""
    if isinstance(record, dict):
        return "\n".join(map(_words, record.values()))
    if isinstance(record, list):
        return "\n".join(map(_words, record))
    return str(record)


def _ended(record: dict[str, str], outcome: Outcome) -> bool:
    code = record.get("errorCode")
    if code is None:
        return outcome is Outcome.SUCCEEDED
    return outcome is Outcome.FAILED or (outcome is Outcome.DENIED and code.startswith(_DENIALS))


def _uids_of(record: dict[str, dict[str, str] | None]) -> list[str]:
    parameters = record["requestParameters"] or {}
    return [parameters[name] for name in UID_MEMBERS if name in parameters]


def _is_by(identity: dict[str, object], caller: str) -> bool:
    return caller in (identity.get("accessKeyId"), identity.get("userName")) or caller in str(identity.get("arn", ""))


def read_records(folder: Path) -> Iterator[bytes]:
    """Yield all records, chain after chain, each in the order it was written."""
    for file in chain_files(folder):
        with file.path.open("rb") as opened:
            for text in opened:
                body = record_in(text)
                if body is not None:
                    yield body


def read_last_records(folder: Path, count: int) -> list[bytes]:
    """Return the last records of all chains by their time, the newest last."""
    newest: list[tuple[str, int, bytes]] = []
    number = 0
    for file in chain_files(folder):
        with file.path.open("rb") as opened:
            opened.seek(max(0, file.path.stat().st_size - _TAIL_BYTES))
            for text in opened:
                body = record_in(text)
                if body is not None:
                    number += 1
                    entry = (orjson.loads(body)["eventTime"], number, body)
                    (heapq.heappush if len(newest) < count else heapq.heappushpop)(newest, entry)
    return [body for _, _, body in sorted(newest)]


def format_line(body: bytes) -> str:
    """Return a record as one short line: when, who, what, on what, with which result."""
    record = orjson.loads(body)
    identity = record["userIdentity"]
    who = identity.get("arn") or identity.get("accessKeyId") or identity["type"]
    resources = record.get("resources") or [{"ARN": "-"}]
    words = [record["eventTime"], str(record["sourceIPAddress"]), str(who), record["eventName"], resources[-1]["ARN"]]
    # Like in JSON, so that no text of a client can break the line or the terminal.
    return " ".join([*(json.dumps(word)[1:-1] for word in words), record.get("errorCode", "OK")])
