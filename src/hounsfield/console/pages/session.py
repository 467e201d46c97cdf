"""The page of one's own session: who one is, and where else one is signed in."""

from __future__ import annotations

from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from hounsfield.console.calls import ApiError
from hounsfield.console.page import Page
from hounsfield.console.sessions.user_agents import browser_name
from hounsfield.console.visit import Visit

PATH: Final = "/console/session"


async def show_session(visit: Visit) -> Response:
    """Show who is signed in, and all sessions of them."""
    return await _page(visit)


async def _page(visit: Visit, error: ApiError | None = None) -> Response:
    opened = await run_in_threadpool(visit.sessions.opened, visit.session)
    rows = [(one, browser_name(one.user_agent)) for one in opened]
    return visit.render("session.html", session=visit.session, rows=rows, error=error)


async def end_session(visit: Visit) -> Response:
    """End another session of who is signed in."""
    ended = await run_in_threadpool(visit.sessions.end_one, visit.session, visit.form.text("end"))
    if not ended:
        return await _page(visit, ApiError(404, "NotFound", "There is no such session of yours, or none any more.", ""))
    return visit.redirect(PATH, "That session is ended.")


PAGES: Final = (Page(PATH, show_session), Page(PATH, end_session, ("POST",)))
