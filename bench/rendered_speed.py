"""Rendered frames and thumbnails of a CT series at 16 connections, made anew for every request and kept.

wrk ─▶ frame decoded, windowed, encoded as JPEG · thumbnail of a small resolution · the frame as it is stored, for comparison
"""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from bench.corpus import write_ct_series
from bench.load import Load, measure, write_requests, wrk
from bench.report import Report, median
from bench.scale import Run
from bench.server import Server
from bench.signing import fetch, signed_get

CONNECTIONS = 16
LIMIT = 570


@dataclass(frozen=True)
class _Kind:
    """What is asked for: its name, what follows the path of an instance, the media type, and a limit."""

    name: str
    suffix: str
    accept: str
    least: float | None = None


_STORED = _Kind("frame as stored", "/frames/1", "multipart/related; type=application/octet-stream; transfer-syntax=*")
_KINDS = (
    _Kind("rendered frame, JPEG", "/frames/1/rendered", "image/jpeg", LIMIT),
    _Kind("rendered frame, PNG", "/frames/1/rendered", "image/png"),
    _Kind("rendered at 256 × 256, JPEG", "/rendered?viewport=256%2C256", "image/jpeg"),
    _Kind("thumbnail", "/thumbnail", "image/jpeg"),
)


def run(setting: Run, report: Report) -> None:
    """Measure with two API processes: once with nothing kept, once with everything kept."""
    if wrk() is None:
        report.skipped = "wrk is not installed (on Debian: apt-get install wrk)"
        print(f"  skipped: {report.skipped}")
        return
    folder = setting.folder("rendered-speed")
    with Server(folder / "data") as server:
        server.put("series", write_ct_series(setting.corpus / "ct", setting.scale.load_frames))
        datastore_id = server.datastore()
        server.import_prefix(datastore_id, "series")
        instances = _instances(server, datastore_id)
    report.note(f"{len(instances)} frames of 512 × 512; wrk and two API processes share the processors of this machine")
    for kept, name in ((0, "made anew"), (1 << 30, "kept")):
        with Server(folder / "data", api_workers=2, rendered_cache_bytes=kept) as server:
            for kind in (*_KINDS, _STORED) if not kept else _KINDS[:1]:
                loads = _measure(setting, server, kind, [f"{path}{kind.suffix}" for path in instances])
                label = f"{kind.name}, {name}" if kind is not _STORED else kind.name
                rates = [load.requests_per_second for load in loads]
                report.figure(label, median(rates), "req/s", None if kept else kind.least, at_most=False)
                report.figure(f"{label}, p50", median([load.p50 for load in loads]), "ms")
                report.figure(f"{label}, p99", median([load.p99 for load in loads]), "ms")
                report.details[label] = {"requests_per_second": rates}


def _instances(server: Server, datastore_id: str) -> list[str]:
    """Return the paths of all instances."""
    root = f"/datastore/{datastore_id}"
    found = orjson.loads(fetch(server, signed_get(server, f"{root}/instances?limit=1000", "application/dicom+json")))
    tags = ("0020000D", "0020000E", "00080018")
    uids = [[item[tag]["Value"][0] for tag in tags] for item in found]
    return [f"{root}/studies/{study}/series/{series}/instances/{instance}" for study, series, instance in uids]


def _measure(setting: Run, server: Server, kind: _Kind, paths: list[str]) -> list[Load]:
    requests = setting.work / "rendered-requests.txt"
    write_requests(requests, [signed_get(server, path, kind.accept) for path in paths])
    # The first round makes the tables and reads what every picture of a version shares.
    measure(server.url, requests, CONNECTIONS, 2 * setting.scale.load_seconds)
    return [
        measure(server.url, requests, CONNECTIONS, setting.scale.load_seconds) for _ in range(setting.scale.load_rounds)
    ]
