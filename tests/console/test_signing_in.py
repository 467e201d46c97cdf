"""Signing in and out of the console, by HTTP as a browser does it."""

from __future__ import annotations

import re
from typing import Final

import pytest
import requests

from hounsfield.console.page import Page
from hounsfield.console.pages import PAGES
from support.servers import ServerProcess

SIGN_IN: Final = "/console/sign-in"


@pytest.fixture
def browser() -> requests.Session:
    return requests.Session()


def signed_in(server: ServerProcess, browser: requests.Session, **fields: str) -> requests.Response:
    key = server.key()
    form = {"access_key_id": key[0], "secret_access_key": key[1], **fields}
    return browser.post(server.url + SIGN_IN, form, allow_redirects=False, timeout=30)


def csrf_token(page: requests.Response) -> str:
    found = re.search('<meta name="csrf-token" content="([0-9a-f]+)">', page.text)
    assert found is not None
    return found[1]


def test_a_page_leads_to_the_sign_in_and_back(server: ServerProcess, browser: requests.Session) -> None:
    asked = browser.get(server.url + "/console/datastores?status=ACTIVE", timeout=30)
    assert asked.url == server.url + SIGN_IN + "?next=%2Fconsole%2Fdatastores%3Fstatus%3DACTIVE"
    answer = signed_in(server, browser, next="/console/datastores?status=ACTIVE")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/datastores?status=ACTIVE")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "<h1>Data stores</h1>" in browser.get(server.url + "/console/datastores", timeout=30).text


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "/console/../x", "/\\evil", "/datastore"]
)
def test_the_sign_in_leads_nowhere_else(server: ServerProcess, browser: requests.Session, target: str) -> None:
    answer = signed_in(server, browser, next=target)
    assert answer.headers["location"] == "/console/datastores"


def test_a_form_without_the_token_changes_nothing(server: ServerProcess, browser: requests.Session) -> None:
    signed_in(server, browser)
    form = {"name": "forged", "format": "HTJ2K"}
    refused = browser.post(server.url + "/console/datastores/new", form, allow_redirects=False, timeout=30)
    assert refused.status_code == 403
    assert "out of date" in refused.text
    names = [one["datastoreName"] for one in server.client().list_datastores()["datastoreSummaries"]]
    assert "forged" not in names


def test_a_form_from_another_site_signs_nobody_in(server: ServerProcess, browser: requests.Session) -> None:
    browser.headers["Sec-Fetch-Site"] = "cross-site"
    assert signed_in(server, browser).status_code == 403
    assert not browser.cookies


def test_signing_out_everywhere_ends_all_sessions(server: ServerProcess) -> None:
    one, other = requests.Session(), requests.Session()
    signed_in(server, one)
    signed_in(server, other)
    page = one.get(server.url + "/console/session", timeout=30)
    one.post(server.url + "/console/sign-out", {"csrf_token": csrf_token(page), "everywhere": "yes"}, timeout=30)
    for browser in (one, other):
        answer = browser.get(server.url + "/console/datastores", allow_redirects=False, timeout=30)
        assert answer.status_code == 303
        assert answer.headers["location"].startswith(SIGN_IN)


def test_the_bridge_is_the_api_for_who_is_signed_in(server: ServerProcess, browser: requests.Session) -> None:
    assert browser.get(server.url + "/console/api/datastore", timeout=30).status_code == 401
    signed_in(server, browser)
    answer = browser.get(server.url + "/console/api/datastore", timeout=30)
    assert "datastoreSummaries" in answer.json()
    assert "sandbox" in answer.headers["content-security-policy"]
    forged = browser.post(server.url + "/console/api/datastore", json={"clientToken": "x"}, timeout=30)
    assert forged.status_code == 403


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.methods[0]} {page.path}")
def test_no_page_is_shown_to_strangers(server: ServerProcess, page: Page) -> None:
    path = re.sub(r"\{(\w+)(:path)?\}", "x", page.path)
    for method in page.methods:
        answer = requests.request(method, server.url + path, allow_redirects=False, timeout=30)
        if method == "GET":
            assert (answer.status_code, answer.headers["location"][:16]) == (303, SIGN_IN)
        else:
            assert answer.status_code == 401


def test_the_body_of_a_stranger_is_not_read(server: ServerProcess) -> None:
    large = {"secret_access_key": "x" * 20_000}
    assert requests.post(server.url + SIGN_IN, large, timeout=30).status_code == 413
    assert requests.post(server.url + "/console/datastores/new", large, timeout=30).status_code == 401


def test_no_client_can_name_its_caller(server: ServerProcess) -> None:
    answer = requests.get(server.url + "/datastore", headers={"hounsfield.caller": "root"}, timeout=30)
    assert answer.status_code == 403
