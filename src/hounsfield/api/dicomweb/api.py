"""The DICOMweb API: its routes, its protocol (PS3.18), and bearer tokens beside signatures.

    path, query, headers ─▶ Call ─▶ operation that reads ────────────────────────▶ response
    body as it arrives   ─▶ Call ─▶ operation that takes a body as it arrives ───▶ response

What proves a body that is taken as it arrives is known at its end, before anything of it becomes visible.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from starlette.types import Scope

from hounsfield.api.dicomweb.context import Context
from hounsfield.api.dicomweb.operations import OPERATIONS, Answer, Operation
from hounsfield.api.dicomweb.permissions import ON_IMAGE_SETS, permission_of
from hounsfield.api.dicomweb.query_parameters import warning
from hounsfield.api.dicomweb.request import Call, parse_query
from hounsfield.api.dicomweb.routes import decode_labels
from hounsfield.api.dicomweb.study_order import ORDER_BY, study_order
from hounsfield.audit.events import Json
from hounsfield.aws.protocol.errors import InsufficientStorageException, ValidationException
from hounsfield.gateway.audit_record import Recorder
from hounsfield.gateway.audit_redaction import shown_dicomweb_labels
from hounsfield.gateway.authentication import Authenticator
from hounsfield.gateway.bearer_authentication import BearerAuthenticator
from hounsfield.gateway.exchange import Api, Exchange
from hounsfield.gateway.image_set_access import CallerAccess
from hounsfield.gateway.route_table import Route
from hounsfield.iam.authorization import Permission

_HOST: Final = re.compile(r"[A-Za-z0-9.\-_:\[\]]{1,255}")
_PORT: Final = re.compile(r":[0-9]*\Z")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_SIGNS_OF_PROXIES: Final = frozenset({"forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"})


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class DicomwebApi(Api):
    """The DICOMweb API.

    Attributes
    ----------
    context : Context
        What the operations work on.
    routes, recorder, authenticator, bearer
        See `hounsfield.gateway.exchange.Api`.
    most_unproven_bytes : int
        Largest body of a request that does not state its hash, and so cannot be checked before it is whole.
    public_url : str
        What URLs in responses begin with; empty for what the client called.
    """

    context: Context
    routes: Sequence[Route] = field(repr=False)
    recorder: Recorder
    authenticator: Authenticator
    bearer: BearerAuthenticator
    most_unproven_bytes: int
    public_url: str = ""

    name = "DICOMweb"
    no_room = InsufficientStorageException

    def decode_labels(self, labels: dict[str, str]) -> dict[str, str]:
        """Decode the labels of a path; see `hounsfield.api.dicomweb.routes.decode_labels`."""
        return decode_labels(labels)

    def shown_labels(self, _route: Route, labels: Mapping[str, str], query_string: bytes) -> Mapping[str, Json]:
        """Return the ids and UIDs of the path that have their form."""
        return shown_dicomweb_labels(labels, query_string)

    def datastore_of(self, labels: Mapping[str, str]) -> str:
        """Return the data store of the path."""
        return labels["datastoreId"]

    def permission_of(self, exchange: Exchange) -> Permission:
        """Return the permission of the operation on the data store."""
        return permission_of(
            exchange.route, exchange.labels, self.context.image_store, by_classic=self.context.classic_searches
        )

    def parse(self, exchange: Exchange) -> None:
        """Parse query and headers, and find the operation."""
        operation = OPERATIONS[exchange.route.operation]
        call = self._call(exchange)
        read, take = operation.read, operation.take
        if take is not None:
            exchange.take = lambda chunks: _taken(call, operation, take(call, chunks))
        elif read is not None:
            exchange.run = partial(_read, call, operation, read)
        else:
            raise TypeError(f"operation {operation.name} has no handler")

    def _call(self, exchange: Exchange) -> Call:
        scope, labels = exchange.scope, exchange.labels
        headers: dict[str, str] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.decode("latin-1"), value.decode("latin-1"))
        datastore_id = labels["datastoreId"]
        return Call(
            context=self.context,
            datastore_id=datastore_id,
            labels=labels,
            query=parse_query(scope["query_string"]),
            headers=headers,
            base=f"{self._origin(scope, headers)}/datastore/{datastore_id}",
            access=self._access(exchange, datastore_id),
            threads=exchange.caller_threads,
        )

    def _access(self, exchange: Exchange, datastore_id: str) -> CallerAccess:
        principal, permission = exchange.principal, exchange.permission
        explicit = self.authenticator.must_be_allowed_image_sets(principal, datastore_id)
        return CallerAccess(
            principal,
            exchange.allowed,
            explicit or permission.action in ON_IMAGE_SETS,
            exchange.condition_keys,
            self.context.image_store,
            exchange.record.add_resources,
            permission,
        )

    def _origin(self, scope: Scope, headers: dict[str, str]) -> str:
        if self.public_url:
            return self.public_url.rstrip("/")
        host = headers.get("host", "")
        if not _HOST.fullmatch(host):
            raise ValidationException("The Host header must be a host name or address, with a port or without.")
        return f"{scope['scheme']}://{host}{_missing_port(scope, host, headers)}"


def _read(call: Call, operation: Operation, read: Callable[[Call], Answer]) -> Answer:
    return _with_warning(call, operation, read(call)) if call.query else read(call)


def _with_warning(call: Call, operation: Operation, response: Answer) -> Answer:
    """Return a response with a warning of the query parameters that were passed over."""
    is_ordered = operation.orders and study_order(call.query) is not None
    ignored = warning(call.query, [ORDER_BY] if is_ordered else []) if call.query else None
    if ignored is not None:
        response.headers.append(ignored)
    return response


async def _taken(call: Call, operation: Operation, response: Awaitable[Answer]) -> Answer:
    return _with_warning(call, operation, await response)


def _missing_port(scope: Scope, host: str, headers: dict[str, str]) -> str:
    """Return the port that a client leaves out of its Host header although it is none that goes without saying.

    dicomweb-client does. Where a proxy says that it stands in between, the port of the connection is not that of the client.
    """
    server = scope.get("server")
    if _PORT.search(host) or not server or server[1] in {None, _DEFAULT_PORTS.get(scope["scheme"])}:
        return ""
    return "" if _SIGNS_OF_PROXIES & headers.keys() else f":{server[1]}"
