"""What no page of ours may do: each is noted while a test runs, and fails it at its end."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Dialog, Error, Request, Response, WebError

_TELL_VIOLATIONS: Final = """
document.addEventListener("securitypolicyviolation", event => console.error(
  `securitypolicyviolation: ${event.effectiveDirective} forbids ${event.blockedURI || "what is in the page"}`));
"""
_OWN_SCHEMES: Final = {"data", "blob", "about"}
_STATUS: Final = re.compile(
    r"Failed to load resource: the server responded with a status of \d{3}|Response Status Error Code \d{3} from "
)
"""What chromium and htmx say of an answer."""
_MAY_BE_REFUSED: Final = {"document", "xhr", "fetch"}
"""Kinds of requests whose answer may be 400 to 499: pages and their parts say so in words."""


class PageFaults:
    """Watches all pages of a context.

    Faults are: a violation of the content security policy, an uncaught error, an error on the browser's console, a dialog of
    a script (``alert``), a request to another origin, an answer from 500, and one from 400 to a script, style or image.

    Parameters
    ----------
    context : playwright.sync_api.BrowserContext
        Without pages so far.
    url : str
        The server.
    """

    def __init__(self, context: BrowserContext, url: str) -> None:
        self._context = context
        self._origin = _origin(url)
        self._found: list[str] = []
        self._allowed: list[re.Pattern[str]] = []
        context.add_init_script(_TELL_VIOLATIONS)
        context.on("console", self._note_message)
        context.on("weberror", self._note_error)
        context.on("request", self._note_request)
        context.on("response", self._note_response)
        context.on("dialog", self._note_dialog)

    def allow(self, pattern: str) -> None:
        """Let faults pass whose text has a match of a regular expression: the test wants them."""
        self._allowed.append(re.compile(pattern))

    def forget(self) -> None:
        """Begin again without faults: those so far were told."""
        self._found.clear()

    @property
    def found(self) -> list[str]:
        """The faults so far that are not allowed."""
        return [fault for fault in self._found if not any(pattern.search(fault) for pattern in self._allowed)]

    def check(self) -> None:
        """Fail if there are faults."""
        for page in self._context.pages:
            # What it has said so far comes before its answer. One that is gone or is going has none.
            with suppress(Error):
                page.evaluate("0")
        assert not self.found, "the page must not do this:\n" + "\n".join(self.found)

    def _note_message(self, message: ConsoleMessage) -> None:
        # The answer itself is looked at, whatever the console says of it.
        if message.type == "error" and not _STATUS.match(message.text):
            self._found.append(f"console error at {message.location['url']}: {message.text}")

    def _note_error(self, error: WebError) -> None:
        self._found.append(f"uncaught error: {error.error}")

    def _note_request(self, request: Request) -> None:
        if urlsplit(request.url).scheme not in _OWN_SCHEMES and _origin(request.url) != self._origin:
            self._found.append(f"request to another origin: {request.method} {request.url}")

    def _note_response(self, response: Response) -> None:
        if response.status >= 500 or (response.status >= 400 and response.request.resource_type not in _MAY_BE_REFUSED):
            self._found.append(f"status {response.status}: {response.request.method} {response.url}")

    def _note_dialog(self, dialog: Dialog) -> None:
        if dialog.type == "beforeunload":
            dialog.accept()
            return
        self._found.append(f"a script asked by {dialog.type}: {dialog.message}")
        dialog.dismiss()


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc
