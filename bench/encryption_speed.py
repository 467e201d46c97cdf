"""What encryption at rest costs GetImageFrame: the server as it is, against the same server without its ciphers.

wrk ─┬─▶ hounsfield         packs sealed, database encrypted
     └─▶ bench.unsealed     the same way without ciphers        in turn, several rounds, medians of ratios
"""

from __future__ import annotations

from bench.corpus import write_ct_series
from bench.frame_speed import frame_ids
from bench.load import Load, measure, write_requests, wrk
from bench.report import Report, median
from bench.scale import Run
from bench.server import ProcessOnPort, Server
from bench.signing import signed_post
from bench.unsealed import unseal

LIMIT = 0.85
CONNECTIONS = (1, 16)


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
    unseal(folder / "data", folder / "unsealed")
    path = f"/datastore/{datastore_id}/imageSet/{image_set_id}/getImageFrame"
    report.note("wrk with one thread and the servers share the processors of this machine; rounds in turn, medians")
    requests = folder / "requests.txt"
    found: dict[int, list[tuple[Load, Load]]] = {connections: [] for connections in CONNECTIONS}
    plain = ProcessOnPort(
        ["-m", "bench.unsealed", "--data", str(folder / "unsealed")],
        folder / "unsealed.log",
        {"HOUNSFIELD_LOG_LEVEL": "warning"},
    )
    with Server(folder / "data", api_workers=1) as server, plain:
        for number in range(setting.scale.load_rounds):
            write_requests(requests, [signed_post(server, path, {"imageFrameId": name}) for name in identifiers])
            if number == 0:
                for url in (server.url, plain.url):
                    measure(url, requests, 16, 1)
            for connections in CONNECTIONS:
                urls = [server.url, plain.url]
                loads = {
                    url: measure(url, requests, connections, setting.scale.load_seconds)
                    for url in (urls if number % 2 else reversed(urls))
                }
                found[connections].append((loads[server.url], loads[plain.url]))
    for connections, pairs in found.items():
        label = f"{connections} connection{'s' if connections > 1 else ''}"
        for title, loads in zip(("encrypted", "without ciphers"), zip(*pairs, strict=True), strict=True):
            report.figure(f"{label}: {title}", median([load.requests_per_second for load in loads]), "req/s")
        ratios = [sealed.requests_per_second / without.requests_per_second for sealed, without in pairs]
        report.figure(f"{label}: encrypted / without ciphers", median(ratios), "×", LIMIT, at_most=False)
        report.details[label] = {"ratios": ratios}
