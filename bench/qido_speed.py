"""DICOMweb searches over 100,000 studies of three series: every kind of key at every level, over HTTP.

qido_corpus ─▶ tables ─▶ server ─▶ signed requests over one connection
"""

from __future__ import annotations

import http.client
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

import orjson

from bench.databases import on_each_database
from bench.processes import processor_seconds
from bench.qido_corpus import Study, fill
from bench.report import Report, median, percentile
from bench.scale import Run
from bench.server import BenchmarkError, Server
from bench.signing import connect, get, signed_get
from hounsfield.imaging.search.dicom import MOST_RESULTS

LIMIT_MS = 30
_LIMITS = (25, 100, None)

Make = Callable[[Study], Mapping[str, str]]


@dataclass(frozen=True)
class Kind:
    """A kind of search: where, how it is made so that it finds a study, and its limit in milliseconds."""

    name: str
    path: str
    make: Make
    limit: float | None = LIMIT_MS


def run(setting: Run, report: Report) -> None:
    """Measure the embedded database, and PostgreSQL where the environment names an empty database."""
    on_each_database(setting, report, "qido-speed", _measure)


def _measure(setting: Run, report: Report, server: Server, label: str) -> None:
    with server:
        datastore_id = server.datastore()
    image_store = server.image_store()
    studies = fill(image_store, datastore_id, setting.scale.indexed_studies)
    image_store.database.close()
    chosen = random.Random(7).sample(studies, min(len(studies), setting.scale.study_searches))
    report.note(
        f"{label}: {setting.scale.indexed_studies} studies of 3 series, {len(chosen)} requests of a kind and limit"
    )
    with server:
        measure_kinds(report, label, server, datastore_id, chosen, study_search_kinds())


def measure_kinds(
    report: Report, label: str, server: Server, datastore_id: str, studies: Sequence[Study], kinds: Sequence[Kind]
) -> None:
    """Measure kinds of searches on a running server, each with every limit, for studies that it has.

    The first search of each kind, made before all others, is a figure of its own: what a new process has not read yet costs
    no more than that.
    """
    connection = connect(server.url)
    first = [search(server, connection, datastore_id, kind, studies[0], 25) * 1000 for kind in kinds]
    report.figure(f"{label}: first searches of each kind, slowest", max(first), "ms")
    for kind in kinds:
        for limit in _LIMITS:
            name = f"{label}: {kind.name}, {'default limit' if limit is None else f'{limit} results'}"
            used = processor_seconds(server.pid)
            times = [search(server, connection, datastore_id, kind, study, limit) * 1000 for study in studies]
            used = processor_seconds(server.pid) - used
            report.figure(f"{name}, p50", median(times), "ms")
            report.figure(f"{name}, p95", percentile(times, 95), "ms")
            report.figure(f"{name}, p99", percentile(times, 99), "ms", kind.limit)
            report.figure(f"{name}, slowest", max(times), "ms")
            report.figure(f"{name}, processor time", used * 1000 / len(times), "ms")
    connection.close()


def search(
    server: Server,
    connection: http.client.HTTPConnection,
    datastore_id: str,
    kind: Kind,
    study: Study,
    limit: int | None,
) -> float:
    """Search for what is there, and give the seconds."""
    path = f"/datastore/{datastore_id}/{kind.path.format(study=study.uid, series=study.series_uid(0))}"
    query = urlencode({**kind.make(study), **({} if limit is None else {"limit": limit})})
    seconds, body = get(connection, signed_get(server, f"{path}?{query}"))
    found = len(orjson.loads(body))
    if not 0 < found <= (limit or MOST_RESULTS):
        raise BenchmarkError(f"{kind.name}: a search for what is there found {found} results")
    return seconds


def study_search_kinds() -> list[Kind]:
    kinds = [Kind(f"{path}, no key", path, lambda _: {}) for path in ("studies", "series", "instances")]
    for path in ("studies", "series", "instances"):
        kinds += [Kind(f"{path}, {name}", path, make, limit) for name, make, limit in _STUDY_KEYS]
    kinds += [Kind(f"series, {name}", "series", make) for name, make in _SERIES_KEYS]
    kinds += [Kind(f"instances, {name}", "instances", make) for name, make in _INSTANCE_KEYS]
    kinds += [
        Kind("series of a study", "studies/{study}/series", lambda _: {}),
        Kind("instances of a study", "studies/{study}/instances", lambda _: {}),
        Kind("instances of a series", "studies/{study}/series/{series}/instances", lambda _: {}),
    ]
    return kinds


def _dates(study: Study, days: int) -> str:
    """Return a range that begins with the date of a study; months of 31 days will do."""
    date = str(study.values["StudyDate"])
    if days < 31:
        return date
    return f"{date[:6]}01-{date[:6]}31" if days < 365 else f"{date[:4]}0101-{date[:4]}1231"


_STUDY_KEYS: Sequence[tuple[str, Make, float | None]] = (
    ("PatientID", lambda study: {"PatientID": study.patient["PatientID"]}, LIMIT_MS),
    ("AccessionNumber", lambda study: {"AccessionNumber": study.values["AccessionNumber"]}, LIMIT_MS),
    ("StudyInstanceUID", lambda study: {"StudyInstanceUID": study.uid}, LIMIT_MS),
    ("PatientName", lambda study: {"PatientName": study.patient["PatientName"]}, LIMIT_MS),
    ("PatientName of four letters and *", lambda study: {"PatientName": f"{study.surname[:4]}*"}, LIMIT_MS),
    ("PatientName of one letter and *", lambda study: {"PatientName": f"{study.surname[:1]}*"}, LIMIT_MS),
    ("PatientID of six letters and *", lambda study: {"PatientID": f"{study.patient['PatientID'][:6]}*"}, LIMIT_MS),
    ("StudyDate, a day", lambda study: {"StudyDate": _dates(study, 1)}, LIMIT_MS),
    ("StudyDate, a month", lambda study: {"StudyDate": _dates(study, 31)}, LIMIT_MS),
    ("StudyDate, a year", lambda study: {"StudyDate": _dates(study, 365)}, LIMIT_MS),
    (
        "fuzzy surname",
        lambda study: {"PatientName": study.surname[:4], "fuzzymatching": "true"},
        LIMIT_MS,
    ),
    (
        "fuzzy given name",
        lambda study: {"PatientName": study.patient["PatientName"].partition("^")[2], "fuzzymatching": "true"},
        LIMIT_MS,
    ),
    ("ModalitiesInStudy", lambda study: {"ModalitiesInStudy": study.modalities[0]}, LIMIT_MS),
    (
        "a month and ModalitiesInStudy",
        lambda study: {"StudyDate": _dates(study, 31), "ModalitiesInStudy": study.modalities[0]},
        LIMIT_MS,
    ),
    ("PatientName with * first", lambda study: {"PatientName": f"*{study.surname[2:]}*"}, None),
)
_SERIES_KEYS: Sequence[tuple[str, Make]] = (
    ("SeriesInstanceUID", lambda study: {"SeriesInstanceUID": study.series_uid(1)}),
    ("Modality", lambda study: {"Modality": study.modalities[0]}),
    ("SeriesNumber", lambda _: {"SeriesNumber": "2"}),
    ("PerformedProcedureStepStartDate", lambda study: {"PerformedProcedureStepStartDate": study.values["StudyDate"]}),
)
_INSTANCE_KEYS: Sequence[tuple[str, Make]] = (
    ("SOPInstanceUID", lambda study: {"SOPInstanceUID": study.sop_uid(2)}),
    ("SOPClassUID of all", lambda _: {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"}),
)
