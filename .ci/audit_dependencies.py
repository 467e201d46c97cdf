"""Looks for known vulnerabilities of the locked dependencies, with pip-audit and what PyPI knows.

    uv.lock ─▶ uv export ─▶ pip-audit ─▶ vulnerable: 1 · nothing found: 0 · could not be asked: 3

Where PyPI cannot be asked about releases (a mirror that has files only, or no network), that is said plainly: it is not the
same as nothing being found. With ``--may-be-unreachable`` it is a note and no failure.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FOUND, UNREACHABLE = 1, 3


@dataclass(frozen=True)
class Outcome:
    """What was found.

    Attributes
    ----------
    asked, unknown : int
        Packages that PyPI was asked about, and those it could not be asked about.
    vulnerable : tuple of str
        A line for each known vulnerability.
    """

    asked: int
    unknown: int
    vulnerable: tuple[str, ...]

    @property
    def code(self) -> int:
        """Exit code."""
        return FOUND if self.vulnerable else UNREACHABLE if not self.asked else 0

    def __str__(self) -> str:
        lines = [*self.vulnerable]
        if self.unknown:
            lines.append(
                f"NOT AUDITED: {self.unknown} of {self.asked + self.unknown} packages, which PyPI does not tell of."
            )
        if self.asked:
            lines.append(f"Audited {self.asked} packages: {len(self.vulnerable)} known vulnerabilities.")
        return "\n".join(lines)


def outcome_of(report: dict[str, Any]) -> Outcome:
    """Read a report of pip-audit."""
    packages = report["dependencies"]
    unknown = [package for package in packages if "skip_reason" in package]
    vulnerable = tuple(
        f"VULNERABLE: {package['name']} {package['version']}: {found['id']}"
        f" (mended in {', '.join(found['fix_versions']) or 'no version yet'})"
        for package in packages
        for found in package.get("vulns", ())
    )
    return Outcome(len(packages) - len(unknown), len(unknown), vulnerable)


def audit() -> Outcome | None:
    """Ask about all locked packages; None where nobody could be asked."""
    tools = Path(sys.executable).parent
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder) / "requirements.txt"
        export = [
            str(tools / "uv"),
            "export",
            "--quiet",
            "--frozen",
            "--no-emit-project",
            "--no-hashes",
            "--all-groups",
        ]
        requirements.write_bytes(subprocess.run(export, cwd=ROOT, check=True, capture_output=True).stdout)
        command = [str(tools / "pip-audit"), "--requirement", str(requirements), "--no-deps", "--disable-pip"]
        run = subprocess.run(
            [*command, "--vulnerability-service", "pypi", "--format", "json", "--progress-spinner", "off"],
            capture_output=True,
            text=True,
            check=False,
        )
    try:
        return outcome_of(json.loads(run.stdout))
    except json.JSONDecodeError:
        print(run.stderr.strip().splitlines()[-1] if run.stderr.strip() else "pip-audit gave no report")
        return None


def main() -> int:
    """Audit, say what was found, and give the exit code."""
    outcome = audit()
    if outcome is not None:
        print(outcome)
    code = UNREACHABLE if outcome is None else outcome.code
    if code == UNREACHABLE:
        print(
            "NOTE: known vulnerabilities could NOT be looked up: PyPI's vulnerability service is not reachable from here."
        )
        return 0 if "--may-be-unreachable" in sys.argv else code
    return code


if __name__ == "__main__":
    sys.exit(main())
