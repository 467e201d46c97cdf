"""The tests lie where `README.md` beside this file says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

TESTS: Final = Path(__file__).parent
PACKAGES: Final = TESTS.parent / "src" / "hounsfield"
OF_THE_WHOLE: Final = {"bench", "clients", "conformance", "docs", "fuzz", "support", "system"}
"""Folders that mirror no package."""
IMPORT: Final = re.compile(r"^\s*(?:from|import)\s+([\w.]+)", re.MULTILINE)
FILES: Final = sorted(path for path in TESTS.rglob("*.py") if "clients/ahi_to_dicom/" not in path.as_posix())


def test_no_module_imports_a_test() -> None:
    named = {path: set(IMPORT.findall(path.read_text())) for path in FILES}
    wrong = {
        path.name: module
        for path, modules in named.items()
        for module in modules
        if any(part.startswith("test_") or part in {"tests", "conftest"} for part in module.split("."))
    }
    assert wrong == {}


def test_what_is_shared_is_in_support() -> None:
    elsewhere = [path for path in FILES if path.relative_to(TESTS).parts[0] != "support"]
    beside = {"conftest.py", "longest_first.py"}
    assert [path for path in elsewhere if not path.name.startswith("test_") and path.name not in beside] == []


def test_folders_are_those_of_the_packages() -> None:
    for folder in {path.parent.relative_to(TESTS) for path in FILES}:
        if folder.parts and folder.parts[0] not in OF_THE_WHOLE:
            assert (PACKAGES / folder).is_dir() or (PACKAGES / folder).with_suffix(".py").exists(), folder


def test_names_do_not_repeat_their_folder() -> None:
    for path in FILES:
        if path.name.startswith("test_"):
            assert not path.stem.startswith(f"test_{path.parent.name}_"), path
