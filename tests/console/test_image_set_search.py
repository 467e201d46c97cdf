"""The image sets of a data store: the search, by HTTP as a browser asks for it, and in one."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any, Final
from urllib.parse import quote

import pytest
import requests
from playwright.sync_api import Page, expect

from support.browser.pages import sign_in
from support.browser.plain_session import PlainSession
from support.clients.dicomweb import part10, store
from support.files.synthetic import noise, slice_of, uid
from support.imaging.imports import image_sets
from support.servers import ServerProcess, active_datastore, wait_for

HOSTILE: Final = "<img src=x onerror=alert(1)>"
STUDIES: Final = range(1, 31)


@pytest.fixture(scope="module")
def datastore(server: ServerProcess, client: Any) -> str:
    """Thirty studies of one series, and for the first one instance that contradicts it: an image set that is not primary."""

    def file(study: int, number: int = 1, **elements: Any) -> bytes:
        given = {"PatientID": f"P-{study}", "StudyDate": f"202401{study:02}", "AccessionNumber": f"A-{study % 2}"}
        return part10(slice_of(1, number, study=study, pixels=noise(16, 16, study), **{**given, **elements}))

    made = active_datastore(client)
    files = [file(study) for study in STUDIES[:-1]]
    stored = store(server, made, [*files, file(STUDIES[-1], StudyDate="2024", StudyDescription=HOSTILE)])
    assert stored.status_code == 200
    assert store(server, made, [file(1, 2, PatientID="P-other", PatientName="Other^Name")]).status_code in (200, 202)
    return made


class Search:
    """The page of a data store."""

    def __init__(self, session: PlainSession, datastore: str) -> None:
        self.path = f"/console/datastores/{datastore}/imagesets"
        self._session = session

    def get(self, query: str = "") -> requests.Response:
        return self._session.get(f"{self.path}?{query}")

    def found(self, query: str) -> list[str]:
        """Return the ids of the image sets that a page lists."""
        answer = self.get(query)
        assert answer.status_code == 200, answer.text
        return re.findall(rf'href="{self.path}/([0-9a-z]{{32}})"', answer.text)


@pytest.fixture
def search(root: PlainSession, datastore: str) -> Search:
    return Search(root, datastore)


@pytest.fixture(scope="module")
def stored(client: Any, datastore: str) -> list[dict[str, Any]]:
    return image_sets(client, datastore)


@pytest.mark.parametrize(
    ("query", "patients"),
    [
        ("by=DICOMPatientId&value=P-3", {"P-3"}),
        (f"by=DICOMStudyInstanceUID&value={uid(1)}", {"P-1", "P-other"}),
        (f"by=DICOMSeriesInstanceUID&value={uid(2, 1)}", {"P-2"}),
        ("by=other", {"P-other"}),
        ("from=2024-01-05&to=2024-01-07", {"P-5", "P-6", "P-7"}),
        ("from=2024-01-05&to=2024-01-07&from_time=10:11:13", {"P-6", "P-7"}),
        ("by=DICOMAccessionNumber&value=A-1&from=2024-01-04&to=2024-01-08", {"P-5", "P-7"}),
        ("by=DICOMStudyDateAndTime&value=2024", {"P-30"}),
        ("by=DICOMStudyDateAndTime&value=2024-01-09", {"P-9"}),
        ("by=DICOMStudyId&value=none", set()),
        ("date=updatedAt&to=2001-01-01", set()),
        ("by=DICOMPatientId&value=P-3&date=createdAt&from=2024-01-01", {"P-3"}),
    ],
)
def test_filters(search: Search, stored: list[dict[str, Any]], query: str, patients: set[str]) -> None:
    found = set(search.found(query))
    assert found == {one["imageSetId"] for one in stored if one["DICOMTags"]["DICOMPatientId"] in patients}


def test_a_moment_finds_what_was_made_then(search: Search, stored: list[dict[str, Any]]) -> None:
    one = stored[0]
    second = one["createdAt"].replace(microsecond=0)
    assert one["imageSetId"] in search.found(f"by=createdAt&value={quote(second.isoformat())}")
    assert search.found(f"by=createdAt&value={quote((second - timedelta(days=1)).isoformat())}") == []


def test_orders_and_pages_forth_and_back(search: Search, stored: list[dict[str, Any]]) -> None:
    pages, query = [], ""
    while True:
        answer = search.get(query).text
        pages.append(search.found(query))
        following = re.findall(r'href="[^"]*imagesets\?([^"]*)" rel="next"', answer)
        if not following:
            break
        query = following[0].replace("&amp;", "&")
    assert [len(page) for page in pages] == [25, 6]
    assert [one for page in pages for one in page] == [one["imageSetId"] for one in stored]
    (back,) = re.findall(r'href="([^"]*)" rel="prev"', answer)
    assert back == search.path
    by_date = search.found("sort=DICOMStudyDateAndTime")
    dates = {one["imageSetId"]: one["DICOMTags"].get("DICOMStudyDate", "") for one in stored}
    assert [dates[one] for one in by_date] == sorted(dates.values())[:25]
    latest = search.found("sort=-DICOMStudyDateAndTime")
    assert [dates[one] for one in latest] == sorted(dates.values(), reverse=True)[:25]


@pytest.mark.parametrize(
    "query",
    [
        "by=createdAt&value=yesterday",
        "from=2024-1-1",
        "from=2024-01-01&from_time=25h",
        "page=forged",
        "date=updatedAt&to=x",
    ],
)
def test_what_was_typed_stays_beside_what_is_wrong_with_it(search: Search, query: str) -> None:
    answer = search.get(query)
    assert answer.status_code == 400
    assert 'id="error"' in answer.text
    typed = query.partition("&")[0].partition("=")[2]
    assert f'value="{typed}"' in answer.text or typed == "forged"


def test_hostile_values_and_partial_dates_are_shown_as_they_are(search: Search) -> None:
    page = search.get("by=DICOMPatientId&value=P-30").text
    assert HOSTILE not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    assert re.search(r"studies/[0-9.]+\">2024 101112</a>", page)
    nothing = search.get("by=DICOMPatientId&value=" + quote(HOSTILE)).text
    assert "No image set matches" in nothing
    assert HOSTILE not in nothing


def test_several_image_sets_are_deleted_at_once(root: PlainSession, server: ServerProcess, client: Any) -> None:
    made = active_datastore(client)
    files = [part10(slice_of(study=number, pixels=noise(16, 16, number))) for number in range(61, 66)]
    assert store(server, made, files).status_code == 200
    search = Search(root, made)
    ids = search.found("")
    assert len(ids) == 5
    assert "Delete the chosen" in search.get().text
    query = "&".join(f"image_set={one}" for one in ids[:3])
    asked = root.get(f"{search.path}/delete?{query}")
    assert "Delete 3 image sets" in asked.text
    chosen = re.findall(r'name="image_set" value="([^"]+)"', asked.text)

    def send(image_sets: list[str], count: str) -> requests.Response:
        fields = [*(("image_set", one) for one in image_sets), ("count", count)]
        return root.send(f"{search.path}/delete?{query}", fields)

    wrong = send(chosen, "2")
    assert (wrong.status_code, "Type 3." in wrong.text) == (400, True)
    # One has changed since, and one is gone: both are said, and the third is deleted.
    changed = chosen[0].replace(":1", ":7")
    gone = f"{'0' * 32}:1"
    ended = send([changed, gone, chosen[2]], "3")
    assert "1 of 3 image sets are being deleted" in ended.text
    assert "It has changed since you looked at it" in ended.text
    wait_for(lambda: sorted(search.found("")) == sorted(set(ids) - {ids[2]}), "the image set to be deleted")
    assert root.get(f"{search.path}/delete").url.endswith("/imagesets")


def test_in_the_browser(server: ServerProcess, datastore: str, page: Page) -> None:
    sign_in(page, server.key(), f"/console/datastores/{datastore}/imagesets")
    page.get_by_label("Attribute").select_option("Not primary")
    expect(page.get_by_label("is", exact=True)).to_be_hidden()
    page.get_by_role("button", name="Filter").click()
    expect(page.locator("tbody tr")).to_contain_text(["Other, Name"])
    expect(page).to_have_url(re.compile(r"/imagesets\?by=other$"))
    page.get_by_label("Attribute").select_option("Patient ID")
    page.get_by_label("Attribute").focus()
    page.keyboard.press("Tab")
    page.keyboard.type("P-7")
    page.keyboard.press("Enter")
    row = page.locator("tbody tr").filter(has_text="7 Jan 2024, 10:11")
    expect(row).to_have_count(1)
    page.reload()
    expect(page.get_by_label("is", exact=True)).to_have_value("P-7")
    row.get_by_role("link", name="7 Jan 2024").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Roe, Jane")
