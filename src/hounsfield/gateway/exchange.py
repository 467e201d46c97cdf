"""One request and its response, and what an API has to say about them.

    Match ─▶ Exchange ─▶ handlers of the pipeline, which ask its Api ─▶ response

An `Api` gives its routes and the pieces of its protocol: how labels are decoded, which permission an operation needs, how
a request is parsed, and how an error is serialised. All else is the same for every API
(`hounsfield.gateway.handlers`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from starlette.types import Receive, Scope, Send

from hounsfield.audit.events import Json
from hounsfield.aws.protocol.errors import AwsError, ServiceUnavailableException, serialise_error
from hounsfield.aws.protocol.response import WireResponse
from hounsfield.gateway.audit_record import CallRecord, Recorder
from hounsfield.gateway.authentication import AuthenticatedCaller, Authenticator
from hounsfield.gateway.bearer_authentication import BearerAuthenticator
from hounsfield.gateway.condition_keys import ConditionKeys
from hounsfield.gateway.request_body import BodyShare
from hounsfield.gateway.response_memory import ResponseRoom
from hounsfield.gateway.responses import StreamedResponse
from hounsfield.gateway.route_table import Match, Route
from hounsfield.gateway.threads import CallerThreads
from hounsfield.iam.authorization import Permission
from hounsfield.iam.principals import Principal

Response: TypeAlias = WireResponse | StreamedResponse


@dataclass(slots=True, eq=False)
class Exchange:
    """One request and its response, while the handlers of the pipeline work on it.

    Attributes
    ----------
    scope, receive, send
        Of ASGI.
    match : Match
        What the route table has for the request.
    api : Api
        The API in whose form errors are answered: that of the route, once a request is good enough to be routed.
    record : CallRecord
        Its audit record.
    room : ResponseRoom
        What the response holds of the memory for responses.
    route : Route
        The route, once it is certain that there is one.
    labels : Mapping of str to str
        Decoded labels of the path.
    caller : AuthenticatedCaller or None
        Who calls; None where nobody is authenticated, or not yet.
    threads : CallerThreads or None
        The threads of the route, by the turns of the caller.
    condition_keys : ConditionKeys
        What policies may ask about the request.
    permission : Permission
        The permission that the request needs by its path.
    allowed : Permission
        The permission that let the request in.
    share : BodyShare or None
        What the request holds of the memory for bodies, where its body was read.
    body : bytes
        The whole body, decoded, where it was read.
    is_body_read : bool
        Whether that is so.
    further : iterable of Permission
        Permissions that the parameters need.
    run : callable
        Runs the operation on the parsed request and serialises its result; in a thread, or in the event loop. It must not
        refer to the exchange: threads keep what they ran last, and would keep the response.
    take : callable or None
        Runs an operation that takes its body as it arrives.
    response : WireResponse or StreamedResponse
        The response.
    failure : AwsError or None
        Why the operation was not carried out.
    """

    scope: Scope
    receive: Receive
    send: Send
    match: Match
    api: Api
    record: CallRecord
    room: ResponseRoom
    route: Route = field(init=False)
    labels: Mapping[str, str] = field(init=False)
    caller: AuthenticatedCaller | None = None
    threads: CallerThreads | None = None
    condition_keys: ConditionKeys = field(init=False)
    permission: Permission = field(init=False)
    allowed: Permission = field(init=False)
    share: BodyShare | None = None
    body: bytes = b""
    is_body_read: bool = False
    further: Iterable[Permission] = ()
    run: Callable[[], Response] = field(init=False)
    take: Callable[[AsyncIterator[bytes]], Awaitable[Response]] | None = None
    response: Response = field(init=False)
    failure: AwsError | None = None

    @property
    def principal(self) -> Principal:
        """Who calls.

        Raises
        ------
        TypeError
            Nobody is authenticated.
        """
        if self.caller is None:
            raise TypeError("the caller is not authenticated")
        return self.caller.principal

    @property
    def caller_threads(self) -> CallerThreads:
        """The threads of the route, by the turns of the caller.

        Raises
        ------
        TypeError
            It is not known yet whose turn it is.
        """
        if self.threads is None:
            raise TypeError("the threads of a request are known once its caller is")
        return self.threads


class Api(ABC):
    """What an API gives to the pipeline: its routes and the pieces of its protocol.

    Attributes
    ----------
    name : str
        Name of the API.
    routes : sequence of Route
        Everything it answers.
    recorder : Recorder
        Records its calls in the audit trail.
    authenticator : Authenticator
        Checks signatures.
    bearer : BearerAuthenticator or None
        Checks bearer tokens; None where there are none.
    allows_unsigned : bool
        Whether a request without a signature is let on; whether its operation is one for everybody is then for `parse`.
    most_unproven_bytes : int
        Largest body that is read before it is certain who calls.
    no_room : type of AwsError
        What it is called that there is no room left for what a request stores.
    """

    name: str
    routes: Sequence[Route]
    recorder: Recorder
    authenticator: Authenticator
    bearer: BearerAuthenticator | None = None
    allows_unsigned: bool = False
    most_unproven_bytes: int
    no_room: type[AwsError] = ServiceUnavailableException

    @abstractmethod
    def decode_labels(self, labels: dict[str, str]) -> dict[str, str]:
        """Decode the labels of a path; raises `AwsError` where they cannot be read."""

    @abstractmethod
    def shown_labels(self, route: Route, labels: Mapping[str, str], query_string: bytes) -> Mapping[str, Json]:
        """Return what the audit record shows of the labels of a path, and of a query, that were not validated."""

    def datastore_of(self, labels: Mapping[str, str]) -> str:
        """Return the data store whose bearer tokens a request may have; an API without bearer tokens has none."""
        raise TypeError(f"{self.name} takes no bearer tokens, and has no label for the data store in {sorted(labels)}")

    @abstractmethod
    def permission_of(self, exchange: Exchange) -> Permission | None:
        """Return the permission that a request needs by its path; None where the operation decides by itself."""

    @abstractmethod
    def parse(self, exchange: Exchange) -> Awaitable[None] | None:
        """Parse a request: set `Exchange.run` or `Exchange.take`, and `Exchange.further`; awaited where that takes long."""

    def serialise_error(self, error: AwsError, request_id: str) -> WireResponse:
        """Return the response that says what is wrong."""
        return serialise_error(error, request_id)
