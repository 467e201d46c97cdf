"""The end of a session, and of a server, while somebody has a page open: nothing typed is lost."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import pytest
import requests
from playwright.sync_api import Locator, Page, Route, expect
from sqlalchemy import delete, update

from hounsfield.storage.db.console_tables import console_sessions
from support.browser.accessibility import check_accessibility
from support.browser.fixtures import NewContext
from support.browser.pages import sign_in
from support.browser.plain_session import PlainSession
from support.identities.users import answer, repository_of
from support.identities.users_and_roles import UsersAndRoles, allow
from support.servers import ServerProcess, wait_for

NEW: Final = "/console/datastores/new"
MADE: Final = re.compile(r"/console/datastores/[0-9a-f]{32}/")
"""Where one is led when a data store is made."""


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server of this file alone, which ends sessions and is stopped."""
    process = ServerProcess(tmp_path_factory.mktemp("session-end") / "data").start()
    yield process
    process.stop()


@pytest.fixture
def tab(serving: ServerProcess, new_context: NewContext) -> Page:
    """A page of root, who is about to make a data store."""
    context, faults = new_context(url=serving.url)
    faults.allow("ERR_CONNECTION_REFUSED|htmx:(afterRequest|sendError)|status 502: POST")
    page = context.new_page()
    sign_in(page, serving.key(), NEW)
    return page


def end_sessions(server: ServerProcess) -> None:
    """End all sessions, as their time being over does."""
    with repository_of(server) as repository, repository.database.write() as connection:
        connection.execute(update(console_sessions).values(expires_at=1))


def dialog(page: Page) -> Locator:
    return page.get_by_role("dialog", name="Your session has ended")


def sign_in_again(page: Page, key: tuple[str, str]) -> None:
    dialog(page).get_by_label("Access key", exact=True).fill(key[0])
    dialog(page).get_by_label("Secret access key").fill(key[1])
    dialog(page).get_by_role("button", name="Sign in").click()


def names(server: ServerProcess) -> list[str]:
    return [one.get("datastoreName", "") for one in server.client().list_datastores()["datastoreSummaries"]]


def test_a_form_of_htmx_is_sent_again_after_the_dialog(serving: ServerProcess, tab: Page) -> None:
    tab.get_by_label("Name").fill("typed-before-the-end")
    end_sessions(serving)
    tab.get_by_role("button", name="Create data store").click()
    expect(dialog(tab)).to_be_visible()
    expect(dialog(tab)).to_contain_text("as root")
    check_accessibility(tab)
    key = serving.key()
    sign_in_again(tab, (key[0], "wrong"))
    expect(dialog(tab).get_by_role("alert")).to_contain_text("do not belong together")
    sign_in_again(tab, key)
    tab.wait_for_url(MADE)
    assert names(serving).count("typed-before-the-end") == 1


def test_a_plain_form_is_sent_again_after_a_sign_in_in_another_tab(serving: ServerProcess, tab: Page) -> None:
    datastore = serving.client().create_datastore(datastoreName="ended")["datastoreId"]
    key = serving.key()
    other = PlainSession(serving, key)
    tab.goto("/console/session")
    expect(tab.get_by_role("row")).to_have_count(1 + _open_sessions(serving))
    with repository_of(serving) as repository, repository.database.write() as connection:
        connection.execute(delete(console_sessions).where(console_sessions.c.user_agent.contains("HeadlessChrome")))
    tab.get_by_role("button", name=re.compile("End the session from 127.0.0.1 with python-requests")).first.click()
    expect(dialog(tab)).to_be_visible()
    with tab.context.expect_page() as opened:
        dialog(tab).get_by_role("link", name="Sign in another way").click()
    second = opened.value
    second.get_by_label("Access key", exact=True).fill(key[0])
    second.get_by_label("Secret").fill(key[1])
    second.get_by_role("button", name="Sign in").click()
    second.get_by_role("button", name="Sign out").wait_for()
    # The first tab hears of it, and does what was asked for.
    expect(tab.get_by_text("That session is ended.")).to_be_visible()
    assert other.get("/console/session", allow_redirects=False).status_code == 303
    assert datastore


def _open_sessions(server: ServerProcess) -> int:
    with repository_of(server) as repository, repository.database.read() as connection:
        rows = connection.execute(console_sessions.select()).all()
    return sum(row.expires_at > 1 for row in rows)


def test_a_page_of_an_older_session_gets_the_new_token(serving: ServerProcess, tab: Page) -> None:
    """Two tabs: in the other one somebody signed out and in again."""
    second = tab.context.new_page()
    second.goto("/console/datastores")
    second.get_by_role("button", name="Sign out").click()
    expect(dialog(tab)).to_be_visible()
    sign_in(second, serving.key(), "/console/datastores")
    expect(dialog(tab)).to_be_hidden()
    tab.evaluate("document.querySelector('meta[name=csrf-token]').content = 'old'")
    tab.get_by_label("Name").fill("with-the-new-token")
    tab.get_by_role("button", name="Create data store").click()
    tab.wait_for_url(MADE)
    assert names(serving).count("with-the-new-token") == 1


def test_who_signs_in_as_somebody_else_gets_pages_of_their_own(serving: ServerProcess, tab: Page) -> None:
    users = UsersAndRoles(serving)
    key = users.some_user(allow("medical-imaging:ListDatastores"))
    users.close()
    tab.get_by_label("Name").fill("typed-by-somebody-else")
    end_sessions(serving)
    tab.get_by_role("button", name="Create data store").click()
    sign_in_again(tab, key)
    expect(tab.get_by_role("heading", name="You may not do this")).to_be_visible()
    assert "typed-by-somebody-else" not in names(serving)


def test_a_server_that_is_gone_is_told_and_noticed_when_it_is_back(serving: ServerProcess, tab: Page) -> None:
    tab.get_by_label("Name").fill("typed-while-it-was-gone")
    serving.process.send_signal(15)
    serving.process.wait(120)
    tab.get_by_role("button", name="Create data store").click()
    banner = tab.locator("#connection")
    expect(banner).to_contain_text("The server cannot be reached. Nothing you typed is lost.")
    check_accessibility(tab)
    serving.start()
    expect(banner).to_contain_text("The server answers again.")
    banner.get_by_role("button", name="Send it again").click()
    tab.wait_for_url(MADE)
    assert names(serving).count("typed-while-it-was-gone") == 1


def test_a_proxy_without_a_server_takes_no_form_away(tab: Page) -> None:
    faults_of_proxy = [502]

    def answer_as_proxy(route: Route) -> None:
        if faults_of_proxy and route.request.method == "POST":
            route.fulfill(status=faults_of_proxy.pop(), body="<h1>Bad gateway</h1>", content_type="text/html")
        else:
            route.continue_()

    tab.route("**/console/datastores/new", answer_as_proxy)
    tab.get_by_label("Name").fill("typed-behind-a-proxy")
    tab.get_by_role("button", name="Create data store").click()
    expect(tab.locator("#connection")).to_contain_text("The server")
    expect(tab.get_by_label("Name")).to_have_value("typed-behind-a-proxy")
    tab.locator("#connection").get_by_role("button").click()
    tab.wait_for_url(MADE)


def test_what_a_page_asks_for_by_itself_does_not_keep_a_session(serving: ServerProcess) -> None:
    browser, asked = PlainSession(serving, serving.key()), "/console/session"

    def seen_at() -> list[int]:
        with repository_of(serving) as repository, repository.database.write() as connection:
            rows = connection.execute(console_sessions.select()).all()
        return sorted(row.seen_at for row in rows if row.user_agent.startswith("python-requests"))

    with repository_of(serving) as repository, repository.database.write() as connection:
        connection.execute(update(console_sessions).values(seen_at=console_sessions.c.seen_at - 120_000))
    before = seen_at()
    assert browser.get(asked, headers={"X-Background": "true"}).status_code == 200
    assert seen_at() == before
    assert browser.get(asked).status_code == 200
    assert seen_at() != before
    with repository_of(serving) as repository, repository.database.write() as connection:
        connection.execute(update(console_sessions).values(seen_at=console_sessions.c.seen_at - 1_800_000))
    assert browser.get(asked, allow_redirects=False).status_code == 303


def test_a_session_ends_with_its_user_and_rights_change_at_once(serving: ServerProcess) -> None:
    answer(serving, "user", "create", "leaving-browser")
    key = answer(serving, "access-key", "create", "leaving-browser")
    form = {"access_key_id": key["access_key_id"], "secret_access_key": key["secret_access_key"]}
    browser = requests.Session()
    signing = serving.url + "/console/sign-in"
    wait_for(lambda: browser.post(signing, form, allow_redirects=False, timeout=30).status_code == 303, "the sign-in")
    asked = serving.url + "/console/datastores"
    assert browser.get(asked, timeout=30).status_code == 403
    answer(serving, "policy", "attach", "AWSHealthImagingReadOnlyAccess", "--user", "leaving-browser")
    wait_for(lambda: browser.get(asked, timeout=30).status_code == 200, "the right to count")
    answer(serving, "user", "delete", "leaving-browser", "--force")
    wait_for(lambda: browser.get(asked, allow_redirects=False, timeout=30).status_code == 303, "the session to end")
