"""What docs/how-to/connect-clients.md shows is run as it stands there."""

from __future__ import annotations

import configparser
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import imagecodecs
import numpy as np
import pytest

from support.files.synthetic import noise, save, slice_of
from support.imaging.imports import document, instances, run_import
from support.programs import path_of_programs
from support.required_tools import required_tool
from support.servers import ServerProcess

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/how-to/connect-clients.md").read_text()


def block(heading: str, language: str) -> str:
    section = PAGE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return re.search(rf"```{language}\n(.*?)```", section, re.DOTALL).group(1)


@pytest.fixture
def image_set(server: ServerProcess, client: Any, datastore: str) -> str:
    save(slice_of(study=951, pixels=noise(90, 70, 3)), server.bucket("input") / "clients-page/one.dcm")
    (entry,) = run_import(server, client, datastore, "clients-page/").summary["imageSetsSummary"]
    return str(entry["imageSetId"])


def run(command: list[str], folder: Path, **variables: str) -> str:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "HOUNSFIELD_"))}
    environment = {**inherited, "PATH": path_of_programs(), "AWS_EC2_METADATA_DISABLED": "true", **variables}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_boto3_example_runs(server: ServerProcess, datastore: str, image_set: str, tmp_path: Path) -> None:
    variables = {"HOUNSFIELD_DATA": str(server.data), "HOUNSFIELD_URL": server.url}
    printed = run([sys.executable, "-c", block("boto3", "python")], tmp_path, **variables)
    assert f"{datastore} 1" in printed.splitlines()


def test_the_cli_examples_run(server: ServerProcess, datastore: str, image_set: str, tmp_path: Path) -> None:
    shown = "http://127.0.0.1:8080"
    profile = block("AWS CLI", "ini")
    assert shown in profile
    (tmp_path / "config").write_text(profile.replace(shown, server.url))
    credentials = (server.data / "credentials").read_text()
    (tmp_path / "credentials").write_text(credentials.replace("[default]", "[hounsfield]"))
    files = {"AWS_CONFIG_FILE": "config", "AWS_SHARED_CREDENTIALS_FILE": "credentials"}
    commands = block("AWS CLI", "sh")
    printed = run(["bash", "-ec", commands], tmp_path, DATASTORE=datastore, IMAGE_SET=image_set, **files)
    decoder = json.JSONDecoder()
    listed, end = decoder.raw_decode(printed)
    found, after = decoder.raw_decode(printed[end:].lstrip())
    properties = json.loads(printed[end:].lstrip()[after:])
    assert datastore in {entry["datastoreId"] for entry in listed["datastoreSummaries"]}
    assert [entry["imageSetId"] for entry in found["imageSetsMetadataSummaries"]] == [image_set]
    assert properties["imageSetId"] == image_set


def test_the_curl_examples_run(
    server: ServerProcess, client: Any, datastore: str, image_set: str, tmp_path: Path
) -> None:
    required_tool(shutil.which("curl") is not None, "curl is not installed")
    ((_, instance),) = instances(document(client, datastore, image_set))
    key_id, secret = server.key()
    variables = {"KEY_ID": key_id, "SECRET": secret, "ENDPOINT": server.url, "DATASTORE": datastore,
                 "IMAGE_SET": image_set, "FRAME": instance["ImageFrames"][0]["ID"]}  # fmt: skip
    printed = run(["bash", "-ec", block("curl", "sh")], tmp_path, **variables)
    assert len(json.loads(printed)["datastoreSummaries"]) <= 5
    samples = imagecodecs.htj2k_decode((tmp_path / "frame.jph").read_bytes())
    np.testing.assert_array_equal(samples, noise(90, 70, 3))
    as_json = block("curl", "sh").replace("--data", "--json").replace("--fail", "--write-out '%{http_code}'")
    assert run(["bash", "-ec", as_json], tmp_path, **variables).endswith("406")


def test_the_javascript_example_is_in_the_script_that_is_run() -> None:
    script = (ROOT / "tests/clients/javascript/tutorial.mjs").read_text().splitlines()
    assert [line for line in block("JavaScript", "js").splitlines() if line not in script] == []


def test_the_variables_are_the_ones_the_tests_use() -> None:
    exported = dict(re.findall(r"^export (\w+)=(\S+)", block("Environment variables", "sh"), re.MULTILINE))
    used = (ROOT / "tests/support/clients/environment.py").read_text()
    assert {name for name in exported if f'"{name}": ' not in used} == set()
    assert exported["AWS_DISABLE_HOST_PREFIX_INJECTION"] == "true"


def test_the_server_answers_under_both_names(
    server: ServerProcess, datastore: str, image_set: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with the line for /etc/hosts: boto3 with its prefix left on, and names that resolve."""
    _, plain, with_prefix = block("Use a name that resolves", "text").split()
    resolve, asked = socket.getaddrinfo, []

    def hosts(host: str, *arguments: Any, **named: Any) -> Any:
        asked.append(host)
        return resolve("127.0.0.1" if host in {plain, with_prefix} else host, *arguments, **named)

    monkeypatch.setattr(socket, "getaddrinfo", hosts)
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(server.data / "credentials")
    client = boto3.client(
        "medical-imaging", region_name="us-east-1", endpoint_url=f"http://{plain}:{server.port}", **parser["default"]
    )
    assert client.get_datastore(datastoreId=datastore)["datastoreProperties"]["datastoreId"] == datastore
    assert client.get_image_set(datastoreId=datastore, imageSetId=image_set)["imageSetId"] == image_set
    assert asked == [plain, with_prefix]
