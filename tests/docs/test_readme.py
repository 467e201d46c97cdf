"""The README is short, and what it shows is run as it stands there."""

from __future__ import annotations

import configparser
import gzip
import io
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from support.doc_pages import ROOT, Page, run_shell, variables
from support.files.synthetic import save, slice_of, uid
from support.identities.users import refusal
from support.required_tools import required_tool
from support.servers import ServerProcess, wait_for

README = Page.of("README.md")
START = README.section("## Start")
AWS_CLI = README.section("## One minute with the AWS CLI")
DICOMWEB = README.section("## One minute with DICOMweb")
SHOWN = "http://127.0.0.1:8080"
PATIENT = "P-README"


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that has only what the README makes and imports."""
    server = ServerProcess(tmp_path_factory.mktemp("readme") / "data").start()
    folder = server.data.parent
    try:
        save(slice_of(5, 1, PatientID=PATIENT), folder / "path/to/dicom/one.dcm")
        _, making = START.blocks("sh")
        run_shell(server, making.replace(".venv/bin/", ""), folder)
        let_in(server, folder / "me.credentials")
        yield server
    finally:
        server.stop()


def let_in(server: ServerProcess, credentials: Path) -> None:
    """Wait until the server knows the key of a credentials file."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(credentials)
    key = parser["default"]["aws_access_key_id"], parser["default"]["aws_secret_access_key"]
    wait_for(lambda: refusal(server.client(key=key)) is None, "the user to be let in")


def as_shown(server: ServerProcess, *blocks: str) -> str:
    return "\n".join(blocks).replace(SHOWN, server.url)


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_bytes()) <= 5_000


def test_the_readme_shows_the_commands_that_are_first() -> None:
    assert [line.split("#")[0].strip() for line in README.blocks("sh")[0].splitlines()] == ["make demo", "make test"]


def test_both_minutes_of_the_readme(own_server: ServerProcess) -> None:
    required_tool(shutil.which("curl") is not None, "curl is not installed")
    folder = own_server.data.parent
    save(slice_of(6, 1, study=2, PatientID=PATIENT), folder / "slice.dcm")
    printed = run_shell(own_server, as_shown(own_server, AWS_CLI.block("sh"), DICOMWEB.block("sh")), folder)

    metadata = json.loads(gzip.decompress((folder / "metadata.json.gz").read_bytes()))
    assert metadata["Patient"]["DICOM"]["PatientID"] == PATIENT
    assert metadata["Study"]["Series"].keys() == {uid(1, 5)}
    assert json.dumps(metadata["ImageSetID"]) in printed
    # Stored by DICOMweb, and found beside what the command imported.
    assert all(f'"{name}"' in printed for name in (uid(2, 6, 1), uid(1), uid(2)))
    with Image.open(io.BytesIO((folder / "slice.png").read_bytes())) as picture:
        assert picture.size == (64, 64)


def test_the_exported_variables_are_the_ones_the_tests_use(own_server: ServerProcess) -> None:
    assert sorted(re.findall(r"^export (\w+)=", AWS_CLI.block("sh"), re.MULTILINE)) == sorted(variables(own_server))
