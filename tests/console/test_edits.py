"""Edits of image sets in the console: attributes, versions to go back to, instances to remove, and two who edit at once."""

from __future__ import annotations

import html
from typing import Final

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from support.browser.accessibility import press, reach, type_into
from support.browser.page_faults import PageFaults
from support.browser.pages import check_page, settle, sign_in
from support.browser.plain_session import PlainSession, words
from support.faults.suspended_runner import suspended
from support.files.synthetic import slice_of
from support.identities.users_and_roles import UsersAndRoles, allow
from support.imaging.updates import Store, by_uid, patient, study

HOSTILE: Final = '"><img src=x onerror=alert(1)>{{7*7}}'
READS: Final = ["medical-imaging:GetDatastore", "medical-imaging:GetImageSet", "medical-imaging:GetImageSetMetadata"]


_studies = iter(range(100, 1000))


@pytest.fixture
def image_set(store: Store) -> str:
    """An image set of three instances, in a study of its own."""
    number = next(_studies)
    slices = [slice_of(number=one, study=number, ImageComments=f"Slice {one}") for one in (1, 2, 3)]
    return store.imported(*slices)[0]


def path_of(store: Store, image_set: str) -> str:
    return f"/console/datastores/{store.id}/imagesets/{image_set}"


def edit(key: str, value: str = "", *, what: str = "set", instance: str = "", vr: str = "") -> list[tuple[str, str]]:
    """One attribute of the form, as a browser sends it."""
    row = {"key": key, "what": what, "value": value, "instance": instance, "vr": vr}
    return [(f"edit-{name}", entry) for name, entry in row.items()]


def test_several_attributes_change_in_one_update_by_mouse(store: Store, image_set: str, page: Page) -> None:
    sign_in(page, store.server.key(), path_of(store, image_set))
    page.get_by_role("link", name="Edit attributes").click()
    field = page.get_by_label("Attribute", exact=True)
    field.press_sequentially("Patientnam")
    page.locator("#attributes option[value=PatientName]").wait_for(state="attached")
    field.fill("patient's na")
    page.locator("#attributes option[value=PatientName]").filter(has_text="Patient's Name").wait_for(state="attached")
    page.get_by_role("button", name="Patient name").click()
    expect(page.get_by_role("button", name="Patient name")).to_have_count(0)
    expect(page.get_by_label("New value")).to_have_value("Roe^Jane")
    expect(page.get_by_label("New value")).to_be_focused()
    page.get_by_label("New value").fill(HOSTILE)
    for count, key in enumerate(("(0008,0050)", "ImageComments"), start=2):
        settle(page)
        page.get_by_label("Another attribute").fill(key)
        page.get_by_role("button", name="Add").click()
        expect(page.get_by_label("New value")).to_have_count(count)
    page.get_by_label("Change").nth(1).select_option("Remove")
    page.get_by_label("New value").nth(2).fill("All alike")
    page.get_by_role("button", name="Review changes").click()
    expect(page.get_by_text("Choose the instance, or type all")).to_be_visible()
    check_page(page)
    page.get_by_label("Instance", exact=True).fill("2")
    page.get_by_role("button", name="Review changes").click()
    changes = page.get_by_role("region", name="Changes")
    expect(changes.get_by_role("row").nth(1)).to_contain_text("Roe^Jane")
    expect(changes.get_by_role("row").nth(1)).to_contain_text(HOSTILE)
    expect(changes.get_by_role("row").nth(2)).to_contain_text("removed")
    expect(changes.get_by_role("row").nth(3)).to_contain_text("Slice 2")
    check_page(page)
    page.get_by_role("button", name="Send changes").click()
    expect(page.get_by_text("The changes are on their way, as version 2.")).to_be_visible()
    expect(page.get_by_text("ACTIVE · UPDATED")).to_be_visible()
    document = store.document(image_set)
    assert document["Patient"]["DICOM"]["PatientName"] == HOSTILE
    assert "AccessionNumber" not in document["Study"]["DICOM"]
    comments = [one["DICOM"]["ImageComments"] for one in by_uid(document).values()]
    assert sorted(comments) == ["All alike", "Slice 1", "Slice 3"]


@pytest.mark.slow
def test_an_attribute_changes_by_keyboard_alone_and_by_force(store: Store, image_set: str, page: Page) -> None:
    sign_in(page, store.server.key(), path_of(store, image_set))
    press(page, page.get_by_role("link", name="Edit attributes"))
    expect(page.get_by_label("Attribute", exact=True)).to_be_focused()
    page.keyboard.type("StudyID")
    page.keyboard.press("Enter")
    expect(page.get_by_label("New value")).to_be_focused()
    page.keyboard.press("Control+A")
    page.keyboard.type("S-2")
    page.keyboard.press("Enter")
    # Whoever types on sends nothing: the review is to be read first.
    expect(page.get_by_role("heading", name="Review")).to_be_focused()
    page.keyboard.press("Enter")
    press(page, page.get_by_role("button", name="Back to the form"))
    press(page, page.get_by_role("button", name="Review changes"))
    press(page, page.get_by_role("button", name="Send changes"))
    expect(page.get_by_text("Tick Force to send these changes")).to_be_visible()
    press(page, page.get_by_role("checkbox", name="Force"), "Space")
    assert page.get_by_role("checkbox", name="Change the whole study").count() == 0
    press(page, page.get_by_role("button", name="Send changes"))
    expect(page.get_by_text("ACTIVE · UPDATED")).to_be_visible()
    found = store.get(image_set)
    assert (found["versionId"], found["overrides"]) == ("2", {"forced": True})
    assert store.document(image_set)["Study"]["DICOM"]["StudyID"] == "S-2"


def test_a_name_changes_in_the_whole_study_unless_somebody_says_otherwise(
    store: Store, users: UsersAndRoles, root: PlainSession, page: Page
) -> None:
    number = next(_studies)
    one, other, third = store.imported(*(slice_of(study=number, series=series) for series in (1, 2, 3)))
    form = path_of(store, one) + "/edit"
    sign_in(page, store.server.key(), form + "?key=PatientName")
    page.get_by_label("New value").fill("Doe^John")
    page.get_by_role("button", name="Review changes").click()
    expect(page.get_by_role("heading", name="Review")).to_be_focused()
    whole = page.get_by_role("checkbox", name="Change the whole study")
    expect(whole).to_be_checked()
    expect(page.get_by_text("in 3 image sets of this study at once")).to_be_visible()
    warning = page.get_by_text("The study will then show two values.")
    expect(warning).to_be_hidden()
    whole.uncheck()
    expect(warning).to_be_visible()
    expect(page.get_by_text("The other 2 keep the value of now")).to_be_visible()
    check_page(page)
    whole.check()
    page.get_by_role("button", name="Send changes").click()
    expect(page.get_by_text("as version 2, in 3 image sets of this study.")).to_be_visible()
    for changed in (one, other, third):
        store.settled(changed)
        assert store.document(changed)["Patient"]["DICOM"]["PatientName"] == "Doe^John"
    # A form that was never asked about the others is asked now; one that was, and says no, changes one.
    name = edit("PatientName", "Split^Name")
    unasked = words(root.send(form, [("do", "send"), ("version", "2"), *name]))
    assert "in 3 image sets of this study" in unasked
    assert store.get(one)["versionId"] == "2"
    # What an update cannot change everywhere is said to differ.
    mixed = words(root.send(form, [("do", "review"), ("version", "2"), *name, *edit("SeriesDescription", "Other")]))
    assert "leave out what is not of the patient or the study" in mixed
    assert 'name="study"' not in mixed
    arn = f"arn:aws:medical-imaging:us-east-1:000000000000:datastore/{store.id}"
    writes = allow(["medical-imaging:UpdateImageSetMetadata"], [arn, f"{arn}/imageset/{one}"])
    limited = PlainSession(store.server, users.some_user(allow([*READS, "medical-imaging:SearchImageSets"]), writes))
    assert "You may not change all of the others." in words(
        limited.send(form, [("do", "review"), ("version", "2"), *name])
    )
    blind = PlainSession(store.server, users.some_user(allow([*READS, "medical-imaging:UpdateImageSetMetadata"])))
    assert "How many these are is not shown" in words(blind.send(form, [("do", "review"), ("version", "2"), *name]))
    alone = root.send(form, [("do", "send"), ("version", "2"), ("study-asked", "yes"), *name])
    assert alone.status_code == 303
    store.settled(one)
    assert store.document(one)["Patient"]["DICOM"]["PatientName"] == "Split^Name"
    assert store.document(other)["Patient"]["DICOM"]["PatientName"] == "Doe^John"


def test_who_edits_second_sees_both_and_applies_hers(store: Store, image_set: str, context: BrowserContext) -> None:
    first, second = context.new_page(), context.new_page()
    sign_in(first, store.server.key(), path_of(store, image_set) + "/edit?key=PatientName")
    second.goto(path_of(store, image_set) + "/edit?key=PatientName")
    for page, name in ((first, "First^One"), (second, "Second^Two")):
        page.get_by_label("New value").fill(name)
        page.get_by_role("button", name="Review changes").click()
        if page is first:
            page.get_by_role("button", name="Send changes").click()
            expect(page.get_by_text("ACTIVE · UPDATED")).to_be_visible()
    expect(second.get_by_text("This image set has changed since you opened the form.")).to_be_visible()
    expect(second.get_by_role("region", name="What changed in between").get_by_role("row")).to_have_count(2)
    mine = second.get_by_role("region", name="Changes").get_by_role("row").nth(1)
    for text in ("Roe^Jane", "First^One", "Second^Two"):
        expect(mine).to_contain_text(text)
    assert store.document(image_set)["Patient"]["DICOM"]["PatientName"] == "First^One"
    check_page(second)
    second.get_by_role("button", name="Apply to version 2").click()
    expect(second.get_by_text("ACTIVE · UPDATED")).to_be_visible()
    expect(second.get_by_text("Version 3, the latest")).to_be_visible()
    assert store.document(image_set)["Patient"]["DICOM"]["PatientName"] == "Second^Two"


def test_a_version_comes_back_by_mouse(store: Store, image_set: str, page: Page) -> None:
    store.updated(image_set, "1", update=patient(PatientName="Wrong^Name"))
    sign_in(page, store.server.key(), path_of(store, image_set))
    page.get_by_text("More actions").click()
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="Go back to a version")).to_be_hidden()
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Go back to a version").click()
    page.get_by_role("link", name="Version 1").click()
    page.wait_for_url("**/revert?to=1")
    row = page.get_by_role("region", name="What changes").get_by_role("row").nth(1)
    expect(row).to_contain_text("Wrong^Name")
    expect(row).to_contain_text("Roe^Jane")
    check_page(page)
    page.get_by_role("button", name="Go back to version 1").click()
    expect(page.get_by_text("Version 3, the latest")).to_be_visible()
    expect(page.get_by_text("ACTIVE · UPDATED")).to_be_visible()
    assert store.document(image_set) == {**store.document(image_set, versionId="1")}


@pytest.mark.slow
def test_instances_are_removed_and_an_image_set_is_deleted_by_keyboard(
    store: Store, image_set: str, page: Page
) -> None:
    sign_in(page, store.server.key(), path_of(store, image_set) + "/remove")
    type_into(page, page.get_by_label("Instance numbers"), "1-3")
    page.keyboard.press("Enter")
    expect(page.get_by_text("An image set keeps at least one instance.")).to_be_visible()
    type_into(page, page.get_by_label("Instance numbers"), "3")
    press(page, page.get_by_role("checkbox", name="Instance 1"), "Space")
    expect(page.get_by_text("2 chosen of 3")).to_be_visible()
    press(page, page.get_by_role("button", name="Remove instances"))
    expect(page.get_by_text("ACTIVE · UPDATED")).to_be_visible()
    assert [one["DICOM"]["InstanceNumber"] for one in by_uid(store.document(image_set)).values()] == ["2 "]
    reach(page, page.get_by_text("More actions"))
    page.keyboard.press("Enter")
    press(page, page.get_by_role("link", name="Delete"))
    expect(page.get_by_label("to confirm")).to_be_focused()
    expect(page.get_by_text("1, with 1 frame")).to_be_visible()
    page.keyboard.type("delete")
    page.keyboard.press("Enter")
    expect(page.get_by_text(f"Type {image_set[:8]}.")).to_be_visible()
    assert store.get(image_set)["imageSetState"] == "ACTIVE"
    type_into(page, page.get_by_label("to confirm"), image_set[:8])
    page.keyboard.press("Enter")
    expect(page.get_by_text("It was deleted.")).to_be_visible()
    assert page.get_by_role("link", name="Edit attributes").count() == 0
    assert store.get(image_set)["imageSetState"] == "DELETED"


def test_one_that_is_locked_is_left_alone_until_it_is_done(
    store: Store, image_set: str, page: Page, faults: PageFaults
) -> None:
    faults.allow("409")
    form = path_of(store, image_set) + "/edit?key=PatientName"
    sign_in(page, store.server.key(), form)
    page.get_by_label("New value").fill("Typed^Before")
    runner = suspended(store.server)
    try:
        store.ask(image_set, "1", update=study(StudyDescription="By another"))
        page.get_by_role("button", name="Review changes").click()
        expect(page.get_by_text("send it again when that has ended")).to_be_visible()
        page.get_by_role("button", name="Send changes").click()
        expect(page.get_by_role("region", name="Changes")).to_contain_text("Typed^Before")
        other = page.context.new_page()
        other.goto(path_of(store, image_set) + "/edit?key=PatientName")
        expect(other.get_by_text("This page goes on by itself")).to_be_visible()
        assert other.get_by_role("link", name="Edit attributes").count() == 0
    finally:
        runner.resume()
    expect(other.get_by_label("New value")).to_be_visible()
    expect(other.get_by_text("Done: version 2 is made.")).to_be_visible()
    page.get_by_role("button", name="Send changes").click()
    expect(page.get_by_role("region", name="What changed in between")).to_contain_text("By another")
    page.get_by_role("button", name="Apply to version 2").click()
    expect(page.get_by_text("Version 3, the latest")).to_be_visible()
    assert store.settled(image_set)["imageSetWorkflowStatus"] == "UPDATED"


def test_a_private_attribute_is_added_with_its_value_representation(store: Store, page: Page) -> None:
    one = store.imported(slice_of(study=77))[0]
    sign_in(page, store.server.key(), path_of(store, one) + "/edit?key=00190010")
    page.get_by_label("VR").select_option("LO")
    page.get_by_label("New value").fill("MINE")
    page.get_by_role("button", name="Review changes").click()
    page.get_by_role("checkbox", name="Force").check()
    page.get_by_role("button", name="Send changes").click()
    expect(page.get_by_text("ACTIVE · UPDATED")).to_be_visible()
    (instance,) = by_uid(store.document(one)).values()
    assert (instance["DICOM"]["00190010"], instance["DICOMVRs"]["00190010"]) == ("MINE", "LO")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (edit("PatientID", "x" * 257), "at most 256 are allowed"),
        (edit("PatientBirthDate", "1.1.1970"), "These changes need force"),
        (edit("PatientName", "Roe^Jane"), "This is the value of PatientName already"),
        (edit("EthnicGroup", what="remove"), "EthnicGroup is not there"),
        (edit("StudyInstanceUID", what="remove"), "StudyInstanceUID of a primary image set cannot be changed"),
        (edit("SeriesInstanceUID", "1.2"), "SeriesInstanceUID of a primary image set cannot be changed"),
        (edit("TransferSyntaxUID", "1.2", instance="all"), "describes the file, not the instance"),
        (edit("PixelData", "AAAA", instance="all"), "is made by the service and cannot be changed"),
        (edit("Rows", "many", instance="1"), "its value must be an integer from 0 to 65535"),
        (edit("Rows", "70000", instance="1"), "its value must be an integer from 0 to 65535"),
        (edit("ImageComments", "x", instance="9"), "No instance has this number"),
        (edit("ReferencedStudySequence", "[{]"), "A sequence is typed as a list of objects in JSON"),
        (edit("ReferencedStudySequence", "[" * 5000), "A sequence is typed as a list of objects in JSON"),
        (edit("ReferencedStudySequence", f"[1{'0' * 5000}]"), "A sequence is typed as a list of objects in JSON"),
        (edit("ReferencedStudySequence", "[NaN]"), "A sequence is typed as a list of objects in JSON"),
        (edit("00190010", "x", instance="all"), "Choose the value representation of 00190010"),
        ([*edit("PatientSex", "M"), *edit("PatientSex", "O")], "An earlier line changes this already"),
        ([], "Add an attribute first."),
    ],
)
def test_what_cannot_be_sent_is_said_before_and_is_not_sent(
    store: Store, root: PlainSession, unchanged: str, row: list[tuple[str, str]], reason: str
) -> None:
    for wanted in ("review", "send"):
        form = [("do", wanted), ("version", "1"), *row]
        answer = root.send(path_of(store, unchanged) + "/edit", form)
        assert answer.status_code == 200
        assert reason in words(answer)
        # What was typed is still there.
        assert all(html.escape(value, quote=True).replace("&#x27;", "&#39;")[:40] in answer.text for _, value in row)
    assert store.get(unchanged)["versionId"] == "1"


@pytest.fixture(scope="module")
def unchanged(store: Store) -> str:
    return store.imported(*(slice_of(number=one, study=99) for one in (1, 2, 3)))[0]


@pytest.mark.parametrize(
    ("typed", "key"),
    [
        ("Patient name", "PatientName"),
        ("patient's name", "PatientName"),
        ("PATIENT’S-NAME", "PatientName"),
        ("patient_name", "PatientName"),
        ("patients birth date", "PatientBirthDate"),
        ("accession number", "AccessionNumber"),
        ("(0010, 0040)", "PatientSex"),
    ],
)
def test_attributes_are_named_as_people_write_them(
    store: Store, root: PlainSession, unchanged: str, typed: str, key: str
) -> None:
    answer = root.send(path_of(store, unchanged) + "/edit", {"do": "add", "version": "1", "key": typed})
    assert f'name="edit-key" value="{key}"' in answer.text
    # A patient and a study have one of each.
    assert "A backslash separates several values" not in answer.text


def test_what_a_uid_may_be_is_said_alike_before_and_after(store: Store, root: PlainSession) -> None:
    aside = store.imported(slice_of(study=95), slice_of(study=95, number=2, PatientID="TYPO"))[1]
    form = [("version", "1"), ("do", "review")]
    asked = words(root.send(path_of(store, aside) + "/edit", [("version", "1"), ("do", "add"), ("key", "Image type")]))
    assert "A backslash separates several values" in asked
    for wrong in ("1.2.x", "1" * 257):
        answer = words(root.send(path_of(store, aside) + "/edit", [*form, *edit("SeriesInstanceUID", wrong)]))
        assert "up to 64 characters" in answer or "at most 256 are allowed" in answer
    long = words(root.send(path_of(store, aside) + "/edit", [*form, *edit("SeriesInstanceUID", "1" * 65)]))
    assert "These changes need force" in long


@pytest.mark.parametrize("key", ["Patient", "(0010,00", "PixelData", "<script>alert(1)</script>", "0002 0010"])
def test_an_attribute_that_cannot_be_changed_is_not_added(
    store: Store, root: PlainSession, unchanged: str, key: str
) -> None:
    answer = root.send(path_of(store, unchanged) + "/edit", {"do": "add", "version": "1", "key": key})
    assert 'aria-invalid="true"' in answer.text
    assert 'name="edit-key"' not in answer.text
    assert "<script>alert" not in answer.text


def test_a_sequence_and_several_values_are_typed_as_dicom_has_them(
    store: Store, root: PlainSession, image_set: str
) -> None:
    rows = [
        *edit("ReferencedStudySequence", '[{"ReferencedSOPInstanceUID": "1.2.3"}]'),
        *edit("ImageType", "DERIVED\\SECONDARY", instance="all"),
        *edit("Rows", "64", instance="1"),
    ]
    form = [("do", "send"), ("version", "1"), ("force", "yes"), *rows[:10]]
    answer = root.send(path_of(store, image_set) + "/edit", form)
    assert (answer.status_code, answer.headers["location"]) == (303, path_of(store, image_set))
    assert store.settled(image_set)["imageSetWorkflowStatus"] == "UPDATED"
    document = store.document(image_set)
    assert document["Study"]["DICOM"]["ReferencedStudySequence"] == [{"ReferencedSOPInstanceUID": "1.2.3"}]
    assert {tuple(one["DICOM"]["ImageType"]) for one in by_uid(document).values()} == {("DERIVED", "SECONDARY")}


def test_who_may_only_read_is_offered_nothing_and_refused(store: Store, users: UsersAndRoles, unchanged: str) -> None:
    reader = PlainSession(store.server, users.some_user(allow(READS)))
    path = path_of(store, unchanged)
    page = reader.get(path)
    assert page.status_code == 200
    for offered in ("/edit", "/revert", "/remove", "/delete", "/copy"):
        assert f'href="{path}{offered}"' not in page.text
    sent = {
        "edit": [("do", "send"), ("version", "1"), *edit("PatientSex", "O")],
        "revert": [("version", "1"), ("to", "1")],
        "remove": [("version", "1"), ("range", "1")],
        "delete": [("version", "1"), ("id", unchanged)],
    }
    for name, form in sent.items():
        answer = reader.send(f"{path}/{name}", form)
        assert answer.status_code == 403
        assert "is not authorized to perform" in words(answer), name
        assert "Request id" in answer.text
    assert store.get(unchanged)["versionId"] == "1"


def test_a_stale_form_neither_reverts_nor_removes_nor_deletes(store: Store, root: PlainSession, image_set: str) -> None:
    store.updated(image_set, "1", update=patient(PatientSex="O"))
    path = path_of(store, image_set)
    for name, form in {
        "revert": {"version": "1", "to": "1"},
        "remove": {"version": "1", "range": "1"},
        "delete": {"version": "1", "id": image_set},
    }.items():
        answer = root.send(f"{path}/{name}", form)
        assert answer.status_code == (409 if name == "remove" else 200)
        assert "has changed since you opened the page" in words(answer), name
    found = store.get(image_set)
    assert (found["versionId"], found["imageSetState"]) == ("2", "ACTIVE")
