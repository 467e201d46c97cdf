"""Copies of image sets in the console: into a new one, a part, into another, and into the primary one."""

from __future__ import annotations

import re
from typing import Any, Final

import pytest
from playwright.sync_api import Page, expect

from support.browser.accessibility import press, type_into
from support.browser.pages import check_page, settle, sign_in
from support.browser.plain_session import PlainSession, words
from support.files.synthetic import slice_of
from support.identities.users_and_roles import UsersAndRoles, allow
from support.imaging.updates import Store, by_uid, patient

HOSTILE: Final = "<img src=x onerror=alert(1)>"
READS: Final = ["medical-imaging:GetDatastore", "medical-imaging:GetImageSet", "medical-imaging:GetImageSetMetadata"]


_studies = iter(range(300, 1000))


def series(store: Store, study: int, *numbers: int, **elements: Any) -> str:
    """Import instances of one series, and return their image set."""
    return store.imported(*(slice_of(number=number, study=study, **elements) for number in numbers))[0]


@pytest.fixture
def image_set(store: Store) -> str:
    return series(store, next(_studies), 1, 2, 3, 4)


def path_of(store: Store, image_set: str) -> str:
    return f"/console/datastores/{store.id}/imagesets/{image_set}"


def image_set_of(page: Page) -> str:
    """The image set whose first page is shown."""
    page.wait_for_url(lambda url: len(url.rpartition("/imagesets/")[2]) == 32)
    return page.url.rpartition("/")[2]


def numbers(store: Store, image_set: str) -> list[str]:
    return sorted(one["DICOM"]["InstanceNumber"].strip() for one in by_uid(store.document(image_set)).values())


def test_a_part_is_split_off_and_removed_by_mouse(store: Store, image_set: str, page: Page) -> None:
    sign_in(page, store.server.key(), path_of(store, image_set))
    page.get_by_text("More actions").click()
    page.get_by_role("link", name="Split").click()
    page.get_by_role("button", name="Split").click()
    expect(page.get_by_text("Choose the instances to copy.")).to_be_visible()
    page.get_by_label("Instance numbers").fill("2-3, 9")
    expect(page.get_by_text("2 chosen of 4")).to_be_visible()
    page.get_by_role("button", name="Split").click()
    expect(page.get_by_text("No instance has the number 9. Numbers are from 1 to 4.")).to_be_visible()
    expect(page.get_by_text("2 chosen of 4")).to_be_visible()
    page.get_by_label("Instance numbers").fill("")
    settle(page)
    page.get_by_label("All that are listed").check()
    expect(page.get_by_text("4 chosen")).to_be_visible()
    page.get_by_label("All that are listed").uncheck()
    page.get_by_role("checkbox", name="Instance 1").check()
    page.get_by_role("checkbox", name="Instance 3").click(modifiers=["Shift"])
    expect(page.get_by_text("3 chosen")).to_be_visible()
    page.get_by_role("button", name="Split").click()
    steps = page.get_by_role("listitem")
    expect(page.get_by_text("so they leave the original first")).to_be_visible()
    copied = page.url.partition("/after-split")[0].rpartition("/")[2]
    check_page(page)
    page.get_by_role("link", name="Give them a Series Instance UID of their own").click()
    made = page.get_by_label("New value")
    assert re.fullmatch(r"2\.25\.[1-9][0-9]{20,38}", made.input_value())
    first = made.input_value()
    page.get_by_role("button", name="Make a new UID").click()
    expect(made).not_to_have_value(first)
    second = made.input_value()
    page.get_by_role("button", name="Review changes").click()
    page.get_by_role("checkbox", name="Force").check()
    page.get_by_role("button", name="Send changes").click()
    expect(steps.filter(has_text="done").filter(has_text="Series Instance UID")).to_be_visible()
    assert page.get_by_role("link", name="Promote to primary").count() == 0
    steps.get_by_role("link", name="Remove them from the original").click()
    expect(page.get_by_role("checkbox", name="Instance 2")).to_be_checked()
    expect(page.get_by_role("checkbox", name="Instance 4")).not_to_be_checked()
    page.get_by_role("button", name="Remove instances").click()
    page.wait_for_url("**/after-split?from=*")
    store.settled(image_set)
    page.reload()
    expect(steps.filter(has_text="done").filter(has_text="Remove them from the original")).to_be_visible()
    expect(page.get_by_text("No list shows all of these instances now.")).to_be_visible()
    steps.get_by_role("link", name="Promote to primary").last.click()
    page.get_by_role("button", name="Promote").click()
    expect(steps.filter(has_text="done").filter(has_text="Promote to primary")).to_be_visible()
    check_page(page)
    primary = page.get_by_role("link", name="a primary image set").get_attribute("href")
    assert primary is not None
    page.get_by_role("link", name="Delete this image set").click()
    page.get_by_label("to confirm").fill(copied[:8])
    page.get_by_role("button", name="Delete image set").click()
    expect(page.get_by_text("It was deleted.")).to_be_visible()
    assert numbers(store, image_set) == ["4"]
    found = primary.rpartition("/")[2]
    assert numbers(store, found) == ["1", "2", "3"]
    assert second in store.document(found)["Study"]["Series"]


def test_what_is_split_off_and_removed_is_said_to_be_in_no_list(
    store: Store, root: PlainSession, image_set: str
) -> None:
    path = path_of(store, image_set)
    after = root.send(f"{path}/split", {"version": "1", "range": "1-2"}).headers["location"]
    copied = after.partition("/after-split")[0].rpartition("/")[2]
    store.settled(copied)
    store.settled(image_set)
    assert "no list shows them" in words(root.get(after))
    assert "show primary image sets only" in words(root.get(f"{path}/remove?copied={copied}"))
    sent = root.send(f"{path}/remove", {"version": "1", "range": "1-2", "copied": copied})
    assert sent.headers["location"] == after
    store.settled(image_set)
    assert "No list shows all of these instances now." in words(root.get(after))
    assert "this undoes the split" in words(root.get(f"{path_of(store, copied)}/promote"))
    assert "is not known here" in words(root.get(f"{path_of(store, copied)}/after-split"))


def test_all_is_copied_by_keyboard_alone_and_another_is_merged_into_the_copy_by_mouse(store: Store, page: Page) -> None:
    study = next(_studies)
    image_set = series(store, study, 1, 2, 3, 4)
    sign_in(page, store.server.key(), path_of(store, image_set))
    press(page, page.get_by_text("More actions"))
    press(page, page.get_by_role("link", name="Copy", exact=True))
    expect(page.get_by_role("button", name="Copy")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_text("ACTIVE · COPIED")).to_be_visible()
    made = image_set_of(page)
    assert made != image_set
    assert store.document(made)["Patient"] == store.document(image_set)["Patient"]
    assert numbers(store, made) == numbers(store, image_set)
    aside = series(store, study, 5, PatientID="P-FROM")
    page.goto(path_of(store, aside))
    page.get_by_text("More actions").click()
    page.get_by_role("link", name="Merge").click()
    page.get_by_role("link", name=f"Choose {made}").click()
    page.get_by_role("checkbox", name="Force").check()
    page.get_by_role("button", name="Merge").click()
    assert image_set_of(page) == made
    expect(page.get_by_text("ACTIVE · COPIED")).to_be_visible()
    assert numbers(store, made) == ["1", "2", "3", "4", "5"]


@pytest.mark.slow
def test_two_are_merged_by_force_by_keyboard_alone(store: Store, page: Page) -> None:
    study = next(_studies)
    series(store, study, 1)
    into = series(store, study, 2, PatientID="P-INTO", PatientName="Stays^Here")
    source = series(store, study, 3, PatientID="P-FROM", PatientName=HOSTILE)
    sign_in(page, store.server.key(), path_of(store, source) + "/merge")
    type_into(page, page.get_by_label("Or its id"), "0" * 32)
    page.keyboard.press("Enter")
    expect(page.get_by_text("does not exist")).to_be_visible()
    press(page, page.get_by_role("link", name=f"Choose {into}"))
    differences = page.get_by_role("region", name="What does not agree")
    expect(differences).to_contain_text(HOSTILE)
    expect(differences).to_contain_text("Stays^Here")
    check_page(page)
    press(page, page.get_by_role("button", name="Merge"))
    assert store.get(into)["versionId"] == "1"
    press(page, page.get_by_role("checkbox", name="Force"), "Space")
    press(page, page.get_by_role("button", name="Merge"))
    expect(page.get_by_text("ACTIVE · COPIED")).to_be_visible()
    assert image_set_of(page) == into
    assert numbers(store, into) == ["2", "3"]
    assert store.document(into)["Patient"]["DICOM"]["PatientName"] == "Stays^Here"


@pytest.mark.slow
def test_one_that_an_import_put_aside_is_corrected_and_promoted_by_mouse(store: Store, page: Page) -> None:
    study = next(_studies)
    primary = series(store, study, 1)
    aside = series(store, study, 2, PatientID="TYPO")
    sign_in(page, store.server.key(), path_of(store, aside))
    page.get_by_text("More actions").click()
    page.get_by_role("link", name="Promote to primary").click()
    expect(page.get_by_role("region", name="What must agree first")).to_contain_text("TYPO")
    check_page(page)
    page.get_by_role("link", name="Edit these attributes").click()
    page.get_by_label("New value").fill("P-1")
    page.get_by_role("button", name="Review changes").click()
    page.get_by_role("button", name="Send changes").click()
    expect(page.get_by_text("ACTIVE · UPDATED")).to_be_visible()
    page.get_by_text("More actions").click()
    page.get_by_role("link", name="Promote to primary").click()
    page.get_by_role("button", name="Promote").click()
    expect(page.get_by_text("ACTIVE · COPIED")).to_be_visible()
    assert image_set_of(page) == primary
    assert numbers(store, primary) == ["1", "2"]
    assert page.get_by_role("link", name="Promote to primary").count() == 0


def test_what_would_fail_is_said_before(store: Store, root: PlainSession) -> None:
    study = next(_studies)
    primary = series(store, study, 1)
    aside = series(store, study, 1, 2, PatientID="TYPO")
    merge = words(root.get(f"{path_of(store, aside)}/merge?into={primary}"))
    assert "1 instance is in both." in merge
    assert "a primary image set takes nothing by force" in merge
    assert '<button type="submit">Merge</button>' not in merge
    promotion = words(root.get(f"{path_of(store, aside)}/promote"))
    assert "1 instance is in the primary image set already." in promotion
    assert "This image set is primary already" in words(root.get(f"{path_of(store, primary)}/promote"))
    itself = words(root.get(f"{path_of(store, aside)}/merge?into={aside}"))
    assert "This is the image set itself." in itself
    deletion = words(root.get(f"{path_of(store, aside)}/delete"))
    assert "1 of these instances is also in 1 other image set of this series" in deletion.replace(
        '<data value="1" data-as="number">1</data>', "1"
    )
    # Sent all the same, the API decides, and the copy that failed says why.
    sent = root.send(f"{path_of(store, aside)}/merge", {"version": "1", "into": primary, "into-version": "1"})
    assert sent.headers["location"] == path_of(store, primary)
    assert store.settled(primary)["imageSetWorkflowStatus"] == "COPY_FAILED"
    assert "The copy into this version failed." in words(root.get(path_of(store, primary)))


def test_rubbish_and_stale_forms_copy_nothing(store: Store, root: PlainSession, image_set: str) -> None:
    path = path_of(store, image_set)
    for ranges, reason in {
        "one": "Ranges are instance numbers such as 1-20, 35.",
        "9": "No instance has the number 9. Numbers are from 1 to 4.",
        "3-9": "No instance has the number 9.",
        "7-9": "No instance has a number from 7 to 9.",
        "": "Choose the instances to copy.",
    }.items():
        assert reason in words(root.send(f"{path}/split", {"version": "1", "range": ranges}))
    gone = words(root.send(f"{path}/split", {"version": "1", "instance": "1.2.3"}))
    assert "1 of the chosen instances are no longer in the image set." in gone
    other = series(store, next(_studies), 1)
    store.updated(image_set, "1", update=patient(PatientSex="O"))
    stale = "This image set has changed since you opened the page."
    for name, form in {
        "copy": {},
        "split": {"range": "1"},
        "merge": {"into": other, "into-version": "1"},
        "promote": {},
    }.items():
        assert stale in words(root.send(f"{path}/{name}", {"version": "1", **form}))
    refused = words(root.send(f"{path}/promote", {"version": "2"}))
    assert "the source image set is primary already" in refused
    assert "Request id" in refused
    moved = words(root.send(f"{path}/merge", {"version": "2", "into": other, "into-version": "7"}))
    assert "is not the latest" in moved
    assert store.get(image_set)["imageSetState"] == "ACTIVE"
    assert store.get(other)["versionId"] == "1"


def test_who_may_not_copy_is_offered_nothing_and_refused(
    store: Store, users: UsersAndRoles, root: PlainSession, image_set: str
) -> None:
    reader = PlainSession(store.server, users.some_user(allow(READS)))
    path = path_of(store, image_set)
    offered = [f'href="{path}/{name}"' for name in ("copy", "split", "merge")]
    assert all(link in root.get(path).text for link in offered)
    assert not any(link in reader.get(path).text for link in offered)
    other = series(store, next(_studies), 1)
    for name, form in {
        "copy": {},
        "split": {"range": "1"},
        "merge": {"into": other, "into-version": "1"},
    }.items():
        answer = reader.send(f"{path}/{name}", {"version": "1", **form})
        assert answer.status_code == 403
        assert "is not authorized to perform: medical-imaging:CopyImageSet" in words(answer), name
    # Who may copy but neither search nor change still merges by the id, and is not led on to remove.
    copier = PlainSession(store.server, users.some_user(allow([*READS, "medical-imaging:CopyImageSet"])))
    assert "Or its id" in copier.get(f"{path}/merge").text
    after = copier.send(f"{path}/split", {"version": "1", "range": "1"}).headers["location"]
    store.settled(after.partition("/after-split")[0].rpartition("/")[2])
    store.settled(image_set)
    assert "/remove?copied" not in copier.get(after).text
    assert "(you may not do this)" in words(copier.get(after))
    assert copier.send(f"{path}/copy", {"version": "1"}).status_code == 303
    assert store.settled(image_set)["imageSetState"] == "ACTIVE"
