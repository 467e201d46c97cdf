"""Uploads in the browser: files and folders, by choice and by drop, and all that can come between."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Page, expect

from support.browser.accessibility import press
from support.browser.fixtures import NewContext
from support.browser.pages import check_page, send_form, settle, sign_in
from support.files.real_files import INSTALLED
from support.files.synthetic import save, slice_of, uid
from support.identities.users_and_roles import UsersAndRoles, allow
from support.imaging.imports import image_sets
from support.servers import ServerProcess, active_datastore, wait_for

HOSTILE: Final = "<img src=x onerror=alert(1)>.dcm"
REAL: Final = INSTALLED / "test_files"


@pytest.fixture(scope="module")
def datastore_id(server: ServerProcess) -> str:
    return active_datastore(server.client(), datastoreName="uploads")


@pytest.fixture(scope="module")
def address(datastore_id: str) -> str:
    return f"/console/datastores/{datastore_id}/upload"


@pytest.fixture(scope="module")
def slow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server of the file's own, which comes and goes, and takes two requests that store in a second."""
    rates = {"HOUNSFIELD_THROTTLING": "aws", "HOUNSFIELD_THROTTLE_RATES": "StoreDICOM=2/1"}
    process = ServerProcess(tmp_path_factory.mktemp("upload") / "data", rates).start()
    yield process
    process.stop()


def ended(page: Page) -> None:
    page.locator("#upload[data-state=done]").wait_for()


def rows(page: Page) -> dict[str, str]:
    """Return what the list says of each file that it shows."""
    cells = page.locator("#upload tbody tr").evaluate_all(
        "rows => rows.map(row => [...row.cells].map(c => c.innerText))"
    )
    return {path: result for path, _, result in cells}


def count_stored(server: ServerProcess, datastore_id: str) -> int:
    found = image_sets(server.client(), datastore_id)
    return sum(entry["DICOMTags"]["DICOMNumberOfStudyRelatedInstances"] for entry in found if entry["isPrimary"])


def test_a_folder_with_other_files_is_uploaded(
    server: ServerProcess, datastore_id: str, address: str, page: Page, tmp_path: Path
) -> None:
    folder = tmp_path / "disc"
    for number in range(1, 31):
        save(slice_of(number=number, study=50), folder / f"series-{number % 2}" / f"{number:03}.dcm")
    whole = (folder / "series-1" / "001.dcm").read_bytes()
    (folder / "series-1" / HOSTILE).write_bytes(whole)
    (folder / "cut.dcm").write_bytes(whole[:700])
    (folder / "empty.dcm").write_bytes(b"")
    (folder / "=notes.txt").write_text("Dear colleague")
    (folder / "DICOMDIR").write_bytes((REAL / "dicomdirtests" / "DICOMDIR").read_bytes())
    with (folder / "huge.dcm").open("wb") as huge:
        huge.write(whole[:200])
        huge.truncate(2 * 1024**3)
    sign_in(page, server.key(), address)
    page.locator("#folder").set_input_files(folder)
    ended(page)
    expect(
        page.get_by_text("The upload has ended: 30 files stored, 2 failed, 3 left out, 1 left out as")
    ).to_be_visible()
    page.get_by_label("Show").select_option("Problems")
    told = rows(page)
    assert "(0xC000)" in told["disc/cut.dcm"]
    assert "Import it from a bucket" in told["disc/huge.dcm"]
    # What can never be stored is not offered to be sent again.
    expect(page.get_by_role("button", name="Send again")).to_be_hidden()
    assert sum("It has the SOP Instance UID of disc/" in words for words in told.values()) == 1
    check_page(page)
    page.get_by_label("Show").select_option("Left out")
    told = rows(page)
    assert told["disc/empty.dcm"] == "Left out The file is empty."
    assert told["disc/=notes.txt"] == "Left out This is no DICOM file."
    assert "DICOMDIR" in told["disc/DICOMDIR"]
    assert count_stored(server, datastore_id) == 30
    with page.expect_download() as download:
        page.get_by_role("button", name="Save this list").click()
    download.value.save_as(tmp_path / "list.csv")
    saved = list(csv.reader((tmp_path / "list.csv").read_text().splitlines()))
    assert len(saved) == 37
    assert any(row[0] == f"disc/series-1/{HOSTILE}" for row in saved)
    page.get_by_role("button", name="Send duplicates too (1)").click()
    expect(page.get_by_text("The upload has ended: 31 files stored, 2 failed, 3 left out.")).to_be_visible()
    page.get_by_label("Show").select_option("Stored")
    page.get_by_role("link", name="Study of disc/series-1/003.dcm").click()
    expect(page).to_have_url(re.compile(f"/studies/{re.escape(uid(50))}$"))


def test_files_are_chosen_by_keyboard_and_warnings_are_told(
    server: ServerProcess, address: str, page: Page, tmp_path: Path
) -> None:
    sign_in(page, server.key(), address)
    odd = tmp_path / "odd.dcm"
    save(slice_of(study=51, PatientBirthDate="unknown"), odd)
    names = ("CT_small.dcm", "MR_small_implicit.dcm", "MR_small_bigendian.dcm", "image_dfl.dcm", "JPEG2000.dcm")
    with page.expect_file_chooser() as chooser:
        press(page, page.get_by_role("button", name="Choose files"))
    chooser.value.set_files([odd, *[REAL / name for name in names]])
    ended(page)
    told = rows(page)
    assert set(told) == {"odd.dcm", *names}
    assert all(words.startswith(("Stored", "Duplicate")) for words in told.values()), told
    with page.expect_file_chooser():
        press(page, page.get_by_role("button", name="Choose a folder"))


def test_a_folder_is_dropped_onto_the_page(
    server: ServerProcess, datastore_id: str, address: str, page: Page, tmp_path: Path
) -> None:
    folder = tmp_path / "dropped"
    # More than the browser gives of a folder at a time.
    for number in range(1, 121):
        save(slice_of(number=number, study=52, series=number % 3), folder / "deep" / f"{number:03}.dcm")
    sign_in(page, server.key(), address)
    chromium = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(folder)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        chromium.send("Input.dispatchDragEvent", {"type": kind, "x": 300, "y": 300, "data": data})
    ended(page)
    expect(page.get_by_text("The upload has ended: 120 files stored.")).to_be_visible()
    expect(page.get_by_text("1 to 100 of 120")).to_be_visible()
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_text("101 to 120 of 120")).to_be_visible()
    assert all(path.startswith("dropped/deep/") for path in rows(page))


def test_a_session_that_ends_loses_nothing(server: ServerProcess, address: str, page: Page, tmp_path: Path) -> None:
    path = save(slice_of(study=53), tmp_path / "one.dcm")
    sign_in(page, server.key(), address)
    send_form(page, "/console/sign-out", {})
    page.locator("#files").set_input_files(path)
    dialog = page.get_by_role("dialog", name="Your session has ended")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Sign in and go on").click()
    dialog.get_by_label("Access key", exact=True).fill(server.key()[0])
    dialog.get_by_label("Secret access key").fill(server.key()[1])
    dialog.get_by_role("button", name="Sign in").click()
    ended(page)
    expect(page.get_by_text("The upload has ended: 1 file stored.")).to_be_visible()


@pytest.mark.slow
def test_a_server_that_is_gone_and_one_that_is_busy_are_waited_for(
    slow_server: ServerProcess, new_context: NewContext, tmp_path: Path
) -> None:
    datastore_id = active_datastore(slow_server.client())
    paths = [save(slice_of(number=number), tmp_path / f"{number:03}.dcm") for number in range(1, 56)]
    context, faults = new_context(url=slow_server.url)
    faults.allow(
        "ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE|ERR_UPLOAD_FILE_CHANGED|status of (0|503)"
    )
    page = context.new_page()
    statuses: list[int] = []
    page.on("response", lambda response: statuses.append(response.status))
    sign_in(page, slow_server.key(), f"/console/datastores/{datastore_id}/upload")
    slow_server.stop()
    page.locator("#files").set_input_files(paths)
    expect(page.get_by_text("The server cannot be reached. Nothing is lost.")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("The upload has ended: 0 files stored, 55 not sent.")).to_be_visible()
    page.get_by_role("button", name="Send again (55)").click()
    expect(page.get_by_text("Trying again in")).to_be_visible()
    os.utime(paths[7], (1, 1))
    slow_server.start()
    page.get_by_role("button", name="Try now").click()
    ended(page)
    expect(page.get_by_text(re.compile("The upload has ended: 54 files stored, 1 failed."))).to_be_visible()
    page.get_by_label("Show").select_option("Problems")
    assert "it was changed" in rows(page)["008.dcm"]
    assert count_stored(slow_server, datastore_id) == 54
    assert 429 in statuses


def test_one_is_asked_before_one_leaves_an_upload_that_runs(
    slow_server: ServerProcess, new_context: NewContext, tmp_path: Path
) -> None:
    datastore_id = active_datastore(slow_server.client())
    context, _ = new_context(url=slow_server.url)
    page = context.new_page()
    sign_in(page, slow_server.key(), f"/console/datastores/{datastore_id}/upload")
    paths = [save(slice_of(number=number), tmp_path / f"{number:03}.dcm") for number in range(1, 81)]
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose files").click()
    chooser.value.set_files(paths)
    with page.expect_event("dialog") as asked:
        page.close(run_before_unload=True)
    assert asked.value.type == "beforeunload"


def test_who_may_not_store_is_offered_no_upload(
    users: UsersAndRoles, datastore_id: str, address: str, page: Page
) -> None:
    sign_in(page, users.some_user(allow("medical-imaging:GetDatastore")), f"/console/datastores/{datastore_id}/details")
    expect(page.get_by_role("link", name="Upload")).to_have_count(0)
    assert page.goto(address).status == 403  # type: ignore[union-attr]
    expect(page.get_by_text("is not authorized to perform: medical-imaging:StoreDICOM")).to_be_visible()
    settle(page)


def test_who_loses_the_permission_is_told_and_sends_no_more(
    users: UsersAndRoles, address: str, page: Page, tmp_path: Path
) -> None:
    paths = [save(slice_of(study=54, number=number), tmp_path / f"{number}.dcm") for number in range(1, 101)]
    see = allow("medical-imaging:GetDatastore")
    sign_in(page, users.user("uploader", see, allow("medical-imaging:StoreDICOM")), address)
    users.let_user("uploader", see)
    other = page.context.new_page()
    wait_for(lambda: other.goto(address).status == 403, "the permission to be gone")  # type: ignore[union-attr]
    page.locator("#files").set_input_files(paths)
    ended(page)
    expect(page.get_by_text("The upload has ended: 0 files stored,")).to_be_visible()
    told = rows(page)
    assert list(told)[:3] == ["1.dcm", "2.dcm", "3.dcm"]
    assert told["1.dcm"].startswith("Failed")
    assert told["100.dcm"].startswith("Not sent")
    for words in told.values():
        assert "is not authorized to perform: medical-imaging:StoreDICOM" in words
        assert "(request id " in words
