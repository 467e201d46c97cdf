"""The viewer in Debian's chromium, on a CT of 500 slices: opening, scrolling, a narrow link, bytes and memory.

CT series ─▶ STOW, import ─▶ server ─▶ chromium: open with an empty cache ─▶ milliseconds from the navigation, bytes
                                          ├──▶ every slice once, then again ─▶ images a second
                                          ├──▶ a link of 10 Mbit/s ─▶ share of a slice's bytes that its first picture takes
                                          └──▶ 1,000 slices in one tab ─▶ memory of its process

All of it shares the processors of this machine, the browser too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import psutil
from playwright.sync_api import Browser, Page
from pydicom.uid import generate_uid

from bench.browser import chromium, new_page, signed_in
from bench.corpus import write_ct_series
from bench.ohif import ServerWithOhif, first_image_ms, ohif_address
from bench.report import Report, median
from bench.scale import Run
from bench.server import BenchmarkError, Server
from bench.stow import bodies_of, file_of_own, store
from bench.volume_speed import measure_volume

FIRST_LIMIT_MS: Final = 500
WHOLE_LIMIT_MS: Final = 1000
BYTES_LIMIT: Final = 500_000
OHIF_LIMIT: Final = 4
WARM_LIMIT: Final = 30
COLD_LIMIT: Final = 10
SHARE_LIMIT_PERCENT: Final = 8
MEMORY_LIMIT_BYTES: Final = 1.5e9
LINK_BYTES_A_SECOND: Final = 10_000_000 / 8
_LINK_LATENCY_MS: Final = 20
_LINK_SLICES: Final = 8
_USEFUL_SIDE: Final = 128
"""Least rows and columns of a picture of 512 × 512 that one recognises anatomy in."""
_FILES_A_REQUEST: Final = 25
_CONNECTIONS: Final = 4

_ACTIVE: Final = 'document.querySelector("[data-viewer]").viewer.active'
_MARKS: Final = (
    """() => Object.fromEntries(performance.getEntriesByType("mark").map(({ name, startTime }) => [name, startTime]))"""
)
_DONE: Final = """() => performance.getEntriesByName("viewer:whole image").length > 0"""
_OPEN_SERIES: Final = """uid => document.querySelector("[data-viewer]").viewer.openSeries(uid)"""
_SCROLL: Final = f"""async () => {{
  const {{ stack }} = {_ACTIVE}
  const begin = performance.now()
  for (let index = 0; index < stack.frames.length; index += 1) {{
    await stack.go(index)
    await new Promise(requestAnimationFrame)
  }}
  return stack.frames.length / ((performance.now() - begin) / 1000)
}}"""
_FIRST_PICTURES: Final = f"""async count => {{
  const viewport = {_ACTIVE}
  const found = []
  const {{ length }} = viewport.stack.frames
  for (let number = 1; number <= count; number += 1) {{
    // Far from each other, so that none was fetched ahead.
    const index = Math.floor((number * (length - 1)) / count)
    const begin = performance.now()
    found.push(await new Promise((resolve) => {{
      let first = null
      const listen = () => {{
        const {{ image, frame, failure }} = viewport
        if (failure) {{ viewport.element.removeEventListener("viewer:image", listen); resolve(null) }}
        if (!image || frame !== viewport.stack.frames[index]) return
        first ??= {{ side: image.width, bytes: image.bytes, milliseconds: performance.now() - begin }}
        if (!image.isWhole) return
        viewport.element.removeEventListener("viewer:image", listen)
        resolve({{ ...first, whole: image.bytes, wholeMilliseconds: performance.now() - begin }})
      }}
      viewport.element.addEventListener("viewer:image", listen)
      viewport.stack.go(index)
    }}))
  }}
  return found.filter(Boolean)
}}"""


@dataclass(frozen=True)
class Opening:
    """What opening the viewer took.

    Attributes
    ----------
    first, whole : float
        Milliseconds from the start of the navigation until the first picture, and the whole first image, were drawn.
    bytes : int
        All that came over the wire before the first picture, of workers too.
    """

    first: float
    whole: float
    bytes: int


def run(setting: Run, report: Report) -> None:
    """Measure the viewer of one series, then of two in one tab."""
    if chromium() is None:
        report.skipped = "chromium is not installed (on Debian: apt-get install chromium)"
        print(f"  skipped: {report.skipped}")
        return
    paths = write_ct_series(setting.corpus / "ct", setting.scale.series_instances)
    report.note(f"a CT of {len(paths)} slices of 512 × 512; browser and server share the processors")
    with _server(setting, report) as server:
        datastore_id = server.datastore()
        study = generate_uid(prefix=None).ljust(60, "7")[:60]
        series = [f"{study}.{number}" for number in (1, 2)]
        for uid in series:
            files = [file_of_own(path, uid) for path in paths]
            store(server, datastore_id, bodies_of(files, _FILES_A_REQUEST), _CONNECTIONS, whole=True)
        address = f"/console/datastores/{datastore_id}/view?study={study}&series={series[0]}"
        with signed_in(server) as session:
            first = _opening(setting, report, server, session, address)
            if isinstance(server, ServerWithOhif):
                _beside_ohif(setting, report, server, session, ohif_address(datastore_id, study), first)
            _narrow_link(report, server, session, address)
            _scrolling(report, server, session, address, series[1])
            measure_volume(setting, report, server, session, address)


def _server(setting: Run, report: Report) -> Server:
    """Make a server with OHIF beside the viewer, where OHIF can be built; the small run does without."""
    data = setting.folder("viewer") / "data"
    if not setting.scale.quick:
        try:
            return ServerWithOhif(data)
        except BenchmarkError as error:
            report.note(str(error))
    return Server(data)


def _opening(setting: Run, report: Report, server: Server, session: tuple[Browser, Any], address: str) -> float:
    """Measure opening; gives the median of the first images, in milliseconds."""
    found = []
    for _ in range(setting.scale.page_visits):
        with new_page(server, *session) as page:
            found.append(open_viewer(page, address))
    report.figure("first recognisable image, p50", median([one.first for one in found]), "ms", FIRST_LIMIT_MS)
    report.figure("full first image, p50", median([one.whole for one in found]), "ms", WHOLE_LIMIT_MS)
    report.figure("bytes before the first image", max(one.bytes for one in found), "bytes", BYTES_LIMIT)
    report.details["openings"] = [(one.first, one.whole, one.bytes) for one in found]
    return median([one.first for one in found])


def _beside_ohif(
    setting: Run, report: Report, server: Server, session: tuple[Browser, Any], address: str, first: float
) -> None:
    times = []
    for _ in range(setting.scale.page_visits):
        with new_page(server, *session) as page:
            times.append(first_image_ms(page, address))
    report.figure("OHIF, first image, p50", median(times), "ms")
    report.figure("OHIF / viewer, first image", median(times) / first, "×", OHIF_LIMIT, at_most=False)


def open_viewer(page: Page, address: str) -> Opening:
    """Open the viewer with an empty cache, and wait for the whole first image."""
    requests: list[tuple[float, int]] = []
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.on(
        "Network.loadingFinished", lambda event: requests.append((event["timestamp"], event["encodedDataLength"]))
    )
    begun: list[float] = []
    session.on("Network.requestWillBeSent", lambda event: begun.append(event["timestamp"]))
    page.goto(address, wait_until="commit")
    page.wait_for_function(_DONE)
    marks = page.evaluate(_MARKS)
    page.wait_for_load_state("networkidle")
    session.detach()
    until = begun[0] + marks["viewer:first image"] / 1000
    of_page = sum(size for ended, size in requests if ended <= until)
    return Opening(marks["viewer:first image"], marks["viewer:whole image"], of_page + _worker_bytes(page))


def _worker_bytes(page: Page) -> int:
    """Return the bytes of the decoder, which its threads load: requests of a worker are not among those of the page."""
    names = ("viewer/decode_worker.js", "viewer/openjphjs.js", "viewer/openjphjs.wasm")
    prefix = page.evaluate(
        """() => document.querySelector('script[src*="/viewer/viewer.js"]').src.split("viewer/viewer.js")[0]"""
    )
    answers = [page.request.head(prefix + name, headers={"Accept-Encoding": "gzip"}) for name in names]
    return sum(int(answer.headers["content-length"]) for answer in answers)


def _narrow_link(report: Report, server: Server, session: tuple[Browser, Any], address: str) -> None:
    with new_page(server, *session) as page:
        open_viewer(page, address)
        with _throttled(page):
            pictures = page.evaluate(_FIRST_PICTURES, _LINK_SLICES)
    useful = [one for one in pictures if one["side"] >= _USEFUL_SIDE and one["bytes"] < one["whole"]]
    shares = [one["bytes"] / one["whole"] * 100 for one in useful]
    report.figure(
        f"10 Mbit/s, bytes of a slice until a picture of ≥ {_USEFUL_SIDE} rows, p50",
        median(shares) if shares else 100,
        "%",
        SHARE_LIMIT_PERCENT,
    )
    report.figure("10 Mbit/s, until that picture, p50", median([one["milliseconds"] for one in pictures]), "ms")
    report.figure("10 Mbit/s, until the whole slice, p50", median([one["wholeMilliseconds"] for one in pictures]), "ms")
    report.details["narrow link"] = pictures


@contextmanager
def _throttled(page: Page) -> Iterator[None]:
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    conditions = {"offline": False, "latency": _LINK_LATENCY_MS, "uploadThroughput": -1}
    session.send("Network.emulateNetworkConditions", {**conditions, "downloadThroughput": LINK_BYTES_A_SECOND})
    yield
    session.detach()


def _scrolling(report: Report, server: Server, session: tuple[Browser, Any], address: str, other: str) -> None:
    with new_page(server, *session) as page:
        open_viewer(page, address)
        report.figure("scrolling, not loaded before", page.evaluate(_SCROLL), "images/s", COLD_LIMIT, at_most=False)
        report.figure("scrolling again", page.evaluate(_SCROLL), "images/s", WARM_LIMIT, at_most=False)
        slices = page.evaluate(f"() => {_ACTIVE}.stack.frames.length")
        page.evaluate(_OPEN_SERIES, other)
        page.evaluate(_SCROLL)
        report.figure(
            f"memory of the tab, {2 * slices} slices scrolled", _tab_bytes(session[0]), "bytes", MEMORY_LIMIT_BYTES
        )


def _tab_bytes(browser: Browser) -> int:
    """Return the proportional memory of the largest process of a page."""
    session = browser.new_browser_cdp_session()
    processes = session.send("SystemInfo.getProcessInfo")["processInfo"]
    session.detach()
    return max(psutil.Process(one["id"]).memory_full_info().pss for one in processes if one["type"] == "renderer")
