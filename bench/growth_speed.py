"""What happens as a store grows: reads, searches and writes of one and the same store at 1, 10 and 100 times its size.

    grow to 10,000 image sets (growth_corpus) ─▶ server ─▶ searches, reads, stores, imports, updates, one client ─▶ stop
    grow to 100,000                           ─▶ the same
    grow to 1,000,000                         ─▶ the same, and 100 × / 1 ×

Instances are ten times as many. The largest size takes some 25 GB of disk and half an hour for each database.
``BENCH_GROWTH`` names other sizes: ``BENCH_GROWTH=10000,100000``.
"""

from __future__ import annotations

import http.client
import os
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from bench.corpus import write_ct_series, write_tiny_series
from bench.databases import on_each_database
from bench.growth_corpus import SAMPLE_INSTANCES, GrowingStore, Sample, Sizes
from bench.processes import processor_seconds
from bench.qido_speed import LIMIT_MS as QIDO_LIMIT_MS
from bench.qido_speed import search, study_search_kinds
from bench.report import Report, median, percentile
from bench.scale import Run
from bench.search_speed import LIMIT_MS as SEARCH_LIMIT_MS
from bench.search_speed import ORDERS, Searcher, search_kinds
from bench.server import BenchmarkError, Server
from bench.signing import SignedRequest, connect, post, signed_post, signed_store
from bench.stow import STORED_KIND, bodies_of, file_of_own
from bench.update_speed import UpdatedSeries, Updates
from hounsfield.storage.identifiers import frame_id

SIZES = "BENCH_GROWTH"
_RESULTS = 25
_IMPORTED_FILES = 100
_NOT_THERE = frozenset({"isPrimary false"})
_WITHOUT_LIMIT = frozenset(
    {"createdAt within 365 days", "updatedAt within 365 days", "DICOMStudyDateAndTime within 365 days"}
)


@dataclass
class _Times:
    """What one kind of request took: milliseconds by the clock of each, and of the server's processors on average."""

    walls: list[float] = field(default_factory=list)
    processor: float = 0.0

    @property
    def p50(self) -> float:
        return median(self.walls)

    @property
    def p99(self) -> float:
        return percentile(self.walls, 99)


class _Measurement:
    """Times by the name of what was measured, at one size."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.times: dict[str, _Times] = {}

    def take(self, name: str, walls: Callable[[], Iterable[float]], per: int = 1) -> None:
        """Measure requests, which ``walls`` makes and times in seconds; ``per`` is what one of them has many of."""
        used = processor_seconds(self._server.pid)
        taken = [seconds * 1000 / per for seconds in walls()]
        used = processor_seconds(self._server.pid) - used
        self.times[name] = _Times(taken, used * 1000 / len(taken) / per)

    def of(self, group: str) -> dict[str, _Times]:
        """Return what was measured of a group, by the names without it."""
        return {name.removeprefix(group): times for name, times in self.times.items() if name.startswith(group)}


def run(setting: Run, report: Report) -> None:
    """Measure the embedded database, and PostgreSQL where the environment names an empty database."""
    on_each_database(setting, report, "growth", _measure)


def _measure(setting: Run, report: Report, server: Server, label: str) -> None:
    sizes = _sizes(setting)
    with server:
        server.put("templates", write_ct_series(setting.corpus / "growth", SAMPLE_INSTANCES))
        templates = server.datastore()
        server.import_prefix(templates, "templates")
        datastore_id = server.datastore()
    image_store = server.image_store()
    store = GrowingStore(image_store, templates, datastore_id, setting.scale.grown_samples)
    image_store.database.close()
    found: dict[int, _Measurement] = {}
    for size in sizes:
        image_store = server.image_store()
        began = time.perf_counter()
        grown = store.grow(image_store, size)
        image_store.database.close()
        name = f"{label}, {size} image sets"
        report.figure(f"{name}: written and indexed in", time.perf_counter() - began, "s")
        _report_sizes(report, name, grown)
        with server:
            found[size] = measure_size(setting, server, datastore_id, store)
        report_size(report, name, found[size], is_last=size == sizes[-1])
    _report_growth(report, label, found)


def _sizes(setting: Run) -> tuple[int, ...]:
    given = os.environ.get(SIZES)
    if setting.scale.quick or not given:
        return setting.scale.grown_image_sets
    return tuple(sorted(int(size) for size in given.split(",")))


def _report_sizes(report: Report, name: str, grown: Sizes) -> None:
    count, members = grown.rows["image_sets"], grown.rows["instances"]
    report.figure(f"{name}: instances", members, "")
    report.figure(f"{name}: database", grown.total / 1e6, "MB")
    report.figure(f"{name}: bytes of an image set with its instances", grown.total / count, "B")
    share = sum(grown.indexes.values()) / grown.total
    report.figure(f"{name}: share of the indexes without primary keys", share * 100, "%")
    for part in ("ix_instances", "ix_image_sets", "ix_series", "ix_studies", "ix_study_words"):
        size = sum(size for index, size in grown.indexes.items() if index.startswith(part))
        rows = members if part == "ix_instances" else count
        report.figure(f"{name}: {part}…, bytes of a row", size / rows, "B")
    report.details[f"{name}, sizes"] = {
        "rows": dict(grown.rows),
        "tables": dict(grown.tables),
        "indexes": dict(grown.indexes),
    }


def measure_size(setting: Run, server: Server, datastore_id: str, store: GrowingStore) -> _Measurement:
    """Measure everything once, with one client that waits for each answer."""
    measured = _Measurement(server)
    spread = store.spread()
    # What is updated is not searched for, here or when the store has grown: it is not where it was.
    samples, updated = spread[::2], spread[1::2]
    store.forget(updated)
    with closing(connect(server.url)) as connection:
        _searches(measured, server, datastore_id, samples)
        _study_searches(measured, server, connection, datastore_id, samples)
        _reads(measured, server, connection, datastore_id, samples)
        _writes(setting, measured, server, connection, datastore_id)
    _updates(measured, server, datastore_id, updated)
    return measured


def _searches(measured: _Measurement, server: Server, datastore_id: str, samples: Sequence[Sample]) -> None:
    searcher = Searcher(server, datastore_id, _RESULTS)
    kinds = {name: make for name, (make, _) in search_kinds().items() if name not in _NOT_THERE}
    for make in kinds.values():
        searcher.search(make(samples[0].series), ORDERS[0])

    def walls(make: Callable[..., object]) -> Iterable[float]:
        for number, sample in enumerate(samples):
            answer = searcher.search(make(sample.series), ORDERS[number % len(ORDERS)])  # type: ignore[arg-type]
            if not answer.entries:
                raise BenchmarkError("a search for what is there found nothing")
            yield answer.milliseconds / 1000

    for name, make in kinds.items():
        measured.take(f"search: {name}", lambda make=make: walls(make))  # type: ignore[misc]
    searcher.close()


def _study_searches(
    measured: _Measurement,
    server: Server,
    connection: http.client.HTTPConnection,
    datastore_id: str,
    samples: Sequence[Sample],
) -> None:
    for kind in study_search_kinds():
        search(server, connection, datastore_id, kind, samples[0].study, _RESULTS)
        measured.take(
            f"QIDO: {kind.name}",
            lambda kind=kind: [  # type: ignore[misc]
                search(server, connection, datastore_id, kind, sample.study, _RESULTS) for sample in samples
            ],
        )


def _reads(
    measured: _Measurement,
    server: Server,
    connection: http.client.HTTPConnection,
    datastore_id: str,
    samples: Sequence[Sample],
) -> None:
    """Read each document once, and then each frame once."""

    def path(sample: Sample) -> str:
        return f"/datastore/{datastore_id}/imageSet/{sample.series.id}"

    measured.take(
        "metadata document",
        lambda: [_seconds(connection, signed_post(server, f"{path(one)}/getImageSetMetadata")) for one in samples],
    )
    measured.take(
        "image frame",
        lambda: [
            _seconds(connection, signed_post(server, f"{path(one)}/getImageFrame", {"imageFrameId": frame_id(key, 0)}))
            for one in samples
            for key in one.keys
        ],
    )


def _writes(
    setting: Run, measured: _Measurement, server: Server, connection: http.client.HTTPConnection, datastore_id: str
) -> None:
    path = write_tiny_series(setting.corpus / "growth-tiny", 1)[0]
    files = [file_of_own(path, _uid(number)) for number in range(setting.scale.grown_samples)]
    bodies = bodies_of(files, 1)
    store = f"/datastore/{datastore_id}/studies"
    measured.take(
        "STOW of one instance",
        lambda: [_seconds(connection, signed_store(server, store, STORED_KIND, body)) for body in bodies],
    )
    prefixes = []
    for number in range(setting.scale.rounds):
        uid = _uid(1_000_000 + number)
        prefix = f"import-{uid}"
        folder = server.settings.data / "made" / prefix
        folder.mkdir(parents=True)
        server.put(
            prefix, [_written(folder / f"{at:03d}.dcm", file_of_own(path, uid)) for at in range(_IMPORTED_FILES)]
        )
        prefixes.append(prefix)
    measured.take(
        f"import of {_IMPORTED_FILES} instances of a series, each",
        lambda: [server.import_prefix(datastore_id, prefix).seconds for prefix in prefixes],
        per=_IMPORTED_FILES,
    )


def _updates(measured: _Measurement, server: Server, datastore_id: str, samples: Sequence[Sample]) -> None:
    series = [
        UpdatedSeries(f"/datastore/{datastore_id}/imageSet/{one.series.id}", one.study.series_uid(0), "")
        for one in samples
    ]
    measured.take(
        "update of a patient's name",
        lambda: [Updates(server, one, "patient").make() / 1000 for one in series],
    )


def _uid(number: int) -> str:
    """Return a series UID that no other round makes, in a study of its own."""
    return f"1.2.826.0.1.3680043.8.498.91.{time.time_ns() // 1_000_000}.{number}"


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def _seconds(connection: http.client.HTTPConnection, request: SignedRequest) -> float:
    return post(connection, request)[0]


def report_size(report: Report, name: str, measured: _Measurement, *, is_last: bool) -> None:
    """Report the figures of one size; limits are held against the last."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    report.note(f"{name}: measured with {_RESULTS} results; load {load}")
    for title, group, limit, free in (
        ("SearchImageSets", "search: ", SEARCH_LIMIT_MS, _WITHOUT_LIMIT),
        ("QIDO", "QIDO: ", QIDO_LIMIT_MS, frozenset({kind.name for kind in study_search_kinds() if not kind.limit})),
    ):
        times = {kind: one for kind, one in measured.of(group).items() if kind not in free}
        walls = [wall for one in times.values() for wall in one.walls]
        slowest = max(times, key=lambda kind: times[kind].p99)
        report.figure(f"{name}: {title}, all kinds, p50", median(walls), "ms")
        report.figure(f"{name}: {title}, all kinds, p99", percentile(walls, 99), "ms", limit if is_last else None)
        report.figure(f"{name}: {title}, the slowest kind, p99", times[slowest].p99, "ms", limit if is_last else None)
        report.figure(f"{name}: {title}, processor time", sum(t.processor for t in times.values()) / len(times), "ms")
        report.note(f"{name}: the slowest kind is {slowest}")
    for kind, one in measured.times.items():
        if not kind.startswith(("search: ", "QIDO: ")):
            report.figure(f"{name}: {kind}, p50", one.p50, "ms")
            report.figure(f"{name}: {kind}, p99", one.p99, "ms")
            report.figure(f"{name}: {kind}, processor time", one.processor, "ms")
    report.details[name] = {
        kind: {"p50": one.p50, "p99": one.p99, "processor": one.processor, "walls": one.walls}
        for kind, one in measured.times.items()
    }


def _report_growth(report: Report, label: str, found: dict[int, _Measurement]) -> None:
    first, last = (found[size] for size in (min(found), max(found)))
    factor = max(found) // min(found)
    for title, group in (("SearchImageSets", "search: "), ("QIDO", "QIDO: ")):
        ratios = {kind: one.p50 / first.of(group)[kind].p50 for kind, one in last.of(group).items()}
        report.figure(f"{label}: {title}, p50 at {factor} × / 1 ×, median of kinds", median(list(ratios.values())), "×")
        most = max(ratios, key=lambda kind: ratios[kind])
        report.figure(f"{label}: {title}, the kind that grew most", ratios[most], "×")
        report.note(f"{label}: {title}, the kind that grew most is {most}")
    for kind, one in last.times.items():
        if not kind.startswith(("search: ", "QIDO: ")):
            report.figure(f"{label}: {kind}, p50 at {factor} × / 1 ×", one.p50 / first.times[kind].p50, "×")
            if first.times[kind].processor:
                ratio = one.processor / first.times[kind].processor
                report.figure(f"{label}: {kind}, processor time at {factor} × / 1 ×", ratio, "×")
