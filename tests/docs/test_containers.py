"""The image and the compose files: what they copy, set and run is there and works. No engine runs here."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import compose_spec
import pytest
import yaml
from click.testing import CliRunner

from hounsfield.cli.main import cli
from hounsfield.settings import PREFIX, Settings
from support.doc_pages import ROOT
from support.servers import ServerProcess, free_port

DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE_FILES = ("compose.yaml", "compose.cluster.yaml")
OF_HOUNSFIELD = "hounsfield:latest"


def instructions(name: str) -> list[str]:
    """Return what stands behind all instructions of a name, lines that go on joined."""
    lines = re.sub(r"\\\n\s*", " ", DOCKERFILE).splitlines()
    return [line.split(None, 1)[1] for line in lines if line.startswith(f"{name} ")]


def compose(name: str) -> dict[str, Any]:
    return yaml.safe_load((ROOT / name).read_text())


def services() -> Iterator[tuple[str, dict[str, Any]]]:
    for name in COMPOSE_FILES:
        yield from compose(name)["services"].items()


def test_what_the_image_copies_is_sent_to_the_engine() -> None:
    copied = {word for line in instructions("COPY") if not line.startswith("--from") for word in line.split()[:-1]}
    sent = {line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"}
    assert copied == sent
    assert all((ROOT / name).exists() for name in copied)


def test_the_image_is_no_root_and_keeps_what_the_server_writes() -> None:
    assert instructions("USER") == ["10001:10001"]
    assert instructions("VOLUME") == ["/data"]
    assert "HOUNSFIELD_DATA=/data" in instructions("ENV")[-1]


def test_the_health_check_follows_the_server(server: ServerProcess) -> None:
    (check,) = instructions("HEALTHCHECK")
    _, *words = json.loads(check.split("CMD ", 1)[1])

    def healthy(port: int) -> bool:
        command = [word.replace(":8080/", f":{port}/") for word in words]
        return subprocess.run([sys.executable, *command], capture_output=True, timeout=60, check=False).returncode == 0

    assert healthy(server.port)
    assert not healthy(free_port())


def commands() -> list[list[str]]:
    (default,) = instructions("CMD")
    given = [service["command"] for _, service in services() if "image" in service and "command" in service]
    return [json.loads(default), *(words for words in given if words[0] in {"api", "runner"})]


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_the_commands_are_commands_of_ours(words: list[str]) -> None:
    assert json.loads(instructions("ENTRYPOINT")[0]) == ["hounsfield"]
    # What stands before --help is parsed first.
    done = CliRunner().invoke(cli, [*words, "--help"])
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("name", COMPOSE_FILES)
def test_a_compose_file_is_one(name: str) -> None:
    content = compose(name)
    compose_spec.PyCompose.from_json(json.dumps(content))
    used = {volume.split(":")[0] for service in content["services"].values() for volume in service.get("volumes", ())}
    assert used == content["volumes"].keys()


def test_what_the_compose_files_set_are_settings() -> None:
    known = {PREFIX + field.name.upper() for field in fields(Settings)}
    ours = [service for _, service in services() if service["image"] == OF_HOUNSFIELD]
    assert len(ours) == 4
    assert {name for service in ours for name in service.get("environment", ())} <= known


def test_no_password_stands_in_a_file() -> None:
    for _, service in services():
        for name, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET", name):
                assert re.fullmatch(r"\$\{\w+:\?[^}]+\}", value)
    assert ".env" in (ROOT / ".gitignore").read_text().split()
