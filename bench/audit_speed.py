"""What the audit trail costs: time a record, and GetImageFrame with data events against the same without.

event ─▶ record, line, file, fsync each second           µs of a thread
wrk ─┬─▶ hounsfield   data events recorded
     └─▶ hounsfield   data events left out               in turn, several rounds, medians of ratios
"""

from __future__ import annotations

import time
from pathlib import Path

from bench.corpus import write_ct_series
from bench.frame_speed import frame_ids
from bench.load import Load, measure, write_requests, wrk
from bench.report import Report, median
from bench.scale import Run
from bench.server import Server
from bench.signing import signed_post
from hounsfield.audit.chain_writer import ChainWriter
from hounsfield.audit.cloudtrail_record import RecordBuilder
from hounsfield.audit.events import AuditEvent, Category, Origin
from hounsfield.iam.principals import root_of

LIMIT = 0.9
MOST_MICROSECONDS = 40.0
CONNECTIONS = (1, 16)
BATCH = 150
"""Records written at once when 3,000 a second come and are gathered for 50 ms."""


def run(setting: Run, report: Report) -> None:
    """Measure one record, then the share of the throughput that is left with data events."""
    folder = setting.folder("audit-speed")
    _one_record(report, folder / "chain", 20 if setting.scale.quick else 200)
    if wrk() is None:
        report.skipped = "wrk is not installed (on Debian: apt-get install wrk)"
        print(f"  skipped: {report.skipped}")
        return
    with Server(folder / "data") as server:
        server.put("series", write_ct_series(setting.corpus / "ct", setting.scale.load_frames))
        datastore_id = server.datastore()
        server.import_prefix(datastore_id, "series")
        image_set_id = server.image_set(datastore_id)
        identifiers = frame_ids(server.client, datastore_id, image_set_id)
    path = f"/datastore/{datastore_id}/imageSet/{image_set_id}/getImageFrame"
    report.note("wrk with one thread and the servers share the processors of this machine; rounds in turn, medians")
    requests = folder / "requests.txt"
    found: dict[int, list[tuple[Load, Load]]] = {connections: [] for connections in CONNECTIONS}
    for number in range(setting.scale.load_rounds):
        loads: dict[bool, dict[int, Load]] = {}
        for with_events in (True, False) if number % 2 else (False, True):
            with Server(folder / "data", api_workers=1, audit_data_events=str(with_events).lower()) as server:
                write_requests(requests, [signed_post(server, path, {"imageFrameId": name}) for name in identifiers])
                measure(server.url, requests, 16, 1)
                loads[with_events] = {
                    connections: measure(server.url, requests, connections, setting.scale.load_seconds)
                    for connections in CONNECTIONS
                }
        for connections in CONNECTIONS:
            found[connections].append((loads[True][connections], loads[False][connections]))
    for connections, pairs in found.items():
        label = f"{connections} connection{'s' if connections > 1 else ''}"
        for title, side in zip(("data events recorded", "left out"), zip(*pairs, strict=True), strict=True):
            report.figure(f"{label}: {title}", median([load.requests_per_second for load in side]), "req/s")
        ratios = [events.requests_per_second / without.requests_per_second for events, without in pairs]
        report.figure(f"{label}: recorded / left out", median(ratios), "×", LIMIT, at_most=False)
        report.details[label] = {"ratios": ratios}


def _one_record(report: Report, folder: Path, batches: int) -> None:
    """Measure what the thread of the trail does, in batches as under load, with an fsync each second."""
    arn = "arn:aws:medical-imaging:us-east-1:000000000000:datastore/" + "0f" * 16
    event = AuditEvent(
        name="GetImageFrame",
        source="medical-imaging.amazonaws.com",
        time=time.time(),
        origin=Origin("127.0.0.1", "Boto3/1.43.11 md/Botocore#1.43.11 ua/2.1 os/linux lang/python#3.12", "localhost"),
        category=Category.DATA,
        read_only=True,
        principal=root_of("aws", "000000000000", "AKIA0000000000000000"),
        request_id="00000000-0000-4000-8000-000000000000",
        parameters={
            "datastoreId": "0f" * 16,
            "imageSetId": "0e" * 16,
            "imageFrameInformation": {"imageFrameId": "0d" * 16},
        },
        resources=[arn, f"{arn}/imageset/{'0e' * 16}"],
        additional={"bytesTransferredOut": 184_000},
    )
    maker = RecordBuilder("000000000000", "us-east-1")
    chain = ChainWriter(folder, bytes(32), "bench", file_bytes=2**30, file_seconds=3600)
    microseconds = []
    size = len(maker.record(event))
    for number in range(batches):
        begun = time.thread_time()
        chain.add([maker.record(event) for _ in range(BATCH)])
        chain.write()
        if number % 20 == 19:
            chain.sync()
        microseconds.append((time.thread_time() - begun) / BATCH * 1e6)
    chain.close()
    report.figure(
        f"a record of {size} bytes: made, sealed, written, processor time",
        median(microseconds),
        "µs",
        MOST_MICROSECONDS,
    )
