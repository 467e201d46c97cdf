"""What the README shows is run as it stands there."""

from __future__ import annotations

import configparser
import gzip
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.files.synthetic import noise, save, slice_of, uid
from support.identities.users import refusal
from support.required_tools import required_tool
from support.servers import ServerProcess, active_datastore, wait_for

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> ServerProcess:
    """A server in whose folder the user of the tour was made, as the README says."""
    process = ServerProcess(tmp_path_factory.mktemp("readme") / "data").start()
    try:
        making = block("The root key is for setting up", "sh").replace(".venv/bin/", "")
        run = ran(f"set -e\n{making}", process.data.parent, environment(process))
        assert run.returncode == 0, run.stderr
        wait_for(lambda: refusal(process.client(key=users_key(process))) is None, "the user to be let in")
        yield process
    finally:
        process.stop()


def users_key(server: ServerProcess) -> tuple[str, str]:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(server.data.parent / "me.credentials")
    return parser["default"]["aws_access_key_id"], parser["default"]["aws_secret_access_key"]


def environment(server: ServerProcess) -> dict[str, str]:
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "AWS_SHARED_CREDENTIALS_FILE": str(server.data.parent / "me.credentials"),
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_MEDICAL_IMAGING": server.url,
        "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def ran(line: str, folder: Path, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", line], env=variables, cwd=folder, capture_output=True, text=True, timeout=240, check=False
    )


def block(heading: str, language: str) -> str:
    section = README.split(heading, 1)[1]
    return re.search(rf"```{language}\n(.*?)```", section, re.DOTALL).group(1)


def test_the_boto3_example_imports_and_reads_back(own_server: ServerProcess) -> None:
    for number in (1, 2):
        save(
            slice_of(1, number, pixels=noise(96, 128, number)), own_server.bucket("incoming") / f"study-1/{number}.dcm"
        )
    own_server.bucket("results")
    run = subprocess.run(
        [sys.executable, "-c", block("### With boto3", "python")],
        env=environment(own_server),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    status, *frames = run.stdout.splitlines()
    assert status.startswith("COMPLETED s3://results/")
    assert len(frames) == 2
    assert all(line.endswith("(96, 128) int16 image/jph") for line in frames)


def test_the_command_line_examples_run(own_server: ServerProcess, tmp_path: Path) -> None:
    save(slice_of(5, 1), tmp_path / "dicom" / "one.dcm")
    command = [
        str(Path(sys.executable).parent / "hounsfield"),
        "import",
        "--data",
        str(own_server.data),
        str(tmp_path / "dicom"),
    ]
    imported = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert imported.returncode == 0, imported.stderr + imported.stdout
    datastore = next(
        entry["datastoreId"]
        for entry in own_server.client().list_datastores()["datastoreSummaries"]
        if entry["datastoreName"] == "imports"
    )
    found = own_server.client().search_image_sets(datastoreId=datastore, searchCriteria={})
    lines = [line for line in block("### With the AWS CLI", "sh").splitlines() if line.startswith("aws ")]
    assert len(lines) == 3
    settings = {
        **environment(own_server),
        "DATASTORE": datastore,
        "IMAGE_SET": found["imageSetsMetadataSummaries"][0]["imageSetId"],
    }
    for line in lines:
        run = subprocess.run(
            ["bash", "-c", line], env=settings, cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False
        )
        assert run.returncode == 0, run.stderr
    metadata = json.loads(gzip.decompress((tmp_path / "metadata.json.gz").read_bytes()))
    assert metadata["Patient"]["DICOM"]["PatientID"] == "P-1"


def test_the_dicomweb_examples_run(own_server: ServerProcess, tmp_path: Path) -> None:
    required_tool(shutil.which("curl") is not None, "curl is not installed")
    datastore = active_datastore(own_server.client())
    save(slice_of(6, 1), tmp_path / "slice.dcm")
    key_id, secret = users_key(own_server)
    shown = "http://127.0.0.1:8080"
    commands = block("### With DICOMweb", "sh")
    assert commands.count(shown) == commands.count("curl") == 2
    given = {"KEY_ID": key_id, "SECRET": secret, "DATASTORE": datastore, "STUDY": uid(1)}
    run = ran(f"set -e\n{commands.replace(shown, own_server.url)}", tmp_path, {**environment(own_server), **given})
    assert run.returncode == 0, run.stderr
    assert f'"Value":["{uid(1, 6, 1)}"]' in run.stdout
    script = block("### With DICOMweb", "python")
    run = subprocess.run(
        [sys.executable, "-c", script],
        env={**environment(own_server), "DATASTORE": datastore},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.stdout.split() == [uid(1, 6, 1), "1.2.840.10008.1.2.1"], run.stderr


def test_both_pages_sign_alike() -> None:
    signer = re.compile(r"^class Signed.*?^        return request$", re.DOTALL | re.MULTILINE)
    assert (
        signer.findall(README) == signer.findall((ROOT / "docs/how-to/connect-dicomweb-clients.md").read_text()) != []
    )


def test_the_exported_variables_are_the_ones_the_tests_use() -> None:
    exported = set(re.findall(r"^export (\w+)=", block("### With the AWS CLI", "sh"), re.MULTILINE))
    assert exported == {
        "AWS_SHARED_CREDENTIALS_FILE",
        "AWS_DEFAULT_REGION",
        "AWS_ENDPOINT_URL_MEDICAL_IMAGING",
        "AWS_DISABLE_HOST_PREFIX_INJECTION",
    }
