"""The handlers of the pipeline: each does one thing to every request, whichever API it is for.

A handler takes the exchange and returns nothing, or what is to be awaited where it has to wait: most requests wait nowhere
before their operation runs. What is wrong it raises. `hounsfield.gateway.pipeline` says in which order they come.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import structlog
from starlette.concurrency import run_in_threadpool

from hounsfield.aws.protocol.errors import AwsError, UnrecognizedClientException, ValidationException
from hounsfield.gateway.authentication import IN_PROCESS_CALLER, AuthenticatedCaller, is_signed
from hounsfield.gateway.bearer_authentication import BearerAuthenticator, bearer_token
from hounsfield.gateway.condition_keys import ConditionKeys
from hounsfield.gateway.cors import CrossOrigin
from hounsfield.gateway.exchange import Exchange
from hounsfield.gateway.header_limits import check_header_limits
from hounsfield.gateway.loopback_only import check_loopback_only
from hounsfield.gateway.request_body import (
    BodyShare,
    ClientDisconnectedError,
    RequestBodyMemory,
    body_chunks,
    declared_length,
    may_have_body,
    whole_body,
)
from hounsfield.gateway.responses import StreamedResponse, send_response, unbounded, with_size
from hounsfield.gateway.threads import CallerThreads
from hounsfield.iam.authorization import Permission, require
from hounsfield.iam.throttling import Throttle
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.tiering.damage_log import note_damage
from hounsfield.storage.blobs.large_reads import RoomNeededError, within
from hounsfield.storage.blobs.tiered_blobs import BlobArchivedError
from hounsfield.storage.keys.data_key_cache import KeyNotCachedError

_NO_LENGTH: Final = 10**18
"""A Content-Length from which on there is no body so large: it is refused with the body."""
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Handlers:
    """The handlers, with what they work on.

    Attributes
    ----------
    image_store : ImageStore
        The domain's stores.
    buckets : Throttle
        Counts requests.
    cross_origins : CrossOrigin or None
        Lets web pages of other origins call; None where none may.
    loopback_origins : sequence of str or None
        Origins whose pages may call where only this machine may, as nobody is authenticated; None where all machines may.
    bodies : RequestBodyMemory
        Bounds what the bodies of all requests take.
    most_header_bytes : int
        Largest number of bytes of all headers of a request.
    local : bool
        Whether database and packs are on this machine, so that a quick read need not wait for a thread.
    """

    image_store: ImageStore
    buckets: Throttle
    cross_origins: CrossOrigin | None
    loopback_origins: Sequence[str] | None
    bodies: RequestBodyMemory
    most_header_bytes: int
    local: bool

    def loopback(self, exchange: Exchange) -> None:
        """Refuse a request from another machine, or from a page of one, where nobody is authenticated."""
        if self.loopback_origins is not None:
            check_loopback_only(exchange.scope, self.loopback_origins)

    def cross_origin(self, exchange: Exchange) -> None:
        """Answer the preflight of a browser, and let pages of the origins that may call read the response."""
        if self.cross_origins is not None:
            exchange.send = self.cross_origins.sending(exchange.scope, exchange.send)

    def limits(self, exchange: Exchange) -> None:
        """Refuse a request whose headers, or whose query, are larger than the server takes."""
        check_header_limits(exchange.scope, self.most_header_bytes)

    def route(self, exchange: Exchange) -> None:
        """Take the operation that the route table has for method and path, and name it in the audit record."""
        match = exchange.match
        api = exchange.api = match.api
        route = match.route
        if route is None:
            raise match.error()
        exchange.route = route
        exchange.labels = match.labels if match.is_plain else api.decode_labels(match.labels)
        if not route.is_chosen_by_body:
            # The record may outlive the exchange, so it keeps no more of it than it shows.
            shown = partial(api.shown_labels, route, exchange.labels, exchange.scope["query_string"])
            exchange.record.set_operation(route.operation, route.category, shown, route.source)

    def authenticate(self, exchange: Exchange) -> Awaitable[None] | None:
        """Authenticate the caller by the headers: a signature, or a bearer token where the API takes one."""
        api, scope = exchange.api, exchange.scope
        caller = scope.get(IN_PROCESS_CALLER)  # the console has authenticated it
        if caller is not None:
            _accept(exchange, caller)
            return None
        if api.bearer is not None:
            token = bearer_token(scope)
            if token is not None and api.authenticator.checks_signatures:
                return _authenticate_bearer(exchange, api.bearer, token)
        if api.allows_unsigned and api.authenticator.checks_signatures and not is_signed(scope):
            _take_turns_as(exchange, "")
            return None
        _accept(exchange, api.authenticator.authenticate(scope))
        return None

    def prove(self, exchange: Exchange) -> Awaitable[None] | None:
        """Read the body of a request that does not state its hash, as only both together prove who calls."""
        caller = exchange.caller
        if caller is None or caller.proven:
            return None
        api, most = exchange.api, exchange.route.most_body_bytes
        if not may_have_body(exchange.scope):
            _prove(exchange, caller, b"")
            return None
        if most > api.most_unproven_bytes:
            _check_unproven(exchange, api.most_unproven_bytes)
        return self._read_to_prove(exchange, caller, min(most, api.most_unproven_bytes))

    def authorize(self, exchange: Exchange) -> Awaitable[None] | None:
        """Ask the policies of the caller for the permission that the operation needs by its path."""
        exchange.condition_keys = ConditionKeys(exchange.scope, self.image_store)
        needed = exchange.api.permission_of(exchange)
        if needed is None:
            return None
        exchange.permission = needed
        if self.local or not exchange.principal.rights.ask_for_resource_tags:
            exchange.allowed = require(exchange.principal, needed, exchange.condition_keys)
            return None
        return _authorize_in_thread(exchange, needed)

    def throttle(self, exchange: Exchange) -> None:
        """Refuse a request of an account that has sent too many of its kind."""
        if exchange.caller is not None:
            self.buckets.take(exchange.caller.principal.account_id, exchange.route.action)

    def require_room(self, exchange: Exchange) -> None:
        """Refuse a request that stores where the disk is to take no more, before its body is read."""
        if exchange.route.stores:
            length = declared_length(exchange.scope) or 0
            self.image_store.free_space.require(length if length < _NO_LENGTH else 0)

    def read_body(self, exchange: Exchange) -> Awaitable[None] | None:
        """Read the body, now that the caller may send it; an operation that takes it as it arrives reads it itself."""
        if exchange.is_body_read or exchange.route.streams_body:
            return None
        if not may_have_body(exchange.scope):
            if exchange.caller is not None:
                exchange.caller.reader().finish()
            return None
        return self._read_whole(exchange)

    def parse(self, exchange: Exchange) -> Awaitable[None] | None:
        """Parse the parameters of the operation from path, query, headers and body, and validate them."""
        return exchange.api.parse(exchange)

    def authorize_parameters(self, exchange: Exchange) -> Awaitable[None] | None:
        """Ask for the permissions that the parameters need: what is written to, tags, a role that is passed."""
        if not exchange.further:
            return None
        if self.local or not exchange.principal.rights.ask_for_resource_tags:
            _authorize_further(exchange)
            return None
        return run_in_threadpool(_authorize_further, exchange)

    def require_audit(self, exchange: Exchange) -> None:
        """Refuse a request that has to be recorded in the audit trail and cannot be, before anything is done."""
        exchange.record.require_recordable()

    def handle(self, exchange: Exchange) -> Awaitable[None] | None:
        """Run the operation and serialise its result: in a thread, by the caller's turns, or at once where it reads little."""
        if exchange.take is not None:
            return _take(exchange, _chunks(exchange))
        if not (exchange.route.quick and self.local):
            return _run(exchange)
        try:
            exchange.response = within(exchange.room, exchange.run)
        except (BlobArchivedError, KeyNotCachedError):
            return _run(exchange)
        except RoomNeededError as needed:
            return _run(exchange, needed)
        return None

    def buffer(self, exchange: Exchange) -> Awaitable[None] | None:
        """Make a response whole for a client that would not see that it is broken off."""
        response = unbounded(exchange.scope, exchange.response)
        return None if response is None else _buffer(exchange, response)

    def serialise_failure(self, exchange: Exchange) -> None:
        """Serialise what went wrong in the form of the API."""
        if exchange.failure is not None:
            exchange.response = exchange.api.serialise_error(exchange.failure, exchange.record.request_id)

    def audit(self, exchange: Exchange) -> Awaitable[None] | None:
        """Write the audit record: durably, before the response goes out, where something was changed."""
        written = exchange.record.write(exchange.response, exchange.failure)
        return None if written is None else _audited(exchange, written)

    async def send(self, exchange: Exchange) -> None:
        """Send the response, whole or in chunks."""
        try:
            await send_response(
                exchange.send,
                exchange.response,
                exchange.record.request_id,
                exchange.threads,
                head=exchange.scope["method"] == "HEAD",
            )
        except ClientDisconnectedError:
            raise
        except Exception as error:
            # The response has begun; all that is left is to break it off, and to say why where somebody looks.
            if not note_damage(self.image_store, error):
                _log.error("answer broken off", request_id=exchange.record.request_id, error=type(error).__name__)
            raise

    async def _read_to_prove(self, exchange: Exchange, caller: AuthenticatedCaller, most: int) -> None:
        exchange.share = BodyShare(self.bodies)
        _prove(exchange, caller, await whole_body(exchange.scope, exchange.receive, most, exchange.share))

    async def _read_whole(self, exchange: Exchange) -> None:
        exchange.share = BodyShare(self.bodies)
        most = exchange.route.most_body_bytes
        body = await whole_body(exchange.scope, exchange.receive, most, exchange.share)
        if exchange.caller is not None:
            reader = exchange.caller.reader()
            body = reader.feed(body) + reader.finish()
        exchange.body = body
        exchange.is_body_read = True


def _take_turns_as(exchange: Exchange, caller: str) -> None:
    """Let the request have the threads and the room of a caller, by a unique id."""
    threads = exchange.route.threads
    if threads is None:
        raise TypeError(f"the route of {exchange.route.operation} has no threads")
    exchange.room.caller = caller
    exchange.threads = CallerThreads(threads, caller, exchange.room)


def _accept(exchange: Exchange, caller: AuthenticatedCaller) -> None:
    """Go on with a caller whose headers were accepted."""
    exchange.caller = caller
    _take_turns_as(exchange, caller.principal.id)
    if caller.proven:
        _set_principal(exchange, caller)


def _set_principal(exchange: Exchange, caller: AuthenticatedCaller) -> None:
    """Name the caller in the audit record, now that it is certain who it is."""
    principal = caller.principal
    if not principal.id:
        raise UnrecognizedClientException("The security token included in the request is invalid.")
    exchange.record.set_principal(principal)
    exchange.api.authenticator.note_use(principal, exchange.route.action)


async def _authenticate_bearer(exchange: Exchange, authenticator: BearerAuthenticator, token: str) -> None:
    datastore_id = exchange.api.datastore_of(exchange.labels)
    _accept(exchange, await authenticator.authenticate(token, datastore_id, exchange.route.action))


def _check_unproven(exchange: Exchange, most: int) -> None:
    """Refuse a body that cannot be held until it is certain who sends it."""
    if (declared_length(exchange.scope) or 0) > most:
        raise ValidationException(
            f"A body of more than {most} bytes must state its SHA-256, or UNSIGNED-PAYLOAD, in the header "
            f"x-amz-content-sha256, so that the signature can be checked before the body arrives."
        )


def _prove(exchange: Exchange, caller: AuthenticatedCaller, sent: bytes) -> None:
    reader = caller.reader()
    exchange.body = reader.feed(sent) + reader.finish()
    exchange.is_body_read = True
    _set_principal(exchange, caller)


async def _authorize_in_thread(exchange: Exchange, needed: Permission) -> None:
    exchange.allowed = await run_in_threadpool(require, exchange.principal, needed, exchange.condition_keys)


def _authorize_further(exchange: Exchange) -> None:
    for needed in exchange.further:
        exchange.record.add_resources(needed.resources)
        require(exchange.principal, needed, exchange.condition_keys)


async def _chunks(exchange: Exchange) -> AsyncIterator[bytes]:
    """Return the decoded body as it arrives, or what was read of it already."""
    if exchange.is_body_read or exchange.caller is None:
        if exchange.body:
            yield exchange.body
        return
    reader = exchange.caller.reader()
    async for chunk in body_chunks(exchange.scope, exchange.receive, exchange.route.most_body_bytes):
        decoded = reader.feed(chunk)
        if decoded:
            yield decoded
    rest = reader.finish()
    if rest:
        yield rest


async def _take(exchange: Exchange, chunks: AsyncIterator[bytes]) -> None:
    if exchange.take is None:
        raise TypeError(f"{exchange.route.operation} does not take its body as it arrives")
    exchange.response = await exchange.take(chunks)


async def _run(exchange: Exchange, needed: RoomNeededError | None = None) -> None:
    """Run the operation in a thread; when it could not be run at once, because it reads what is large, once there is room."""
    if needed is not None:
        await exchange.room.grow(needed.name, needed.size)
    exchange.response = await exchange.caller_threads.run(exchange.run)


async def _buffer(exchange: Exchange, response: StreamedResponse) -> None:
    exchange.response = await with_size(response, exchange.caller_threads)


async def _audited(exchange: Exchange, written: Awaitable[AwsError | None]) -> None:
    unrecorded = await written
    if unrecorded is not None:
        exchange.response = exchange.api.serialise_error(unrecorded, exchange.record.request_id)
