"""GetImageSetMetadata of a large series: cold after a restart or with a new reader, and warm."""

from __future__ import annotations

import time

from bench.corpus import write_ct_series
from bench.report import Report, median, percentile
from bench.scale import Run
from bench.server import Server
from bench.signing import connect, post, signed_post
from hounsfield.imaging.imagesets.metadata_document import MetadataReader

WARM_LIMIT_MS = 25
COLD_LIMIT_MS = 150


def run(setting: Run, report: Report) -> None:
    """Measure reading the metadata document of a CT series."""
    count = setting.scale.series_instances
    folder = setting.folder("metadata-speed")
    server = Server(folder / "data")
    with server:
        server.put("series", write_ct_series(setting.corpus / "ct", count))
        datastore_id = server.datastore()
        server.import_prefix(datastore_id, "series")
        image_set_id = server.image_set(datastore_id)
    path = f"/datastore/{datastore_id}/imageSet/{image_set_id}/getImageSetMetadata"
    report.note(f"{count} instances of about 260 elements each; a restart empties our caches, not those of the kernel")
    first: list[float] = []
    warm: list[float] = []
    size = 0
    for _ in range(setting.scale.restarts):
        with server:
            connection = connect(server.url)
            request = signed_post(server, path)
            seconds, body = post(connection, request)
            first.append(seconds * 1000)
            size = len(body)
            warm.extend(post(connection, request)[0] * 1000 for _ in range(setting.scale.metadata_requests))
            connection.close()
    readings = _fresh_readers(server, datastore_id, image_set_id, setting.scale.restarts)
    report.figure("size of the answer, gzip", size / 1000, "kB")
    report.figure("warm, p50 over HTTP", median(warm), "ms", WARM_LIMIT_MS)
    report.figure("warm, p99 over HTTP", percentile(warm, 99), "ms")
    report.figure("cold, first request after a restart, p50 over HTTP", median(first), "ms", COLD_LIMIT_MS)
    report.figure("cold, first request after a restart, slowest", max(first), "ms")
    report.figure("cold, a new reader without HTTP, p50", median(readings), "ms", COLD_LIMIT_MS)
    report.details.update(cold_ms=first, new_reader_ms=readings, instances=count)


def _fresh_readers(server: Server, datastore_id: str, image_set_id: str, times: int) -> list[float]:
    image_store = server.image_store()
    readings = []
    for _ in range(times):
        reader = MetadataReader(image_store)
        begin = time.perf_counter()
        reader.read(datastore_id, image_set_id)
        readings.append((time.perf_counter() - begin) * 1000)
    image_store.database.close()
    return readings
