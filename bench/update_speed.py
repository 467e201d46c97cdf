"""UpdateImageSetMetadata of one attribute: the time until the image set is UPDATED, and what is written, of few and of many.

request ─▶ 200 LOCKED ─▶ GetImageSet again and again ─▶ ACTIVE, UPDATED
└──────────────────────── the time measured ────────────────────────┘
"""

from __future__ import annotations

import base64
import gzip
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import orjson

from bench.corpus import write_tiny_series
from bench.report import Report, median, percentile
from bench.scale import Run
from bench.server import BenchmarkError, Server
from bench.signing import connect, post, signed_post
from bench.written import Written, written_by

LIMIT_MS = 50
BYTES_LIMIT = 1.5
_SMALL_SHARE = 100
_WAIT_SECONDS = 60
LEVELS = ("patient", "series", "instance")


@dataclass(frozen=True)
class UpdatedSeries:
    """An image set, with what an edit has to name."""

    path: str
    series_uid: str
    sop_uid: str


def run(setting: Run, report: Report) -> None:
    """Measure updates of an attribute at each level."""
    instances = setting.scale.tiny_instances
    fewer = max(1, instances // _SMALL_SHARE)
    paths = write_tiny_series(setting.corpus / "tiny", instances + 1)
    with Server(setting.folder("update-speed") / "data") as server:
        server.put("small", paths[:fewer])
        server.put("large", paths[:instances])
        small, large = _imported(server, "small"), _imported(server, "large")
        report.note(
            f"from the request to the first GetImageSet that says UPDATED, asked without pause; {instances} instances"
        )
        for level in LEVELS:
            updates = Updates(server, large, level)
            updates.make()
            times = [updates.make() for _ in range(setting.scale.updates)]
            report.figure(f"one attribute of a {level}, p50", median(times), "ms", LIMIT_MS)
            report.figure(f"one attribute of a {level}, p99", percentile(times, 99), "ms", LIMIT_MS)
            report.details[level] = times
        for level in LEVELS:
            written = {name: _written(server, one, level) for name, one in (("small", small), ("large", large))}
            _bytes(report, level, written, fewer, instances)


def _imported(server: Server, prefix: str) -> UpdatedSeries:
    datastore_id = server.datastore()
    server.import_prefix(datastore_id, prefix)
    image_set_id = server.image_set(datastore_id)
    answer = server.client.get_image_set_metadata(datastoreId=datastore_id, imageSetId=image_set_id)
    document = orjson.loads(gzip.decompress(answer["imageSetMetadataBlob"].read()))
    series_uid, series = next(iter(document["Study"]["Series"].items()))
    return UpdatedSeries(
        f"/datastore/{datastore_id}/imageSet/{image_set_id}", series_uid, next(iter(series["Instances"]))
    )


class Updates:
    """Updates of one image set over one connection, a new value each."""

    def __init__(self, server: Server, series: UpdatedSeries, level: str) -> None:
        self._server = server
        self._series = series
        self._level = level
        self._values: Iterator[str] = (f"Value {number}" for number in count(1))
        self._connection = connect(server.url)

    def make(self) -> float:
        """Make one update; gives the milliseconds until it is there."""
        show = signed_post(self._server, f"{self._series.path}/getImageSet")
        version = orjson.loads(post(self._connection, show)[1])["versionId"]
        blob = base64.b64encode(orjson.dumps(self._attributes(next(self._values)))).decode()
        update = signed_post(
            self._server,
            f"{self._series.path}/updateImageSetMetadata?latestVersion={version}",
            {"DICOMUpdates": {"updatableAttributes": blob}},
        )
        begin = time.perf_counter()
        post(self._connection, update)
        while True:
            found = orjson.loads(post(self._connection, show)[1])
            if found["imageSetWorkflowStatus"] == "UPDATED" and found["versionId"] != version:
                return (time.perf_counter() - begin) * 1000
            if found["imageSetWorkflowStatus"] != "UPDATING" or time.perf_counter() - begin > _WAIT_SECONDS:
                raise BenchmarkError(f"the update ended as {found['imageSetWorkflowStatus']}: {found.get('message')}")

    def _attributes(self, value: str) -> dict[str, Any]:
        if self._level == "patient":
            return {"SchemaVersion": "1.1", "Patient": {"DICOM": {"PatientName": value}}}
        series: dict[str, Any] = {"DICOM": {"SeriesDescription": value}}
        if self._level == "instance":
            series = {"Instances": {self._series.sop_uid: {"DICOM": {"ImageComments": value}}}}
        return {"SchemaVersion": "1.1", "Study": {"Series": {self._series.series_uid: series}}}


def _written(server: Server, series: UpdatedSeries, level: str) -> Written:
    return written_by(server, Updates(server, series, level).make)[0]


def _bytes(report: Report, level: str, written: dict[str, Written], small: int, large: int) -> None:
    for name, number in (("small", small), ("large", large)):
        one = written[name]
        label = f"one attribute of a {level} of {number}"
        report.figure(f"{label}: packs", one.pack_bytes / 1000, "kB")
        report.figure(f"{label}: pages in the write-ahead log", one.log_bytes / 1000, "kB")
    ratio = written["large"].total / written["small"].total
    report.figure(f"one attribute of a {level}: bytes written, {large} / {small} instances", ratio, "×", BYTES_LIMIT)
    report.details[f"{level}, rows"] = {name: one.rows for name, one in written.items()}
