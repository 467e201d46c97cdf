"""OHIF beside the console: a server that has it, the address of a study in it, and when its first image is there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from playwright.sync_api import Page

from bench.server import PROJECT, BenchmarkError, Server

_DISTRIBUTION: Final = PROJECT / "distributions" / "ohif"
_NOTE_IMAGES: Final = """
window.ohifImages = []
addEventListener("CORNERSTONE_IMAGE_RENDERED", () => window.ohifImages.push(performance.now()), true)
"""


class ServerWithOhif(Server):
    """``hounsfield serve`` with OHIF installed, which is built where it is not yet; parameters are those of `Server`.

    Raises
    ------
    BenchmarkError
        It cannot be built, as npm cannot fetch it.
    """

    def __init__(self, data: Path, **settings: int | str) -> None:
        super().__init__(data, **settings)
        self._environment["PYTHONPATH"] = str(_built())


def _built() -> Path:
    """Return the folder in which Python finds the distribution."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(PROJECT / "dist")]
    built = subprocess.run(command, cwd=_DISTRIBUTION, capture_output=True, text=True, check=False)
    if built.returncode:
        raise BenchmarkError(f"OHIF cannot be built: {built.stderr[-400:]}")
    return _DISTRIBUTION / "src"


def ohif_address(datastore_id: str, study: str) -> str:
    """Return the address of a study in OHIF."""
    return f"/console/datastores/{datastore_id}/ohif/viewer?{urlencode({'StudyInstanceUIDs': study})}"


def first_image_ms(page: Page, address: str) -> float:
    """Open a study in OHIF; gives the milliseconds from the start of the navigation until it drew its first image.

    Parameters
    ----------
    page : Page
        Signed in, see `bench.browser.new_page`.
    address : str
        Of `ohif_address`.
    """
    page.add_init_script(_NOTE_IMAGES)
    page.goto(address)
    page.wait_for_function("() => window.ohifImages.length > 0", timeout=120_000)
    found: Any = page.evaluate("window.ohifImages[0]")
    return float(found)
