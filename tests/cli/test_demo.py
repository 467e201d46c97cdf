"""``hounsfield demo``, once for all tests here: it is left serving, so that what it says to do next can be done."""

from __future__ import annotations

import configparser
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import boto3
import imagecodecs
import numpy as np
import pydicom
import pytest
import requests
from botocore.config import Config
from botocore.exceptions import ClientError
from dicomweb_client.api import DICOMwebClient
from requests import Session

from hounsfield.cli.demo.failures import failure_lines
from hounsfield.cli.demo.tour import earlier_import
from hounsfield.phantom.ct_series import SERIES_UID, STUDY_UID
from hounsfield.server.supervisor import running_url
from hounsfield.settings import Settings
from support.as_installed import as_installed
from support.clients.dicomweb import SignedRequests
from support.servers import ServerProcess, wait_for

PROGRAMS = Path(sys.executable).parent
PHANTOM_PIXELS = "5b638e7ee03b77174c333be1541c9d6fae864ca18c028c5758ea71968bd0e37d"
"""SHA-256 of the pixels of all slices, from the top down."""


def _environment(**more: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HOUNSFIELD_", "AWS_"))}
    return {**kept, "AWS_EC2_METADATA_DISABLED": "true", "AWS_PAGER": "", **more}


def _command(data: Path, *arguments: str) -> list[str]:
    return [str(PROGRAMS / "hounsfield"), "demo", "--data", str(data), *arguments]


def _again(data: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = _command(data, "--stop")
    return subprocess.run(
        command,
        env=_environment(**as_installed(), **environment),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


@dataclass
class Demo:
    """A demo that was left serving, and what it printed."""

    data: Path
    process: subprocess.Popen[str]
    printed: str

    @property
    def url(self) -> str:
        return str(json.loads((self.data / "server.json").read_text())["url"])

    @property
    def datastore(self) -> str:
        found = re.search(r"--datastore-id (\w{32})", self.printed)
        assert found is not None, self.printed
        return found[1]

    def key(self, file: str = "demo-credentials") -> tuple[str, str]:
        parser = configparser.ConfigParser(interpolation=None)
        parser.read(self.data / file)
        return parser["default"]["aws_access_key_id"], parser["default"]["aws_secret_access_key"]

    def client(self, file: str = "demo-credentials") -> Any:
        identifier, secret = self.key(file)
        return boto3.client(
            "medical-imaging",
            region_name="us-east-1",
            endpoint_url=self.url,
            aws_access_key_id=identifier,
            aws_secret_access_key=secret,
            config=Config(inject_host_prefix=False),
        )

    def image_sets(self) -> dict[str, int]:
        """The image sets with their versions."""
        pages = self.client().get_paginator("search_image_sets").paginate(datastoreId=self.datastore)
        return {found["imageSetId"]: found["version"] for page in pages for found in page["imageSetsMetadataSummaries"]}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    data = tmp_path_factory.mktemp("demo") / "the patient's data"
    process = subprocess.Popen(
        _command(data, "--keep-serving"),
        env=_environment(**as_installed()),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    printed = ""
    for line in process.stdout:
        printed += line
        if line.startswith("Serving at"):
            break
    yield Demo(data, process, printed)
    if process.poll() is None:
        process.kill()
        process.wait()


def _counts(text: str) -> dict[str, int]:
    return {name: int(count) for name, count in re.findall(r"^(\w[\w ]+?) {2,}(\d+)(?:   .*)?$", text, re.MULTILINE)}


def test_it_tells_what_went_in_and_what_came_back_and_then_what_did_not(demo: Demo) -> None:
    counts = _counts(demo.printed)
    assert counts["Files scanned"] == counts["Files imported"] + counts["Files failed"]
    assert counts["Files imported"] > 200 + 80
    assert counts["Image sets"] > 30
    assert counts["Frames read back"] > 200 + 80
    assert "each with the checksum of what went in" in demo.printed
    assert re.search(r"^CT +\d+ +\d+ +2\d\d$", demo.printed, re.MULTILINE)
    summary, failures = demo.printed.split("They were not imported:")
    assert "Files failed" in summary
    reasons = re.findall(r"^ +(\d+)  (.*): .+$", failures.split("\n\n")[0], re.MULTILINE)
    assert sum(int(count) for count, _ in reasons) == counts["Files failed"]
    assert {"not a DICOM file", "has no StudyInstanceUID"} <= {reason for _, reason in reasons}


def test_the_picture_shows_the_phantom_in_four_views(demo: Demo) -> None:
    assert f"The phantom in four views: {demo.data / 'demo.png'}" in demo.printed
    picture = imagecodecs.png_decode((demo.data / "demo.png").read_bytes())
    assert picture.shape == (429, 1788)
    # The views that the server made have the grey values of those that the demo made: fat and liver.
    heart, abdomen, coronal, sagittal = (picture[:, at : at + 330] for at in (0, 486, 972, 1458))
    for view in (heart, abdomen, coronal, sagittal):
        assert 20 < view.mean() < 120
    liver = abdomen[180:200, 80:100]
    assert abs(float(liver.mean()) - float(coronal[260:280, 90:110].mean())) < 6


def test_the_phantom_comes_back_bit_by_bit(demo: Demo) -> None:
    session = Session()
    session.auth = SignedRequests(ServerProcess(demo.data), key=demo.key())
    web = DICOMwebClient(f"{demo.url}/datastore/{demo.datastore}", session=session)
    slices = web.retrieve_series(
        STUDY_UID, SERIES_UID, media_types=(("application/dicom", str(pydicom.uid.ExplicitVRLittleEndian)),)
    )
    slices.sort(key=lambda found: int(found.InstanceNumber))
    assert [int(found.InstanceNumber) for found in slices] == list(range(1, 201))
    heights = [float(found.ImagePositionPatient[2]) for found in slices]
    assert np.allclose(np.diff(heights), -1.5)
    assert {str(found.PatientName) for found in slices} == {"Phantom^Hounsfield"}
    digest = hashlib.sha256(b"".join(found.PixelData for found in slices)).hexdigest()
    assert digest == PHANTOM_PIXELS
    volume = np.stack([found.pixel_array for found in slices])
    # What a radiologist would measure, at x, y and s of its place: air, lung, fat, liver, aorta, bone.
    for (number, row, column), (least, most) in {
        (100, 20, 20): (-1010, -990),
        (80, 250, 130): (-900, -800),
        (152, 160, 286): (-125, -80),
        (137, 240, 170): (95, 125),
        (100, 299, 284): (140, 165),
        (170, 292, 256): (120, 220),
    }.items():
        place = volume[number, row - 3 : row + 4, column - 3 : column + 4]
        assert least < place.mean() < most, (number, row, column, place.mean())


def test_its_user_may_do_what_it_does_and_nothing_else(demo: Demo) -> None:
    root, client = demo.client("credentials"), demo.client()
    other = root.create_datastore(datastoreName="of-somebody-else")["datastoreId"]
    image_set = next(iter(demo.image_sets()))
    for refused in (
        lambda: client.search_image_sets(datastoreId=other),
        lambda: client.create_datastore(datastoreName="more"),
        lambda: client.delete_image_set(datastoreId=demo.datastore, imageSetId=image_set),
    ):
        with pytest.raises(ClientError) as error:
            refused()
        assert error.value.response["Error"]["Code"] == "AccessDeniedException"


def test_what_it_says_to_do_next_can_be_done(demo: Demo, tmp_path: Path) -> None:
    commands = re.findall(r"^  (.*)$", demo.printed.split("Go on from here:")[1], re.MULTILINE)
    run = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(commands)],
        env=_environment(PATH=f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}", AWS_DEFAULT_OUTPUT="json"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert len(json.loads(run.stdout)["imageSetsMetadataSummaries"]) == _counts(demo.printed)["Image sets"]
    assert imagecodecs.png_decode((tmp_path / "heart.png").read_bytes()).shape[:2] == (512, 512)


def test_its_links_open_the_viewer_and_the_console(demo: Demo) -> None:
    links = re.findall(r"^(http\S+/console/link)#(\S+?)(?:&next=(\S+))?$", demo.printed, re.MULTILINE)
    viewer, first = (unquote(page) for _, _, page in links)
    assert viewer == f"/console/datastores/{demo.datastore}/view?study={STUDY_UID}"
    assert first == ""
    for address, token, page in links:
        assert address == f"{demo.url}/console/link"
        browser = requests.Session()
        form = {"token": token, "next": unquote(page)}
        # Root looks at no images here, which the log would warn of.
        opened = browser.post(address, form, timeout=30, allow_redirects=False)
        assert opened.headers["location"] == (viewer if page else "/console/start")
        assert demo.datastore in browser.get(f"{demo.url}/console/datastores", timeout=30).text
        assert requests.post(address, {"token": token}, timeout=30).status_code == 401


def test_a_second_run_imports_nothing_again_and_mends_what_was_lost(demo: Demo) -> None:
    before, key = demo.image_sets(), demo.key()
    (demo.data / "demo-credentials").write_text("[default]\n")
    (demo.data / "demo.png").unlink()
    (demo.data / "demo.png").mkdir()
    done = _again(demo.data)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "is not imported again" in done.stdout
    assert "There is no picture" in done.stdout
    assert "Is a directory" in done.stdout
    assert _counts(done.stdout) == _counts(demo.printed)
    assert demo.key() != key
    assert demo.image_sets() == before


def test_where_the_output_of_the_job_was_cleared_away_it_imports_again(demo: Demo) -> None:
    settings = Settings(data=demo.data)
    assert earlier_import(settings, demo.client(), demo.datastore) is not None
    shutil.rmtree(demo.data / "buckets" / "imports")
    assert earlier_import(settings, demo.client(), demo.datastore) is None


def test_it_ends_when_it_is_interrupted_and_says_nothing_on_standard_error(demo: Demo) -> None:
    demo.process.send_signal(signal.SIGINT)
    _, said = demo.process.communicate(timeout=60)
    assert demo.process.returncode == 0
    assert said == ""
    assert not (demo.data / "server.json").exists()


def test_the_server_ends_with_a_demo_that_is_terminated(tmp_path: Path) -> None:
    with subprocess.Popen(
        _command(tmp_path, "--keep-serving"), env=_environment(**as_installed()), stdout=subprocess.DEVNULL
    ) as process:
        wait_for(lambda: running_url(tmp_path), "the server")
        process.terminate()
        assert process.wait(60) == 128 + signal.SIGTERM
    assert not (tmp_path / "server.json").exists()


def test_it_says_that_files_cannot_be_copied_into_s3(tmp_path: Path) -> None:
    done = _again(tmp_path / "data", HOUNSFIELD_S3_ENDPOINT_URL="http://127.0.0.1:9")
    assert done.returncode == 1
    assert "Import jobs of this installation read from S3" in done.stderr
    assert not (tmp_path / "data").exists()


def test_reasons_are_counted_and_those_that_are_seldom_are_left_out() -> None:
    failures = [
        {"inputFile": f"imports/run/input/0/{number}.dcm", "exception": {"message": f"reason {number // 3}"}}
        for number in range(29)
    ]
    lines = list(failure_lines(failures))
    assert len(lines) == 9
    assert lines[0] == "   3  reason 0: 0.dcm, 1.dcm, 2.dcm"
    assert lines[-1] == "   5  for other reasons"
