"""The audit record of a call: the pipeline tells a `CallRecord` what it learns of the request, and has it written.

    begin ─▶ set_operation ─▶ set_principal ─▶ set_request ─▶ require_recordable ─▶ set_response ─▶ write

Exactly one record goes out for a call, when its response begins. What changes something is recorded durably before it is
answered; while nothing can be recorded, it is not carried out at all (`AuditFailureMode`).
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from starlette.types import Scope

from hounsfield.audit.cloudtrail_record import HIDDEN, LONGEST_OF_STRANGER, LONGEST_TEXT
from hounsfield.audit.events import AuditEvent, Category, EventType, Failure, Json, Origin
from hounsfield.audit.trail import NotRecordedError, Trail
from hounsfield.aws.protocol.errors import AwsError, ServiceUnavailableException
from hounsfield.aws.protocol.response import SOON_SECONDS, WireResponse, retry_after_headers
from hounsfield.gateway.audit_redaction import resources_of
from hounsfield.gateway.responses import StreamedResponse
from hounsfield.iam.principals import Principal
from hounsfield.settings.audit_on_failure import AuditFailureMode
from hounsfield.storage.identifiers import new_uuid

_READS: Final = ("Assume", "Get", "List", "Lookup", "Search", "Simulate", "Retrieve", "Verify")
_KEY: Final = re.compile(rb"Credential=([A-Z0-9]{16,128})(?:/|%2F)")
_KEY_ID: Final = re.compile(r"[A-Z0-9]{16,128}")
_CLIENT_GONE: Final = Failure("ClientDisconnected", "The client closed the connection before its request was complete.")
_TOLD: Final = frozenset({401, 402, 403, 405, 429, 500, 501, 503})
"""Status of errors whose messages are recorded; those of others may quote what a client sent, such as a name for an id."""
_UNKNOWN: Final = "UnknownOperation"
_SENT: Final = "bytesTransferredOut"
_LONGEST_HOST: Final = 255
_LONGEST_REASON: Final = 256
"""Characters of the message of an error where nobody was proven to call; it may quote the request."""
_LONG_TARGET: Final = 1024
"""Bytes of a request target from which on what is shown of it is read at once, and the rest is let go."""
_TAKEN: Final[Scope] = {}


def is_read_only(operation: str) -> bool:
    """Return whether an operation changes nothing, by its name."""
    return operation.startswith(_READS)


@dataclass(frozen=True, slots=True)
class Recorder:
    """Records the calls of one API.

    Attributes
    ----------
    trail : Trail
        Where records go.
    source : str
        Service that the operations of the API are of.
    arn_prefix : str
        Beginning of the ARNs of what the operations are about, such as that of data stores, up to ``datastore/``.
    further_arn_prefixes : tuple of str
        Beginnings of the ARNs of what else they may be about.
    data_events : bool
        Whether events of the category Data are recorded.
    on_failure : AuditFailureMode
        What becomes of calls while they cannot be recorded.
    """

    trail: Trail
    source: str
    arn_prefix: str
    further_arn_prefixes: tuple[str, ...] = ()
    data_events: bool = True
    on_failure: AuditFailureMode = AuditFailureMode.REFUSE_WRITES


@dataclass(slots=True)
class CallRecord:
    """The record of one call while it is answered.

    Attributes
    ----------
    recorder : Recorder
        Of the API.
    scope : dict
        ASGI scope of the request.
    request_id : str
        Identifier of the request.
    """

    recorder: Recorder
    scope: Scope = field(repr=False)
    request_id: str = field(default_factory=new_uuid)
    _began: float = field(default_factory=time.time)
    _name: str = _UNKNOWN
    _category: Category = Category.MANAGEMENT
    _read_only: bool = True
    _source: str = ""
    _principal: Principal | None = None
    _labels: Callable[[], Mapping[str, Json]] | None = None
    _parameters: Mapping[str, Json] | None = None
    _response: Mapping[str, Json] | None = None
    _resources: list[str] = field(default_factory=list)
    _refused: bool = False
    _failed: Failure | None = None
    _sent: int | None = None
    _user_agent: bytes = b""
    _host: bytes = b""
    _claimed_key: str = ""
    _client: tuple[str, int | str] | None = None
    _tls: bool = False
    _signs_in_by: str | None = None

    def set_operation(
        self, name: str, category: Category, labels: Callable[[], Mapping[str, Json]], source: str = ""
    ) -> None:
        """Note which operation it is, and how to tell its parameters from its path, should they not be read.

        Parameters
        ----------
        name : str
            Name of the operation.
        category : Category
            Category of the event.
        labels : callable
            Tells the parameters of the path.
        source : str
            Service that the operation is of, where it is another one than that of its API.
        """
        self._name = name
        self._source = source
        self._category = category
        self._read_only = name.startswith(_READS)
        self._labels = labels

    def set_sign_in(self, method: str, claimed_key: str) -> None:
        """Note that somebody signs in or out of the console, which CloudTrail has a form of its own for.

        Parameters
        ----------
        method : str
            How somebody signs in; empty for the end of a session.
        claimed_key : str
            What was given as the access key id; it is noted where it has the form of one.
        """
        self._signs_in_by = method
        self._claimed_key = claimed_key if _KEY_ID.fullmatch(claimed_key) else ""

    def set_principal(self, principal: Principal) -> None:
        """Note who calls, once that is certain."""
        self._principal = principal

    def require_recordable(self) -> None:
        """Let a call that can be recorded pass, before anything is done.

        Raises
        ------
        ServiceUnavailableException
            It cannot be recorded now, and must not be carried out unrecorded.
        """
        policy = self.recorder.on_failure
        if policy is AuditFailureMode.CONTINUE or (self._read_only and policy is not AuditFailureMode.REFUSE):
            return
        if self._is_recorded and not self.recorder.trail.is_ready:
            self._refused = True
            raise ServiceUnavailableException(
                "The call cannot be recorded in the audit trail just now; try again later.",
                retry_after_headers(SOON_SECONDS),
            )

    def set_request(self, shown: Callable[[], Mapping[str, Json]], *, later: bool = False) -> None:
        """Note the parameters, once they are read and valid.

        Parameters
        ----------
        shown : callable
            Tells them.
        later : bool
            Whether that may be when the event is made: what it tells them from is small, holds no secret, and does not change.
        """
        if later:
            self._labels = shown
        else:
            self._parameters = shown()

    def add_resources(self, arns: Sequence[str]) -> None:
        """Note further resources, as far as they are of the kind that the operations of the API are about."""
        mine = (self.recorder.arn_prefix, *self.recorder.further_arn_prefixes)
        self._resources.extend(arn for arn in arns if arn.startswith(mine) and arn not in self._resources)

    def set_response(self, response: Mapping[str, Json]) -> None:
        """Note what is answered, where that tells what was made or changed."""
        self._response = response
        self.add_resources(resources_of(self.recorder.arn_prefix, response))

    @property
    def read_only(self) -> bool:
        """Whether the operation changes nothing."""
        return self._read_only

    def client_disconnected(self) -> None:
        """Record a call whose client went away before its request was complete."""
        if self._is_recorded:
            self._failed = _CLIENT_GONE
            self._take_from_scope()
            self._put()

    def write(
        self, answer: WireResponse | StreamedResponse, error: AwsError | None
    ) -> Coroutine[None, None, AwsError | None] | None:
        """Write the record.

        Parameters
        ----------
        answer : WireResponse or StreamedResponse
            What it is answered.
        error : AwsError or None
            Why it was not done.

        Returns
        -------
        coroutine or None
            To be awaited where the record must be durable before the response goes out; gives what is to be answered instead
            where it could not be written.
        """
        if not self._is_recorded:
            return None
        self._failed = self._failure(answer, error)
        self._sent = len(answer.body) if isinstance(answer, WireResponse) else answer.size
        self._take_from_scope()
        # What was refused before anything was done leaves nothing behind that would have to be told for certain.
        unproven = self._principal is None
        if self._read_only or self._refused or (error is not None and (error.status < 500 or unproven)):
            self._put()
            return None
        return self._write_durably(error)

    async def write_end(self, status: int, error: AwsError | None = None) -> AwsError | None:
        """Write the record of what no pipeline answers, such as a sign-in; parameters and result are those of `write`.

        Parameters
        ----------
        status : int
            HTTP status of the answer.
        error : AwsError or None
            Why it was not done.
        """
        written = self.write(WireResponse(status, [], b""), error)
        return None if written is None else await written

    async def _write_durably(self, error: AwsError | None) -> AwsError | None:
        try:
            await asyncio.wrap_future(self.recorder.trail.put_durably(self._event()))
        except NotRecordedError:
            # A call that failed is answered with why, which is no promise that it was done.
            if self._must_be_kept and error is None:
                return ServiceUnavailableException(
                    "The call was carried out, but could not be recorded in the audit trail yet."
                )
        return None

    def _put(self) -> None:
        """Let the thread of the trail make the event: it makes many after each other, at a fraction of what it costs here."""
        if self._principal is None and self._failed is not None:
            self.recorder.trail.put_unauthenticated(str(self._client[0]) if self._client else "", self._event)
        else:
            self.recorder.trail.put(self._event)

    @property
    def _is_recorded(self) -> bool:
        return self._category is Category.MANAGEMENT or self.recorder.data_events

    @property
    def _must_be_kept(self) -> bool:
        policy = self.recorder.on_failure
        return policy is AuditFailureMode.REFUSE or (policy is AuditFailureMode.REFUSE_WRITES and not self._read_only)

    def _failure(self, answer: WireResponse | StreamedResponse, error: AwsError | None) -> Failure | None:
        if error is not None:
            # What was hidden of the parameters may be in the message, as part of an ARN.
            told = error.status in _TOLD and HIDDEN not in (self._shown_parameters() or {}).values()
            message = error.message if self._principal is not None else error.message[:_LONGEST_REASON]
            return Failure(error.code, message if told else HIDDEN)
        if answer.status >= 400:
            return Failure(f"Http{answer.status}", "The answer tells of each instance why.")
        return None

    def _shown_parameters(self) -> Mapping[str, Json] | None:
        """Return the parameters, as far as they are known: those of the path where no others were read."""
        if self._parameters is None and self._labels is not None:
            self._parameters = self._labels()
        return self._parameters

    def _take_from_scope(self) -> None:
        """Keep what the event tells of the request, as far as it is not small already: events may have to wait."""
        scope = self.scope
        authorization = b""
        longest = LONGEST_OF_STRANGER if self._principal is None else LONGEST_TEXT
        for name, value in scope["headers"]:
            if name == b"user-agent":
                self._user_agent = value[:longest]
            elif name == b"host":
                self._host = value[: min(longest, _LONGEST_HOST)]
            elif name == b"authorization":
                authorization = value
        if self._principal is None and self._signs_in_by is None:
            self._claimed_key = _claimed_key(authorization, scope["query_string"])
        if len(scope["raw_path"]) + len(scope["query_string"]) > _LONG_TARGET:
            self._shown_parameters()
            self._labels = None
        self._client = scope.get("client")
        self._tls = scope.get("scheme") == "https"
        self.scope = _TAKEN

    def _event(self) -> AuditEvent:
        parameters = self._shown_parameters()
        if parameters:
            named = resources_of(self.recorder.arn_prefix, parameters)
            self._resources = [*named, *(arn for arn in self._resources if arn not in named)]
        return AuditEvent(
            name=self._name,
            source=self._source or self.recorder.source,
            time=self._began,
            origin=_origin(self._client[0] if self._client else "", self._user_agent, self._host, self._tls),
            category=self._category,
            read_only=self._read_only,
            principal=self._principal,
            claimed_key=self._claimed_key,
            request_id=self.request_id,
            parameters=parameters,
            response=self._shown_response(),
            failure=self._failed,
            resources=self._resources,
            additional=self._additional(),
            type=EventType.CALL if self._signs_in_by is None else EventType.SIGN_IN,
        )

    def _shown_response(self) -> Mapping[str, Json] | None:
        if self._signs_in_by is not None:
            return {self._name: "Success" if self._failed is None else "Failure"}
        return None if self._failed is not None else self._response

    def _additional(self) -> Mapping[str, Json]:
        if self._signs_in_by:
            return {"MFAUsed": "No", "signInMethod": self._signs_in_by}
        return {} if self._sent is None or self._category is not Category.DATA else {_SENT: self._sent}


@lru_cache(maxsize=256)
def _origin(address: str, user_agent: bytes, host: bytes, tls: bool) -> Origin:
    return Origin(address, user_agent.decode("latin-1"), host.decode("latin-1"), tls)


def _claimed_key(authorization: bytes, query_string: bytes) -> str:
    """Return the access key id that a request names, where it has the form of one."""
    found = _KEY.search(authorization) or _KEY.search(query_string)
    return found[1].decode() if found else ""
