"""What a browser gets that opens the address of the server, and what it keeps of what the bridge answers."""

from __future__ import annotations

from typing import Any

import requests
from playwright.sync_api import Page, expect

from support.browser.pages import sign_in
from support.clients.dicomweb import part10, store
from support.files.synthetic import slice_of
from support.servers import ServerProcess


def test_the_address_of_the_server_leads_to_the_console(page: Page, server: ServerProcess) -> None:
    page.goto("/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


def test_programs_get_what_they_got(server: ServerProcess) -> None:
    signed = {"Accept": "text/html", "Authorization": "AWS4-HMAC-SHA256 x"}
    for query, headers in (
        ("", {"Accept": "*/*"}),
        ("", signed),
        ("?Action=GetCallerIdentity", {"Accept": "text/html"}),
    ):
        answer = requests.get(f"{server.url}/{query}", headers=headers, timeout=30, allow_redirects=False)
        assert answer.status_code in {400, 403}
        assert answer.headers["content-type"] == "text/xml"


def test_no_browser_keeps_what_names_patients(page: Page, server: ServerProcess, datastore: str) -> None:
    assert store(server, datastore, [part10(slice_of())]).status_code == 200
    sign_in(page, server.key())
    study = f"/console/api/datastore/{datastore}/studies"
    ask: Any = """async (paths) => Promise.all(paths.map(async (path) => {
      const answer = await fetch(path)
      return [answer.status, answer.headers.get("cache-control")]
    }))"""
    told = page.evaluate(
        ask, [study, f"{study}/{slice_of().StudyInstanceUID}/metadata", f"/console/api/datastore/{datastore}"]
    )
    assert told == [[200, "private, no-store"]] * 3
