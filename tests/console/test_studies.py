"""The studies of a data store: the search and the page of a study, by HTTP as a browser asks for them, and in one."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final
from urllib.parse import quote

import pytest
import requests
from playwright.sync_api import Page, expect
from pydicom.dataset import Dataset

from support.browser.page_faults import PageFaults
from support.browser.pages import sign_in
from support.browser.plain_session import PlainSession
from support.clients.dicomweb import part10, store
from support.files.synthetic import noise, slice_of, uid
from support.identities.users_and_roles import UsersAndRoles, allow, deny
from support.imaging.imports import image_sets
from support.servers import ServerProcess, active_datastore

HOSTILE: Final = "<img src=x onerror=alert(1)>"
LONG: Final = "Wolfeschlegelsteinhausenbergerdorff" * 7
JANE, JOHN, YAMADA, PLANTED, LONGEST, REPORT = range(1, 7)
FILLERS: Final = range(100, 122)


def files() -> Iterator[bytes]:
    def study(number: int, series: int = 1, **elements: Any) -> bytes:
        given = {"AccessionNumber": f"ACC{number}", "PatientID": f"PID-{number}", "StudyID": f"S{number}", **elements}
        utf8: Dataset = slice_of(series, 1, study=number, pixels=noise(16, 16, number), **given)
        utf8.SpecificCharacterSet = "ISO_IR 192"
        return part10(utf8)

    for number in FILLERS:
        yield study(number, PatientName=f"Filler^{number}", StudyDate="20230101", StudyDescription="Foot")
    yield study(JANE, PatientName="Roe^Jane", StudyDescription="CT Thorax")
    yield study(JANE, 2, PatientName="Roe^Jane", StudyDescription="CT Thorax", SeriesDescription="Lung")
    yield study(JOHN, PatientName="Doe^John^M^Dr^Jr", StudyDate="20240315", Modality="MR", AccessionNumber="PID-1")
    yield study(YAMADA, PatientName="Yamada^Tarou=山田^太郎=やまだ^たろう", StudyDate="2024", StudyTime="")
    yield study(PLANTED, PatientName=HOSTILE.replace("=", ""), StudyDescription=HOSTILE, AccessionNumber=HOSTILE[:16])
    yield study(LONGEST, PatientName=LONG, StudyDate="", PatientBirthDate="")
    yield study(REPORT, PatientName="", Modality="SR", StudyTime="7")


@dataclass
class Hospital:
    """A data store with studies, and somebody who looks at them."""

    server: ServerProcess
    datastore: str
    key: tuple[str, str]

    @cached_property
    def session(self) -> PlainSession:
        return PlainSession(self.server, self.key)

    @property
    def path(self) -> str:
        return f"/console/datastores/{self.datastore}"

    def get(self, path: str) -> requests.Response:
        return self.session.get(f"{self.path}/{path}")

    def found(self, query: str) -> list[str]:
        """Return the UIDs of the studies that a page lists."""
        answer = self.get(f"studies?{query}")
        assert answer.status_code == 200, answer.text
        return re.findall(r'<th scope="row"[^>]*><a href="[^"]*/studies/([0-9.]+)"', answer.text)


@pytest.fixture(scope="module")
def hospital(server: ServerProcess, client: Any) -> Hospital:
    datastore = active_datastore(client)
    stored = store(server, datastore, list(files())).json()
    assert "00081198" not in stored, stored
    return Hospital(server, datastore, server.key())


def test_names_and_dates_are_shown_as_people_read_them(hospital: Hospital) -> None:
    page = hospital.get("studies?size=50").text
    assert "<bdi>Doe, John M (Dr, Jr)</bdi>" in page
    assert 'title="Doe^John^M^Dr^Jr"' in page
    assert '<bdi>Yamada, Tarou</bdi> <bdi class="fine">山田 太郎</bdi> <bdi class="fine">やまだ たろう</bdi>' in page
    assert '<time datetime="2024-01-02T10:11:12">' in page
    assert re.search(r'<td class="nowrap"[^>]*>\s*2024\s*</td>', page)
    assert '<time datetime="2024-01-02">2024-01-02</time> 7' in page
    assert "(no name)" in page
    assert LONG in page
    assert HOSTILE not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page


@pytest.mark.parametrize(
    ("query", "studies"),
    [
        ("name=doe", {JOHN}),
        ("name=Roe,+J", {JANE}),
        ("name=*jane", {JANE}),
        ("name=山田", {YAMADA}),
        ("patient_id=PID-1", {JANE}),
        ("patient_id=PID-?&accession=ACC3", {YAMADA}),
        ("description=Thorax", {JANE}),
        ("modality=mr", {JOHN}),
        ("modality=MR,SR", {JOHN, REPORT}),
        ("from=2024-03-01&to=2024-03-31", {JOHN}),
        ("from=2024-03-15", {JOHN}),
        ("study_id=S2", {JOHN}),
        (f"study_uid={uid(PLANTED)}", {PLANTED}),
        ("name=roe&patient_id=PID-2", set()),
    ],
)
def test_filters(hospital: Hospital, query: str, studies: set[int]) -> None:
    assert set(hospital.found(query)) == {uid(number) for number in studies}


def test_what_was_asked_for_stays_in_the_form(hospital: Hospital) -> None:
    bad = hospital.get("studies?name=" + quote(HOSTILE) + "&from=2024-02-31&to=2024-01-01&sort=-StudyDate")
    assert bad.status_code == 400
    assert 'name="name" value="&lt;img src=x onerror=alert(1)&gt;"' in bad.text
    assert 'name="from" type="date" value="2024-02-31"' in bad.text
    assert 'name="sort" value="-StudyDate"' in bad.text
    assert 'id="error"' in bad.text
    assert "Request id" in bad.text
    assert 'type="search" value="doe"' in hospital.get("studies?q=doe").text
    nothing = hospital.get("studies?name=nobody&modality=CT").text
    assert "No study matches" in nothing
    assert f'href="{hospital.path}/studies?modality=CT"' in nothing


def test_order_and_pages(hospital: Hospital) -> None:
    by_date = hospital.found("sort=-StudyDate&size=50")
    assert by_date[0] == uid(JOHN)
    assert hospital.found("sort=StudyDate&size=50") == by_date[::-1]
    assert hospital.found("sort=PatientName")[:3] == [uid(PLANTED), uid(REPORT), uid(JOHN)]
    first = hospital.get("studies").text
    (after,) = re.findall(r'href="[^"]*studies\?([^"]*)" rel="next"', first)
    pages = hospital.found("") + hospital.found(after)
    assert sorted(pages) == sorted(by_date)
    last = hospital.get(f"studies?{after}").text
    assert 'rel="prev"' in last
    assert 'rel="next"' not in last
    assert "The list ends before this page" in hospital.get("studies?offset=1000").text


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("PID-2", "studies?patient_id=PID-2"),
        ("ACC3", "studies?accession=ACC3"),
        ("PID-1", "studies?patient_id=PID-1&also=accession"),
        ("S3", "studies?study_id=S3"),
        ("doe", "studies?name=doe"),
        ("jane roe", "studies?name=roe%2C+jane"),
        ("Doe, J", "studies?name=Doe%2C+J"),
        ("tarou", "studies?name=%2Atarou%2A"),
        ("Thorax", "studies?description=Thorax"),
        ("PID-10", "studies?patient_id=PID-10%2A"),
        (uid(JANE), f"studies/{uid(JANE)}"),
        (uid(JANE, 2), f"studies/{uid(JANE)}"),
        (uid(JOHN, 1, 1), f"studies/{uid(JOHN)}"),
    ],
)
def test_one_box_finds_a_study(hospital: Hospital, text: str, target: str) -> None:
    answer = hospital.get(f"studies?q={quote(text)}")
    assert answer.status_code == 200
    assert answer.url == f"{hospital.server.url}{hospital.path}/{target}"


def test_one_box_finds_an_image_set_and_says_where_it_found_nothing(hospital: Hospital, client: Any) -> None:
    image_set_id = image_sets(client, hospital.datastore)[0]["imageSetId"]
    assert hospital.get(f"studies?q={image_set_id}").url.endswith(f"/imagesets/{image_set_id}")
    nothing = hospital.get("studies?q=" + quote("<b>nobody"))
    assert nothing.status_code == 200
    assert "Nothing is found for <strong><bdi>&lt;b&gt;nobody</bdi>" in nothing.text
    assert hospital.get("studies?q=" + "*a" * 20).status_code == 400
    also = hospital.get("studies?patient_id=PID-1&also=accession").text
    assert f'href="{hospital.path}/studies?accession=PID-1"' in also


def test_a_study_has_its_series_image_sets_and_files(hospital: Hospital, client: Any) -> None:
    answer = hospital.get(f"studies/{uid(JANE)}")
    assert answer.status_code == 200
    assert "Lung" in answer.text
    assert f'href="{hospital.path}/view?study={uid(JANE)}"' in answer.text
    # The viewer shows reports too.
    assert f'href="{hospital.path}/view?study={uid(REPORT)}"' in hospital.get(f"studies/{uid(REPORT)}").text
    own = {
        one["imageSetId"]
        for one in image_sets(client, hospital.datastore)
        if one["DICOMTags"]["DICOMPatientId"] == "PID-1"
    }
    linked = set(re.findall(rf'href="{hospital.path}/imagesets/([0-9a-z]{{32}})"', answer.text))
    assert linked == own
    assert len(own) == 2
    (address,) = re.findall(r'href="(/console/api/[^"]*)" download', answer.text)
    archive = hospital.session.get(address)
    assert len(zipfile.ZipFile(io.BytesIO(archive.content)).namelist()) == 2
    for missing in ("1.2.3", "abc", "9" * 300, "%F0%9F%AB%80"):
        answer = hospital.get(f"studies/{missing}")
        assert answer.status_code == 404
        assert "no such study" in answer.text


def test_what_one_may_not_do_is_not_offered(hospital: Hospital, users: UsersAndRoles) -> None:
    without_dicomweb = Hospital(
        hospital.server, hospital.datastore, users.some_user(allow("medical-imaging:SearchImageSets"))
    )
    refused = without_dicomweb.get("studies")
    assert refused.status_code == 403
    assert "SearchDICOMStudies" in refused.text
    assert f"{hospital.path}/studies" not in without_dicomweb.get("imagesets").text
    study = without_dicomweb.get(f"studies/{uid(JANE)}").text
    assert "You may not search by DICOMweb" in study
    assert "Roe, Jane" in study
    only_dicomweb = Hospital(
        hospital.server, hospital.datastore, users.some_user(allow("medical-imaging:SearchDICOM*"))
    )
    page = only_dicomweb.get(f"studies/{uid(JANE)}").text
    assert "Lung" in page
    for offered in ("/imagesets", "<img", "download", "/view?"):
        assert offered not in page
        assert offered not in only_dicomweb.get("studies").text


def test_who_may_not_see_a_study_finds_all_others(hospital: Hospital, users: UsersAndRoles, client: Any) -> None:
    (hidden,) = (
        one["imageSetId"]
        for one in image_sets(client, hospital.datastore)
        if one["DICOMTags"]["DICOMPatientId"] == f"PID-{JOHN}"
    )
    arn = f"arn:aws:medical-imaging:us-east-1:000000000000:datastore/{hospital.datastore}"
    key = users.some_user(allow("medical-imaging:*"), deny("medical-imaging:*", f"{arn}/imageset/{hidden}"))
    other = Hospital(hospital.server, hospital.datastore, key)
    assert set(other.found("size=50")) == set(hospital.found("size=50")) - {uid(JOHN)}
    assert "so studies have no other order" in other.get("studies?sort=PatientName").text
    assert "Nothing is found" in other.get("studies?q=doe").text
    assert other.get(f"studies/{uid(JOHN)}").status_code == 404


def test_in_the_browser(hospital: Hospital, page: Page, faults: PageFaults) -> None:
    sign_in(page, hospital.key, f"{hospital.path}/studies")
    page.keyboard.press("/")
    page.keyboard.type("PID-2")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Patient ID")).to_have_value("PID-2")
    row = page.get_by_role("row").filter(has_text="Doe, John")
    expect(row).to_contain_text("15 Mar 2024, 10:11")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.wait_for_function("() => document.querySelector('.thumbnail img').naturalWidth > 0")
    page.get_by_label("Patient ID").fill("")
    page.keyboard.press("Enter")
    expect(page.locator("tbody tr")).to_have_count(25)
    page.get_by_label("Modality", exact=True).fill("sr")
    page.keyboard.press("Enter")
    expect(page.locator("tbody tr")).to_contain_text(["(no name)"])
    expect(page).to_have_url(re.compile(r"/studies\?modality=sr$"))
    with page.expect_event("load"):
        page.go_back()
    expect(page).to_have_url(re.compile(r"/studies$"))
    with page.expect_event("load"):
        page.go_back()
    expect(page.get_by_label("Patient ID")).to_have_value("PID-2")
    page.get_by_role("link", name="Doe, John").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Doe, John M (Dr, Jr)")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download as ZIP").click()
    assert download.value.suggested_filename == f"{uid(JOHN)}.zip"
    page.set_viewport_size({"width": 360, "height": 800})
    page.goto(f"{hospital.server.url}{hospital.path}/studies")
    assert page.locator(".table").evaluate("region => region.scrollWidth <= region.clientWidth")
    assert not faults.found


def test_a_study_without_pixels_is_offered_to_the_viewer_without_pictures(
    server: ServerProcess, client: Any, page: Page, faults: PageFaults
) -> None:
    made = [slice_of(series, 1, study=1) for series in (1, 2)] + [slice_of(1, 1, study=2)]
    for blank in made[1:]:
        for keyword in ("Rows", "Columns", "PixelData"):
            delattr(blank, keyword)
    other = Hospital(server, active_datastore(client), server.key())
    for empty in ("studies", "imagesets"):
        assert f'{other.path}/imports/new">Import from a bucket' in other.get(empty).text
    assert f'{other.path}/imagesets">image sets' in other.get("delete").text
    assert "00081198" not in store(server, other.datastore, [part10(one) for one in made]).json()
    mixed = other.get(f"studies/{uid(1)}").text
    assert f"view?study={uid(1)}&amp;series={uid(1, 1)}" in mixed.replace("&series", "&amp;series")
    assert f"view?study={uid(1)}&amp;series={uid(1, 2)}" in mixed.replace("&series", "&amp;series")
    assert f"series/{uid(1, 2)}/thumbnail" not in mixed
    alone = other.get(f"studies/{uid(2)}").text
    for text in (mixed, alone):
        assert "Open in the viewer" in text
    assert "<img" not in alone
    # A list does not know it until the picture is asked for.
    faults.allow("404")
    sign_in(page, server.key(), f"{other.path}/studies")
    expect(page.locator("a.thumbnail")).to_have_count(1)
    expect(page.locator("span.thumbnail img")).to_have_count(1)
