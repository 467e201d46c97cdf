"""The pages of an image set: what it is, its metadata and its versions, by HTTP and in the browser."""

from __future__ import annotations

import io
import json
import re
import zipfile
from typing import Any, Final

import numpy as np
import pydicom
import pytest
import requests
from playwright.sync_api import Page

from support.browser.pages import check_page, settle, sign_in
from support.browser.plain_session import PlainSession
from support.clients.dicomweb import part10, store, updated
from support.files.synthetic import noise, slice_of, uid
from support.identities.users_and_roles import UsersAndRoles, allow
from support.imaging.imports import document, image_sets, instances
from support.servers import ServerProcess, active_datastore, wait_for

HOSTILE: Final = "<script>alert(1)</script>\"'&"
ESCAPED: Final = "&lt;script&gt;alert(1)&lt;/script&gt;&#34;&#39;&amp;"
LONG: Final = "word " * 300
CREATOR: Final = "SIEMENS CSA HEADER"


class Reader:
    """Somebody who is signed in, and reads the pages of an image set."""

    def __init__(self, session: PlainSession, address: str) -> None:
        self._session = session
        self._address = address

    def get(self, page: str = "", status: int = 200) -> requests.Response:
        answer = self._session.get(self._address + page)
        assert answer.status_code == status, answer.text
        return answer

    def text(self, page: str = "", status: int = 200) -> str:
        return self.get(page, status).text

    def words(self, page: str = "", status: int = 200) -> str:
        """Return what a page says, without its markup and with single blanks."""
        main = self.text(page, status).partition("<main")[2].partition("</main>")[0]
        return " ".join(re.sub("<[^>]*>", " ", main).split())


def made_slice(number: int, **elements: Any) -> pydicom.Dataset:
    made = slice_of(1, number, SeriesDescription=HOSTILE, ImageComments=LONG, SpecificCharacterSet="ISO_IR 192")
    made.PatientName = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    made.RequestAttributesSequence = [pydicom.Dataset()]
    made.RequestAttributesSequence[0].ScheduledProcedureStepID = "SPS1"
    block = made.private_block(0x0029, CREATOR, create=True)
    block.add_new(0x08, "CS", "IMAGE NUM 4")
    block.add_new(0x10, "OB", bytes(range(100)))
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made


@pytest.fixture(scope="module")
def datastore_id(client: Any) -> str:
    return active_datastore(client, datastoreName="pages")


@pytest.fixture(scope="module")
def image_set_id(server: ServerProcess, client: Any, datastore_id: str) -> str:
    """An image set of four versions: stored, extended by an instance, and edited twice."""
    assert store(server, datastore_id, [part10(made_slice(1, KVP="120"))]).status_code == 200
    assert store(server, datastore_id, [part10(made_slice(2, KVP="120"))]).status_code == 200
    (found,) = image_sets(client, datastore_id)
    image_set_id = str(found["imageSetId"])
    updated(client, datastore_id, image_set_id, {"SchemaVersion": "1.1", "Patient": {"DICOM": {"PatientID": "P-2"}}})
    series = {uid(1, 1): {"Instances": {uid(1, 1, 1): {"DICOM": {"KVP": "140"}}}}}
    updated(client, datastore_id, image_set_id, {"SchemaVersion": "1.1", "Study": {"Series": series}})
    return image_set_id


@pytest.fixture(scope="module")
def address(datastore_id: str, image_set_id: str) -> str:
    return f"/console/datastores/{datastore_id}/imagesets/{image_set_id}"


@pytest.fixture(scope="module")
def reader(root: PlainSession, address: str) -> Reader:
    return Reader(root, address)


def instance(number: int) -> str:
    return f"/metadata/element?level=Instance&instance={uid(1, 1, number)}"


def test_the_first_page_says_what_an_image_set_is(reader: Reader, image_set_id: str) -> None:
    words = reader.words()
    assert "ACTIVE · UPDATED" in words
    assert "Version 4, the latest" in words
    assert "Patient ID P-2" in words
    assert "2 with 2 frames" in words
    assert ESCAPED in reader.text()
    assert re.search(
        rf"aws medical-imaging get-image-set --endpoint-url \S+ .* --image-set-id {image_set_id}$", words[:-13]
    )
    study = f'/studies/{uid(1)}">'
    # From the crumb and from the facts.
    assert reader.text().count(study) == 2
    assert "Patient Yamada, Tarou 山田 太郎 やまだ たろう" in words
    assert study in reader.text("/edit")
    older = reader.words("?version=2")
    assert "You see version 2. The latest is version 4" in older
    assert "Patient ID P-1" in older
    assert "DICOM files can be had of the latest version only" in older


def test_what_is_not_there_is_said_in_words(root: PlainSession, reader: Reader, datastore_id: str) -> None:
    assert "has no version 7" in reader.text("?version=7", 404)
    assert "versionId" in reader.text("?version=x", 400)
    assert "no such instance" in reader.text("/metadata/element?level=Nobody", 404)
    assert "no such instance" in reader.text("/metadata/element?path=PatientID.0.PatientID", 404)
    assert "no such instance" in reader.text("/metadata/frames?instance=1.2", 404)
    assert "element or frame" in reader.text("/metadata/picture?start=2", 404)
    other = Reader(root, f"/console/datastores/{datastore_id}/imagesets/{'0' * 32}")
    assert "does not exist" in other.text(status=404)


def test_the_tree_shows_each_element_with_its_tag_and_vr(reader: Reader) -> None:
    tree = reader.words("/metadata")
    assert "PatientID (0010,0020) LO P-2" in tree
    assert "alphabetic: Yamada^Tarou ideographic: 山田^太郎 phonetic: やまだ^たろう" in tree
    assert "ScheduledProcedureStepID (0040,0009) SH SPS1" in tree
    assert ESCAPED in reader.text("/metadata")
    elements = reader.words(instance(1))
    assert f"[Private creator] (0029,0010) LO {CREATOR}" in elements
    assert f"[CSA Image Header Type] {CREATOR} (0029,1008) CS IMAGE NUM 4" in elements
    assert "(0029,1010) OB hexadecimal: 00 01 02" in elements
    assert "(100 bytes) Show all" in elements
    assert "KVP (0018,0060) DS 140" in elements
    assert "KVP (0018,0060) DS 120" in reader.words(f"{instance(1)}&version=3")
    assert LONG.strip() not in elements
    assert LONG.strip() in reader.words(f"{instance(1)}&path=ImageComments")
    item = "/metadata/element?level=Series&path=RequestAttributesSequence"
    assert "Item 1" in reader.words(item)
    assert "SPS1" in reader.words(f"{item}.0")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kvp", "2 different elements"),
        ("0018,0060", "2 different elements"),
        ("(0010,0020)", "PatientID (0010,0020) LO P-2"),
        ("tarou", "PatientName (0010,0010) PN"),
        ("太郎", "PatientName (0010,0010) PN"),
        ("csa image header type", f"[CSA Image Header Type] {CREATOR} (0029,1008) CS IMAGE NUM 4 Where 2 instances"),
        ("SPS1", "ScheduledProcedureStepID in RequestAttributesSequence › item 1 (0040,0009) SH SPS1"),
        ("<b>", "No element has “&lt;b&gt;”"),
    ],
)
def test_elements_are_found_by_keyword_tag_and_value(reader: Reader, text: str, words: str) -> None:
    assert words.replace(" Where", "") in reader.words(f"/metadata?q={requests.utils.quote(text)}")


def test_frames_are_listed_and_can_be_had(reader: Reader, client: Any, datastore_id: str, image_set_id: str) -> None:
    listed = reader.text(f"/metadata/frames?instance={uid(1, 1, 2)}")
    content = dict(instances(document(client, datastore_id, image_set_id)))[uid(1, 1, 2)]
    frame_id = content["ImageFrames"][0]["ID"]
    assert frame_id in listed
    stored = reader.get(f"/frames/{frame_id}")
    assert stored.headers["content-type"] == "image/jph"
    assert stored.headers["content-disposition"] == f"attachment; filename*=UTF-8''{frame_id}.jph"
    assert len(stored.content) > 100
    assert "ResourceNotFoundException" in reader.text(f"/frames/{'0' * 32}", 404)


def test_files_and_metadata_are_downloads(reader: Reader, client: Any, datastore_id: str, image_set_id: str) -> None:
    for query, syntax in (("", "1.2.840.10008.1.2.1"), ("?syntax=stored", "1.2.840.10008.1.2.4.202")):
        archive = zipfile.ZipFile(io.BytesIO(reader.get(f"/files.zip{query}").content))
        assert archive.testzip() is None
        files = [pydicom.dcmread(io.BytesIO(archive.read(name))) for name in archive.namelist()]
        assert {file.SOPInstanceUID for file in files} == {uid(1, 1, 1), uid(1, 1, 2)}
        assert {file.PatientID for file in files} == {"P-2"}
        assert {file.file_meta.TransferSyntaxUID for file in files} == {syntax}
    answer = reader.get("/metadata.json?version=2")
    assert answer.headers["content-disposition"].endswith(f"{image_set_id}-version-2.json")
    assert json.loads(answer.content) == document(client, datastore_id, image_set_id, versionId="2")


def test_versions_say_who_made_them(server: ServerProcess, reader: Reader) -> None:
    assert 'hx-trigger="load"' in reader.text("/versions")
    wait_for(
        lambda: "UpdateImageSetMetadata from 127.0.0.1" in reader.words("/versions?who=1"), "the records to be there"
    )
    versions = reader.words("/versions?who=1")
    assert versions.count("root UpdateImageSetMetadata from 127.0.0.1 Request id") == 2
    assert versions.count("an import, or DICOMweb") == 2
    assert "forced" in versions


def test_any_two_versions_are_compared(reader: Reader) -> None:
    first = reader.words("/compare?from=1&to=2")
    assert "0 different changes of elements, 1 instances added, 0 removed" in first
    assert uid(1, 1, 2) in first
    assert "PatientID (0010,0020) changed P-1 P-2" in reader.words("/compare?from=2&to=3")
    last = reader.words("/compare")
    assert "From version 3 to version 4" in last
    assert f"KVP (0018,0060) changed 120 140 {uid(1, 1, 1)}" in last
    back = reader.words("/compare?from=4&to=1")
    assert "PatientID (0010,0020) changed P-2 P-1" in back
    assert "1 removed" in back
    assert "no difference" in reader.words("/compare?from=2&to=2")
    assert "has no version 9" in reader.text("/compare?from=1&to=9", 404)


def test_what_one_may_not_do_is_not_offered(
    server: ServerProcess, address: str, users: UsersAndRoles, image_set_id: str
) -> None:
    looker = Reader(PlainSession(server, users.some_user(allow("medical-imaging:GetImageSet"))), address)
    page = looker.words()
    assert image_set_id in page
    assert "P-2" not in page
    assert "Metadata" not in page
    assert "Download" not in page
    for tab in ("/metadata", "/metadata/element", "/metadata.json", "/versions", "/compare", "/files.zip"):
        assert "is not authorized to perform" in looker.text(tab, 403)
        assert "P-2" not in looker.text(tab, 403)
    lists = allow(["medical-imaging:GetImageSet", "medical-imaging:ListImageSetVersions"])
    lister = Reader(PlainSession(server, users.some_user(lists)), address)
    versions = lister.text("/versions")
    assert "which you may not look up" in versions
    assert "hx-trigger" not in versions
    assert "/compare" not in versions.partition("<tbody>")[2]
    stranger = Reader(PlainSession(server, users.some_user(allow("medical-imaging:ListDatastores"))), address)
    assert "medical-imaging:GetImageSet" in stranger.text(status=403)


def test_a_failed_update_and_a_deletion_are_said_in_words(
    server: ServerProcess, root: PlainSession, client: Any
) -> None:
    datastore_id = active_datastore(client)
    assert store(server, datastore_id, [part10(slice_of(1, 1))]).status_code == 200
    (found,) = image_sets(client, datastore_id)
    names = {"datastoreId": datastore_id, "imageSetId": found["imageSetId"]}
    missing = {"Study": {"Series": {uid(1, 1): {"Instances": {uid(1, 1, 1): {"DICOM": {"KVP": None}}}}}}}
    client.update_image_set_metadata(
        **names,
        latestVersionId="1",
        updateImageSetMetadataUpdates={
            "DICOMUpdates": {"removableAttributes": json.dumps({"SchemaVersion": "1.1", **missing}).encode()}
        },
    )
    wait_for(lambda: client.get_image_set(**names)["imageSetState"] == "ACTIVE", "the update to end")
    reader = Reader(root, f"/console/datastores/{datastore_id}/imagesets/{found['imageSetId']}")
    for page in ("", "/metadata", "/versions"):
        assert "ACTIVE · UPDATE_FAILED" in reader.words(page)
        assert "The change that was to be this version failed" in reader.words(page)
        assert "KVP" in reader.words(page).partition("INVALID_REQUEST")[2]
    assert "no difference" in reader.words("/compare")
    client.delete_image_set(**names)
    wait_for(lambda: client.get_image_set(**names)["imageSetState"] == "DELETED", "the image set to be deleted")
    page = reader.words()
    assert "It was deleted" in page
    assert "Download" not in page
    assert "was deleted" in reader.words("/metadata", 404)
    wait_for(lambda: "Deleted by root" in reader.words("/versions?who=1"), "the record of the deletion")


def test_pages_stay_small_whatever_an_instance_holds(server: ServerProcess, root: PlainSession, client: Any) -> None:
    datastore_id = active_datastore(client)
    enhanced = slice_of(1, 1, pixels=np.stack([noise(8, 8)] * 300))
    enhanced.PerFrameFunctionalGroupsSequence = [pydicom.Dataset() for _ in range(300)]
    for number, item in enumerate(enhanced.PerFrameFunctionalGroupsSequence):
        item.FrameContentSequence = [pydicom.Dataset()]
        item.FrameContentSequence[0].StackID = str(number)
    block = enhanced.private_block(0x0099, "MANY", create=True)
    for number in range(150):
        block.add_new(number, "LO", f"value {number}")
    block.add_new(0xF0, "UT", "a" * 300_000)
    assert store(server, datastore_id, [part10(enhanced)]).status_code == 200
    (found,) = image_sets(client, datastore_id)
    reader = Reader(root, f"/console/datastores/{datastore_id}/imagesets/{found['imageSetId']}")
    groups = f"{instance(1)}&path=PerFrameFunctionalGroupsSequence"
    pages = {
        instance(1): "value 0",
        f"{instance(1)}&start=100": "300 items",
        groups: "Item 100",
        f"{groups}&start=200": "Item 300",
        f"{groups}.299": "StackID (0020,9056) SH 299",
        "/metadata/frames": "Show more",
        "/metadata/frames?start=200": "Picture of frame 300",
        "/metadata?q=StackID": "and there are more",
        "/metadata?page=7": "300 frames",
        "/metadata?q=aaaa": "(300,000 characters) Show all",
    }
    for page, words in pages.items():
        answer = reader.get(page)
        assert words in reader.words(page), page
        assert len(answer.content) < 150_000, page


def test_the_tree_is_read_by_mouse_and_keyboard(server: ServerProcess, address: str, page: Page) -> None:
    sign_in(page, server.key(), address)
    page.get_by_role("link", name="Metadata", exact=True).click()
    page.get_by_role("group").filter(has_text=uid(1, 1, 1)).locator("summary").first.focus()
    page.keyboard.press("Enter")
    opened = page.get_by_role("group").filter(has_text=uid(1, 1, 1)).first
    opened.get_by_role("row", name="KVP").wait_for()
    opened.get_by_role("row", name="ImageComments").get_by_role("link", name="Show all").click()
    opened.get_by_text(LONG.strip()).wait_for()
    opened.get_by_text("1 frame").last.click()
    opened.get_by_role("link", name="As stored").wait_for()
    check_page(page)
    opened.get_by_role("link", name="Picture").click()
    picture = page.get_by_role("img", name="Frame 1, as the server renders it")
    picture.wait_for()
    page.wait_for_function("image => image.naturalWidth === 64", arg=picture.element_handle())
    page.go_back()
    page.get_by_role("searchbox").fill("kvp")
    page.keyboard.press("Enter")
    page.get_by_text("2 different elements").wait_for()
    assert "q=kvp" in page.url
    page.reload()
    page.get_by_text("2 different elements").wait_for()
    page.get_by_role("link", name="Versions").click()
    settle(page)
    page.get_by_text("UpdateImageSetMetadata").first.wait_for()
    check_page(page)
    page.get_by_role("radio", name="Compare from version 1").check()
    page.get_by_role("button", name="Compare").click()
    page.get_by_role("heading", name="From version 1 to version 4").wait_for()
    check_page(page)
