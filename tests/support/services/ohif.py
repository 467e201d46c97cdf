"""The distribution ``hounsfield-ohif``, built as it is for users; npm fetches OHIF once, and a folder of the user keeps it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from support.required_tools import required_tool

DISTRIBUTION: Final = Path(__file__).parents[3] / "distributions" / "ohif"
_UNREACHABLE: Final = ("npm is needed to fetch", "npm error", "CalledProcessError")


def build_ohif(folder: Path, source: Path = DISTRIBUTION, **environment: str) -> subprocess.CompletedProcess[str]:
    """Build the wheel into a folder."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    given = {**os.environ, **environment}
    return subprocess.run(command, cwd=source, env=given, capture_output=True, text=True, timeout=240, check=False)


def ohif_wheel(folder: Path) -> Path:
    """Return the wheel, built into a folder; skip where OHIF is not there and npm cannot fetch it."""
    built = build_ohif(folder)
    said = built.stdout + built.stderr
    required_tool(not any(text in said for text in _UNREACHABLE), f"npm cannot fetch OHIF: {said[-400:]}")
    assert built.returncode == 0, said
    (wheel,) = folder.glob("*.whl")
    return wheel
