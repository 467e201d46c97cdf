"""GetImageFrame of slices that were stored one by one, while their packs are compacted and while they are not.

    STOW, one slice each ─▶ wrk: GetImageFrame ┬─ alone            in turn, several rounds, medians
                                               └─ beside a pass    the packs that are read go meanwhile

and what a pass costs and brings: bytes written for each byte stored, speed, packs, the time for the document of a series.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path

from bench.corpus import write_ct_series
from bench.frame_speed import frame_ids
from bench.load import Load, measure, write_requests, wrk
from bench.report import Report, median
from bench.scale import Run
from bench.server import BenchmarkError, Server
from bench.signing import signed_post
from bench.stow import store
from hounsfield.bootstrap.compaction import open_rewriting_process, read_times
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.imagesets.metadata_document import MetadataReader
from hounsfield.imaging.tiering.compaction import COMPACT, Compactor, schedule_compaction
from hounsfield.imaging.tiering.compaction_status import CompactionStatus, read_compaction_status

LIMIT = 1.5
_CONNECTIONS = 4
_READS = 5


@dataclass(frozen=True)
class _Pass:
    """A pass: how compaction stands after it, its wall time, and the processor time of its thread, in seconds."""

    status: CompactionStatus
    seconds: float
    processor: float


def run(setting: Run, report: Report) -> None:
    """Measure GetImageFrame beside compaction, and compaction itself."""
    if wrk() is None:
        report.skipped = "wrk is not installed (on Debian: apt-get install wrk)"
        print(f"  skipped: {report.skipped}")
        return
    folder = setting.folder("compaction-speed")
    files = [path.read_bytes() for path in write_ct_series(setting.corpus / "ct", setting.scale.load_frames)]
    requests = folder / "requests.txt"
    alone: list[Load] = []
    beside: list[Load] = []
    passes: list[_Pass] = []
    documents: dict[str, list[float]] = {"before": [], "after": []}
    settings = {"compaction_after_seconds": 0, "compaction_grace_seconds": 0, "frame_cache_bytes": 0}
    with Server(folder / "data", api_workers=1, **settings) as server:
        image_store = server.image_store()
        try:
            # The first round waits for the processes to start.
            for number in range(setting.scale.load_rounds + 1):
                datastore_id = server.datastore()
                store(server, datastore_id, files, _CONNECTIONS)
                image_set_id = server.image_set(datastore_id)
                path = f"/datastore/{datastore_id}/imageSet/{image_set_id}/getImageFrame"
                names = frame_ids(server.client, datastore_id, image_set_id)
                write_requests(requests, [signed_post(server, path, {"imageFrameId": name}) for name in names])
                documents["before"].append(_time_document(image_store, datastore_id, image_set_id))
                measure(server.url, requests, _CONNECTIONS, 1)
                if number % 2:
                    alone.append(_measure(server, requests, setting))
                compacting = _Compacting(server, image_store, datastore_id)
                compacting.start()
                beside.append(_measure(server, requests, setting))
                passes.append(compacting.ended())
                if not number % 2:
                    alone.append(_measure(server, requests, setting))
                documents["after"].append(_time_document(image_store, datastore_id, image_set_id))
        finally:
            image_store.database.close()
    _figures(report, alone[1:], beside[1:], passes[1:])
    for when, times in documents.items():
        report.figure(f"document of a series of {len(files)} slices, {when}", median(times), "ms")


def _measure(server: Server, requests: Path, setting: Run) -> Load:
    return measure(server.url, requests, _CONNECTIONS, setting.scale.load_seconds)


def _time_document(image_store: ImageStore, datastore_id: str, image_set_id: str) -> float:
    """Return the milliseconds that the document of an image set takes a reader that has kept nothing."""
    times = []
    for _ in range(_READS):
        began = time.perf_counter()
        MetadataReader(image_store).read(datastore_id, image_set_id)
        times.append((time.perf_counter() - began) * 1000)
    return median(times)


class _Compacting(threading.Thread):
    """A pass over all data stores, at the rate that is the default."""

    def __init__(self, server: Server, image_store: ImageStore, datastore_id: str) -> None:
        super().__init__(daemon=True)
        self._settings, self._image_store, self._datastore_id = server.settings, image_store, datastore_id
        self._pass: _Pass | None = None

    def run(self) -> None:
        stop = threading.Event()
        queue = self._image_store.queue
        schedule_compaction(self._image_store)
        while (item := queue.take(COMPACT, "bench")) is None:
            time.sleep(0.05)
        writer = open_rewriting_process(self._settings, self._image_store, stop)
        began, before = time.perf_counter(), time.thread_time()
        try:
            with queue.renewed(item):
                Compactor(self._image_store, read_times(self._settings), writer.write, stop).run_pass(
                    item, at_once=True
                )
            seconds, spent = time.perf_counter() - began, time.thread_time() - before
        finally:
            writer.close()
            queue.release_lease(item, 300.0, failed=False)
        (status,) = (one for one in read_compaction_status(self._image_store) if one.datastore_id == self._datastore_id)
        self._pass = _Pass(status, seconds, spent)

    def ended(self) -> _Pass:
        """Wait for the end, and return how the pass was."""
        self.join()
        if self._pass is None:
            raise BenchmarkError("a pass of compaction did not come to its end")
        return self._pass


def _figures(report: Report, alone: list[Load], beside: list[Load], passes: list[_Pass]) -> None:
    report.note("one API process, wrk and compaction share the processors of this machine; rounds in turn, medians")
    for title, loads in (("alone", alone), ("beside compaction", beside)):
        report.figure(f"GetImageFrame {title}", median([load.requests_per_second for load in loads]), "req/s")
        report.figure(f"GetImageFrame {title}, p50", median([load.p50 for load in loads]), "ms")
        report.figure(f"GetImageFrame {title}, p99", median([load.p99 for load in loads]), "ms")
    ratios = [with_it.p99 / without.p99 for with_it, without in zip(beside, alone, strict=True)]
    report.figure("GetImageFrame p99 beside compaction / alone", median(ratios), "×", LIMIT)
    statuses = [one.status for one in passes]
    report.figure("packs before", median([one.packs_rewritten for one in statuses]), "")
    report.figure("packs after", median([one.packs_written for one in statuses]), "")
    written = [one.bytes_written / one.bytes_taken_in for one in statuses]
    report.figure("bytes written by compaction / bytes stored", median(written), "×")
    rates = [one.status.bytes_written / one.seconds / 1e6 for one in passes]
    report.figure("compaction, at its default rate", median(rates), "MB/s")
    report.figure(
        "compaction, processor time of a MB, without the process that writes",
        median([one.processor / one.status.bytes_written * 1e9 for one in passes]),
        "ms",
    )
    report.details.update(ratios=ratios, seconds=[one.seconds for one in passes])
