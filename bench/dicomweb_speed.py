"""DICOMweb: storing a CT series one and many instances a request, against the codec alone, and the metadata of the series.

codec alone ─────────────────────────┐
STOW, 1 and 25 a request, 4 and 16 ──┴─ in turn ─▶ instances a second, processor time of the server for each
restart ─▶ metadata of the series, cold ─▶ warm
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from multiprocessing import get_context
from pathlib import Path

import orjson
from pydicom.uid import generate_uid

from bench import codec
from bench.corpus import write_ct_series
from bench.processes import processor_seconds
from bench.report import Report, median, percentile
from bench.scale import Run
from bench.server import Server
from bench.signing import connect, fetch, get, signed_get
from bench.stow import bodies_of, file_of_own, store

COLD_LIMIT_MS = 80
WARM_LIMIT_MS = 15
LEAST_STORED = 100
"""Instances a second: three times what Orthanc stores with its JPEG 2000 transcoding, one a request, as measured beside."""


def run(setting: Run, report: Report) -> None:
    """Measure storing, then reading the metadata of what was stored."""
    paths = write_ct_series(setting.corpus / "ct", setting.scale.series_instances)
    folder = setting.folder("dicomweb-speed")
    report.note(f"{len(paths)} CT files of 512 × 512; client and server share the processors of this machine")
    server = Server(folder / "data")
    with server:
        datastore_id = server.datastore()
        _codec_alone(report, codec.write_frames(folder / "frames.npy", len(paths)), len(paths))
        store(
            server, datastore_id, [file_of_own(path, generate_uid()) for path in paths[: 2 * (os.cpu_count() or 1)]], 2
        )
        for batch in (1, 25):
            for connections in (4, 16):
                series_uid = generate_uid()
                bodies = bodies_of([file_of_own(path, series_uid) for path in paths], batch)
                _stored(report, server, datastore_id, bodies, (len(paths), batch, connections))
        path = _series(server, datastore_id)
    _metadata(setting, report, server, path)


def _codec_alone(report: Report, frames: Path, count: int) -> None:
    processes = os.cpu_count() or 1
    bounds = [count * number // processes for number in range(processes + 1)]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        list(pool.map(codec.work, [frames] * processes, [0] * processes, [1] * processes))
        begin = time.perf_counter()
        spent = sum(pool.map(codec.work, [frames] * processes, bounds[:-1], bounds[1:]))
        wall = time.perf_counter() - begin
    report.figure("codec alone", count / wall, "instances/s")
    report.figure("codec alone, processor time", spent * 1000 / count, "ms/instance")


def _stored(
    report: Report, server: Server, datastore_id: str, bodies: Sequence[bytes], sizes: tuple[int, int, int]
) -> None:
    count, batch, connections = sizes
    spent = processor_seconds(server.pid)
    begin = time.perf_counter()
    store(server, datastore_id, bodies, connections, whole=True)
    wall = time.perf_counter() - begin
    name = f"STOW, {batch} a request, {connections} connections"
    limit = LEAST_STORED if batch == 1 else None
    report.figure(name, count / wall, "instances/s", limit, at_most=False)
    report.figure(f"{name}, processor time", (processor_seconds(server.pid) - spent) * 1000 / count, "ms/instance")


def _metadata(setting: Run, report: Report, server: Server, path: str) -> None:
    cold: list[float] = []
    warm: list[float] = []
    for _ in range(setting.scale.restarts):
        with server, closing(connect(server.url)) as connection:
            request = signed_get(server, path)
            cold.append(get(connection, request)[0] * 1000)
            warm += [get(connection, request)[0] * 1000 for _ in range(setting.scale.metadata_requests)]
    report.figure("metadata of the series, warm, p50", median(warm), "ms", WARM_LIMIT_MS)
    report.figure("metadata of the series, warm, p99", percentile(warm, 99), "ms")
    report.figure("metadata of the series, first request after a restart, p50", median(cold), "ms", COLD_LIMIT_MS)
    report.figure("metadata of the series, first request after a restart, slowest", max(cold), "ms")
    report.details.update(cold_ms=cold)


def _series(server: Server, datastore_id: str) -> str:
    """Return the path of the metadata of the largest series there is."""
    found = orjson.loads(fetch(server, signed_get(server, f"/datastore/{datastore_id}/series?limit=1000")))
    largest = max(found, key=lambda item: item["00201209"]["Value"][0])
    study, series = largest["0020000D"]["Value"][0], largest["0020000E"]["Value"][0]
    return f"/datastore/{datastore_id}/studies/{study}/series/{series}/metadata"
