"""Ten tasks, done with as few clicks as can be, and as many as the documentation says."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Page, expect

from support.browser.clicks import Clicks
from support.browser.pages import settle, sign_in
from support.doc_pages import Page as DocPage
from support.files.synthetic import save, slice_of
from support.imaging.import_folders import INPUT, fill, import_folder
from support.servers import ServerProcess, active_datastore

TOLD: Final = {
    row["task"]: row["ours"] for row in DocPage.of("docs/explanation/console.md").section("## Ten tasks").rows("task")
}
NAME: Final = "ten-tasks"


@pytest.fixture(scope="module")
def store(server: ServerProcess) -> str:
    """A data store with some studies of one patient."""
    client = server.client()
    datastore_id = active_datastore(client, datastoreName=NAME)
    slices = [
        slice_of(number=number, study=number, SeriesDescription=f"Series of {number}") for number in range(900, 903)
    ]
    fill(server, "ten-tasks", slices)
    import_folder(server, client, datastore_id, "ten-tasks")
    return datastore_id


@pytest.fixture
def clicks(server: ServerProcess, store: str, page: Page) -> Clicks:
    sign_in(page, server.key())
    return Clicks(page)


def open_study(page: Page, clicks: Clicks, number: int) -> None:
    clicks.click(page.get_by_role("link", name=NAME, exact=True))
    row = page.get_by_role("row").filter(has_text="Roe").nth(number - 900)
    clicks.click(row.get_by_role("rowheader").get_by_role("link"))


def open_image_set(page: Page, clicks: Clicks, number: int) -> None:
    open_study(page, clicks, number)
    clicks.click(page.get_by_role("region", name="Series").locator("a[href*='/imagesets/']").first)


def find_by_name(page: Page, clicks: Clicks, _folder: Path) -> None:
    clicks.click(page.get_by_role("link", name=NAME, exact=True))
    page.keyboard.press("/")
    page.keyboard.type("roe, j")
    clicks.enter()
    expect(page.get_by_role("region", name="Studies").get_by_role("row")).to_have_count(4)


def find_by_modality_and_dates(page: Page, clicks: Clicks, _folder: Path) -> None:
    clicks.click(page.get_by_role("link", name=NAME, exact=True))
    clicks.type_into(page.get_by_label("Modality", exact=True), "CT")
    clicks.type_into(page.get_by_label("Study date"), "2024-01-01")
    clicks.type_into(page.get_by_label("to", exact=True), "2024-01-31")
    clicks.enter()
    expect(page.get_by_role("region", name="Studies").get_by_role("row")).to_have_count(4)


def read_attribute(page: Page, clicks: Clicks, _folder: Path) -> None:
    open_image_set(page, clicks, 900)
    clicks.click(page.get_by_role("link", name="Metadata", exact=True))
    clicks.type_into(page.get_by_label("Keyword, tag or value"), "BodyPartExamined")
    clicks.enter()
    expect(page.get_by_role("region", name="Elements found").get_by_text("HEAD")).to_be_visible()


def upload_folder(page: Page, clicks: Clicks, folder: Path) -> None:
    save(slice_of(study=903, PatientName="Uploaded^Ann"), folder / "disc" / "1.dcm")
    clicks.click(page.get_by_role("link", name=NAME, exact=True))
    clicks.click(page.get_by_role("link", name="Upload", exact=True))
    clicks.give_files(page.locator("#folder"), folder / "disc")
    expect(page.get_by_text("The upload has ended: 1 file stored.")).to_be_visible()


def import_bucket(page: Page, clicks: Clicks, _folder: Path) -> None:
    clicks.click(page.get_by_role("link", name=NAME, exact=True))
    clicks.click(page.get_by_role("link", name="Imports", exact=True))
    clicks.click(page.get_by_role("link", name="Start import"))
    clicks.click(page.get_by_role("link", name=INPUT, exact=True))
    clicks.click(page.get_by_role("link", name=re.compile("^ten-tasks")))
    clicks.click(page.get_by_role("button", name="Start import"))
    expect(page.get_by_text("All 3 files were imported.")).to_be_visible()


def correct_patient_id(page: Page, clicks: Clicks, _folder: Path) -> None:
    open_image_set(page, clicks, 901)
    clicks.click(page.get_by_role("link", name="Edit attributes"))
    clicks.type_into(page.get_by_label("Attribute", exact=True), "PatientID")
    clicks.enter()
    clicks.type_into(page.get_by_label("New value"), "P-2")
    clicks.enter()
    clicks.click(page.get_by_role("button", name="Send changes"))
    expect(page.get_by_text("P-2", exact=True)).to_be_visible()


def take_it_back(page: Page, clicks: Clicks, _folder: Path) -> None:
    open_image_set(page, clicks, 901)
    clicks.click(page.get_by_text("More actions"))
    clicks.click(page.get_by_role("link", name="Go back to a version"))
    clicks.click(page.get_by_role("link", name="Version 1", exact=True))
    clicks.click(page.get_by_role("button", name="Go back to version 1"))
    expect(page.get_by_text("P-1", exact=True)).to_be_visible()


def see_who_changed_it(page: Page, clicks: Clicks, _folder: Path) -> None:
    open_image_set(page, clicks, 901)
    clicks.click(page.get_by_role("link", name="Versions", exact=True))
    expect(page.get_by_text("UpdateImageSetMetadata").first).to_be_visible()


def download_study(page: Page, clicks: Clicks, _folder: Path) -> None:
    open_study(page, clicks, 900)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download as ZIP").click()
        clicks.count += 1
    assert download.value.suggested_filename.endswith(".zip")


def delete_image_set(page: Page, clicks: Clicks, _folder: Path) -> None:
    open_image_set(page, clicks, 902)
    image_set_id = page.url.partition("?")[0].rpartition("/")[2]
    clicks.click(page.get_by_text("More actions"))
    clicks.click(page.get_by_role("link", name="Delete", exact=True))
    clicks.type_into(page.get_by_label(re.compile("to confirm")), image_set_id[:8])
    clicks.enter()
    page.wait_for_url(lambda url: not url.endswith("/delete"))


TASKS: Final[dict[str, Callable[[Page, Clicks, Path], None]]] = {
    "Find the studies of a patient by a part of the name": find_by_name,
    "Find the studies of a modality between two dates": find_by_modality_and_dates,
    "Read one attribute of an image": read_attribute,
    "Upload a folder of this machine": upload_folder,
    "Import a folder of a bucket, and see how far it is": import_bucket,
    "Correct a patient ID": correct_patient_id,
    "Take the correction back": take_it_back,
    "See who changed it": see_who_changed_it,
    "Download a study as a ZIP file": download_study,
    "Delete a series": delete_image_set,
}


def test_the_page_has_these_tasks() -> None:
    assert list(TOLD) == list(TASKS)


@pytest.mark.slow
def test_the_tasks_need_as_many_clicks_as_the_page_says(page: Page, clicks: Clicks, tmp_path: Path) -> None:
    needed = {}
    for task, do in TASKS.items():
        page.goto("/console/datastores")
        settle(page)
        before = clicks.count
        do(page, clicks, tmp_path)
        needed[task] = str(clicks.count - before)
    assert needed == TOLD
