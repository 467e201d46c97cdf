"""Signing in and out: the pages that need no session, or end one.

    /console/sign-in ─ key and secret ─────────┐
    /console/sign-in/oidc ─ identity provider ─┼─▶ ConsoleSessions.begin ─▶ cookie ─▶ where one was going
    /console/link ─ link of a command ─────────┘

Each attempt is in the audit trail as ``ConsoleLogin``, each end of a session as ``ConsoleLogout``. A failure never says
whether the key exists.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from jinja2 import Environment
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from hounsfield.audit.events import Category
from hounsfield.aws.protocol.errors import AwsError, ThrottlingException, UnrecognizedClientException
from hounsfield.console.cookies import PATH, set_cookie
from hounsfield.console.form import Form
from hounsfield.console.sessions import provider_sign_in
from hounsfield.console.sessions.attempts import Attempts
from hounsfield.console.sessions.provider_sign_in import ProviderSignIn, ProviderSignInError
from hounsfield.console.sessions.sessions import ConsoleSessions, Session, SignedIn, SignInMethod
from hounsfield.gateway.audit_record import CallRecord, Recorder
from hounsfield.gateway.authentication import AccessKeyHolders
from hounsfield.iam.principals import Principal

HOME: Final = "/console/start"
_REFUSED: Final = "The access key and the secret do not belong together, or may not be used."
_LINK_REFUSED: Final = "This link was used already, or is older than five minutes. Make a new one."
_OTHER_SITE: Final = "The form was sent from a page of another site."


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
    provider : ProviderSignIn or None
        The identity provider; None where there is none.
    attempts : Attempts
        Who has failed.
    """

    sessions: ConsoleSessions
    holders: AccessKeyHolders
    recorder: Recorder
    environment: Environment
    cookie: str
    everybody: bool
    provider: ProviderSignIn | None = None
    attempts: Attempts = field(default_factory=Attempts)

    def takes(self, request: Request) -> bool:
        """Return whether a request is for one of these pages, or signs in by itself since everybody is let in."""
        is_page = (request.method, request.url.path.rstrip("/")) in _PAGES
        return is_page or (self.everybody and request.method == "GET")

    async def answer(self, request: Request, session: Session | None, form: Form) -> Response | None:
        """Answer a request for one of these pages; None for all others."""
        path = request.url.path.rstrip("/")
        if session is None and self.everybody and request.method == "GET" and not path.startswith("/console/link"):
            root = self.holders.root
            signed_in = SignedIn(root, root.access_key_id, SignInMethod.NOBODY_ASKED)
            asked = request.query_params.get("next", "") if path == "/console/sign-in" else _address_of(request)
            return await self._begin(request, None, signed_in, _safe_target(asked))
        answer = _PAGES.get((request.method, path))
        return None if answer is None else await answer(self, request, session, form)

    async def home(self, _request: Request, _session: Session | None, _form: Form) -> Response:
        """Lead to the first page."""
        return RedirectResponse(HOME, 303)

    async def form(self, request: Request, session: Session | None, _form: Form) -> Response:
        """Show the form, or lead on who is signed in."""
        target = _safe_target(request.query_params.get("next", ""))
        if session is not None:
            return RedirectResponse(target, 303)
        ended = request.query_params.get("ended", "")
        return self._page(
            target,
            has_ended=self.cookie in request.cookies,
            ended=int(ended) if re.fullmatch("[0-9]{1,6}", ended) else 0,
        )

    async def by_key(self, request: Request, session: Session | None, form: Form) -> Response:
        """Sign in by access key and secret."""
        target = _safe_target(form.text("next"))
        key, secret = form.text("access_key_id")[:128], form.text("secret_access_key")[:256]
        if not _is_same_origin(request):
            return self._refuse(request, target, _OTHER_SITE, 403, key)
        address = _address(request)
        wait = self.attempts.wait_seconds(address, key)
        if wait:
            reason = f"Too many attempts failed. Try again in {wait} seconds."
            await self._record(request, SignInMethod.KEY, ThrottlingException(reason), key)
            return self._refuse(request, target, reason, 429, key, wait)
        # Where a key is unknown, the same is done as where it is known.
        principal = self.holders.signs_in(key, secret) if key and secret else None
        if principal is None:
            self.attempts.note(address, key)
            await self._record(request, SignInMethod.KEY, UnrecognizedClientException(_REFUSED), key)
            return self._refuse(request, target, _REFUSED, 401, key)
        self.attempts.forget(address, key)
        return await self._begin(request, session, SignedIn(principal, key, SignInMethod.KEY), target)

    async def link(self, _request: Request, _session: Session | None, _form: Form) -> Response:
        """Show the page of a link, whose token the browser does not send until a script or a click does."""
        return HTMLResponse(self.environment.get_template("link.html").render(error=""))

    async def by_link(self, request: Request, session: Session | None, form: Form) -> Response:
        """Sign in by a link that a command printed."""
        if not _is_same_origin(request):
            return self._refuse_link(_OTHER_SITE, 403)
        address = _address(request)
        wait = self.attempts.wait_seconds(address)
        if wait:
            reason = f"Too many attempts failed. Try again in {wait} seconds."
            await self._record(request, SignInMethod.LINK, ThrottlingException(reason))
            return self._refuse_link(reason, 429, wait)
        key = await run_in_threadpool(self.sessions.take_link, form.text("token"))
        principal = await run_in_threadpool(self._holder_now, key) if key else None
        if key is None or principal is None:
            self.attempts.note(address)
            await self._record(request, SignInMethod.LINK, UnrecognizedClientException(_LINK_REFUSED))
            return self._refuse_link(_LINK_REFUSED, 401)
        target = _safe_target(form.text("next"))
        return await self._begin(request, session, SignedIn(principal, key, SignInMethod.LINK), target)

    def _holder_now(self, key: str) -> Principal | None:
        """Return the holder of a key, also of one that was made a moment ago: a link cannot be used again."""
        holder = self.holders.holder(key, None)
        if holder is None:
            self.holders.directory.refresh()
            holder = self.holders.holder(key, None)
        return holder

    async def to_provider(self, request: Request, _session: Session | None, _form: Form) -> Response:
        """Send the browser to the identity provider."""
        target = _safe_target(request.query_params.get("next", ""))
        if self.provider is None:
            return RedirectResponse("/console/sign-in", 303)
        try:
            return await self.provider.begin(request, target)
        except ProviderSignInError as error:
            return self._refuse(request, target, error.message, error.status)

    async def from_provider(self, request: Request, session: Session | None, _form: Form) -> Response:
        """Sign in whom the identity provider sends back."""
        if self.provider is None:
            return RedirectResponse("/console/sign-in", 303)
        try:
            signed_in, target = await self.provider.finish(request)
        except ProviderSignInError as error:
            await self._record(request, SignInMethod.PROVIDER, UnrecognizedClientException(error.message))
            response = self._refuse(request, HOME, error.message, error.status)
        else:
            response = await self._begin(request, session, signed_in, _safe_target(target))
        self.provider.forget(request, response)
        return response

    async def status(self, _request: Request, session: Session | None, _form: Form) -> Response:
        """Return whether there is a session, for a script, and the token that changes need."""
        if session is None:
            return JSONResponse({"signedIn": False}, 401)
        return _signed_in_json(session.principal, session.csrf_token)

    async def out(self, request: Request, session: Session | None, form: Form) -> Response:
        """End this session, or all of who is signed in.

        A page of ours may ask for that, whatever its token: who leaves is not to stay signed in as the page is out of date.
        """
        ended = 0
        if session is not None:
            if form.text("csrf_token") != session.csrf_token and not _is_surely_same_origin(request):
                return RedirectResponse(HOME, 303)
            if form.text("everywhere"):
                ended = await run_in_threadpool(self.sessions.end_all, session)
            else:
                await run_in_threadpool(self.sessions.end, session)
            await self._record_end(request, session.principal)
        response = RedirectResponse(f"/console/sign-in?ended={ended}" if ended else "/console/sign-in", 303)
        response.delete_cookie(self.cookie, path=PATH)
        return response

    async def _begin(self, request: Request, before: Session | None, signed_in: SignedIn, target: str) -> Response:
        """Begin a session, in the place of the one that the browser may have had before."""
        unrecorded = await self._record(request, signed_in.method, None, principal=signed_in.principal)
        if unrecorded is not None:
            raise unrecorded
        if before is not None:
            await run_in_threadpool(self.sessions.end, before)
        address, user_agent = _address(request), request.headers.get("user-agent", "")
        token = await run_in_threadpool(lambda: self.sessions.begin(signed_in, address=address, user_agent=user_agent))
        if _wants_json(request):
            response: Response = _signed_in_json(signed_in.principal, self.sessions.csrf_token(token))
        else:
            response = RedirectResponse(target, 303)
        set_cookie(request, response, self.cookie, token)
        return response

    async def _record(
        self,
        request: Request,
        method: SignInMethod,
        error: AwsError | None,
        key: str = "",
        principal: Principal | None = None,
    ) -> AwsError | None:
        """Write an attempt down; gives what is to be answered instead where that cannot be done."""
        record = CallRecord(self.recorder, request.scope)
        record.set_operation("ConsoleLogin", Category.MANAGEMENT, dict)
        record.set_sign_in(method, key)
        if principal is not None:
            record.set_principal(principal)
            record.require_recordable()
        return await record.write_end(401 if error else 200, error)

    async def _record_end(self, request: Request, principal: Principal) -> None:
        record = CallRecord(self.recorder, request.scope)
        record.set_operation("ConsoleLogout", Category.MANAGEMENT, dict)
        record.set_sign_in("", "")
        record.set_principal(principal)
        await record.write_end(200)

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

    def _refuse_link(self, reason: str, status: int, wait: int = 0) -> Response:
        html = self.environment.get_template("link.html").render(error=reason)
        return HTMLResponse(html, status, {"Retry-After": str(wait)} if wait else None)

    def _page(
        self, target: str, error: str = "", key: str = "", *, has_ended: bool = False, ended: int = 0
    ) -> Response:
        html = self.environment.get_template("sign_in.html").render(
            next=target,
            error=error,
            has_ended=has_ended,
            access_key_id=key,
            ended=ended,
            provider=None if self.provider is None else self.provider.name,
            provider_path=provider_sign_in.PATH,
        )
        return HTMLResponse(html)


_Answer = Callable[[SignIn, Request, "Session | None", Form], Awaitable[Response]]

_PAGES: Final[dict[tuple[str, str], _Answer]] = {
    ("GET", "/console"): SignIn.home,
    ("GET", "/console/sign-in"): SignIn.form,
    ("POST", "/console/sign-in"): SignIn.by_key,
    ("GET", provider_sign_in.PATH): SignIn.to_provider,
    ("GET", provider_sign_in.RETURN_PATH): SignIn.from_provider,
    ("GET", "/console/link"): SignIn.link,
    ("POST", "/console/link"): SignIn.by_link,
    ("GET", "/console/session-status"): SignIn.status,
    ("POST", "/console/sign-out"): SignIn.out,
}


def _address_of(request: Request) -> str:
    return f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path


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


def _signed_in_json(principal: Principal, csrf_token: str) -> Response:
    return JSONResponse({"signedIn": True, "arn": principal.arn, "csrfToken": csrf_token})


def _is_same_origin(request: Request) -> bool:
    """Return whether a form came from a page of ours: browsers say so, and nobody else can be tricked into sending it."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is None or origin.partition("://")[2] == request.headers.get("host")


def _is_surely_same_origin(request: Request) -> bool:
    """Return whether a browser says that a form came from a page of ours."""
    return request.headers.get("sec-fetch-site") == "same-origin"
