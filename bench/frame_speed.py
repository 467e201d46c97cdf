"""GetImageFrame against a bare route that gives the same bytes from memory, at 1, 16 and 64 connections.

wrk ─┬─▶ hounsfield   signature, look-up, read, decrypt
     └─▶ bare route   nothing                            in turn, several rounds, medians
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from bench.corpus import write_ct_series
from bench.load import Load, measure, write_requests, wrk
from bench.report import Report, median
from bench.scale import Run
from bench.server import ProcessOnPort, Server
from bench.signing import signed_post

LIMIT = 0.35
CONNECTIONS = (1, 16, 64)

Rounds = dict[int, dict[str, list[Load]]]


def run(setting: Run, report: Report) -> None:
    """Measure GetImageFrame with one API process, and for information with two."""
    if wrk() is None:
        report.skipped = "wrk is not installed (on Debian: apt-get install wrk)"
        print(f"  skipped: {report.skipped}")
        return
    folder = setting.folder("frame-speed")
    frames = folder / "frames"
    frames.mkdir()
    with Server(folder / "data") as server:
        server.put("series", write_ct_series(setting.corpus / "ct", setting.scale.load_frames))
        datastore_id = server.datastore()
        server.import_prefix(datastore_id, "series")
        image_set_id = server.image_set(datastore_id)
        identifiers = frame_ids(server.client, datastore_id, image_set_id)
        size = _save_frames(server.client, datastore_id, image_set_id, identifiers, frames)
    path = f"/datastore/{datastore_id}/imageSet/{image_set_id}/getImageFrame"
    report.note("wrk with one thread and the servers share the processors of this machine; rounds in turn, medians")
    report.figure(f"mean size of the {len(identifiers)} frames", size / 1000, "kB")
    for workers, rounds in ((1, setting.scale.load_rounds), (2, setting.scale.load_rounds // 2)):
        if rounds:
            measured = _measure(setting, folder, workers, rounds, path, identifiers)
            _figures(report, measured, workers)


def frame_ids(client: Any, datastore_id: str, image_set_id: str) -> list[str]:
    answer = client.get_image_set_metadata(datastoreId=datastore_id, imageSetId=image_set_id)
    document = orjson.loads(gzip.decompress(answer["imageSetMetadataBlob"].read()))
    return list(_ids_in(document))


def _ids_in(document: Any) -> Iterator[str]:
    for series in document["Study"]["Series"].values():
        for instance in series["Instances"].values():
            yield from (frame["ID"] for frame in instance["ImageFrames"])


def _save_frames(client: Any, datastore_id: str, image_set_id: str, identifiers: list[str], folder: Path) -> float:
    """Keep the answers for the bare route; gives their mean size in bytes."""
    size = 0
    for identifier in identifiers:
        answer = client.get_image_frame(
            datastoreId=datastore_id, imageSetId=image_set_id, imageFrameInformation={"imageFrameId": identifier}
        )
        size += (folder / identifier).write_bytes(answer["imageFrameBlob"].read())
    return size / len(identifiers)


def _measure(setting: Run, folder: Path, workers: int, rounds: int, path: str, identifiers: list[str]) -> Rounds:
    found: Rounds = {connections: {"ours": [], "bare": []} for connections in CONNECTIONS}
    bare = ProcessOnPort(
        ["-m", "bench.bare", "--workers", str(workers)],
        folder / "bare.log",
        {"BENCH_FRAMES": str((folder / "frames").absolute())},
    )
    requests = folder / "requests.txt"
    # Each frame is read and decrypted: the same few again and again would be kept in memory.
    with Server(folder / "data", api_workers=workers, frame_cache_bytes=0) as server, bare:
        servers = [("ours", server.url), ("bare", bare.url)]
        for number in range(rounds):
            write_requests(requests, [signed_post(server, path, {"imageFrameId": name}) for name in identifiers])
            if number == 0:
                for _, url in servers:
                    measure(url, requests, 16, 1)
            for connections in CONNECTIONS:
                for name, url in servers if number % 2 else reversed(servers):
                    found[connections][name].append(measure(url, requests, connections, setting.scale.load_seconds))
    return found


def _figures(report: Report, measured: Rounds, workers: int) -> None:
    for connections, both in measured.items():
        label = f"{workers} API process{'es' if workers > 1 else ''}, {connections} connections"
        for name, title in (("ours", "GetImageFrame"), ("bare", "bare route")):
            loads = both[name]
            report.figure(f"{label}: {title}", median([load.requests_per_second for load in loads]), "req/s")
            report.figure(f"{label}: {title} p50", median([load.p50 for load in loads]), "ms")
            report.figure(f"{label}: {title} p99", median([load.p99 for load in loads]), "ms")
        ratios = [
            ours.requests_per_second / bare.requests_per_second
            for ours, bare in zip(both["ours"], both["bare"], strict=True)
        ]
        limit = LIMIT if workers == 1 else None
        report.figure(f"{label}: GetImageFrame / bare route", median(ratios), "×", limit, at_most=False)
        report.details[label] = {"ratios": ratios}
