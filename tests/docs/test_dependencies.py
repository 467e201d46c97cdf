"""What is installed to run: its licences, and the page that says why each package is here."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from collections.abc import Mapping
from importlib import metadata
from types import ModuleType
from typing import Any

import pytest

from support.doc_pages import ROOT, Page

LOCK = tomllib.loads((ROOT / "uv.lock").read_text())
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES: Mapping[str, dict[str, Any]] = {package["name"]: package for package in LOCK["package"]}
PAGE = Page.of("docs/reference/dependencies.md")
TOLD = {row["package"].split(" ")[0]: row["licence"] for row in PAGE.section("## To run").rows("package")}
_NAME = re.compile(r"[A-Za-z0-9._-]+")


def named(requirements: list[str]) -> set[str]:
    """Return the names of requirements."""
    found = set()
    for requirement in requirements:
        match = _NAME.match(requirement)
        assert match is not None
        found.add(match[0].lower())
    return found


def run_time() -> list[str]:
    """Everything that is locked to run, with what that needs."""
    waiting, found = [(PROJECT["project"]["name"], ())], set()
    while waiting:
        name, extras = waiting.pop()
        package = PACKAGES[name]
        needed = list(package.get("dependencies", []))
        for extra in extras:
            needed += package.get("optional-dependencies", {}).get(extra, [])
        for dependency in needed:
            entry = dependency["name"], tuple(dependency.get("extra", ()))
            if entry not in found:
                found.add(entry)
                waiting.append(entry)
    return sorted({name for name, _ in found})


@pytest.mark.parametrize("name", run_time())
def test_no_package_that_runs_is_under_the_gpl(name: str) -> None:
    try:
        found = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        pytest.skip(f"{name} is not installed on this system")
    classifiers = [value for value in found.get_all("Classifier") or [] if value.startswith("License ::")]
    licence = " ".join([found.get("License-Expression") or found.get("License") or "", *classifiers])
    # One says it in its source only, where whoever wrote our page read it.
    licence = licence.strip() or TOLD.get(name, "")
    assert licence, f"{name} does not say its licence"
    # LGPL is none of them: it lets the program that uses the library have a licence of its own.
    assert not re.search(r"(?<![A-Z])A?GPL|(?<!Lesser )(?<!Library or )General Public License", licence[:400]), licence[
        :400
    ]


def test_the_page_has_what_is_installed_to_run() -> None:
    rows = PAGE.section("## To run").rows("package")
    assert {row["package"].split(" ")[0] for row in rows} == named(PROJECT["project"]["dependencies"])
    assert not any(re.search(r"(?<!L)GPL", row["licence"]) for row in rows)


def test_the_page_has_what_is_installed_to_develop() -> None:
    rows = PAGE.section("## To develop").rows("package")
    groups = PROJECT["dependency-groups"]
    told = {name.strip() for row in rows for name in row["package"].split(",")}
    assert told >= {re.sub(r"\[.*", "", name) for name in named(groups["dev"] + groups["docs"])}


@pytest.fixture(scope="module")
def auditing() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit_dependencies", ROOT / ".ci" / "audit_dependencies.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


GOOD = {"name": "good", "version": "1", "vulns": []}
BAD = {
    "name": "bad",
    "version": "2",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["3"]}, {"id": "PYSEC-2", "fix_versions": []}],
}
UNKNOWN = {"name": "unknown", "skip_reason": "Dependency not found on PyPI"}


def test_an_audit_tells_vulnerable_clean_and_unknown_apart(auditing: ModuleType) -> None:
    bad = auditing.outcome_of({"dependencies": [GOOD, BAD, UNKNOWN]})
    assert bad.code == 1
    assert str(bad).splitlines() == [
        "VULNERABLE: bad 2: PYSEC-1 (mended in 3)",
        "VULNERABLE: bad 2: PYSEC-2 (mended in no version yet)",
        "NOT AUDITED: 1 of 3 packages, which PyPI does not tell of.",
        "Audited 2 packages: 2 known vulnerabilities.",
    ]
    assert auditing.outcome_of({"dependencies": [GOOD, UNKNOWN]}).code == 0
    assert auditing.outcome_of({"dependencies": [UNKNOWN]}).code == auditing.UNREACHABLE
