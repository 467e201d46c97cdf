"""Pages of the documentation: finding their blocks and tables, and running what they show."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from support.programs import path_of_programs
from support.servers import ServerProcess

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Page:
    """A page, or a section of one."""

    text: str

    @classmethod
    def of(cls, name: str) -> Page:
        return cls((ROOT / name).read_text())

    def section(self, heading: str) -> Page:
        """Return what stands below a heading, such as ``## States``, up to the next one of its level or above."""
        _, found, rest = f"\n{self.text}".partition(f"\n{heading}\n")
        assert found, f"the page has no heading {heading}"
        level = len(heading.split(" ", 1)[0])
        ends = re.search(rf"^#{{1,{level}}} ", _without_blocks(rest), re.MULTILINE)
        return Page(rest[: ends.start()] if ends else rest)

    def blocks(self, language: str) -> list[str]:
        return re.findall(rf"^```{language}\n(.*?)^```$", self.text, re.DOTALL | re.MULTILINE)

    def block(self, language: str) -> str:
        (found,) = self.blocks(language)
        return found

    def rows(self, *columns: str) -> list[dict[str, str]]:
        """Return the rows of all tables that begin with these columns."""
        found = []
        for table in re.findall(r"(?:^\|.*\|\n?)+", self.text, re.MULTILINE):
            head, _, *rows = [re.split(r"(?<!\\)\|", line.strip("|")) for line in table.splitlines()]
            names = [cell.strip() for cell in head]
            if names[: len(columns)] == list(columns):
                found += [dict(zip(names, (cell.strip() for cell in row), strict=True)) for row in rows]
        assert found, f"the page has no table {columns}"
        return found


def _without_blocks(text: str) -> str:
    """Hide lines within blocks, which may look like headings."""
    return re.sub(r"^```.*?^```$", lambda block: "." * len(block[0]), text, flags=re.DOTALL | re.MULTILINE)


def codes(cell: str) -> list[str]:
    """Return what is written as code in a cell."""
    return re.findall(r"`([^`]+)`", cell)


def variables(server: ServerProcess) -> dict[str, str]:
    """Return the variables that the README says to export."""
    return {
        "AWS_SHARED_CREDENTIALS_FILE": str(server.data / "credentials"),
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_MEDICAL_IMAGING": server.url,
        "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
    }


def run_shell(server: ServerProcess, script: str, folder: Path, **more: str) -> str:
    """Run what a reader would paste into a shell, and return what it prints."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "HOUNSFIELD_"))}
    run = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env={**inherited, "PATH": path_of_programs(), **variables(server), **more},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert run.returncode == 0, script + run.stdout + run.stderr
    return run.stdout


class PythonReader:
    """Somebody who types the Python of a page into one interpreter, with the variables of the README."""

    def __init__(self, server: ServerProcess, monkeypatch: pytest.MonkeyPatch, folder: Path, **names: Any) -> None:
        for name, value in variables(server).items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(folder)
        # The session that boto3 keeps would go on with the credentials of an earlier test.
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
        self.names: dict[str, Any] = dict(names)

    def types(self, code: str) -> None:
        exec(compile(code, "a page of the documentation", "exec"), self.names)
