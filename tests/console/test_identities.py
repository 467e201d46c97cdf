"""Users, roles, policies and access by pages: what an administrator does, and what is offered to others."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from playwright.sync_api import Page, expect

from support.browser.accessibility import check_accessibility
from support.browser.fixtures import NewContext
from support.browser.pages import send_form, settle, sign_in
from support.browser.ways import Way, both_ways
from support.clients.administration import administer, call
from support.identities.users_and_roles import ACCOUNT, UsersAndRoles, allow, policy, user_arn
from support.servers import ServerProcess, active_datastore, wait_for

READ_ONLY = "AWSHealthImagingReadOnlyAccess"


def submit(page: Page, name: str | re.Pattern[str]) -> None:
    page.get_by_role("button", name=name).click()
    settle(page)


def told(page: Page, text: str) -> None:
    expect(page.get_by_role("status").filter(has_text=text).first).to_be_visible()


def test_an_administrator_makes_a_user_who_signs_in(
    server: ServerProcess, page: Page, new_context: NewContext, tmp_path: Path
) -> None:
    sign_in(page, server.key(), "/console/users")
    page.get_by_role("link", name="Create user").click()
    page.get_by_label("Name", exact=True).fill("no spaces")
    submit(page, "Create user")
    expect(page.locator("#error")).to_contain_text("the user name must be 1 to 64 letters")
    expect(page.get_by_label("Name", exact=True)).to_have_value("no spaces")
    page.get_by_label("Name", exact=True).fill("console-ann")
    page.get_by_label("Policy", exact=True).select_option(label=READ_ONLY)
    submit(page, "Create user")
    expect(page.get_by_role("heading", level=1)).to_have_text("New access key of console-ann")
    check_accessibility(page)
    key = (page.locator("#made-key").inner_text(), page.locator("#made-secret").inner_text())
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    download.value.save_as(tmp_path / "credentials")
    assert download.value.suggested_filename == "console-ann.credentials"
    assert (tmp_path / "credentials").read_text() == (
        f"[console-ann]\naws_access_key_id = {key[0]}\naws_secret_access_key = {key[1]}\n"
    )
    page.get_by_role("link", name="Go on to console-ann").click()
    assert key[1] not in page.content()
    wait_for(lambda: call(server, "GetUser", key).code != "UnrecognizedClientException", "the key to count")
    context, _ = new_context()
    other = context.new_page()
    sign_in(other, key)
    assert other.get_by_role("navigation", name="Main").get_by_role("link").all_inner_texts() == ["Data stores"]
    submit(page, f"Disable {key[0]}")
    told(page, "The key is disabled.")
    wait_for(lambda: call(server, "GetUser", key).code == "UnrecognizedClientException", "the key to be disabled")
    submit(page, f"Enable {key[0]}")
    submit(page, "Create second key, to replace the first")
    expect(page.get_by_role("heading", name=f"To replace {key[0]}")).to_be_visible()
    page.goto(f"/console/users/console-ann/keys/{key[0]}")
    page.get_by_label("It expires").select_option(label="In a year")
    submit(page, "Set")
    told(page, "The expiry is set.")
    page.get_by_text("Delete this key for good").click()
    submit(page, f"Delete {key[0]}")
    told(page, f"The key {key[0]} is deleted.")
    assert len(administer(server, "ListAccessKeys", UserName="console-ann")["AccessKeyMetadata"]) == 1


def test_policies_boundary_tags_and_the_end_of_a_user(server: ServerProcess, page: Page) -> None:
    administer(server, "CreateUser", UserName="console-bert")
    sign_in(page, server.key(), "/console/users?name=console-b")
    page.get_by_role("link", name="console-bert").click()
    page.get_by_label("Attach a managed policy").select_option(label=READ_ONLY)
    submit(page, "Attach")
    told(page, "The policy is attached.")
    page.get_by_role("link", name="Write an inline policy").click()
    page.get_by_label("Name", exact=True).fill("own")
    page.get_by_label("Policy", exact=True).fill('{\n  "Version": "2012-10-17",\n  "Statement" []\n}')
    submit(page, "Save")
    expect(page.locator("#document-hint")).to_contain_text("line 3, column 15")
    at = page.get_by_label("Policy", exact=True).evaluate("area => area.value.slice(0, area.selectionStart)")
    assert at.split("\n")[2] == '  "Statement" '
    expect(page.get_by_label("Name", exact=True)).to_have_value("own")
    document = policy(allow("medical-imaging:SearchImageSets"))
    page.get_by_label("Policy", exact=True).fill(document)
    submit(page, "Save")
    told(page, "The inline policy own is saved.")
    shown = administer(server, "GetUserPolicy", UserName="console-bert", PolicyName="own")["PolicyDocument"]
    assert json.loads(shown) == json.loads(document)
    page.get_by_text("Change the boundary").click()
    page.get_by_label("Boundary", exact=True).select_option(label=READ_ONLY)
    submit(page, "Set")
    told(page, "The boundary is set.")
    page.get_by_label("key=value, each on a line").fill("ward=3\nfloor")
    submit(page, "Save")
    expect(page.locator("#error")).to_contain_text("Line 2 of the tags must have the form key=value.")
    page.get_by_label("key=value, each on a line").fill("ward=3\nfloor=1")
    submit(page, "Save")
    page.get_by_label("key=value, each on a line").fill("ward=4")
    submit(page, "Save")
    user = administer(server, "GetUser", UserName="console-bert")["User"]
    assert user["Tags"] == [{"Key": "ward", "Value": "4"}]
    assert user["PermissionsBoundary"]["PermissionsBoundaryArn"].endswith(READ_ONLY)
    submit(page, f"Detach {READ_ONLY}")
    page.get_by_role("link", name="own", exact=True).click()
    page.get_by_text("Delete this inline policy").click()
    submit(page, "Delete own")
    told(page, "The inline policy own is deleted.")
    page.get_by_role("link", name="Delete user").click()
    page.get_by_label("Type console-bert to confirm").fill("bert")
    submit(page, "Delete user")
    expect(page.locator("#error")).to_contain_text("This is not the name of the user.")
    page.get_by_label("Type console-bert to confirm").fill("console-bert")
    submit(page, "Delete user")
    told(page, "The user console-bert is deleted.")
    assert call(server, "GetUser", UserName="console-bert").status == 404


@both_ways
def test_the_life_of_a_role(server: ServerProcess, page: Page, way: Way) -> None:
    sign_in(page, server.key(), "/console/roles")
    way.press(page, page.get_by_role("link", name="Create role"))
    way.type_into(page, page.get_by_label("Name", exact=True), "console-night")
    way.press(page, page.get_by_role("button", name="Create role"))
    settle(page)
    told(page, "The role console-night is made.")
    way.type_into(page, page.get_by_label("Description"), "Reads at night")
    settings = page.locator("#settings").get_by_role("button", name="Save")
    way.press(page, settings)
    settle(page)
    told(page, "The role is changed.")
    way.press(page, page.get_by_role("link", name="Change the trust policy"))
    trust = json.loads(page.get_by_label("Trust policy", exact=True).input_value())
    assert trust["Statement"][0]["Principal"] == {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    way.press(page, page.get_by_role("button", name="Save"))
    settle(page)
    told(page, "The trust policy is saved.")
    role = administer(server, "GetRole", RoleName="console-night")["Role"]
    assert role["Description"] == "Reads at night"
    way.press(page, page.get_by_role("link", name="Delete role"))
    way.type_into(page, page.get_by_label("Type console-night to confirm"), "console-night")
    way.press(page, page.get_by_role("button", name="Delete role"))
    settle(page)
    assert call(server, "GetRole", RoleName="console-night").status == 404


def test_the_life_of_a_policy(server: ServerProcess, page: Page) -> None:
    sign_in(page, server.key(), "/console/policies")
    page.get_by_role("link", name="Create policy").click()
    page.get_by_label("Name", exact=True).fill("console-search")
    page.get_by_label("Policy", exact=True).fill(policy(allow("medical-imaging:Search*")))
    submit(page, "Create policy")
    told(page, "The policy console-search is made.")
    page.get_by_label("Policy", exact=True).fill(policy({"Effect": "Maybe"}))
    submit(page, "Save")
    expect(page.locator("#document-hint")).to_contain_text("Statement 1: Effect is 'Maybe'; it must be Allow or Deny")
    page.get_by_label("Policy", exact=True).fill(policy(allow("medical-imaging:Get*")))
    submit(page, "Save")
    told(page, "The policy is saved.")
    arn = f"arn:aws:iam::{ACCOUNT}:policy/console-search"
    theirs, ours = policy(allow("medical-imaging:List*")), policy(allow("medical-imaging:Copy*"))
    administer(server, "CreatePolicyVersion", PolicyArn=arn, PolicyDocument=theirs)
    page.get_by_label("Policy", exact=True).fill(ours)
    submit(page, "Save")
    expect(page.locator("#error")).to_contain_text("Somebody changed this after you opened it.")
    expect(page.get_by_label("What it says now")).to_have_text(theirs)
    expect(page.get_by_label("Policy", exact=True)).to_have_value(ours)
    submit(page, "Save")
    told(page, "The policy is saved.")
    assert administer(server, "GetPolicyVersion", PolicyArn=arn)["PolicyVersion"]["Document"] == ours
    administer(server, "CreateUser", UserName="console-holder")
    administer(server, "AttachUserPolicy", UserName="console-holder", PolicyArn=arn)
    page.goto("/console/policies?name=CONSOLE-s&used=yes")
    page.get_by_role("link", name="console-search").click()
    page.get_by_role("link", name="console-holder").click()
    page.get_by_role("link", name="console-search").click()
    page.get_by_role("link", name="Delete policy").click()
    page.get_by_label("Type console-search to confirm").fill("console-search")
    submit(page, "Delete policy")
    expect(page.locator("#error")).to_contain_text(user_arn("console-holder"))
    expect(page.locator("#error")).to_contain_text("Request id")
    administer(server, "DeleteUser", UserName="console-holder", Force=True)
    submit(page, "Delete policy")
    told(page, "The policy console-search is deleted.")
    page.goto(f"/console/policies/aws/{READ_ONLY}")
    assert page.locator("main").get_by_role("button").count() == 0


def test_who_may_only_look_is_offered_nothing_else(server: ServerProcess, users: UsersAndRoles, page: Page) -> None:
    key = users.user("console-looker", allow(["iam:List*", "iam:Get*"]))
    administer(server, "CreateUser", UserName="console-looked-at", Tags=[{"Key": "ward", "Value": "3"}])
    sign_in(page, key, "/console/users?name=console-looked")
    assert page.locator("main").get_by_role("button").count() == 0
    page.get_by_role("link", name="console-looked-at").click()
    main = page.locator("main")
    expect(main.get_by_text("ward=3")).to_be_visible()
    assert main.get_by_role("button").count() == main.get_by_role("textbox").count() == 0
    assert main.get_by_role("link", name="Delete").count() == 0
    tried = send_form(page, "/console/users/console-looked-at/tags", {"tags": "ward=4"})
    assert tried.status == 403
    assert "is not authorized to perform: iam:TagUser" in tried.text()
    assert "Request id" in tried.text()
    page.goto("/console/users/new")
    expect(page.locator("main")).to_contain_text("is not authorized to perform: iam:CreateUser")
    # On a user with this tag more is allowed: the page asks with the tags of the user.
    ward = {"StringEquals": {"aws:ResourceTag/ward": "3"}}
    some = allow("iam:CreateUser", user_arn("ward-3-*"))
    users.let_user("console-looker", allow(["iam:List*", "iam:Get*"]), allow("iam:TagUser", Condition=ward), some)
    wait_for(lambda: page.goto("/console/users/console-looked-at") and page.get_by_role("textbox").count(), "the tags")
    # Who may create users of some names only is offered the form, and told which name may not be.
    page.goto("/console/users")
    page.get_by_role("link", name="Create user").click()
    page.get_by_label("Name", exact=True).fill("ward-4-x")
    submit(page, "Create user")
    expect(page.locator("#error")).to_contain_text(
        f"is not authorized to perform: iam:CreateUser on resource: {user_arn('ward-4-x')}"
    )


def test_who_may_do_what_in_a_data_store_and_why(server: ServerProcess, users: UsersAndRoles, page: Page) -> None:
    datastore = active_datastore(server.client(), datastoreName="console-access")
    arn = f"arn:aws:medical-imaging:us-east-1:{ACCOUNT}:datastore/{datastore}"
    users.user("console-reader", {**allow("medical-imaging:Get*", f"{arn}*"), "Sid": "Read"})
    sign_in(page, server.key(), f"/console/datastores/{datastore}/access?name=console-reader")
    row = page.get_by_role("row").filter(has_text="console-reader")
    cells = dict(
        zip(page.locator(".matrix thead th").all_inner_texts(), row.locator("th, td").all_inner_texts(), strict=True)
    )
    assert (cells["See"], cells["Read images"], cells["Import"], cells["Store"]) == ("yes", "yes", "partly", "no")
    page.get_by_label("Action", exact=True).select_option("GetImageFrame")
    submit(page, "Try")
    result = page.locator("#result")
    expect(result).to_contain_text("console-reader may GetImageFrame.")
    expect(result).to_contain_text("Allowed by statement 1 (Read) of the inline policy own")
    assert "action=GetImageFrame" in page.url
    row.get_by_role("link", name="no. Why? console-reader, Delete data store").click()
    settle(page)
    expect(result).to_contain_text("console-reader may not DeleteDatastore.")
    expect(result).to_contain_text("because no identity-based policy allows")
    check_accessibility(page)
    page.reload()
    expect(result).to_contain_text("console-reader may not DeleteDatastore.")
    page.get_by_role("link", name="read and upload").click()
    begun = page.get_by_label("Policy", exact=True).input_value()
    page.get_by_label("Name", exact=True).fill("console-of-one-store")
    submit(page, "Create policy")
    told(page, "The policy console-of-one-store is made.")
    own = users.user("console-of-one", *json.loads(begun)["Statement"])
    one, other = (users.client("medical-imaging", own).get_datastore, active_datastore(server.client()))
    wait_for(lambda: one(datastoreId=datastore)["datastoreProperties"], "the policy to count")
    with pytest.raises(ClientError, match="GetDatastore"):
        one(datastoreId=other)
