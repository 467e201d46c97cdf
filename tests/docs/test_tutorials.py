"""The tutorials are followed from their first step to the last, as they stand there."""

from __future__ import annotations

import configparser
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import requests

from support.doc_pages import Page, PythonReader, run_shell
from support.identities.users import refusal
from support.required_tools import required_tool
from support.servers import ServerProcess, wait_for

FIRST, PYTHON, OHIF = (Page.of(f"docs/tutorials/{name}.md") for name in ("first-import", "python", "ohif"))
SIGNING = Page.of("docs/how-to/connect-dicomweb-clients.md").section("## requests")
SHOWN = "http://127.0.0.1:8080"
EXPLICIT = "1.2.840.10008.1.2.1"
CT_SMALL = "1.3.6.1.4.1.5962.1.1.1.1.1.20040119072730.12322"


@dataclass
class Newcomer:
    """Somebody who follows the tutorials in a folder, beside a server that was just started."""

    folder: Path
    server: ServerProcess

    def types(self, *scripts: str, **variables: str) -> str:
        script = "\n".join(scripts).replace(". .venv/bin/activate\n", "").replace(SHOWN, self.server.url)
        return run_shell(self.server, script, self.folder, **variables)

    def key(self) -> tuple[str, str]:
        parser = configparser.ConfigParser(interpolation=None)
        parser.read(self.folder / "me.credentials")
        return parser["default"]["aws_access_key_id"], parser["default"]["aws_secret_access_key"]


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Newcomer]:
    folder = tmp_path_factory.mktemp("tutorial")
    found = Newcomer(folder, ServerProcess(folder / "data").start())
    try:
        imported = found.types(FIRST.section("## 2. Import a file").block("sh"))
        assert re.search(r"Files imported +1\n", imported)
        found.types(FIRST.section("## 3. Make yourself a user").block("sh"))
        wait_for(lambda: refusal(found.server.client(key=found.key())) is None, "the user to be let in")
        yield found
    finally:
        found.server.stop()


def test_the_first_import(newcomer: Newcomer) -> None:
    required_tool(shutil.which("curl") is not None, "curl is not installed")
    looking = [
        FIRST.section(f"## {heading}").block("sh") for heading in ("4. Look with the AWS CLI", "5. Look with DICOMweb")
    ]
    printed = newcomer.types(*looking)
    assert '"SchemaVersion"' in printed
    (study,) = json.loads(printed[printed.index('[{"0008') :])
    assert study["00081030"]["Value"] == ["e+1"]
    assert json.loads((newcomer.folder / "metadata.json").read_text())["Patient"]["DICOM"]["PatientID"] == "1CT1"
    assert (newcomer.folder / "study.jpg").read_bytes().startswith(b"\xff\xd8")


def test_images_in_python(newcomer: Newcomer, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    importing, reading, storing = (
        PYTHON.section(f"## {heading}")
        for heading in ("1. Import a series", "2. Read the frames", "3. Store and retrieve DICOM")
    )
    newcomer.types(importing.block("sh"))
    reader = PythonReader(newcomer.server, monkeypatch, newcomer.folder)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "me.credentials")
    reader.types(importing.block("python"))
    assert capsys.readouterr().out.startswith("COMPLETED s3://results/")
    frames, units = reading.blocks("python")
    reader.types(frames)
    assert capsys.readouterr().out.endswith(" (128, 128) int16 image/jph\n")
    reader.types(units)
    assert capsys.readouterr().out == "-896.0 1167.0\n"
    reader.types(SIGNING.blocks("python")[0])
    reader.types(storing.block("python"))
    assert capsys.readouterr().out == f"{CT_SMALL} {EXPLICIT}\n"


def test_the_viewer(tmp_path: Path) -> None:
    origin = "http://localhost:3000"
    (variable,) = re.findall(
        r"^HOUNSFIELD_CORS_ORIGINS=(\S+) hounsfield serve",
        OHIF.section("## 1. Start the server").block("sh"),
        re.MULTILINE,
    )
    assert variable == origin
    server = ServerProcess(tmp_path / "viewer-data", {"HOUNSFIELD_CORS_ORIGINS": variable}, ("--insecure-no-auth",))
    server.start()
    shown = server.url.replace("127.0.0.1", "localhost")
    try:
        (tmp_path / "package/dist").mkdir(parents=True)
        (tmp_path / "package/dist/index.html").write_text("the viewer")
        _, configuring = OHIF.section("## 3. Configure the viewer").blocks("sh")
        script = OHIF.section("## 2. Import an image").block("sh").replace(". .venv/bin/activate\n", "") + configuring
        run_shell(server, script.replace("http://localhost:8080", shown), tmp_path)
        config = (tmp_path / "package/dist/app-config.js").read_text()
        (root,) = set(re.findall(r"(?:qido|wado)Root: \"(\S+)\"", config))
        answer = requests.get(f"{root}/studies", headers={"Origin": origin}, timeout=60)
        assert answer.headers["Access-Control-Allow-Origin"] == origin
        assert len(answer.json()) == 1
    finally:
        server.stop()


def test_the_server_of_the_viewer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every path that is no file is the page from which the browser makes it."""
    (tmp_path / "package/dist").mkdir(parents=True)
    (tmp_path / "package/dist/index.html").write_text("the viewer")
    (tmp_path / "package/dist/app.js").write_text("the program")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "viewer"}
    exec(compile(OHIF.section("## 4. Open the viewer").block("python"), "viewer.py", "exec"), names)
    serving = ThreadingHTTPServer(
        ("127.0.0.1", 0), lambda *request: names["Viewer"](*request, directory="package/dist")
    )
    Thread(target=serving.serve_forever, daemon=True).start()
    try:
        for path, body in (("/app.js", b"the program"), ("/viewer?StudyInstanceUIDs=1", b"the viewer")):
            connection = HTTPConnection(*serving.server_address)
            connection.request("GET", path)
            assert connection.getresponse().read() == body
            connection.close()
    finally:
        serving.shutdown()
        serving.server_close()
