"""The page of one's own session: who one is, and where else one is signed in."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from hounsfield.console.page import Page
from hounsfield.console.visit import Visit


async def show_session(visit: Visit) -> Response:
    """Show who is signed in."""
    return visit.render("session.html", session=visit.session)


PAGES: Final = (Page("/console/session", show_session),)
