"""CloudTrail records of events (CloudTrail User Guide, "CloudTrail record contents").

Parts that come again, such as who called, are made once and kept as bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

import orjson
from cachetools import LRUCache

from hounsfield.audit.events import AuditEvent, Category, EventType, Json
from hounsfield.audit.uid_redaction import UID_MEMBERS, WriteUid, leave_uid_plain
from hounsfield.audit.user_identity import identity_of, service_identity, unauthenticated_identity
from hounsfield.iam.principals import Principal
from hounsfield.storage.identifiers import new_uuid

EVENT_VERSION: Final = "1.11"
DATASTORE_TYPE: Final = "AWS::MedicalImaging::Datastore"
IMAGE_SET_TYPE: Final = "AWS::MedicalImaging::Imageset"
_IAM_TYPES: Final = {"user": "AWS::IAM::User", "role": "AWS::IAM::Role", "policy": "AWS::IAM::ManagedPolicy"}
HIDDEN: Final = "HIDDEN_DUE_TO_SECURITY_REASONS"
"""What stands in the place of a value that is not shown; CloudTrail's own words."""

LONGEST_TEXT: Final = 1024
"""Characters of what a client says freely and of error messages; more is cut off, as by CloudTrail."""

LONGEST_OF_STRANGER: Final = 128
"""Characters of the same where nobody was proven to call."""

MOST_ELEMENT_BYTES: Final = 100 * 1024
"""Bytes of the parameters or the response of a record; larger ones are left out, as by CloudTrail."""

_MOST_KEPT: Final = 256
_LONGEST_KEPT: Final = 2048


class RecordBuilder:
    """Makes the records of one installation.

    Parameters
    ----------
    account_id : str
        Account of the resources and receiver of the events, 12 digits.
    region : str
        Region of the installation.
    uid : callable
        Gives what stands in a record for the UID of a study, series or instance.
    """

    def __init__(self, account_id: str, region: str, uid: WriteUid = leave_uid_plain) -> None:
        self._uid = uid
        self._account_id = account_id
        self._region = region
        self._beginnings: LRUCache[tuple[object, ...], bytes] = LRUCache(_MOST_KEPT)
        self._ends: LRUCache[tuple[object, ...], bytes] = LRUCache(_MOST_KEPT)

    def record(self, event: AuditEvent) -> bytes:
        """Return the record of an event as a JSON object of one line."""
        own: dict[str, object] = {}
        if event.failure is not None:
            own["errorCode"] = event.failure.code
            own["errorMessage"] = event.failure.message[:LONGEST_TEXT]
        own["requestParameters"] = _bounded(self._with_uids(event.parameters))
        own["responseElements"] = _bounded(event.response)
        if event.additional:
            own["additionalEventData"] = event.additional
        if event.request_id:
            own["requestID"] = event.request_id
        own["eventID"] = new_uuid()
        return b"%b,%b,%b" % (self._beginning(event), orjson.dumps(own)[1:-1], self._end(event))

    def _beginning(self, event: AuditEvent) -> bytes:
        """Return the members that tell who called what when and from where; they are the same for the calls of a second."""
        origin, who = event.origin, event.principal
        name = (
            int(event.time),
            event.name,
            event.source,
            event.type,
            event.claimed_key if who is None else _name_of(who),
            origin.address,
            origin.user_agent,
        )
        known = self._beginnings.get(name)
        if known is None:
            members = {
                "eventVersion": EVENT_VERSION,
                "userIdentity": self._identity(event),
                "eventTime": _timestamp(int(event.time)),
                "eventSource": event.source,
                "eventName": event.name,
                "awsRegion": self._region,
                "sourceIPAddress": origin.address,
                "userAgent": origin.user_agent[:LONGEST_TEXT],
            }
            known = _keep(self._beginnings, name, orjson.dumps(members)[:-1])
        return known

    def _end(self, event: AuditEvent) -> bytes:
        """Return the members that tell what kind of call it was and on what; of a service event they are its own."""
        host = event.origin.host if event.origin.tls else None
        name = (event.read_only, event.type, event.category, host, *event.resources)
        known = self._ends.get(name) if event.details is None else None
        if known is not None:
            return known
        members: dict[str, object] = {"readOnly": event.read_only}
        if event.resources:
            members["resources"] = [
                {"accountId": self._account_id, "type": _type_of(arn), "ARN": arn} for arn in event.resources
            ]
        members["eventType"] = event.type
        members["managementEvent"] = event.category is Category.MANAGEMENT
        members["recipientAccountId"] = self._account_id
        if event.details is not None:
            members["serviceEventDetails"] = event.details
        members["eventCategory"] = event.category
        if host is not None:
            members["tlsDetails"] = {"clientProvidedHostHeader": host}
        made = orjson.dumps(members)[1:]
        return made if event.details is not None else _keep(self._ends, name, made)

    def _identity(self, event: AuditEvent) -> object:
        if event.type is EventType.SERVICE:
            return service_identity(event.source)
        if event.principal is None:
            return unauthenticated_identity(self._account_id, event.claimed_key)
        return identity_of(event.principal)

    def _with_uids(self, parameters: Mapping[str, Json] | None) -> Mapping[str, Json] | None:
        if not parameters or UID_MEMBERS[0] not in parameters:
            return parameters
        written = dict(parameters)
        for name in UID_MEMBERS:
            value = written.get(name)
            if isinstance(value, str) and value != HIDDEN:
                written[name] = self._uid(value)
        return written


def _name_of(principal: Principal) -> tuple[str, str, float]:
    return principal.arn, principal.access_key_id, principal.session.issued_at if principal.session else 0.0


def _keep(kept: LRUCache[tuple[object, ...], bytes], name: tuple[object, ...], made: bytes) -> bytes:
    """Keep what was made, unless it is large; few are kept, as what comes again comes soon."""
    if len(made) <= _LONGEST_KEPT:
        kept[name] = made
    return made


@lru_cache(maxsize=64)
def _timestamp(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _type_of(arn: str) -> str:
    _, _, service, _, _, resource = arn.split(":", 5)
    if service == "iam":
        return _IAM_TYPES.get(resource.partition("/")[0], "AWS::IAM::Role")
    if service == "s3":
        return "AWS::S3::Object" if "/" in resource else "AWS::S3::Bucket"
    return IMAGE_SET_TYPE if "/imageset/" in arn else DATASTORE_TYPE


def _bounded(element: Mapping[str, Json] | None) -> object:
    if not element:
        return None
    encoded = orjson.dumps(element)
    if len(encoded) > MOST_ELEMENT_BYTES:
        return {"omitted": True, "originalSize": len(encoded), "reason": "larger than 100 KB"}
    return orjson.Fragment(encoded)
