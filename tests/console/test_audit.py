"""The pages of the audit trail: search, one record, download and verification."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from support.audit_trail import record_of
from support.browser.accessibility import press, type_into
from support.browser.pages import check_page, settle, sign_in
from support.clients.administration import administer, call
from support.clients.signed_http import send_signed
from support.identities.users_and_roles import UsersAndRoles, allow
from support.servers import ServerProcess, active_datastore

UID = "1.2.826.0.1.3680043.8.498.815"
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server of its own: its trail is changed, and its files are small."""
    settings = {"HOUNSFIELD_AUDIT_FILE_BYTES": "30000"}
    process = ServerProcess(tmp_path_factory.mktemp("looked-up") / "data", settings).start()
    yield process
    process.stop()


@pytest.fixture(scope="module")
def denied(server: ServerProcess, users: UsersAndRoles) -> dict[str, Any]:
    """The record of a call of Ada that was denied; there are others before and after it."""
    datastore_id = active_datastore(server.client(), tags={"note": HOSTILE[:200]})
    send_signed(server, "GET", f"/datastore/{datastore_id}/studies/{UID}/metadata")
    key = users.user("beatrix", allow("iam:ListUsers"))
    answer = call(server, "DeleteUser", key, UserName="nobody")
    for _ in range(60):
        administer(server, "ListUsers", key)
    return record_of(server, answer.headers["x-amzn-requestid"])


def test_records_are_found_by_keyboard_and_read(server: ServerProcess, denied: dict[str, Any], page: Page) -> None:
    sign_in(page, server.key())
    press(page, page.get_by_role("link", name="Audit"))
    page.wait_for_url("**/console/audit")
    rows = page.locator("#results tbody tr")
    expect(rows).to_have_count(50)
    type_into(page, page.get_by_label("Caller"), "beatrix")
    page.keyboard.press("Enter")
    page.wait_for_url("**caller=beatrix**")
    settle(page)
    expect(rows).to_have_count(50)
    page.get_by_role("link", name="Older records").click()
    page.wait_for_url("**page=**")
    expect(rows.first).to_contain_text("beatrix")
    assert 10 <= rows.count() < 50
    page.get_by_label("Outcome").select_option("Denied")
    page.wait_for_url("**outcome=Denied**")
    settle(page)
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("DeleteUser")
    expect(rows).to_contain_text("AccessDeniedException")
    expect(rows).to_contain_text("User nobody")
    press(page, rows.get_by_role("link"))
    page.wait_for_url(f"**/audit/events/{denied['eventID']}**")
    main = page.locator("main")
    for text in (denied["userIdentity"]["arn"], denied["requestID"], "is not authorized to perform", "a change"):
        expect(main).to_contain_text(text)
    assert json.loads(page.locator("#record-text").inner_text()) == denied
    page.reload()
    expect(main).to_contain_text(denied["requestID"])
    page.get_by_role("link", name=denied["requestID"]).click()
    expect(rows).to_have_count(1)


def test_a_search_is_narrowed_shared_and_downloaded(server: ServerProcess, denied: dict[str, Any], page: Page) -> None:
    sign_in(page, server.key(), "/console/audit")
    rows = page.locator("#results tbody tr")
    page.get_by_text("More to search by").click()
    page.get_by_label("UID").fill(UID)
    page.get_by_role("button", name="Search").click()
    page.wait_for_url(f"**uid={UID}**")
    settle(page)
    expect(rows).to_have_count(1)
    address = page.url
    page.goto("/console/audit?kind=change&caller=beatrix")
    expect(rows).to_have_count(1)
    page.goto(address)
    expect(page.get_by_label("UID")).to_be_visible()
    page.goto("/console/audit?caller=beatrix")
    with page.expect_download() as begun:
        page.get_by_role("button", name="Download all as JSON lines").click()
    assert begun.value.suggested_filename.endswith(".jsonl")
    lines = begun.value.path().read_text("utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    assert len(records) > 60
    assert denied in records
    page.goto("/console/audit?text=nothing+says+this")
    expect(page.locator(".empty")).to_contain_text("There is no record of this")
    page.goto(f"/console/audit?span=own&from={denied['eventTime'][:16]}&to=2000-01-01T00:00")
    expect(page.locator(".empty")).to_contain_text("There is no record of this")


def test_what_is_wrong_with_a_search_is_said(server: ServerProcess, denied: dict[str, Any], page: Page) -> None:
    del denied
    sign_in(page, server.key(), "/console/audit")
    page.goto("/console/audit?span=own&from=yesterday")
    expect(page.locator("[aria-invalid=true]")).to_be_visible()
    expect(page.locator("#from-hint")).to_contain_text("such as 2026-03-14T09:15")
    page.goto("/console/audit?page=made-up")
    expect(page.locator("#error")).to_contain_text("NextToken must be what")
    page.goto("/console/audit/events/no-such-event")
    expect(page.locator("#error")).to_contain_text("has no such record")
    page.goto(f"/console/audit?text={HOSTILE}&caller={HOSTILE}")
    assert page.locator("main img").count() == 0
    expect(page.get_by_label("Text")).to_have_value(HOSTILE)


def test_who_may_search_is_not_offered_to_verify(server: ServerProcess, users: UsersAndRoles, page: Page) -> None:
    sign_in(page, users.some_user(allow("cloudtrail:LookupEvents")), "/console/audit")
    assert page.get_by_role("link", name="Verify the trail").count() == 0
    page.goto("/console/audit/verify")
    expect(page.locator("#error")).to_contain_text("hounsfield:VerifyAuditTrail")


def test_the_trail_is_verified_with_a_plain_verdict(server: ServerProcess, denied: dict[str, Any], page: Page) -> None:
    del denied
    sign_in(page, server.key(), "/console/audit")
    press(page, page.get_by_role("link", name="Verify the trail"))
    press(page, page.get_by_role("button", name="Verify now"))
    expect(page.locator("#verdict")).to_contain_text("The trail is as it was written")
    files = sorted((server.data / "audit").glob("*-api-*.jsonl"))
    path = next(path for path in files if b"ListUsers" in path.read_bytes())
    path.write_bytes(path.read_bytes().replace(b"ListUsers", b"ListUserz", 1))
    press(page, page.get_by_role("button", name="Verify again"))
    expect(page.locator("#verdict")).to_contain_text("The trail is not as it was written: 1 problem.")
    found = page.get_by_role("region", name="What was found")
    expect(found).to_contain_text(path.name)
    expect(found).to_contain_text("was changed")
    check_page(page)
