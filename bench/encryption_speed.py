"""What encryption at rest costs GetImageFrame: the server as it is, against the same server without its ciphers.

wrk ─┬─▶ hounsfield         packs sealed, database encrypted
     └─▶ bench.unsealed     the same way without ciphers        in turn, several rounds, medians of ratios
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bench.corpus import write_ct_series
from bench.frame_speed import frame_ids
from bench.load import Load, measure, write_requests, wrk
from bench.processes import processor_seconds
from bench.report import Report, median
from bench.scale import Run
from bench.server import ProcessOnPort, Server
from bench.signing import signed_post
from bench.unsealed import unseal

LIMIT = 0.85
CONNECTIONS = (1, 16)
_DECRYPTIONS = 200


def run(setting: Run, report: Report) -> None:
    """Measure the share of the throughput that is left with encryption; at most 15 % may be lost."""
    if wrk() is None:
        report.skipped = "wrk is not installed (on Debian: apt-get install wrk)"
        print(f"  skipped: {report.skipped}")
        return
    folder = setting.folder("encryption-speed")
    with Server(folder / "data") as server:
        server.put("series", write_ct_series(setting.corpus / "ct", setting.scale.load_frames))
        datastore_id = server.datastore()
        server.import_prefix(datastore_id, "series")
        image_set_id = server.image_set(datastore_id)
        identifiers = frame_ids(server.client, datastore_id, image_set_id)
        size = _size_of_a_frame(server.client, datastore_id, image_set_id, identifiers[0])
    unseal(folder / "data", folder / "unsealed")
    alone = _decryption_ms(size)
    report.figure(f"decrypting a frame of {size / 1000:.0f} kB alone, processor time", alone, "ms")
    path = f"/datastore/{datastore_id}/imageSet/{image_set_id}/getImageFrame"
    report.note("wrk with one thread and the servers share the processors of this machine; rounds in turn, medians")
    requests = folder / "requests.txt"
    found: dict[int, list[tuple[_Measured, _Measured]]] = {connections: [] for connections in CONNECTIONS}
    plain = ProcessOnPort(
        ["-m", "bench.unsealed", "--data", str(folder / "unsealed")],
        folder / "unsealed.log",
        {"HOUNSFIELD_LOG_LEVEL": "warning", "HOUNSFIELD_FRAME_CACHE_BYTES": "0"},
    )
    # Frames that are kept in memory are not decrypted.
    with Server(folder / "data", api_workers=1, frame_cache_bytes=0) as server, plain:
        for number in range(setting.scale.load_rounds):
            write_requests(requests, [signed_post(server, path, {"imageFrameId": name}) for name in identifiers])
            if number == 0:
                for one in (server, plain):
                    measure(one.url, requests, 16, 1)
            for connections in CONNECTIONS:
                both: list[ProcessOnPort] = [server, plain]
                measured = {
                    one.pid: _measured(one, requests, connections, setting.scale.load_seconds)
                    for one in (both if number % 2 else reversed(both))
                }
                found[connections].append((measured[server.pid], measured[plain.pid]))
    for connections, pairs in found.items():
        label = f"{connections} connection{'s' if connections > 1 else ''}"
        _figures(report, label, pairs)
        share = alone / median([sealed.processor_ms for sealed, _ in pairs])
        report.figure(f"{label}: decryption alone / processor time of a request", share, "×", 1 - LIMIT)


def _size_of_a_frame(client: Any, datastore_id: str, image_set_id: str, frame_id: str) -> int:
    answer = client.get_image_frame(
        datastoreId=datastore_id, imageSetId=image_set_id, imageFrameInformation={"imageFrameId": frame_id}
    )
    return len(answer["imageFrameBlob"].read())


def _decryption_ms(size: int) -> float:
    """Return the shortest processor time of decrypting so many bytes, in milliseconds."""
    cipher = AESGCM(bytes(32))
    sealed = cipher.encrypt(bytes(12), os.urandom(size), b"")
    times = []
    for _ in range(_DECRYPTIONS):
        begun = time.thread_time()
        cipher.decrypt(bytes(12), sealed, b"")
        times.append(time.thread_time() - begun)
    return 1000 * min(times)


@dataclass(frozen=True)
class _Measured:
    """Throughput, and the processor time of all processes of the server for one request, in milliseconds."""

    load: Load
    processor_ms: float


def _measured(server: ProcessOnPort, requests: Path, connections: int, seconds: float) -> _Measured:
    begun, started = processor_seconds(server.pid), time.monotonic()
    load = measure(server.url, requests, connections, seconds)
    used, lasted = processor_seconds(server.pid) - begun, time.monotonic() - started
    return _Measured(load, 1000 * used / max(1.0, load.requests_per_second * min(lasted, max(1, round(seconds)))))


def _figures(report: Report, label: str, pairs: Sequence[tuple[_Measured, _Measured]]) -> None:
    for title, both in zip(("encrypted", "without ciphers"), zip(*pairs, strict=True), strict=True):
        report.figure(f"{label}: {title}", median([one.load.requests_per_second for one in both]), "req/s")
        report.figure(f"{label}: {title}, processor time", median([one.processor_ms for one in both]), "ms")
    rates = [sealed.load.requests_per_second / without.load.requests_per_second for sealed, without in pairs]
    times = [without.processor_ms / sealed.processor_ms for sealed, without in pairs]
    # On a machine that others use as well the throughput tells more of them; processor time does not wait for anybody.
    report.figure(f"{label}: encrypted / without ciphers", median(rates), "×", LIMIT, at_most=False)
    report.figure(f"{label}: the same by processor time", median(times), "×", LIMIT, at_most=False)
    report.details[label] = {"ratios": rates, "ratios by processor time": times}
