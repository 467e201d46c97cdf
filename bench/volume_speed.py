"""A CT of 500 slices as a volume in Debian's chromium: from the key to planes of half the resolution, and of the whole.

CT series ─▶ import ─▶ server ─▶ chromium: the viewer, then the key U ─▶ milliseconds until all slices are there
                                                                     └─▶ milliseconds to draw the three planes anew

All of it shares the processors of this machine, the browser too.
"""

from __future__ import annotations

from typing import Any, Final

from playwright.sync_api import Page

from bench.browser import chromium, new_page, signed_in
from bench.corpus import write_ct_series
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


def run(setting: Run, report: Report) -> None:
    """Measure a volume in the browser."""
    if chromium() is None:
        report.skipped = "chromium is not installed (on Debian: apt-get install chromium)"
        print(f"  skipped: {report.skipped}")
        return
    server = Server(setting.folder("volume") / "data")
    paths = write_ct_series(setting.corpus / "ct", setting.scale.series_instances)
    with server:
        server.put("series", paths)
        datastore_id = server.datastore()
        server.import_prefix(datastore_id, "series")
        found = server.client.search_image_sets(datastoreId=datastore_id, searchCriteria={})
        study = found["imageSetsMetadataSummaries"][0]["DICOMTags"]["DICOMStudyInstanceUID"]
        rounds = []
        with signed_in(server) as (browser, cookies):
            for _ in range(setting.scale.rounds):
                with new_page(server, browser, cookies) as page:
                    page.goto(f"/console/datastores/{datastore_id}/view?study={study}")
                    rounds.append(_measure(page))
    report.note(f"{len(paths)} slices of 512 × 512, one API process; medians of {len(rounds)} rounds")
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
