"""From an event to its CloudTrail record (CloudTrail User Guide, "CloudTrail record contents").

Parts that come again, such as who called, are made once and kept as bytes.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

import orjson

from hounsfield.access.audit.events import AuditEvent, Category, EventType, Json
from hounsfield.access.audit.identities import identity_of, service_identity, unproven_identity
from hounsfield.access.audit.uids import UID_MEMBERS, WriteUid, plain
from hounsfield.access.principals import Principal

EVENT_VERSION: Final = "1.11"
DATASTORE_TYPE: Final = "AWS::MedicalImaging::Datastore"
IMAGE_SET_TYPE: Final = "AWS::MedicalImaging::Imageset"
ROLE_TYPE: Final = "AWS::IAM::Role"
HIDDEN: Final = "HIDDEN_DUE_TO_SECURITY_REASONS"
"""What stands in the place of a value that is not shown; CloudTrail's own words."""

LONGEST_TEXT: Final = 1024
"""Characters of what a client says freely and of error messages; more is cut off, as by CloudTrail."""

MOST_ELEMENT_BYTES: Final = 100 * 1024
"""Bytes of the parameters or the response of a record; larger ones are left out, as by CloudTrail."""

_MOST_IDENTITIES = 1024


class RecordMaker:
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

    def __init__(self, account_id: str, region: str, uid: WriteUid = plain) -> None:
        self._uid = uid
        self._account_id = account_id
        self._region = region
        # Event ids must differ, that nobody guesses them does not matter; seeded from the system, and much faster than it.
        self._ids = random.Random(random.SystemRandom().getrandbits(256))  # noqa: S311
        self._identities: dict[tuple[str, str, float], bytes] = {}

    def record(self, event: AuditEvent) -> bytes:
        """Give the record of an event as a JSON object of one line."""
        record: dict[str, object] = {
            "eventVersion": EVENT_VERSION,
            "userIdentity": self._identity(event),
            "eventTime": _timestamp(int(event.time)),
            "eventSource": event.source,
            "eventName": event.name,
            "awsRegion": self._region,
            "sourceIPAddress": event.origin.address,
            "userAgent": event.origin.user_agent[:LONGEST_TEXT],
        }
        if event.failure is not None:
            record["errorCode"] = event.failure.code
            record["errorMessage"] = event.failure.message[:LONGEST_TEXT]
        record["requestParameters"] = _bounded(self._with_uids(event.parameters))
        record["responseElements"] = _bounded(event.response)
        if event.additional:
            record["additionalEventData"] = event.additional
        if event.request_id:
            record["requestID"] = event.request_id
        record["eventID"] = self._new_id()
        record["readOnly"] = event.read_only
        if event.resources:
            record["resources"] = [
                {"accountId": self._account_id, "type": _type_of(arn), "ARN": arn} for arn in event.resources
            ]
        record["eventType"] = event.type
        record["managementEvent"] = event.category is Category.MANAGEMENT
        record["recipientAccountId"] = self._account_id
        if event.details is not None:
            record["serviceEventDetails"] = event.details
        record["eventCategory"] = event.category
        if event.origin.tls:
            record["tlsDetails"] = {"clientProvidedHostHeader": event.origin.host}
        return orjson.dumps(record)

    def _identity(self, event: AuditEvent) -> object:
        if event.type is EventType.SERVICE:
            return service_identity(event.source)
        if event.principal is None:
            return unproven_identity(self._account_id, event.claimed_key)
        return orjson.Fragment(self._known_identity(event.principal))

    def _with_uids(self, parameters: Mapping[str, Json] | None) -> Mapping[str, Json] | None:
        if not parameters or UID_MEMBERS[0] not in parameters:
            return parameters
        written = dict(parameters)
        for name in UID_MEMBERS:
            value = written.get(name)
            if isinstance(value, str) and value != HIDDEN:
                written[name] = self._uid(value)
        return written

    def _known_identity(self, principal: Principal) -> bytes:
        name = (principal.arn, principal.access_key_id, principal.session.issued_at if principal.session else 0.0)
        known = self._identities.get(name)
        if known is None:
            if len(self._identities) >= _MOST_IDENTITIES:
                self._identities.clear()
            known = self._identities[name] = orjson.dumps(identity_of(principal))
        return known

    def _new_id(self) -> str:
        digits = f"{self._ids.getrandbits(128):032x}"
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


@lru_cache(maxsize=64)
def _timestamp(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _type_of(arn: str) -> str:
    if ":role/" in arn:
        return ROLE_TYPE
    return IMAGE_SET_TYPE if "/imageset/" in arn else DATASTORE_TYPE


def _bounded(element: Mapping[str, Json] | None) -> object:
    if not element:
        return None
    encoded = orjson.dumps(element)
    if len(encoded) > MOST_ELEMENT_BYTES:
        return {"omitted": True, "originalSize": len(encoded), "reason": "larger than 100 KB"}
    return orjson.Fragment(encoded)
