"""Visits: one request for a page, with who is signed in and what a page needs to answer it.

    request ─▶ Visit: session, form, calls, may ─▶ page ─▶ Visit.render | Visit.redirect ─▶ response

Every answer is a whole page. A script that wants a part of it (htmx) takes that part out, so each state has one address.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, unquote, urlencode

from jinja2 import Environment
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from hounsfield.console.calls import ApiError, Calls, FormRefusedError
from hounsfield.console.cookies import PATH, set_cookie
from hounsfield.console.form import Form
from hounsfield.console.navigation import entries_of
from hounsfield.console.sessions.sessions import ConsoleSessions, Session
from hounsfield.iam.authorization import AccessDeniedError, ContextValue, Permission, require
from hounsfield.iam.request_context import RequestConditionKeys
from hounsfield.settings.import_roles import ImportRoles

_MESSAGE_SECONDS: Final = 60
_MOST_DIGITS: Final = 9
_MOST_NUMBER: Final = 10**_MOST_DIGITS - 1
ABOVE_THE_PAGE: Final[Mapping[str, str]] = {
    "HX-Retarget": "#errors",
    "HX-Reselect": "#error",
    "HX-Reswap": "innerHTML",
}
"""Headers by which htmx shows the error of an answer above the page that is there, which stays."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the installation is, for ARNs and addresses, and what its settings say of what pages lead to.

    Attributes
    ----------
    account_id, region, partition : str
        Parts of ARNs.
    import_roles : ImportRoles
        What roles of import jobs are.
    most_store_bytes : int
        Largest body of a request that stores instances.
    """

    account_id: str
    region: str
    partition: str
    import_roles: ImportRoles
    most_store_bytes: int

    def datastore_arn(self, datastore_id: str) -> str:
        """Return the ARN of a data store."""
        return f"arn:{self.partition}:medical-imaging:{self.region}:{self.account_id}:datastore/{datastore_id}"

    def image_set_arn(self, datastore_id: str, image_set_id: str) -> str:
        """Return the ARN of an image set."""
        return f"{self.datastore_arn(datastore_id)}/imageset/{image_set_id}"

    def iam_arn(self, kind: str, name: str) -> str:
        """Return the ARN of a user, role or policy."""
        return f"arn:{self.partition}:iam::{self.account_id}:{kind}/{name}"


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of somebody who is signed in.

    Attributes
    ----------
    request : Request
        The request.
    session : Session
        Who is signed in.
    sessions : ConsoleSessions
        Where else that is.
    calls : Calls
        Makes calls of the API as who is signed in.
    place : Place
        Parts of ARNs.
    form : Form
        The form that was sent; empty for a request without one.
    message_cookie : str
        Name of the cookie that takes a message to the next page.
    """

    request: Request
    session: Session
    sessions: ConsoleSessions = field(repr=False)
    calls: Calls = field(repr=False)
    place: Place
    form: Form
    message_cookie: str
    _condition_keys: RequestConditionKeys = field(repr=False)
    _environment: Environment = field(repr=False)

    @property
    def labels(self) -> Mapping[str, str]:
        """Labels of the path by name, decoded."""
        return self.request.path_params

    @property
    def query(self) -> Mapping[str, str]:
        """Parameters of the query by name; of one that is given twice, the last."""
        return self.request.query_params

    def number(self, name: str, least: int = 0, most: int = _MOST_NUMBER) -> int:
        """Return a whole number of the query, between two others; the least where there is none."""
        text = self.query.get(name, "")
        is_number = text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS
        return max(least, min(int(text), most)) if is_number else least

    @property
    def is_part(self) -> bool:
        """Whether a script asks, to put a part of the answer into the page."""
        return self.request.headers.get("hx-request") == "true"

    def may(self, action: str, *resources: str, context: Mapping[str, ContextValue] | None = None) -> bool:
        """Return whether who is signed in is allowed something now, as far as that can be known before it is asked for.

        Parameters
        ----------
        action : str
            IAM action, such as ``medical-imaging:DeleteDatastore``.
        *resources : str
            ARNs of what it is about; ``*`` where it names nothing.
        context : mapping, optional
            Condition keys of the action.
        """
        try:
            self._require(action, resources, context or {})
        except AccessDeniedError:
            return False
        return True

    def require(self, action: str, *resources: str) -> None:
        """Refuse a page that leads to what is not allowed, such as a form; raises `FormRefusedError` in the API's words."""
        try:
            self._require(action, resources, {})
        except AccessDeniedError as error:
            raise FormRefusedError(action, str(error)) from None

    def _require(self, action: str, resources: tuple[str, ...], context: Mapping[str, ContextValue]) -> None:
        require(self.session.principal, Permission(action, resources or ("*",), context), self._condition_keys)

    def render(
        self,
        template: str,
        *,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
        error: ApiError | None = None,
        **values: Any,
    ) -> Response:
        """Return a page.

        Parameters
        ----------
        template : str
            Name of the template.
        status : int, optional
            HTTP status; without one that of the error, or 200.
        headers : mapping, optional
            Further headers.
        error : ApiError, optional
            Why something was not done, which the template shows too.
        **values
            What the template shows.
        """
        message = self._message()
        html = self._environment.get_template(template).render(
            visit=self,
            may=self.may,
            place=self.place,
            principal=self.session.principal,
            csrf_token=self.session.csrf_token,
            navigation=entries_of(self),
            message=message,
            error=error,
            **values,
        )
        if status is None:
            status = 200 if error is None else error.status
        response = HTMLResponse(html, status, dict(headers or {}))
        if message is not None:
            response.delete_cookie(self.message_cookie, path=PATH)
        return response

    def redirect(self, path: str, message: str = "") -> Response:
        """Return the answer that leads to another page, where a message says what was done. It names no patient."""
        if self.is_part:
            response = Response(status_code=204, headers={"HX-Redirect": path})
        else:
            response = RedirectResponse(path, 303)
        if message:
            self.leave_message(response, message)
        return response

    def leave_message(self, response: Response, message: str) -> None:
        """Let the next page say what was done. It names no patient."""
        set_cookie(self.request, response, self.message_cookie, quote(message), seconds=_MESSAGE_SECONDS)

    def refusal(self, error: ApiError) -> Response:
        """Return the page that says that an operation was refused or failed, and why."""
        headers = ABOVE_THE_PAGE if self.is_part else None
        return self.render("error.html", headers=headers, error=error)

    def address(self, **changes: object) -> str:
        """Return the address of this page with other parameters of the query; None leaves one out."""
        kept = {name: value for name, value in self.query.items() if name not in changes}
        given = {name: value for name, value in changes.items() if value is not None and value != ""}
        query = urlencode({**kept, **given})
        return f"{self.request.url.path}?{query}" if query else self.request.url.path

    def _message(self) -> str | None:
        cookie = self.request.cookies.get(self.message_cookie)
        return unquote(cookie)[:500] if cookie and not self.is_part else None


def to_json(value: object) -> str:
    """Return a value as JSON for people: indented, and with all characters as they are."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)
