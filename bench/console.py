"""The console in Debian's chromium, beside a data store of 100,000 image sets: pages, upload, progress, and doing nothing.

hospital_corpus ─▶ tables ─┐
CT series ─▶ import ───────┴▶ server ─▶ chromium: each page with an empty cache ─▶ bytes, milliseconds until usable
                                  ├──▶ 500 files: STOW with 25 a request, upload of the console, in turn ─▶ ratio
                                  └──▶ no page, then an open page ─▶ processor time of the server

All of it shares the processors of this machine, the browser too.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, Page
from pydicom.uid import generate_uid

from bench.browser import Visit, chromium, new_page, signed_in, visit
from bench.corpus import write_ct_series
from bench.hospital_corpus import hospital_studies
from bench.processes import processor_seconds
from bench.qido_corpus import SERIES, fill
from bench.report import Report, median
from bench.scale import Run
from bench.server import BenchmarkError, Server
from bench.stow import bodies_of, file_of_own, store
from hounsfield.console.pages import PAGES

BYTES_LIMIT: Final = 150_000
USABLE_LIMIT_MS: Final = 200
IDLE_LIMIT_PERCENT: Final = 1
UPLOAD_LIMIT: Final = 0.7
PROGRESS_LIMIT_SECONDS: Final = 1
_FILES_A_REQUEST: Final = 25
_CONNECTIONS: Final = 4
_SERIES_FILES: Final = 25


def run(setting: Run, report: Report) -> None:
    """Measure pages, then what an open page costs."""
    if chromium() is None:
        report.skipped = "chromium is not installed (on Debian: apt-get install chromium)"
        print(f"  skipped: {report.skipped}")
        return
    folder = setting.folder("console")
    server = Server(folder / "data")
    with server:
        datastore_id = server.datastore()
    studies = setting.scale.console_image_sets // SERIES
    image_store = server.image_store()
    fill(image_store, datastore_id, studies, hospital_studies)
    image_store.database.close()
    report.note(
        f"{studies * SERIES} image sets in {studies} studies, one API process; the browser shares the processors"
    )
    with server:
        paths = write_ct_series(setting.corpus / "ct", setting.scale.series_instances)
        server.put("series", paths[:_SERIES_FILES])
        job = server.import_prefix(datastore_id, "series")
        newest = _newest(server, datastore_id)
        labels = {
            "datastore": datastore_id,
            "imageset": str(newest["imageSetId"]),
            "study": str(newest["DICOMTags"]["DICOMStudyInstanceUID"]),
            "job": job.job_id,
        }
        with signed_in(server) as (browser, cookies):
            _pages(setting, report, server, (browser, cookies), labels)
            _upload(setting, report, server, (browser, cookies))
            _idle(setting, report, server, (browser, cookies), f"/console/datastores/{datastore_id}")


def _newest(server: Server, datastore_id: str) -> Mapping[str, Any]:
    """Return what a search tells of the image set that was made last, the only one that has pixels."""
    found = server.client.search_image_sets(datastoreId=datastore_id, searchCriteria={})["imageSetsMetadataSummaries"]
    newest: Mapping[str, Any] = found[0]
    return newest


def _pages(
    setting: Run, report: Report, server: Server, session: tuple[Browser, Any], labels: Mapping[str, str]
) -> None:
    """Measure every page whose labels are known, with an empty cache and again with what is in it then."""
    first: dict[str, list[Visit]] = {}
    again: dict[str, list[Visit]] = {}
    for path, address in _addresses(labels):
        for _ in range(setting.scale.page_visits):
            with new_page(server, *session) as page:
                first.setdefault(path, []).append(visit(page, address))
                again.setdefault(path, []).append(visit(page, address))
    sizes = {path: max(one.bytes for one in visits) for path, visits in first.items()}
    heaviest = max(sizes, key=sizes.__getitem__)
    report.figure(f"transferred in all, the heaviest of {len(first)} pages", sizes[heaviest], "bytes", BYTES_LIMIT)
    report.note(f"the heaviest: {heaviest}")
    report.details["pages"] = {path: {"bytes": size} for path, size in sizes.items()}
    for name, found in (("empty cache", first), ("from page to page", again)):
        times = {path: median([one.milliseconds for one in visits]) for path, visits in found.items()}
        slowest = max(times, key=times.__getitem__)
        report.figure(f"until usable, {name}, the slowest page, p50", times[slowest], "ms", USABLE_LIMIT_MS)
        report.note(f"the slowest: {slowest}")
        report.figure(f"until usable, {name}, all pages, p50", median(list(times.values())), "ms")
        for path, milliseconds in times.items():
            report.details["pages"][path][f"ms, {name}"] = milliseconds


def _addresses(labels: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for page in PAGES:
        if "GET" in page.methods and not page.is_file:
            try:
                yield page.path, page.path.format_map(labels)
            except KeyError:
                continue


def _upload(setting: Run, report: Report, server: Server, session: tuple[Browser, Any]) -> None:
    """Measure STOW and the upload of a dropped folder in turn, with files of the same pixels and UIDs of their own."""
    paths = write_ct_series(setting.corpus / "ct", setting.scale.series_instances)
    datastore_id = server.datastore()
    stow: list[float] = []
    dropped: list[float] = []
    longest_wait = 0.0
    for number in range(setting.scale.uploads):
        files = [file_of_own(path, uid) for uid in [generate_uid()] for path in paths]
        begin = time.perf_counter()
        store(server, datastore_id, bodies_of(files, _FILES_A_REQUEST), _CONNECTIONS, whole=True)
        stow.append(len(files) / (time.perf_counter() - begin))
        folder = setting.folder(f"dropped-{number}")
        for path, content in zip(
            paths, [file_of_own(path, uid) for uid in [generate_uid()] for path in paths], strict=True
        ):
            (folder / path.name).write_bytes(content)
        with new_page(server, *session) as page:
            seconds, wait = _drop(page, f"/console/datastores/{datastore_id}/upload", folder, len(paths))
        dropped.append(len(paths) / seconds)
        longest_wait = max(longest_wait, wait)
    report.figure(f"STOW, {_FILES_A_REQUEST} a request, {_CONNECTIONS} connections", median(stow), "instances/s")
    report.figure("upload of a dropped folder", median(dropped), "instances/s")
    ratio = median([mine / theirs for mine, theirs in zip(dropped, stow, strict=True)])
    report.figure("upload / STOW", ratio, "×", UPLOAD_LIMIT, at_most=False)
    report.figure("upload, longest time without progress on the page", longest_wait, "s", PROGRESS_LIMIT_SECONDS)


_WATCH: Final = """() => {
  const root = document.getElementById("upload");
  window.moved = [performance.now()];
  new MutationObserver(() => window.moved.push(performance.now())).observe(
    root, {subtree: true, childList: true, characterData: true, attributes: true});
}"""


def _drop(page: Page, address: str, folder: Path, count: int) -> tuple[float, float]:
    """Drop a folder onto the page; give the seconds until all is stored, and the longest in which nothing moved."""
    page.goto(address)
    page.wait_for_load_state("networkidle")
    page.evaluate(_WATCH)
    devtools = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(folder)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        devtools.send("Input.dispatchDragEvent", {"type": kind, "x": 300, "y": 300, "data": data})
    page.locator("#upload[data-state=done]").wait_for(timeout=600_000)
    moved = page.evaluate("() => window.moved")
    state = page.locator("[data-part=state]").inner_text()
    if f"{count:,} files stored." not in state:
        raise BenchmarkError(f"the upload says: {state}")
    return (moved[-1] - moved[0]) / 1000, max(b - a for a, b in pairwise(moved)) / 1000


def _idle(setting: Run, report: Report, server: Server, session: tuple[Browser, Any], address: str) -> None:
    """Measure the processor time of the server without and with an open page."""
    seconds = setting.scale.idle_seconds
    without = _spent(server, seconds)
    with new_page(server, *session) as page:
        visit(page, address)
        page.wait_for_timeout(1000)
        with_page = _spent(server, seconds, page)
    report.figure("server, no page open", without * 100 / seconds, "%")
    share = max(0.0, with_page - without) * 100 / seconds
    report.figure("server, for an open page that nobody touches", share, "%", IDLE_LIMIT_PERCENT)


def _spent(server: Server, seconds: float, page: Page | None = None) -> float:
    begin = processor_seconds(server.pid)
    if page is None:
        time.sleep(seconds)
    else:
        # The browser's own events are handled meanwhile.
        page.wait_for_timeout(seconds * 1000)
    return processor_seconds(server.pid) - begin
