"""A CT as a volume in the viewer: from the key to planes of half the resolution, and of the whole.

viewer ─▶ key U ─▶ milliseconds until all slices are there
               └─▶ milliseconds to draw the three planes anew
"""

from __future__ import annotations

from typing import Any, Final

from playwright.sync_api import Browser, Page

from bench.browser import new_page
from bench.report import Report, median
from bench.scale import Run
from bench.server import Server

HALF_LIMIT_MS: Final = 3000
FULL_LIMIT_MS: Final = 8000
_SHOWN: Final = """() => document.querySelector("[data-viewer]")?.viewer?.active.image?.isWhole
  && document.querySelector('[data-action="volume"]').getAttribute("aria-disabled") === "false" """
_OPEN: Final = """() => new Promise((resolve, reject) => {
  const page = document.querySelector("[data-viewer]").viewer
  const begin = performance.now()
  let half = 0
  let bytes = 0
  const look = () => {
    const view = page.whole
    const status = view?.element.querySelector(".volume-status").textContent ?? ""
    const { resolution } = view?.element.dataset ?? {}
    if (resolution === "half" && !half) {
      half = performance.now() - begin
      for (const entry of performance.getEntriesByType("resource")) if (entry.startTime >= begin) bytes += entry.encodedBodySize
    }
    if (resolution === "full") resolve({ half, full: performance.now() - begin, bytes })
    else if (view && !view.isLoading && resolution !== "half") reject(new Error(status))
    else setTimeout(look, 5)
  }
  performance.setResourceTimingBufferSize(10000)
  document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "u", bubbles: true }))
  look()
})"""
_DRAW: Final = """() => {
  const { whole } = document.querySelector("[data-viewer]").viewer
  const begin = performance.now()
  for (const pane of whole.planes) pane.draw()
  return performance.now() - begin
}"""


def measure_volume(setting: Run, report: Report, server: Server, session: tuple[Browser, Any], address: str) -> None:
    """Open a series of the viewer as a volume, each time in a page that has nothing in its cache.

    Parameters
    ----------
    address : str
        The viewer of a study, with the series.
    """
    rounds = []
    for _ in range(setting.scale.rounds):
        with new_page(server, *session) as page:
            page.goto(address)
            rounds.append(_measure(page))
    half = median([one["half"] for one in rounds])
    report.figure("volume: planes of half the resolution, all slices", half, "ms", HALF_LIMIT_MS)
    full = median([one["full"] for one in rounds])
    report.figure("volume: planes of the whole resolution", full, "ms", FULL_LIMIT_MS)
    report.figure("volume: bytes that half the resolution took", median([one["bytes"] for one in rounds]) / 1e6, "MB")
    report.figure("volume: draw the three planes", median([one["draw"] for one in rounds]), "ms")


def _measure(page: Page) -> dict[str, Any]:
    """Open a volume in the viewer, and draw its planes."""
    page.wait_for_function(_SHOWN)
    found: dict[str, Any] = page.evaluate(_OPEN)
    return {**found, "draw": min(page.evaluate(_DRAW) for _ in range(5))}
