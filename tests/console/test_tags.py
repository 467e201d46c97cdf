"""Tags of data stores and of image sets in the console."""

from __future__ import annotations

import html
from typing import Any, Final

import pytest
from playwright.sync_api import Page, expect

from support.browser.pages import settle, sign_in
from support.browser.plain_session import PlainSession
from support.browser.ways import Way, both_ways
from support.identities.users_and_roles import UsersAndRoles, allow
from support.imaging.updates import Store
from support.servers import ServerProcess, active_datastore

HOSTILE: Final = '"><img src=x onerror=alert(1)>'
SEES: Final = ["medical-imaging:GetDatastore", "medical-imaging:ListTagsForResource"]


def arn_of(datastore_id: str) -> str:
    return f"arn:aws:medical-imaging:us-east-1:000000000000:datastore/{datastore_id}"


def tags_of(client: Any, arn: str) -> dict[str, str]:
    return dict(client.list_tags_for_resource(resourceArn=arn)["tags"])


def test_tags_of_a_data_store_by_mouse(server: ServerProcess, client: Any, page: Page) -> None:
    datastore_id = active_datastore(client, tags={"site": "North"})
    sign_in(page, server.key(), f"/console/datastores/{datastore_id}/details")
    page.get_by_role("link", name="Tags").click()
    page.get_by_role("textbox", name="Key", exact=True).fill("aws:mine")
    page.get_by_role("button", name="Add tag").click()
    expect(page.get_by_text("Keys that begin with aws: are reserved.")).to_be_visible()
    expect(page.get_by_role("textbox", name="Key", exact=True)).to_have_value("aws:mine")
    settle(page)
    page.get_by_role("textbox", name="Key", exact=True).fill("owner")
    page.get_by_role("textbox", name="Value (optional)").fill(HOSTILE)
    page.get_by_role("button", name="Add tag").click()
    expect(page.get_by_text("The tag owner was added.")).to_be_visible()
    expect(page.get_by_label("Value of owner")).to_have_value(HOSTILE)
    page.get_by_label("Value of site").fill("South")
    page.get_by_role("button", name="Save site").click()
    expect(page.get_by_text("The tag site was changed.")).to_be_visible()
    page.get_by_role("button", name="Remove owner").click()
    expect(page.get_by_text("The tag owner was removed.")).to_be_visible()
    assert tags_of(client, arn_of(datastore_id)) == {"site": "South"}


@both_ways
def test_tags_of_an_image_set(server: ServerProcess, client: Any, page: Page, way: Way) -> None:
    store = Store(server, client)
    image_set = store.series(1)
    sign_in(page, server.key(), f"/console/datastores/{store.id}/imagesets/{image_set}")
    way.press(page, page.get_by_role("link", name="Tags"))
    way.type_into(page, page.get_by_role("textbox", name="Key", exact=True), "project")
    page.keyboard.press("Tab")
    page.keyboard.type("Lung")
    page.keyboard.press("Enter")
    expect(page.get_by_text("The tag project was added.")).to_be_visible()
    way.type_into(page, page.get_by_label("Value of project"), "Liver")
    page.keyboard.press("Enter")
    expect(page.get_by_text("The tag project was changed.")).to_be_visible()
    arn = f"{arn_of(store.id)}/imageset/{image_set}"
    assert tags_of(client, arn) == {"project": "Liver"}
    way.press(page, page.get_by_role("button", name="Remove project"))
    expect(page.get_by_text("This image set has no tags.")).to_be_visible()
    assert tags_of(client, arn) == {}
    assert store.get(image_set)["versionId"] == "1"


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("", "x", "Type a key."),
        ("aws:x", "x", "Keys that begin with aws: are reserved."),
        ("two words", "x", "and no spaces"),
        (HOSTILE, "x", "and no spaces"),
        ("k" * 129, "x", "up to 128"),
        ("long", "x" * 257, "A value has up to 256 characters."),
        ("site", "x", "There is a tag with this key already."),
        ("SITE", "x", "The key site differs only in upper and lower case."),
    ],
)
def test_what_cannot_be_a_tag_is_said_and_stays_typed(
    root: PlainSession, client: Any, kept: str, key: str, value: str, reason: str
) -> None:
    answer = root.send(f"/console/datastores/{kept}/tags", {"do": "add", "key": key, "value": value})
    assert reason in html.unescape(answer.text)
    assert f'value="{html.escape(value)}"' in answer.text
    assert HOSTILE not in answer.text
    assert tags_of(client, arn_of(kept)) == {"site": "North"}


@pytest.fixture(scope="module")
def kept(client: Any) -> str:
    return active_datastore(client, tags={"site": "North"})


def test_two_who_change_a_tag_see_each_other(root: PlainSession, client: Any) -> None:
    datastore_id = active_datastore(client, tags={"site": "North", **{f"k{n}": "" for n in range(49)}})
    path = f"/console/datastores/{datastore_id}/tags"
    mine = {"do": "save", "key": "site", "before": "North", "value": "Mine"}
    client.tag_resource(resourceArn=arn_of(datastore_id), tags={"site": "Theirs"})
    answer = root.send(path, mine)
    assert "Meanwhile somebody changed it to “Theirs”." in html.unescape(answer.text)
    assert 'value="Mine"' in answer.text
    assert root.send(path, {**mine, "before": "Theirs"}).status_code == 303
    assert tags_of(client, arn_of(datastore_id))["site"] == "Mine"
    one_too_many = root.send(path, {"do": "add", "key": "more", "value": ""})
    assert one_too_many.status_code == 400
    assert "a resource can have 50" in one_too_many.text
    client.untag_resource(resourceArn=arn_of(datastore_id), tagKeys=["site"])
    assert "This tag was removed meanwhile." in root.send(path, {**mine, "before": "Mine"}).text


def test_who_may_only_see_tags_changes_none(
    server: ServerProcess, client: Any, users: UsersAndRoles, kept: str
) -> None:
    path = f"/console/datastores/{kept}/tags"
    reader = PlainSession(server, users.some_user(allow(SEES)))
    page = reader.get(path)
    assert "North" in page.text
    assert "<main" in page.text
    assert not any(offered in page.text for offered in ("Add tag", "Save", "Remove"))
    for form in (
        {"do": "add", "key": "new", "value": "x"},
        {"do": "save", "key": "site", "before": "North", "value": "x"},
        {"do": "remove", "key": "site"},
    ):
        answer = reader.send(path, form)
        assert answer.status_code == 403
        assert "is not authorized to perform" in answer.text
    stranger = PlainSession(server, users.some_user(allow("medical-imaging:GetDatastore")))
    assert f'href="{path}"' not in stranger.get(f"/console/datastores/{kept}/details").text
    assert stranger.get(path).status_code == 403
    assert tags_of(client, arn_of(kept)) == {"site": "North"}
