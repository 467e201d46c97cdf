"""A series of 10,000 instances: its metadata document, read cold, and the update of the patient's name.

two import jobs, 5,000 files each ─▶ one image set ─▶ restart ─▶ GetImageSetMetadata ─▶ UpdateImageSetMetadata, again and again
"""

from __future__ import annotations

from contextlib import closing

from bench.corpus import write_tiny_series
from bench.processes import processor_seconds
from bench.report import Report, median, percentile
from bench.scale import Run
from bench.server import Server
from bench.signing import connect, post, signed_post
from bench.update_speed import UpdatedSeries, Updates

COLD_LIMIT_MS = 1000
UPDATE_LIMIT_MS = 60
_FILES_OF_A_JOB = 5_000


def run(setting: Run, report: Report) -> None:
    """Measure the metadata document and updates of a long series."""
    count = setting.scale.long_series_instances
    paths = write_tiny_series(setting.corpus / "long", count)
    server = Server(setting.folder("long-series") / "data")
    with server:
        datastore_id = server.datastore()
        for start in range(0, count, _FILES_OF_A_JOB):
            prefix = f"part-{start}"
            server.put(prefix, paths[start : start + _FILES_OF_A_JOB])
            job = server.import_prefix(datastore_id, prefix)
            report.figure(f"import of files {start + 1} to {min(start + _FILES_OF_A_JOB, count)}", job.seconds, "s")
        image_set_id = server.image_set(datastore_id)
    path = f"/datastore/{datastore_id}/imageSet/{image_set_id}"
    cold, used = [], []
    for _ in range(setting.scale.restarts):
        with server, closing(connect(server.url)) as connection:
            request = signed_post(server, f"{path}/getImageSetMetadata")
            before = processor_seconds(server.pid)
            seconds, body = post(connection, request)
            used.append((processor_seconds(server.pid) - before) * 1000)
            cold.append(seconds * 1000)
    report.note(f"{count} instances; a restart empties our caches, not those of the kernel")
    report.figure("metadata document, gzip", len(body) / 1000, "kB")
    report.figure("metadata document, first request after a restart, p50", median(cold), "ms", COLD_LIMIT_MS)
    report.figure("metadata document, processor time of the server", median(used), "ms")
    with server:
        updates = Updates(server, UpdatedSeries(path, "", ""), "patient")
        updates.make()
        before = processor_seconds(server.pid)
        times = [updates.make() for _ in range(setting.scale.updates)]
        spent = (processor_seconds(server.pid) - before) * 1000 / len(times)
    report.figure("update of the patient's name, p50", median(times), "ms", UPDATE_LIMIT_MS)
    report.figure("update of the patient's name, p99", percentile(times, 99), "ms")
    report.figure(
        "update of the patient's name, processor time, asking for the result without pause included", spent, "ms"
    )
    report.details.update(cold_ms=cold, cold_processor_ms=used, update_ms=times, instances=count)
