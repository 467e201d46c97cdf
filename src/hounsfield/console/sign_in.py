"""Signing in and out: the pages that need no session, or end one.

    /console/sign-in ─ key and secret ─┐
    /console/link ─ link of a command ─┴─▶ ConsoleSessions.begin ─▶ cookie ─▶ where one was going

Each attempt is in the audit trail as ``ConsoleLogin``, each end of a session as ``ConsoleLogout``. A failure never says
whether the key exists.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from jinja2 import Environment
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from hounsfield.audit.events import Category
from hounsfield.aws.protocol.errors import AwsError, UnrecognizedClientException
from hounsfield.aws.protocol.response import WireResponse
from hounsfield.console.attempts import Attempts
from hounsfield.console.sessions import ConsoleSessions, Session
from hounsfield.console.visit import Form
from hounsfield.gateway.audit_record import CallRecord, Recorder
from hounsfield.gateway.authentication import AccessKeyHolders
from hounsfield.iam.principals import Principal

HOME: Final = "/console/datastores"
_REFUSED: Final = "The access key and the secret do not belong together, or may not be used."
_LINK_REFUSED: Final = "This link was used already, or is older than five minutes. Make a new one."


@dataclass(frozen=True, slots=True)
class SignIn:
    """The pages that begin and end sessions.

    Attributes
    ----------
    sessions : ConsoleSessions
        Where sessions are kept.
    holders : AccessKeyHolders
        Who holds which key.
    recorder : Recorder
        Records attempts in the audit trail.
    environment : Environment
        The templates.
    cookie : str
        Name of the cookie, another one for each installation: browsers do not tell ports of a host apart.
    everybody : bool
        Whether everybody is let in as root, as the settings turned authentication off.
    attempts : Attempts
        Who has failed.
    """

    sessions: ConsoleSessions
    holders: AccessKeyHolders
    recorder: Recorder
    environment: Environment
    cookie: str
    everybody: bool
    attempts: Attempts = field(default_factory=Attempts)

    def takes(self, request: Request) -> bool:
        """Return whether a request is for one of these pages, or signs in by itself since everybody is let in."""
        is_page = (request.method, request.url.path.rstrip("/")) in _PAGES
        return is_page or (self.everybody and request.method == "GET")

    async def answer(self, request: Request, session: Session | None, form: Form) -> Response | None:
        """Answer a request for one of these pages; None for all others."""
        answer = _PAGES.get((request.method, request.url.path.rstrip("/")))
        if answer is not None:
            return await answer(self, request, session, form)
        if session is None and self.everybody and request.method == "GET":
            root = self.holders.root
            return await self._begin(
                request, root, root.access_key_id, _target(str(request.url.path), request.url.query)
            )
        return None

    async def home(self, _request: Request, _session: Session | None, _form: Form) -> Response:
        """Lead to the first page."""
        return RedirectResponse(HOME, 303)

    async def form(self, request: Request, session: Session | None, _form: Form) -> Response:
        """Show the form, or lead on who is signed in."""
        target = _safe_target(request.query_params.get("next", ""))
        if session is not None:
            return RedirectResponse(target, 303)
        return self._page(target)

    async def by_key(self, request: Request, _session: Session | None, form: Form) -> Response:
        """Sign in by access key and secret."""
        target = _safe_target(form.text("next"))
        key, secret = form.text("access_key_id")[:128], form.text("secret_access_key")[:256]
        counted = (f"address:{_address(request)}", f"key:{key}")
        wait = self.attempts.wait_seconds(*counted)
        if wait:
            return self._refuse(
                request, target, f"Too many attempts failed. Try again in {wait} seconds.", 429, key, wait
            )
        if not _is_same_origin(request):
            return self._refuse(request, target, "The form was sent from a page of another site.", 403, key)
        # Where a key is unknown, the same is done as where it is known.
        principal = self.holders.signs_in(key, secret) if key and secret else None
        if principal is None:
            self.attempts.note(*counted)
            await self._record(request, "ConsoleLogin", None, UnrecognizedClientException(_REFUSED))
            return self._refuse(request, target, _REFUSED, 401, key)
        self.attempts.forget(*counted)
        return await self._begin(request, principal, key, target)

    async def link(self, _request: Request, _session: Session | None, _form: Form) -> Response:
        """Show the page of a link, whose token the browser does not send until a script or a click does."""
        return HTMLResponse(self.environment.get_template("link.html").render(error=""))

    async def by_link(self, request: Request, _session: Session | None, form: Form) -> Response:
        """Sign in by a link that a command printed."""
        counted = f"address:{_address(request)}"
        wait = self.attempts.wait_seconds(counted)
        key = None
        if not wait and _is_same_origin(request):
            key = await run_in_threadpool(self.sessions.take_link, form.text("token"))
        principal = await run_in_threadpool(self._holder_now, key) if key else None
        if key is None or principal is None:
            self.attempts.note(counted)
            await self._record(request, "ConsoleLogin", None, UnrecognizedClientException(_LINK_REFUSED))
            html = self.environment.get_template("link.html").render(error=_LINK_REFUSED)
            return HTMLResponse(html, 429 if wait else 401)
        return await self._begin(request, principal, key, HOME)

    def _holder_now(self, key: str) -> Principal | None:
        """Return the holder of a key, also of one that was made a moment ago: a link cannot be used again."""
        holder = self.holders.holder(key, None)
        if holder is None:
            self.holders.directory.refresh()
            holder = self.holders.holder(key, None)
        return holder

    async def status(self, _request: Request, session: Session | None, _form: Form) -> Response:
        """Return whether there is a session, for a script, and the token that changes need."""
        if session is None:
            return JSONResponse({"signedIn": False}, 401)
        return JSONResponse({"signedIn": True, "arn": session.principal.arn, "csrfToken": session.csrf_token})

    async def out(self, request: Request, session: Session | None, form: Form) -> Response:
        """End this session, or all of who is signed in."""
        if session is not None:
            if form.text("csrf_token") != session.csrf_token:
                return RedirectResponse(HOME, 303)
            await run_in_threadpool(self.sessions.end_all if form.text("everywhere") else self.sessions.end, session)
            await self._record(request, "ConsoleLogout", session.principal, None)
        response = RedirectResponse("/console/sign-in", 303)
        response.delete_cookie(self.cookie, path="/console")
        return response

    async def _begin(self, request: Request, principal: Principal, key: str, target: str) -> Response:
        unrecorded = await self._record(request, "ConsoleLogin", principal, None)
        if unrecorded is not None:
            raise unrecorded
        token = await run_in_threadpool(
            lambda: self.sessions.begin(
                principal, key, address=_address(request), user_agent=request.headers.get("user-agent", "")
            )
        )
        if _wants_json(request):
            response: Response = JSONResponse(
                {"signedIn": True, "arn": principal.arn, "csrfToken": self.sessions.csrf_token(token)}
            )
        else:
            response = RedirectResponse(target, 303)
        response.set_cookie(
            self.cookie,
            token,
            path="/console",
            httponly=True,
            samesite="lax",
            secure=request.url.scheme == "https",
        )
        return response

    async def _record(
        self, request: Request, name: str, principal: Principal | None, error: AwsError | None
    ) -> AwsError | None:
        """Write an attempt down; gives what is to be answered instead where that cannot be done."""
        record = CallRecord(self.recorder, request.scope)
        record.set_operation(name, Category.MANAGEMENT, dict)
        if principal is not None:
            record.set_principal(principal)
            record.require_recordable()
        written = record.write(WireResponse(401 if error else 200, [], b""), error)
        return None if written is None else await written

    def _refuse(
        self, request: Request, target: str, reason: str, status: int, key: str = "", wait: int = 0
    ) -> Response:
        headers = {"Retry-After": str(wait)} if wait else None
        if _wants_json(request):
            return JSONResponse({"signedIn": False, "reason": reason}, status, headers)
        response = self._page(target, reason, key)
        response.status_code = status
        response.headers.update(headers or {})
        return response

    def _page(self, target: str, error: str = "", key: str = "") -> Response:
        html = self.environment.get_template("sign_in.html").render(next=target, error=error, access_key_id=key)
        return HTMLResponse(html)


_Answer = Callable[[SignIn, Request, "Session | None", Form], Awaitable[Response]]

_PAGES: Final[dict[tuple[str, str], _Answer]] = {
    ("GET", "/console"): SignIn.home,
    ("GET", "/console/sign-in"): SignIn.form,
    ("POST", "/console/sign-in"): SignIn.by_key,
    ("GET", "/console/link"): SignIn.link,
    ("POST", "/console/link"): SignIn.by_link,
    ("GET", "/console/session-status"): SignIn.status,
    ("POST", "/console/sign-out"): SignIn.out,
}


def _target(path: str, query: str) -> str:
    return _safe_target(f"{path}?{query}" if query else path)


def _safe_target(target: str) -> str:
    """Return where to go after the sign-in: a page of the console, whatever the address asks for."""
    path = target.partition("?")[0]
    is_ours = path.startswith("/console/") and not any(sign in path for sign in ("\\", "//", ".."))
    leads_on = not target.startswith(("/console/sign-", "/console/link", "/console/api/", "/console/session-status"))
    return target if is_ours and leads_on and target.isprintable() else HOME


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


def _wants_json(request: Request) -> bool:
    return request.headers.get("accept", "").startswith("application/json")


def _is_same_origin(request: Request) -> bool:
    """Return whether a form came from a page of ours: browsers say so, and nobody else can be tricked into sending it."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is None or origin.partition("://")[2] == request.headers.get("host")
