"""What `make dist` builds: a wheel with everything of the package and nothing else, and an sdist that builds the same wheel."""

from __future__ import annotations

import email
import re
import subprocess
import sys
import tarfile
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def _build(source: Path, target: Path, *options: str) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "--directory", str(target), *options]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    _build(ROOT, folder)
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> dict[str, bytes]:
    (path,) = built.glob("*.whl")
    with ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_wheel_has_every_file_of_the_package_and_nothing_else(wheel: dict[str, bytes]) -> None:
    source = ROOT / "src"
    there = {
        path.relative_to(source).as_posix(): path.read_bytes()
        for path in (source / "hounsfield").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {"hounsfield/py.typed", "hounsfield/storage/db/migrations/script.py.mako"} <= there.keys()
    about = f"hounsfield-{PROJECT['version']}.dist-info/"
    assert {name: content for name, content in wheel.items() if not name.startswith(about)} == there
    assert {name.removeprefix(about) for name in wheel if name.startswith(about)} == {
        "METADATA",
        "RECORD",
        "WHEEL",
        "entry_points.txt",
        "licenses/LICENSE",
    }


def test_the_wheel_says_what_it_needs_and_which_command_it_has(wheel: dict[str, bytes]) -> None:
    about = f"hounsfield-{PROJECT['version']}.dist-info/"
    metadata = email.message_from_bytes(wheel[f"{about}METADATA"])
    assert metadata["Requires-Python"] == PROJECT["requires-python"]
    assert metadata["License-Expression"] == PROJECT["license"]
    needed = {str(Requirement(text)) for text in metadata.get_all("Requires-Dist", [])}
    extras = PROJECT["optional-dependencies"]
    of_extras = {str(Requirement(f'{text}; extra == "{name}"')) for name, texts in extras.items() for text in texts}
    assert needed == {str(Requirement(text)) for text in PROJECT["dependencies"]} | of_extras
    ((name, value),) = re.findall(r"^(\w+) = (\S+)$", wheel[f"{about}entry_points.txt"].decode(), re.MULTILINE)
    assert name == "hounsfield"
    assert callable(EntryPoint(name, value, "console_scripts").load())


def test_the_sdist_builds_the_same_wheel(built: Path, tmp_path: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    _build(source, tmp_path / "again", "--target", "wheel")
    (wheel,) = built.glob("*.whl")
    assert (tmp_path / "again" / wheel.name).read_bytes() == wheel.read_bytes()
