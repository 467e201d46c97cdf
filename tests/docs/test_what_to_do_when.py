"""docs/how-to/what-to-do-when.md and upgrade.md: the program gives each sign, and each command runs as it stands."""

from __future__ import annotations

import re
import shlex
import subprocess
from functools import cache
from pathlib import Path

import pytest
from click.testing import CliRunner

from hounsfield.bootstrap.image_store import open_image_store
from hounsfield.cli.main import cli
from hounsfield.iam.root_credentials import credentials_file, root_key
from hounsfield.settings import PREFIX, Settings
from support.doc_pages import ROOT, Page, codes
from support.programs import environment_of_programs, path_of_programs

PAGE, UPGRADE = Page.of("docs/how-to/what-to-do-when.md"), Page.of("docs/how-to/upgrade.md")
SIZING = Page.of("docs/explanation/sizing.md")
STARTS = PAGE.section("## It does not start").rows("sign", "what it means")
RUNS = PAGE.section("## It runs, but not as it should").rows("what happens", "sign")
ANSWERS = {"/readyz", "runner", "disk", "certificate", "database", "audit-trail"}
"""Routes, sections of the status and reasons that are named beside signs."""


@cache
def _said() -> str:
    """Return what the source says, with literals that stand on several lines joined."""
    source = "\n".join(path.read_text() for path in (ROOT / "src/hounsfield").rglob("*.py"))
    return re.sub(r'"\s*\n\s*f?"', "", source)


@pytest.mark.parametrize("row", [*STARTS, *RUNS], ids=lambda row: row["sign"])
def test_a_sign_is_given_by_the_program(row: dict[str, str]) -> None:
    assert [sign for sign in codes(row["sign"]) if sign not in ANSWERS and sign not in _said()] == []
    assert row["first"] not in {"", "–"} or row["then"] not in {"", "–"}


def _commands() -> list[list[str]]:
    found = [*codes(PAGE.text), *codes(UPGRADE.text)]
    return sorted(shlex.split(text)[1:] for text in set(found) if re.match(r"hounsfield \w", text))


@pytest.mark.parametrize("words", _commands(), ids=" ".join)
def test_a_command_is_one_of_ours(words: list[str]) -> None:
    if {"--from"} & set(words):
        words = [str(ROOT) if word == "BACKUP" else word for word in words]
    # What stands before --help is parsed first.
    done = CliRunner().invoke(cli, [*words, "--help"])
    assert done.exit_code == 0, done.output


def test_the_settings_are_settings() -> None:
    named = set(re.findall(rf"\b{PREFIX}[A-Z_]+\b", PAGE.text + UPGRADE.text + SIZING.text))
    assert named <= {PREFIX + name.upper() for name in Settings.__dataclass_fields__}


def _run(script: str, folder: Path) -> str:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script.replace("/mnt/backup", f"{folder}/backup")],
        env={**environment_of_programs(), "PATH": path_of_programs()},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, script + done.stdout + done.stderr
    return done.stdout


def test_the_commands_run_as_they_stand(tmp_path: Path) -> None:
    image_store, _ = open_image_store(Settings(data=tmp_path / "data"))
    image_store.database.close()
    key = root_key(credentials_file(tmp_path / "data"))
    (tmp_path / "passphrase").write_text("a passphrase of some words\n")
    # The first backup needs the passphrase; those before upgrades do not.
    _run("hounsfield backup /mnt/backup/hounsfield --passphrase-file passphrase --data data", tmp_path)
    assert "result: ok" in _run(UPGRADE.block("sh"), tmp_path)
    assert "result: ok" in _run(PAGE.section("## First").block("sh"), tmp_path)
    restored = _run(PAGE.section("## Put a whole installation back").block("sh"), tmp_path)
    assert "result: intact" in restored
    assert "result: ok" in restored
    assert root_key(credentials_file(tmp_path / "new")) == key
