"""The pages of usage: figures, charts and their tables, of all data stores and of one, by keyboard and by mouse."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from support.browser.accessibility import press
from support.browser.pages import check_page, settle, sign_in
from support.clients.administration import call
from support.files.synthetic import slice_of
from support.identities.users_and_roles import UsersAndRoles, allow
from support.imaging.updates import Store
from support.servers import ServerProcess, wait_for


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server of its own: what is counted is kept for a minute."""
    process = ServerProcess(tmp_path_factory.mktemp("used") / "data").start()
    yield process
    process.stop()


@pytest.fixture(scope="module")
def store(server: ServerProcess, users: UsersAndRoles) -> Store:
    store = Store(server, server.client())
    store.imported(*(slice_of(number=number) for number in (1, 2, 3)), slice_of(series=2, Modality="MR"))
    for _ in range(2):
        assert call(server, "DeleteUser", UserName="nobody").status == 404
    return store


def test_what_is_stored_is_shown_in_figures_charts_and_tables(server: ServerProcess, store: Store, page: Page) -> None:
    sign_in(page, server.key())
    press(page, page.get_by_role("navigation", name="Main").get_by_role("link", name="Usage"))
    page.wait_for_url("**/console/usage")
    for title, figure in (("Studies", "1"), ("Series", "2"), ("Instances", "4"), ("Image sets", "2")):
        expect(page.locator(".figures div", has=page.get_by_text(title, exact=True)).locator("dd")).to_contain_text(
            figure
        )
    added = page.locator("#added")
    expect(added.get_by_role("img", name="Instances added")).to_be_visible()
    assert added.locator("svg desc").inner_html().count("at most 4") == 1
    assert added.locator("svg rect").count() == 1
    press(page, added.locator("summary"))
    rows = added.locator("tbody tr")
    assert rows.count() == 30
    expect(rows.first.locator("td")).to_have_text("4")
    page.locator("#imported summary").click()
    expect(page.locator("#imported tbody tr").first.locator("td")).to_have_text(["4", "0"])
    tiers = page.get_by_role("region", name="By storage tier")
    expect(tiers.locator("tbody tr")).to_contain_text(["Frequent access"])
    expect(page.get_by_role("region", name="By modality").locator("tbody th")).to_have_text(["CT", "MR"])
    page.get_by_label("Time").select_option("Last 7 days")
    page.wait_for_url("**days=7")
    settle(page)
    assert page.locator("#added tbody tr").count() == 7
    page.reload()
    assert page.get_by_label("Time").input_value() == "7"
    page.get_by_role("region", name="By data store").get_by_role("link").click()
    page.wait_for_url(f"**/datastores/{store.id}/usage")
    expect(page.get_by_role("navigation", name="Data store").locator("[aria-current]")).to_have_text("Usage")
    assert page.get_by_role("region", name="By data store").count() == 0


def test_calls_and_errors_are_shown_and_lead_to_their_records(server: ServerProcess, store: Store, page: Page) -> None:
    del store
    sign_in(page, server.key(), "/console/usage")
    page.get_by_role("link", name="Calls and errors").click()
    expect(page.get_by_role("img", name="Calls")).to_be_visible()
    operations = page.get_by_role("region", name="By operation")
    deleted = operations.get_by_role("row", name="DeleteUser")
    expect(deleted.locator("td.number")).to_have_text(["2", "2"])
    expect(page.get_by_role("region", name="By error").get_by_role("row", name="NoSuchEntity")).to_contain_text("2")
    page.get_by_label("Operation", exact=True).fill("DeleteUser")
    page.get_by_label("Operation", exact=True).press("Enter")
    page.wait_for_url("**operation=DeleteUser**")
    settle(page)
    assert operations.locator("tbody tr").count() == 1
    page.get_by_label("Time").select_option("Last 30 days")
    page.wait_for_url("**span=month**")
    settle(page)
    assert page.locator("#calls-chart tbody tr").count() == 30
    deleted.get_by_role("link").click()
    page.wait_for_url("**/console/audit?operation=DeleteUser")
    expect(page.locator("#results tbody tr")).to_have_count(2)


def test_a_data_store_without_anything_says_so(server: ServerProcess, page: Page) -> None:
    empty = Store(server, server.client()).id
    sign_in(page, server.key(), f"/console/datastores/{empty}/usage")
    expect(page.locator(".empty")).to_contain_text("Nothing is stored in this data store yet")
    page.goto(f"/console/datastores/{empty}/usage/calls?operation=NoSuchOperation")
    expect(page.locator("#calls-chart")).to_contain_text("No calls in this time")
    check_page(page)
    # Once it is deleted, only what it was is left to see.
    page.goto(f"/console/datastores/{empty}/details")
    page.get_by_role("link", name="Delete").click()
    page.get_by_label("to confirm").fill(empty[:8])
    page.get_by_role("button", name="Delete data store").click()
    expect(page.locator("#error")).to_contain_text("This is not the name of the data store.")
    page.get_by_label("to confirm").fill(empty)
    page.get_by_role("button", name="Delete data store").click()
    expect(page.get_by_text("The data store is being deleted.")).to_be_visible()
    client = server.client()
    wait_for(
        lambda: client.get_datastore(datastoreId=empty)["datastoreProperties"]["datastoreStatus"] == "DELETED",
        "the data store to be deleted",
    )
    page.goto("/console/datastores?status=DELETED")
    page.locator(f"a[href$='{empty}/details']").click()
    expect(page.get_by_role("navigation", name="Data store").get_by_role("link")).to_have_text(["Details"])


def test_who_may_see_one_data_store_is_offered_that_one_only(
    server: ServerProcess, users: UsersAndRoles, store: Store, page: Page
) -> None:
    arn = f"arn:aws:medical-imaging:us-east-1:000000000000:datastore/{store.id}"
    sign_in(page, users.some_user(allow("hounsfield:GetUsage", arn)), f"/console/datastores/{store.id}/usage")
    expect(page.locator(".figures")).to_be_visible()
    assert page.get_by_role("navigation", name="Main").get_by_role("link", name="Usage").count() == 0
    assert page.get_by_role("link", name="Calls and errors").count() == 0
    for path in (f"/console/datastores/{store.id}/usage/calls", "/console/usage"):
        refused = page.goto(path)
        assert refused is not None
        assert refused.status == 403
        expect(page.locator("#error")).to_contain_text("is not authorized to perform: hounsfield:Get")
        expect(page.locator("#error")).to_contain_text("Request id")
