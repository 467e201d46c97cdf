"""The imports of a data store in the browser: start one, watch it, and read what became of its files."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Page, expect

from hounsfield.imaging.imports.files import FileOutcome
from support.browser.accessibility import press, type_into
from support.browser.pages import check_page, send_form, settle, sign_in
from support.files.synthetic import slice_of
from support.identities.users_and_roles import UsersAndRoles, allow, trust
from support.imaging.import_folders import fill, start_job
from support.imaging.standing_job import standing_job
from support.servers import ServerProcess, active_datastore, finished_job

NO_ROLE: Final = "none: the permissions of the server"
HOSTILE: Final = "<img src=x onerror=alert(1)>.dcm"


@pytest.fixture(scope="module")
def datastore_id(server: ServerProcess) -> str:
    return active_datastore(server.client(), datastoreName="imports")


@pytest.fixture(scope="module")
def imports(server: ServerProcess, datastore_id: str) -> str:
    """Address of the tab, over a bucket with folders of several kinds."""
    folder = fill(server, "console/ct", [slice_of(number=number) for number in range(1, 4)])
    (folder / HOSTILE).write_bytes(b"no DICOM")
    (folder / "=1+1.txt").write_text("notes")
    rubbish = server.bucket("input") / "console" / "rubbish"
    rubbish.mkdir()
    (rubbish / "letter.txt").write_text("Dear colleague")
    (server.bucket("input") / "console" / "empty").mkdir()
    server.bucket("results")
    return f"/console/datastores/{datastore_id}/imports"


def jobs(server: ServerProcess, datastore_id: str) -> list[Any]:
    return list(server.client().list_dicom_import_jobs(datastoreId=datastore_id)["jobSummaries"])


def test_an_import_is_started_by_clicks_and_its_results_are_read(
    server: ServerProcess, imports: str, page: Page, tmp_path: Path
) -> None:
    sign_in(page, server.key(), imports)
    expect(page.get_by_text("There is no import yet.")).to_be_visible()
    page.get_by_role("link", name="Start import").click()
    page.get_by_label("Name").fill("head-ct")
    page.get_by_role("link", name="input", exact=True).click()
    page.get_by_role("link", name="console/").click()
    page.get_by_role("link", name="ct/").click()
    expect(page.get_by_role("cell", name="00000.dcm")).to_be_visible()
    expect(page.get_by_label("Folder")).to_have_value("s3://input/console/ct/")
    expect(page.get_by_label("Name")).to_have_value("head-ct")
    page.get_by_label("Write the results to").fill("s3://results/")
    page.get_by_label("Data access role").select_option(NO_ROLE)
    page.get_by_role("button", name="Start import").click()
    page.wait_for_url(re.compile("/imports/[0-9a-f]{32}$"))
    expect(page.get_by_text("2 of 5 files could not be imported.")).to_be_visible()
    expect(page.get_by_role("heading", name="head-ct COMPLETED")).to_be_visible()
    files = page.get_by_role("region", name="Files")
    expect(files.get_by_role("row")).to_have_count(3)
    expect(files.get_by_text(f"console/ct/{HOSTILE}")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download as CSV").click()
    download.value.save_as(tmp_path / "failures.csv")
    rows = list(csv.reader((tmp_path / "failures.csv").read_text().splitlines()))
    assert {row[0] for row in rows[1:]} == {f"console/ct/{HOSTILE}", "console/ct/=1+1.txt"}
    page.get_by_label("Contains").fill("ONERROR")
    expect(files.get_by_role("row")).to_have_count(2)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download as JSON lines").click()
    download.value.save_as(tmp_path / "failures.ndjson")
    (line,) = [json.loads(one) for one in (tmp_path / "failures.ndjson").read_text().splitlines()]
    assert line["inputFile"] == f"console/ct/{HOSTILE}"
    page.get_by_label("Contains").fill("")
    page.get_by_label("Show").select_option("Imported files")
    expect(files.get_by_role("link")).to_have_count(3)
    page.get_by_label("Show").select_option("Warnings")
    expect(page.get_by_text("There are no warnings.")).to_be_visible()
    page.reload()
    expect(page.get_by_text("There are no warnings.")).to_be_visible()
    assert "/imagesets/" in (
        page.get_by_role("region", name="Image sets").get_by_role("link").get_attribute("href") or ""
    )
    page.goto(imports)
    page.get_by_label("Status").select_option("FAILED")
    expect(page.get_by_text("There is no import with the status FAILED.")).to_be_visible()


def test_by_keyboard_alone_and_twice_it_starts_one(
    server: ServerProcess, imports: str, datastore_id: str, page: Page
) -> None:
    sign_in(page, server.key(), imports)
    before = len(jobs(server, datastore_id))
    press(page, page.get_by_role("link", name="Start import"))
    page.wait_for_url("**/imports/new")
    settle(page)
    press(page, page.get_by_role("link", name="input", exact=True))
    settle(page)
    press(page, page.get_by_role("link", name="console/"))
    settle(page)
    press(page, page.get_by_role("link", name="rubbish/"))
    settle(page)
    expect(page.get_by_label("Folder")).to_have_value("s3://input/console/rubbish/")
    type_into(page, page.get_by_label("Write the results to"), "s3://results/")
    press(page, page.get_by_label("Data access role"), "End")
    token = page.locator("input[name=client_token]").get_attribute("value")
    form = {
        "client_token": token or "",
        "input_uri": "s3://input/console/rubbish/",
        "output_uri": "s3://results/",
        "role": page.get_by_label("Data access role").input_value(),
    }
    first = send_form(page, f"{imports}/new", form).headers["location"]
    press(page, page.get_by_role("button", name="Start import"))
    page.wait_for_url(f"**{first}")
    assert len(jobs(server, datastore_id)) == before + 1
    expect(page.get_by_text("None of the 1 files could be imported.")).to_be_visible()
    expect(page.get_by_text("(this is no DICOM file)")).to_be_visible()


def test_progress_moves_by_itself_and_asking_ends_with_the_job(
    server: ServerProcess, imports: str, datastore_id: str, page: Page
) -> None:
    sign_in(page, server.key())
    done, failed, pending = FileOutcome.STAGED, FileOutcome.FAILED, FileOutcome.PENDING
    with standing_job(server, server.client(), datastore_id, "console/ct") as job:
        page.goto(f"{imports}/{job.id}")
        expect(page.get_by_text("Waiting for the server to begin.")).to_be_visible()
        job.note([done, failed, pending, pending])
        expect(page.get_by_text("2 of 4 files are done, 1 of them cannot be imported.")).to_be_visible()
        job.note([done, failed, done, pending])
        expect(page.get_by_role("progressbar")).to_have_attribute("value", "3")
        check_page(page)
    expect(page.get_by_text("2 of 5 files could not be imported.")).to_be_visible()
    expect(page.locator("[hx-trigger^=every]")).to_have_count(0)


def test_what_cannot_be_imported_is_said_where_it_was_typed(
    server: ServerProcess, imports: str, datastore_id: str, page: Page
) -> None:
    sign_in(page, server.key(), f"{imports}/new")
    folder, output = page.get_by_label("Folder"), page.get_by_label("Write the results to")
    folder.fill("s3://not-there/ct/")
    output.click()
    expect(page.get_by_text("bucket not-there does not exist")).to_be_visible()
    folder.fill("s3://input/console/empty/")
    output.click()
    expect(page.get_by_text("There is nothing in this folder.")).to_be_visible()
    page.get_by_label("Name").fill("nothing here")
    page.get_by_label("Data access role").select_option(NO_ROLE)
    output.fill("s3://input/console/empty/results/")
    page.get_by_role("button", name="Start import").click()
    expect(page.get_by_text("The results would be among the files to import.")).to_be_visible()
    expect(output).to_be_focused()
    check_page(page)
    output.fill("s3://results/")
    page.get_by_role("button", name="Start import").click()
    expect(page.get_by_label("Name")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_text("A name has up to 64 letters")).to_be_visible()
    expect(page.get_by_label("Name")).to_have_value("nothing here")
    page.get_by_label("Name").fill("nothing-here")
    page.get_by_role("button", name="Start import").click()
    expect(page.get_by_text("The import failed. Nothing was imported.")).to_be_visible()
    expect(page.get_by_text("The input location has no objects")).to_be_visible()
    page.get_by_role("link", name="Start another import of this folder").click()
    expect(folder).to_have_value("s3://input/console/empty/")
    expect(output).to_have_value("s3://results/")
    assert page.goto(f"{imports}/{'0' * 32}").status == 404  # type: ignore[union-attr]
    expect(page.get_by_text("does not exist in data store")).to_be_visible()


def test_who_may_only_see_jobs_is_offered_no_more(
    server: ServerProcess, imports: str, datastore_id: str, users: UsersAndRoles, page: Page
) -> None:
    client = server.client()
    job = finished_job(client, datastore_id, start_job(server, client, datastore_id, "console/ct"))
    seer = users.some_user(allow(["medical-imaging:ListDICOMImportJobs", "medical-imaging:GetDICOMImportJob"]))
    sign_in(page, seer, imports)
    expect(page.get_by_role("region", name="Imports")).to_be_visible()
    expect(page.get_by_role("link", name="Start import")).to_have_count(0)
    expect(page.get_by_role("link", name="Upload")).to_have_count(0)
    page.goto(f"{imports}/{job['jobId']}")
    expect(page.get_by_text("is not authorized to perform: s3:GetObject")).to_have_count(2)
    check_page(page)
    assert page.goto(f"{imports}/new").status == 403  # type: ignore[union-attr]
    before = len(jobs(server, datastore_id))
    form = {
        "input_uri": "s3://input/console/ct/",
        "output_uri": "s3://results/",
        "role": "arn:aws:iam::000000000000:role/import",
    }
    assert send_form(page, f"{imports}/new", form).status == 403
    assert len(jobs(server, datastore_id)) == before


def test_the_roles_that_one_may_pass_are_offered(
    server: ServerProcess, imports: str, datastore_id: str, users: UsersAndRoles, page: Page
) -> None:
    service = trust({"Service": "medical-imaging.amazonaws.com"})
    buckets = [allow(["s3:ListBucket", "s3:GetObject", "s3:PutObject"])]
    role = users.role("console-import", service, *buckets)
    users.role("console-import-of-others", service, *buckets)
    users.role("console-no-import", trust({"AWS": "arn:aws:iam::000000000000:root"}), *buckets)
    starter = users.some_user(
        allow(["medical-imaging:*", "iam:ListRoles", "s3:ListAllMyBuckets", "s3:ListBucket", "s3:GetObject"]),
        allow("iam:PassRole", role),
    )
    sign_in(page, starter, f"{imports}/new?input_uri=s3://input/console/ct/")
    expect(page.get_by_label("Data access role").locator("option")).to_have_text(["console-import"])
    page.get_by_label("Write the results to").fill("s3://not-there/")
    page.get_by_role("button", name="Start import").click()
    expect(page.get_by_text("The import failed. Nothing was imported.")).to_be_visible()
    expect(page.get_by_text("bucket not-there does not exist")).to_be_visible()
