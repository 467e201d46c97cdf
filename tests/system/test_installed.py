"""Installed as users install it, in environments with nothing else; packages come from the registry or the cache of uv."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
UV = Path(sys.executable).parent / "uv"

pytestmark = pytest.mark.slow


def _run(*command: str | Path, folder: Path, **environment: str) -> str:
    hidden = ("HOUNSFIELD_", "AWS_", "PYTHON", "VIRTUAL_ENV", "UV_PROJECT_ENVIRONMENT", "COV_")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(hidden)}
    done = subprocess.run(
        command, cwd=folder, env={**kept, **environment}, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_a_wheel_in_an_empty_environment_takes_the_tour(tmp_path: Path) -> None:
    _run(sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", tmp_path, folder=ROOT)
    (wheel,) = tmp_path.glob("*.whl")
    _run(UV, "venv", "--python", sys.executable, tmp_path / "empty", folder=tmp_path)
    programs = tmp_path / "empty" / "bin"
    _run(UV, "pip", "install", "--python", programs / "python", wheel, folder=tmp_path)
    where = _run(programs / "python", "-c", "import hounsfield; print(hounsfield.__file__)", folder=tmp_path)
    assert Path(where.strip()).is_relative_to(tmp_path / "empty")
    printed = _run(programs / "hounsfield", "demo", "--stop", folder=tmp_path)
    assert "each with the checksum of what went in" in printed
    assert int(re.findall(r"^Files imported +(\d+)$", printed, re.MULTILINE)[0]) > 200 + 80
    assert (tmp_path / "demo-data" / "demo.png").read_bytes().startswith(b"\x89PNG")
    # It is not on the path here, and the tour says how it was called.
    assert f"  {programs / 'hounsfield'} serve --data demo-data" in printed


def test_pip_installs_the_source(tmp_path: Path) -> None:
    _run(sys.executable, "-m", "venv", tmp_path / "empty", folder=tmp_path)
    programs = tmp_path / "empty" / "bin"
    _run(programs / "python", "-m", "pip", "install", "--quiet", ROOT, folder=tmp_path)
    assert version("hounsfield") in _run(programs / "hounsfield", "--version", folder=tmp_path)


def test_uv_installs_the_source_as_a_tool(tmp_path: Path) -> None:
    folders = {"UV_TOOL_DIR": str(tmp_path / "tools"), "UV_TOOL_BIN_DIR": str(tmp_path / "bin")}
    _run(UV, "tool", "install", "--python", sys.executable, ROOT, folder=tmp_path, **folders)
    assert version("hounsfield") in _run(tmp_path / "bin" / "hounsfield", "--version", folder=tmp_path)
