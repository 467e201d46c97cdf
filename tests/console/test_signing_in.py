"""Signing in and out of the console, by HTTP as a browser does it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pytest
import requests
from playwright.sync_api import Page as Tab
from playwright.sync_api import expect

from hounsfield.console.page import Page
from hounsfield.console.pages import PAGES
from support.audit_trail import record_of, records, verified
from support.browser.pages import check_page, sign_in_by_form
from support.browser.plain_session import PlainSession, csrf_token
from support.clients.signed_http import send_signed
from support.identities.users import answer
from support.identities.users_and_roles import UsersAndRoles
from support.servers import ServerProcess, active_datastore, wait_for

SIGN_IN: Final = "/console/sign-in"


@pytest.fixture
def browser() -> requests.Session:
    return requests.Session()


def signed_in(server: ServerProcess, browser: requests.Session, **fields: str) -> requests.Response:
    key = server.key()
    form = {"access_key_id": key[0], "secret_access_key": key[1], **fields}
    return browser.post(server.url + SIGN_IN, form, allow_redirects=False, timeout=30)


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that believes its proxy, so that each attempt can come from an address of its own."""
    settings = {"HOUNSFIELD_TRUSTED_PROXIES": "127.0.0.1", "HOUNSFIELD_LOG_LEVEL": "debug"}
    process = ServerProcess(tmp_path_factory.mktemp("proxied") / "data", settings).start()
    yield process
    process.stop()


def attempt(server: ServerProcess, address: str, key: str, secret: str) -> requests.Response:
    """Try to sign in from an address."""
    form = {"access_key_id": key, "secret_access_key": secret}
    headers = {"X-Forwarded-For": address, "X-Forwarded-Proto": "https"}
    return requests.post(server.url + SIGN_IN, form, headers=headers, allow_redirects=False, timeout=30)


def attempts_until_one_waits(server: ServerProcess, address: str, key: str, secret: str) -> list[requests.Response]:
    """Fail to sign in until an attempt has to wait; on a slow machine the first, short waits pass unseen."""
    answers = [attempt(server, address, key, secret)]
    while answers[-1].status_code == 401 and len(answers) < 10:
        answers.append(attempt(server, address, key, secret))
    return answers


def sign_ins(server: ServerProcess, address: str) -> list[dict[str, Any]]:
    """Return the records of the attempts from an address."""
    return [record for record in records(server) if record["sourceIPAddress"] == address]


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
    assert answer.headers["location"] == "/console/start"


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
    form = {"csrf_token": csrf_token(page), "everywhere": "yes"}
    ended = one.post(server.url + "/console/sign-out", form, timeout=30)
    assert re.search("You are signed out everywhere: [0-9]+ sessions have ended", ended.text)
    for browser in (one, other):
        answer = browser.get(server.url + "/console/datastores", allow_redirects=False, timeout=30)
        assert answer.status_code == 303
        assert answer.headers["location"].startswith(SIGN_IN)


def test_somebody_has_so_many_sessions_and_no_more(server: ServerProcess, browser: requests.Session) -> None:
    signed_in(server, browser)
    latest = requests.Session()
    for _ in range(100):
        latest.cookies.clear()
        signed_in(server, latest)
    assert browser.get(server.url + "/console/session-status", timeout=30).status_code == 401
    page = latest.get(server.url + "/console/session", timeout=30)
    assert page.text.count('name="end"') == 99
    form = {"csrf_token": csrf_token(page), "end": "\u00e9"}
    assert latest.post(server.url + "/console/session", form, timeout=30).status_code == 404


def test_the_bridge_is_the_api_for_who_is_signed_in(server: ServerProcess, browser: requests.Session) -> None:
    assert browser.get(server.url + "/console/api/datastore", timeout=30).status_code == 401
    signed_in(server, browser)
    answer = browser.get(server.url + "/console/api/datastore", timeout=30)
    assert "datastoreSummaries" in answer.json()
    assert "sandbox" in answer.headers["content-security-policy"]
    link = {"Sec-Fetch-Dest": "document", "Referer": f"{server.url}/console/datastores?status=ACTIVE"}
    led = requests.get(server.url + "/console/api/datastore", headers=link, allow_redirects=False, timeout=30)
    assert led.headers["location"].endswith("?next=%2Fconsole%2Fdatastores%3Fstatus%3DACTIVE")
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


def is_refused(server: ServerProcess, key: tuple[str, str]) -> bool:
    """Return whether a key opens nothing."""
    return send_signed(server, "GET", "/datastore", key=key).code == "UnrecognizedClientException"


def test_failures_make_one_wait_and_tell_nothing_of_the_key(proxied: ServerProcess) -> None:
    answer(proxied, "user", "create", "shut-out")
    disabled = answer(proxied, "access-key", "create", "shut-out")
    disabled_key = (disabled["access_key_id"], disabled["secret_access_key"])
    wait_for(lambda: send_signed(proxied, "GET", "/datastore", key=disabled_key).status == 403, "the key to be known")
    answer(proxied, "access-key", "disable", disabled["access_key_id"])
    wait_for(lambda: is_refused(proxied, disabled_key), "the key to be refused")
    root, secret = proxied.key()
    right = {disabled["access_key_id"]: disabled["secret_access_key"]}
    told = []
    for number, key in enumerate((root, "AKIAUNKNOWNUNKNOWN22", disabled["access_key_id"])):
        address = f"203.0.113.{number}"
        answers = attempts_until_one_waits(proxied, address, key, right.get(key, "wrong"))
        assert [one.status_code for one in answers[:3]] == [401, 401, 401]
        assert answers[-1].status_code == 429
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
        told.append({re.sub(r"in \d+ seconds", "", one.text.replace(key, "")) for one in answers})
    assert told[0] == told[1] == told[2]
    assert any("Too many attempts failed. Try again" in text for text in told[0])
    # Who has the right secret is not kept out by others elsewhere, and has to wait where the failures came from.
    assert attempt(proxied, "198.51.100.1", root, secret).status_code == 303
    assert attempts_until_one_waits(proxied, "2001:db8:1:2::1", root, "wrong")[-1].status_code == 429
    assert attempts_until_one_waits(proxied, "2001:db8:1:2::ffff", root, "wrong")[0].status_code == 429
    assert attempt(proxied, "2001:db8:1:3::1", root, secret).status_code == 303


def test_attempts_are_recorded_without_secrets(proxied: ServerProcess) -> None:
    key, secret = proxied.key()
    address = "198.51.100.20"
    attempt(proxied, address, key, "a wrong secret")
    attempt(proxied, address, secret, "in the field of the key")
    done = attempt(proxied, address, key, secret)
    cookie = done.headers["set-cookie"].partition(";")[0]
    browser = {"Cookie": cookie, "X-Forwarded-For": address, "X-Forwarded-Proto": "https"}
    page = requests.get(proxied.url + "/console/session", headers=browser, timeout=30)
    form = {"csrf_token": csrf_token(page)}
    requests.post(proxied.url + "/console/sign-out", form, headers=browser, timeout=30)
    found = wait_for(lambda: len(sign_ins(proxied, address)) == 4 and sign_ins(proxied, address), "the records")
    told = [(one["eventName"], one["responseElements"], one["userIdentity"]["type"]) for one in found]
    failed, began = {"ConsoleLogin": "Failure"}, {"ConsoleLogin": "Success"}
    assert told == [
        ("ConsoleLogin", failed, "Unknown"),
        ("ConsoleLogin", failed, "Unknown"),
        ("ConsoleLogin", began, "Root"),
        ("ConsoleLogout", {"ConsoleLogout": "Success"}, "Root"),
    ]
    assert [one["userIdentity"].get("accessKeyId") for one in found[:2]] == [key, None]
    for one in found:
        assert (one["eventSource"], one["eventType"]) == ("signin.amazonaws.com", "AwsConsoleSignIn")
        assert one["tlsDetails"]
    assert found[0]["errorCode"] == "UnrecognizedClientException"
    assert found[2]["additionalEventData"] == {"MFAUsed": "No", "signInMethod": "access key"}
    written = json.dumps(records(proxied)) + proxied.log_text()
    assert not [
        word for word in (secret, "a wrong secret", cookie.partition("=")[2], form["csrf_token"]) if word in written
    ]
    assert "intact" in verified(proxied)


def test_cookies_are_secure_where_the_browser_came_by_tls(server: ServerProcess, proxied: ServerProcess) -> None:
    key, secret = proxied.key()
    assert "Secure" in attempt(proxied, "198.51.100.30", key, secret).headers["set-cookie"]
    # Nobody is believed who is no proxy of the settings.
    assert "Secure" not in attempt(server, "198.51.100.30", *server.key()).headers["set-cookie"]


def test_one_browser_is_signed_in_to_two_installations(
    server: ServerProcess, proxied: ServerProcess, browser: requests.Session
) -> None:
    for one in (server, proxied):
        assert signed_in(one, browser).status_code == 303
    for one in (server, proxied):
        assert browser.get(one.url + "/console/session", allow_redirects=False, timeout=30).status_code == 200


def test_root_is_warned_of_for_data_and_the_calls_are_recorded(
    proxied: ServerProcess, browser: requests.Session
) -> None:
    datastore = active_datastore(proxied.client())
    signed_in(proxied, browser)
    path = f"/console/api/datastore/{datastore}/searchImageSets"
    token = browser.get(proxied.url + "/console/session-status", timeout=30).json()["csrfToken"]
    found = browser.post(proxied.url + path, json={}, headers={"X-CSRF-Token": token}, timeout=30)
    assert found.status_code == 200
    record = record_of(proxied, found.headers["x-amzn-requestid"])
    assert (record["eventName"], record["userIdentity"]["type"]) == ("SearchImageSets", "Root")
    assert record["userAgent"].startswith("python-requests")
    assert '"root key used for data"' in proxied.log_text()


def test_a_browser_that_signs_in_again_leaves_its_session(server: ServerProcess, browser: requests.Session) -> None:
    signed_in(server, browser)
    before = browser.cookies.copy()
    signed_in(server, browser)
    answer = requests.get(server.url + "/console/session", cookies=before, allow_redirects=False, timeout=30)
    assert answer.status_code == 303


def test_signing_out_needs_the_token_or_a_page_of_ours(server: ServerProcess, browser: requests.Session) -> None:
    signed_in(server, browser)
    out = server.url + "/console/sign-out"
    for headers in ({}, {"Sec-Fetch-Site": "cross-site"}):
        browser.post(out, {"csrf_token": "old"}, headers=headers, timeout=30)
        assert browser.get(server.url + "/console/session-status", timeout=30).status_code == 200
    browser.post(out, {"csrf_token": "old"}, headers={"Sec-Fetch-Site": "same-origin"}, timeout=30)
    assert browser.get(server.url + "/console/session-status", timeout=30).status_code == 401


def test_without_authentication_everybody_of_this_machine_is_root(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data", arguments=("--insecure-no-auth",)).start()
    try:
        browser = requests.Session()
        page = browser.get(server.url + "/console/datastores?status=ACTIVE", timeout=30)
        assert page.url == server.url + "/console/datastores?status=ACTIVE"
        assert "<h1>Data stores</h1>" in page.text
        assert requests.get(server.url + "/console/sign-in?next=/console/session", timeout=30).url.endswith("/session")
        status = requests.get(
            server.url + "/console/session-status", headers={"Accept": "application/json"}, timeout=30
        )
        assert status.json()["arn"].endswith(":root")
        forged = {"name": "forged", "format": "HTJ2K"}
        assert browser.post(server.url + "/console/datastores/new", forged, timeout=30).status_code == 403
        for headers in ({"Host": "evil.example"}, {"Origin": "https://evil.example"}):
            refused = browser.get(server.url + "/console/datastores", headers=headers, timeout=30)
            assert refused.status_code == 403
            assert "<table" not in refused.text
    finally:
        server.stop()


def test_processes_share_sessions_and_links_by_postgresql(tmp_path: Path, postgresql_url: str) -> None:
    settings = {"HOUNSFIELD_DATABASE_URL": postgresql_url, "HOUNSFIELD_API_WORKERS": "2"}
    server = ServerProcess(tmp_path / "data", settings).start()
    try:
        address, _, token = answer(server, "console")["url"].partition("#")
        browser = requests.Session()
        assert browser.post(address, {"token": token}, timeout=30).ok
        assert requests.post(address, {"token": token}, timeout=30).status_code == 401
        page = server.url + "/console/session"
        # Each on a connection of its own, which either process may take.
        cookies = browser.cookies
        for _ in range(8):
            assert "This browser" in requests.get(page, cookies=cookies, timeout=30).text
        browser.post(
            server.url + "/console/sign-out", {"csrf_token": csrf_token(browser.get(page, timeout=30))}, timeout=30
        )
        for _ in range(8):
            assert requests.get(page, cookies=cookies, allow_redirects=False, timeout=30).status_code == 303
    finally:
        server.stop()


def test_a_link_signs_in_the_browser_that_opens_it(server: ServerProcess, page: Tab) -> None:
    first, second = (answer(server, "console", "--url", server.url)["url"] for _ in range(2))
    used = requests.post(first.partition("#")[0], {"token": first.partition("#")[2]}, timeout=30)
    assert used.ok
    page.goto(first)
    expect(page.get_by_role("alert")).to_contain_text("was used already")
    assert page.url == f"{server.url}/console/link"
    check_page(page)
    # The page is open already: a browser loads nothing for another link to it.
    page.evaluate("link => location.assign(link)", f"{second}&next={quote('/console/users?name=a', safe='')}")
    page.wait_for_url("**/console/users?name=a")
    # It leads nowhere else.
    page.goto(answer(server, "console", "--url", server.url)["url"] + "&next=https%3A%2F%2Fexample.org%2F")
    page.wait_for_url("**/console/datastores")


def test_the_theme_is_chosen_for_all_tabs_and_stays(server: ServerProcess, page: Tab) -> None:
    page.emulate_media(color_scheme="light")
    sign_in_by_form(page, server.key())
    other = page.context.new_page()
    other.goto("/console/session")
    page.get_by_role("button", name="Switch to the dark theme").click()
    expect(other.locator("html")).to_have_attribute("data-theme", "dark")
    expect(other.get_by_role("button", name="Switch to the light theme")).to_be_visible()
    # It is set before anything is painted, also on the page that is shown to nobody yet.
    other.goto("/console/link")
    assert other.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(18, 24, 29)"


def test_a_refused_form_is_recorded(server: ServerProcess, users: UsersAndRoles) -> None:
    page = PlainSession(server, users.some_user()).get("/console/datastores/new")
    assert page.status_code == 403
    request_id = re.search("Request id <code>([0-9a-f-]+)</code>", page.text)
    assert request_id is not None
    record = record_of(server, request_id[1])
    assert (record["eventName"], record["errorCode"]) == ("CreateDatastore", "AccessDeniedException")
