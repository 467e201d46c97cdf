"""The ASGI application of the console: what is below ``/console/``.

    request ─▶ limits ─▶ static file? ─▶ sign-in? ─▶ session ─▶ CSRF ─┬─▶ page ─▶ HTML
                                            └─▶ no session: sign in    └─▶ bridge ─▶ API

Every answer has the security headers. A page that is asked for without a session leads to the sign-in, and from there back.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote, urlsplit

import structlog
from jinja2 import Environment
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hounsfield.audit.events import Category
from hounsfield.aws.protocol.errors import AccessDeniedException, AwsError, ValidationException
from hounsfield.console.calls import ApiError, Calls, FormRefusedError
from hounsfield.console.form import MOST_FORM_BYTES, Form
from hounsfield.console.ohif import send_ohif_file
from hounsfield.console.page import Page
from hounsfield.console.pages import PAGES
from hounsfield.console.security_headers import BRIDGE_HEADERS, PAGE_HEADERS
from hounsfield.console.sessions.sessions import ConsoleSessions, Session
from hounsfield.console.sessions.sign_in import SignIn
from hounsfield.console.static_files import send_static_file
from hounsfield.console.visit import ABOVE_THE_PAGE, Place, Visit
from hounsfield.gateway.audit_record import CallRecord
from hounsfield.gateway.header_limits import check_header_limits
from hounsfield.gateway.loopback_only import check_loopback_only
from hounsfield.gateway.request_body import BodyShare, ClientDisconnectedError, RequestBodyMemory, whole_body
from hounsfield.iam.identities.errors import DirectoryUnavailableError
from hounsfield.iam.request_context import RequestConditionKeys
from hounsfield.storage.db.errors import DatabaseTroubleError
from hounsfield.storage.identifiers import new_uuid

_log = structlog.get_logger(__name__)

BRIDGE: Final = "/console/api/"
CSRF_HEADER: Final = "X-CSRF-Token"
"""What a request must bring that changes something, unless its form has it."""
STALE: Final = "stale"
"""The same header of an answer that refuses a request for its token: a script gets the new one and asks again."""
BACKGROUND: Final = "x-background"
"""Header of requests that a page makes by itself, such as for progress: they do not make a session last longer."""
_SAFE: Final = frozenset({"GET", "HEAD"})
_MOST_SIGN_IN_BYTES: Final = 16 * 1024
_LONG_FORM_BYTES: Final = 64 * 1024
_CACHING: Final = frozenset({b"cache-control", b"expires"})
_FORM: Final = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a request may be.

    Attributes
    ----------
    most_header_bytes : int
        Largest number of bytes of all headers.
    loopback_origins : sequence of str or None
        Origins whose pages may call where only this machine may, as nobody is authenticated; None where all machines may.
    """

    most_header_bytes: int
    loopback_origins: Sequence[str] | None

    def check(self, scope: Scope) -> None:
        """Check a request before anything of it is used; raises `AwsError`."""
        if self.loopback_origins is not None:
            check_loopback_only(scope, self.loopback_origins)
        check_header_limits(scope, self.most_header_bytes)


@dataclass(slots=True)
class Console:
    """The ASGI application of the console.

    Attributes
    ----------
    sessions : ConsoleSessions
        Who is signed in.
    sign_in : SignIn
        The pages that begin and end sessions.
    condition_keys : callable
        Returns what policies may ask about a request, from its ASGI scope.
    environment : Environment
        The templates.
    place : Place
        Parts of ARNs.
    bodies : RequestBodyMemory
        Bounds what bodies take in memory, those of the console and of the APIs together.
    limits : Limits
        What a request may be.
    pipeline : callable
        ASGI application that answers the requests of all APIs; set once it is made, since the console is one of its routes.
    """

    sessions: ConsoleSessions
    sign_in: SignIn
    condition_keys: Callable[[Scope], RequestConditionKeys]
    environment: Environment
    place: Place
    bodies: RequestBodyMemory
    limits: Limits
    pipeline: ASGIApp = field(init=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            self.limits.check(scope)
            if await send_static_file(scope, send) or await send_ohif_file(scope, send):
                return
            if scope["path"].startswith(BRIDGE):
                await self._bridge(scope, receive, send)
                return
            response = await self._answer(Request(scope, receive))
        except AwsError as error:
            response = self._trouble(error.status, error.message)
        except (DatabaseTroubleError, DirectoryUnavailableError):
            response = self._trouble(503, "The server cannot reach its database at the moment. Try again in a while.")
        for name, value in PAGE_HEADERS.items():
            response.headers.setdefault(name, value)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        share = BodyShare(self.bodies)
        try:
            return await self._answer_form(request, share)
        finally:
            share.release()

    async def _answer_form(self, request: Request, share: BodyShare) -> Response:
        session = await self._session(request)
        if session is None and not self.sign_in.takes(request):
            return self._signed_out(request)
        # Of somebody who is not signed in, no more is read than a form to sign in with needs.
        form = await _read_form(request, MOST_FORM_BYTES if session else _MOST_SIGN_IN_BYTES, share)
        signing = await self.sign_in.answer(request, session, form)
        if signing is not None:
            return signing
        if session is None:
            return self._signed_out(request)
        if request.method not in _SAFE and not _has_csrf_token(request, session, form):
            response = self._trouble(403, "The page that sent this is out of date. Reload it and try again.")
            response.headers[CSRF_HEADER] = STALE
            return response
        return await self._page(request, session, form)

    async def _page(self, request: Request, session: Session, form: Form) -> Response:
        page, labels = _find(request.scope)
        visit = self._visit(request, session, form, labels)
        if page is None:
            return visit.refusal(ApiError(404, "NotFound", "There is no page at this address.", ""))
        try:
            return await page.handler(visit)
        except FormRefusedError as error:
            await self._record_refusal(request, session, error)
            return visit.refusal(error)
        except ApiError as error:
            return visit.refusal(error)
        except (AwsError, ClientDisconnectedError, DatabaseTroubleError, DirectoryUnavailableError):
            raise
        except Exception as error:  # noqa: BLE001 - the last resort of a process that must go on
            request_id = new_uuid()
            _log.exception("page failed", request_id=request_id, page=page.path, error=type(error).__name__)
            return visit.refusal(ApiError(500, "InternalFailure", "The server failed to make this page.", request_id))

    async def _record_refusal(self, request: Request, session: Session, refused: FormRefusedError) -> None:
        """Write down that a form was refused, as the API does with what it refuses."""
        record = CallRecord(self.sign_in.recorder, request.scope)
        service, _, name = refused.action.partition(":")
        source = f"{service}.amazonaws.com" if service != "hounsfield" else "medical-imaging.amazonaws.com"
        record.set_operation(name, Category.MANAGEMENT, dict, source)
        record.set_principal(session.principal)
        await record.write_end(refused.status, AccessDeniedException(refused.message))
        refused.request_id = record.request_id

    async def _bridge(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request of the browser on to the API, as who is signed in."""
        request = Request(scope, receive)
        session = await self._session(request)
        if session is None or (request.method not in _SAFE and not _has_csrf_token(request, session, Form())):
            if session is None and request.headers.get("sec-fetch-dest") == "document":
                # Whoever followed a link to a download comes back to the page that has it.
                page = urlsplit(request.headers.get("referer", ""))
                await _to_sign_in(page.path, page.query)(scope, receive, send)
                return
            status, reason, own = (
                (401, "Sign in first.", {})
                if session is None
                else (403, "The header X-CSRF-Token is missing or out of date.", {CSRF_HEADER: STALE})
            )
            await PlainTextResponse(reason, status, {**PAGE_HEADERS, **own})(scope, receive, send)
            return

        keeps = scope["path"].endswith("/thumbnail")

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message["headers"] if keeps else _uncached(message["headers"])
                message = {**message, "headers": [*headers, *BRIDGE_HEADERS]}
            await send(message)

        raw_path = scope["raw_path"][len(BRIDGE) - 1 :]
        await Calls(self.pipeline, scope, session.principal).stream(raw_path, receive, with_headers)

    async def _session(self, request: Request) -> Session | None:
        token = request.cookies.get(self.sign_in.cookie, "")
        is_used = BACKGROUND not in request.headers
        return await run_in_threadpool(lambda: self.sessions.find(token, is_used=is_used)) if token else None

    def _visit(self, request: Request, session: Session, form: Form, labels: dict[str, str]) -> Visit:
        request.scope["path_params"] = labels
        return Visit(
            request,
            session,
            self.sessions,
            Calls(self.pipeline, request.scope, session.principal),
            self.place,
            form,
            f"{self.sign_in.cookie}-message",
            self.condition_keys(request.scope),
            self.environment,
        )

    def _signed_out(self, request: Request) -> Response:
        """Return the answer to a request of nobody: a page leads to the sign-in and back, a script is told."""
        is_page = request.headers.get("sec-fetch-dest", "document") == "document"
        if not is_page or request.headers.get("hx-request") == "true" or request.method not in _SAFE:
            return self._trouble(401, "Your session has ended. Sign in again; what you typed is still here.")
        return _to_sign_in(request.url.path, request.url.query)

    def _trouble(self, status: int, reason: str) -> Response:
        """Return the page that says why there is none, for somebody who need not be signed in."""
        html = self.environment.get_template("trouble.html").render(reason=reason, status=status)
        return HTMLResponse(html, status, {**ABOVE_THE_PAGE, **({"Retry-After": "5"} if status == 503 else {})})


_ROUTES: Final = tuple((Route(page.path, lambda _request: None, methods=page.methods), page) for page in PAGES)


def _find(scope: Scope) -> tuple[Page | None, dict[str, str]]:
    """Return the page of a path and method, and its labels."""
    for route, page in _ROUTES:
        match, found = route.matches(scope)
        if match is Match.FULL:
            return page, found["path_params"]
    return None, {}


def _to_sign_in(path: str, query: str) -> Response:
    """Return the answer that leads to the sign-in, and from there to a page; which one is checked there."""
    target = f"{path}?{query}" if query else path
    return RedirectResponse(f"/console/sign-in?next={quote(target, safe='')}", 303, PAGE_HEADERS)


async def _read_form(request: Request, most: int, share: BodyShare) -> Form:
    """Read the form that a request sends, of so many bytes at most; raises `AwsError`."""
    if request.method in _SAFE or request.headers.get("content-type", "").partition(";")[0].strip() != _FORM:
        return Form()
    content = await whole_body(request.scope, request.receive, most, share)
    try:
        # A long one takes long to take apart, while all others would have to wait.
        return await run_in_threadpool(Form, content) if len(content) > _LONG_FORM_BYTES else Form(content)
    except ValueError:
        raise ValidationException("The form has too many fields, or is not in UTF-8.") from None


def _uncached(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return headers of the API by which no browser keeps images, or what names patients; it may keep small pictures."""
    kept = [(name, value) for name, value in headers if name not in _CACHING]
    return [*kept, (b"cache-control", b"private, no-store")]


def _has_csrf_token(request: Request, session: Session, form: Form) -> bool:
    given = request.headers.get(CSRF_HEADER) or form.text("csrf_token")
    return hmac.compare_digest(given.encode(), session.csrf_token.encode())
