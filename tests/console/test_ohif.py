"""OHIF under the console: offered where it is installed, signed in by the session, and held to what it needs."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from zipfile import ZipFile

import numpy as np
import pytest
import requests
from PIL import Image
from playwright.sync_api import Page, expect
from pydicom.dataset import Dataset
from pydicom.uid import EncapsulatedPDFStorage

from hounsfield.console.security_headers import ohif_file_policy, ohif_headers
from support.browser.fixtures import NewContext
from support.browser.pages import sign_in
from support.browser.plain_session import PlainSession
from support.clients.dicomweb import part10, store
from support.files.synthetic import slice_of, uid
from support.identities.users_and_roles import UsersAndRoles, allow, deny
from support.programs import environment_of_programs
from support.servers import ServerProcess, active_datastore, wait_for
from support.services.ohif import DISTRIBUTION, build_ohif, ohif_wheel

STUDY: Final = uid(1)
NOT_NEEDED: Final = re.compile(r"\.map$|^ort/|^sw\.js|service-worker|microscopy-viewer/|\.html$")
GEOMETRY: Final = {
    "PixelSpacing": [0.8, 0.8],
    "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
    "FrameOfReferenceUID": uid(1, 9),
    "WindowCenter": "0",
    "WindowWidth": "2000",
    "RescaleSlope": "1",
    "RescaleIntercept": "0",
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ohif_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def ohif(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with OHIF installed."""
    folder = tmp_path_factory.mktemp("ohif")
    with ZipFile(wheel) as packed:
        packed.extractall(folder / "installed")
    before = environment_of_programs()
    seen = {
        "PYTHONPATH": f"{folder / 'installed'}:{before['PYTHONPATH']}",
        "HIDDEN_PACKAGES": before["HIDDEN_PACKAGES"].replace("hounsfield_ohif", ""),
    }
    server = ServerProcess(folder / "data", seen).start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def filled(ohif: ServerProcess) -> str:
    """A data store with a CT whose left half is dark and whose right half is bright."""
    datastore = active_datastore(ohif.client())
    pixels = np.where(np.arange(64) < 32, -1000, 1000).astype("<i2") * np.ones((64, 1), "<i2")
    slices = [
        part10(slice_of(number=number, pixels=pixels, ImagePositionPatient=[-25.6, -25.6, 2.0 * number], **GEOMETRY))
        for number in range(1, 4)
    ]
    assert store(ohif, datastore, [*slices, part10(document())]).status_code == 200
    return datastore


def document() -> Dataset:
    """Make a PDF of so many bytes that metadata name an address for it."""
    made = slice_of(study=2, SOPClassUID=EncapsulatedPDFStorage, Modality="DOC", EncapsulatedDocument=bytes(1_200_000))
    made.file_meta.MediaStorageSOPClassUID = EncapsulatedPDFStorage
    made.MIMETypeOfEncapsulatedDocument = "application/pdf"
    for keyword in [one.keyword for one in made.group_dataset(0x0028)] + ["PixelData"]:
        delattr(made, keyword)
    return made


def address(datastore: str, study: str = STUDY) -> str:
    return f"/console/datastores/{datastore}/ohif/viewer?StudyInstanceUIDs={study}"


def halves(page: Page) -> tuple[float, float]:
    """Return how bright the canvas is left and right of its middle; the picture fills its height."""
    found = Image.open(io.BytesIO(page.locator("canvas").first.screenshot())).convert("L")
    levels = np.asarray(found, float)
    rows, columns = levels.shape
    upper, middle, away = slice(rows // 4, rows // 2), columns // 2, rows // 4
    return (
        float(levels[upper, middle - away : middle - away // 2].mean()),
        float(levels[upper, middle + away // 2 : middle + away].mean()),
    )


def wait_for_image(page: Page) -> None:
    """Wait until OHIF shows the study, whose image is dark left and bright right."""
    page.locator("canvas").first.wait_for()
    expect(page.get_by_text("Drag Images Here")).to_have_count(0)
    for _ in range(100):
        left, right = halves(page)
        if left < 30 and right > 220:
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"no image: {left} left and {right} right of the middle")


def test_a_study_opens_for_who_is_signed_in(new_context: NewContext, ohif: ServerProcess, filled: str) -> None:
    """Without a session to the sign-in and back; right and session end while one looks, and both are told."""
    users = UsersAndRoles(ohif)
    key = users.user("radiologist", allow("medical-imaging:*"))
    context, faults = new_context(url=ohif.url)
    page = context.new_page()
    page.goto(address(filled))
    page.get_by_label("Access key", exact=True).fill(key[0])
    page.get_by_label("Secret access key").fill(key[1])
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"**{address(filled)}")
    wait_for_image(page)
    assert page.locator(".shepherd-element").count() == 0, "the tour lies over the image"
    assert page.evaluate("navigator.serviceWorker.getRegistrations().then(found => found.length)") == 0

    page.get_by_role("link", name="Study in the console").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Roe, Jane")
    there = page.get_by_role("link", name="Open in OHIF").get_attribute("href")
    page.get_by_role("link", name="Open in the viewer").click()
    page.get_by_role("toolbar").get_by_role("link", name="Open in OHIF").click()
    page.wait_for_url(f"**{there}")
    wait_for_image(page)
    faults.check()

    users.let_user("radiologist", allow("medical-imaging:*"), deny("medical-imaging:SearchDICOMStudies"))
    search = f"/console/api/datastore/{filled}/studies?limit=1"
    wait_for(lambda: context.request.get(search).status == 403, "the server to know the policy")
    page.goto(f"/console/datastores/{filled}/ohif")
    told = page.locator("dialog.hounsfield")
    expect(told).to_contain_text("You may not see all of what was asked for.")
    users.let_user("radiologist", allow("medical-imaging:*"))
    wait_for(lambda: context.request.get(search).ok, "the server to know the policy")
    page.reload()
    expect(page.get_by_text("Roe, Jane").first).to_be_visible()
    users.close()

    other = context.new_page()
    other.goto("/console/session")
    other.get_by_role("banner").get_by_role("button", name="Sign out").click()
    expect(told).to_contain_text("Your session has ended.")
    told.get_by_role("button", name="Sign in").click()
    page.wait_for_url(re.compile("/console/sign-in\\?next=.*%2Fohif"))
    faults.forget()


ATTEMPTS: Final = """async ([datastore, own]) => {
  const reached = []
  const others = ["/console/session-status", "/console/users", "/console/api/datastore", `/console/api/datastore/${datastore}`,
    `/console/api/datastore/${"0".repeat(32)}/studies`, "https://example.invalid/"]
  for (const one of others) await fetch(one).then(() => reached.push(one), () => {})
  if (window.open("/console/users")) reached.push("a window")
  const frame = document.createElement("iframe")
  frame.src = "/console/users"
  document.body.append(frame)
  await new Promise((resolve) => { frame.onload = resolve })
  if (frame.contentDocument?.body?.innerText) reached.push("a frame")
  frame.remove()
  const script = document.createElement("script")
  script.textContent = "window.planted = 'a script'"
  const image = document.createElement("div")
  image.innerHTML = "<img src=x onerror=\\"window.planted = 'a handler'\\">"
  document.body.append(script, image)
  await new Promise((resolve) => setTimeout(resolve, 200))
  if (window.planted) reached.push(window.planted)
  // A script of the console is no worker of OHIF's, whose policy would be another one.
  const icon = document.querySelector("link[rel=icon]").href
  const worker = new Worker(icon.replace("icon.svg", "viewer/slides/metadata_worker.js"))
  const answer = new Promise((resolve) => { worker.onerror = () => resolve(false); worker.onmessage = () => resolve(true) })
  worker.postMessage(new ArrayBuffer(0))
  if (await answer) reached.push("a worker of the console")
  try { (0, eval)("1"); reached.push("eval") } catch { /* refused */ }
  const status = (await fetch(own)).status
  return { reached, status }
}"""


STORE: Final = """(path) => {
  try { new XMLHttpRequest().open("POST", path) } catch (error) { return error.message }
  return "sent"
}"""


DOWNLOAD: Final = """() => {
  const link = document.createElement("a")
  Object.assign(link, { href: URL.createObjectURL(new Blob(["length,12"])), download: "measurements.csv" })
  link.click()
}"""


def test_a_script_in_ohif_reads_the_data_store_and_no_more(
    new_context: NewContext, ohif: ServerProcess, filled: str
) -> None:
    context, faults = new_context(url=ohif.url)
    page = context.new_page()
    sign_in(page, ohif.key())
    with page.expect_response(lambda answer: "/bulkdata/" in answer.url) as bulk_data:
        page.goto(address(filled, uid(2)))
    assert bulk_data.value.status == 200
    told = page.locator("dialog.hounsfield")
    expect(told).to_contain_text("OHIF shows no PDF here.")
    told.get_by_role("button", name="Close").click()
    own = f"/console/api/datastore/{filled}/studies"
    assert page.evaluate(ATTEMPTS, [filled, f"{own}?limit=1"]) == {"reached": [], "status": 200}
    assert page.evaluate(STORE, own) == "nothing is stored from OHIF"
    expect(told).to_contain_text("OHIF only reads here.")
    with page.expect_download() as begun:
        page.evaluate(DOWNLOAD)
    assert begun.value.suggested_filename == "measurements.csv"

    context.clear_cookies()
    assert page.evaluate("path => fetch(path).then(answer => answer.status)", own) == 401
    expect(page.get_by_text("Your session has ended. Sign in again to go on.")).to_be_visible()
    faults.forget()


@pytest.mark.parametrize(
    ("host", "asked"),
    [("pacs.example.org", "pacs.example.org/console/ohif/"), ("[::1]:8080", "'self'")],
)
def test_a_policy_names_what_it_can(host: str, asked: str) -> None:
    policy = ohif_headers(host, "/console/ohif/")["Content-Security-Policy"]
    assert f"; connect-src {asked} blob: data:; " in policy
    assert f"; script-src {asked} 'wasm-unsafe-eval'; worker-src {asked} blob:; " in policy
    # A worker reaches no more than the page that began it.
    assert f"; connect-src {asked}; " in ohif_file_policy(host, "/console/ohif/")


def test_files_are_packed_and_kept_for_ever(ohif: ServerProcess, wheel: Path) -> None:
    listed = json.loads(ZipFile(wheel).read("hounsfield_ohif/app/files.json"))
    for name in (listed["scripts"][0], "app.bundle.css", "assets/images/CT-Bone.png"):
        url = ohif.url + listed["base"] + name
        packed = requests.get(url, headers={"Accept-Encoding": "gzip"}, stream=True, timeout=30)
        raw = packed.raw.read()
        assert packed.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert packed.headers["x-content-type-options"] == "nosniff"
        own = ohif.url.partition("://")[2] + listed["base"]
        assert f"; connect-src {own}; " in packed.headers["content-security-policy"]
        assert packed.headers.get("content-encoding") == ("gzip" if listed["files"][name]["packed"] else None)
        content = gzip.decompress(raw) if "content-encoding" in packed.headers else raw
        assert hashlib.sha256(content).hexdigest() == listed["files"][name]["sha256"]
        plain = requests.get(url, headers={"Accept-Encoding": "identity"}, timeout=30)
        assert plain.content == content
        assert "content-encoding" not in plain.headers
        assert requests.head(url, timeout=30).content == b""
    for path in ("/console/ohif/", listed["base"] + "../files.json", listed["base"] + "files.json"):
        answer = requests.get(ohif.url + path, allow_redirects=False, timeout=30)
        assert answer.status_code == 303, path
    assert requests.post(ohif.url + listed["base"] + "app.bundle.css", timeout=30).status_code == 401


def test_it_is_not_offered_where_it_is_not_installed(server: ServerProcess, datastore: str) -> None:
    assert store(server, datastore, [part10(slice_of())]).status_code == 200
    session = PlainSession(server, server.key())
    for path in (f"studies/{STUDY}", f"view?study={STUDY}"):
        page = session.get(f"/console/datastores/{datastore}/{path}")
        assert page.status_code == 200
        assert "OHIF" not in page.text
    refused = session.get(address(datastore))
    assert refused.status_code == 404
    assert "OHIF is not installed on this server." in refused.text


def test_the_wheel_has_what_is_needed_with_its_licences(wheel: Path) -> None:
    packed = ZipFile(wheel)
    names = set(packed.namelist())
    notices = {name.rpartition("/")[2]: packed.read(name).decode() for name in names if "/licenses/" in name}
    assert set(notices) == {"LICENSE", "OHIF-LICENSE", "THIRD-PARTY.txt", "BUNDLED.txt"}
    listed = json.loads(packed.read("hounsfield_ohif/app/files.json"))
    stored = {f"hounsfield_ohif/app/{one['stored']}" for one in listed["files"].values()}
    assert {name for name in names if "/app/" in name} == stored | {"hounsfield_ohif/app/files.json"}
    assert not [name for name in listed["files"] if NOT_NEEDED.search(name)]
    assert wheel.stat().st_size < 12_000_000

    scripts = [one["stored"] for name, one in listed["files"].items() if name.endswith(".js")]
    text = b"".join(gzip.decompress(packed.read(f"hounsfield_ohif/app/{name}")) for name in scripts).decode()
    assert '__webpack_require__.p = "/"' not in text
    assert text.count(f'__webpack_require__.p = "{listed["base"]}"') == 8
    # Its source is at a comment of the bundler only; the rest is under the AGPL.
    assert "shepherd.js 15" not in text
    assert "new shepherd_fe.Tour(" in text
    assert "shepherd" not in gzip.decompress(packed.read("hounsfield_ohif/app/app.bundle.css.gz")).decode()
    told = dict(re.findall(r"^(\S+) \S+: (.+)$", notices["THIRD-PARTY.txt"], re.MULTILINE))
    assert set(re.findall(r"node_modules/((?:@[\w.-]+/)?[\w.-]+)", text)) - {"shepherd.js"} <= set(told)
    assert not [licence for licence in told.values() if "GPL" in licence]


def test_another_file_than_the_released_one_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(DISTRIBUTION, source, ignore=shutil.ignore_patterns("app"))
    forged = tmp_path / "ohif-app-3.13.2.tgz"
    forged.write_bytes(b"something else")
    built = build_ohif(tmp_path, source, HOUNSFIELD_OHIF_TARBALL=str(forged))
    assert built.returncode != 0
    assert "is not @ohif/app 3.13.2 as it was released" in built.stderr + built.stdout
    missing = build_ohif(tmp_path, source, HOUNSFIELD_OHIF_TARBALL=str(tmp_path / "none"))
    assert "none, which is not there" in missing.stderr
