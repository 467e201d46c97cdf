"""The tests lie where `README.md` beside this file says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

TESTS: Final = Path(__file__).parent
PACKAGES: Final = TESTS.parent / "src" / "hounsfield"
README: Final = (TESTS / "README.md").read_text()
IMPORT: Final = re.compile(r"^\s*(?:from|import)\s+([\w.]+)", re.MULTILINE)
FILES: Final = sorted(path for path in TESTS.rglob("*.py") if "clients/ahi_to_dicom/" not in path.as_posix())

USER_MADE: Final = re.compile(
    r"""(?:\.user\(\s*|user_with_key\(server, |"CreateUser", UserName=|"user", "create", )"([^"]+)\""""
)


def test_no_two_files_make_a_user_of_one_name() -> None:
    """Files that run in one process share its server, whichever they are."""
    makers: dict[str, set[str]] = {}
    for path in FILES:
        for name in USER_MADE.findall(path.read_text()) if path.name.startswith("test_") else ():
            makers.setdefault(name.lower(), set()).add(path.name)
    assert len(makers) > 50
    assert {name: files for name, files in makers.items() if len(files) > 1} == {}


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


def codes_of_table(heading: str) -> list[list[str]]:
    """Return the words set as code in the first column of a table of the README, row by row."""
    _, _, rows = README.partition(f"| {heading} |")[2].partition("|\n| --- | --- |\n")
    lines = rows.partition("\n\n")[0].splitlines()
    return [re.findall(r"`([^`]+)`", line.split("|")[1]) for line in lines]


def test_folders_are_those_of_the_packages() -> None:
    of_the_whole = {name for (name,) in codes_of_table("folder")}
    for folder in {path.parent.relative_to(TESTS) for path in FILES}:
        if folder.parts and folder.parts[0] not in of_the_whole:
            assert (PACKAGES / folder).is_dir() or (PACKAGES / folder).with_suffix(".py").exists(), folder


def test_names_do_not_repeat_their_folder() -> None:
    for path in FILES:
        if path.name.startswith("test_"):
            assert not path.stem.startswith(f"test_{path.parent.name}_"), path


def test_what_the_readme_names_is_there() -> None:
    assert [name for row in codes_of_table("tests") for name in row if not list(TESTS.glob(name))] == []
    makefile = (TESTS.parent / "Makefile").read_text()
    (listed,) = re.findall(r"WITH_NEWEST := ((?:.*\\\n)*.*)", makefile)
    named = {f"tests/imaging/{name}" for name in listed.replace("\\\n", " ").split()}
    named |= set(re.findall(r"tests/[\w/.]+", makefile)) - {"tests/imaging/"}
    assert [name for name in sorted(named) if not (TESTS.parent / name).exists()] == []
