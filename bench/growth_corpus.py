"""A store that grows: studies, series and instances written straight into the tables; the same at every run but for ids.

    one imported CT series ─▶ templates: levels, and the records of some instances
    studies (qido_corpus)  ─▶ image sets, versions, instances, frame runs, studies, words ─▶ tables without indexes ─▶ indexes
                          └─▶ one study of many is a sample: its records are sealed into packs, so that it can be read

A study has one series. How many instances that has goes by the modality, ten on average. All rows are made by the functions of
the imports; pixel data is that of the templates. What is not a sample names packs that are not there, and is never read.
"""

from __future__ import annotations

import random
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from functools import cache
from itertools import islice
from types import SimpleNamespace
from typing import Any, Final

import psutil
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    delete,
    func,
    select,
    text,
)

from bench.databases import gather_statistics
from bench.qido_corpus import Study, patient_values, surname_of
from bench.search_corpus import COMMON_STUDY_ID, DAY_MS, Series, version_row
from bench.server import BenchmarkError
from hounsfield.dicom.healthimaging.document import Levels
from hounsfield.imaging.datastores import fetch_key, get_datastore
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.instance_columns import read_columns
from hounsfield.imaging.levels import IndexEntry, index_entry, open_levels
from hounsfield.imaging.staged_instance import PixelKind
from hounsfield.imaging.states import ImageSetState, StorageTier
from hounsfield.imaging.study_rows import INDEX_VERSION, study_row, word_rows
from hounsfield.storage.blobs.packs import Extent, Label, PackWriter, RecordKind, read_records
from hounsfield.storage.clock import now_ms
from hounsfield.storage.db.image_set_tables import frame_runs, image_set_versions, image_sets, instances
from hounsfield.storage.db.study_tables import studies, study_words

SAMPLE_INSTANCES: Final = 10
"""Instances of a sample, and templates that they are made of."""
_ROOT: Final = "1.2.826.0.1.3680043.8.498.9"
_FIRST_MS: Final = 1_667_300_000_000
"""When the first study was stored (November 2022)."""
_STEP_MS: Final = 126_000
"""A study every two minutes: a million in four years."""
_STUDIES_AT_ONCE: Final = 5_000
_SLICES: Final = 20
_CACHE_SHARE: Final = 8
_TABLES: Final = (image_sets, image_set_versions, instances, frame_runs, studies, study_words)
_MOST_INSTANCES: Final = 1_000
_GROWING: Final = Table(
    "growing",
    MetaData(),
    Column("id", String(32)),
    Column("number", BigInteger),
    Column("instance_count", Integer),
    Column("sop_class", Text),
    Column("pack_id", String(32)),
    prefixes=["TEMPORARY"],
)
_ORDINALS: Final = Table(
    "ordinals", MetaData(), Column("ordinal", BigInteger, primary_key=True), prefixes=["TEMPORARY"]
)
_NUMBER: Final = f"((number * {_MOST_INSTANCES} + ordinal + 1) * 2654435761) & 4294967295"
_KEYS: Final = {
    "sqlite": f"printf('%08x', {_NUMBER}) || substr(id, 1, 16)",
    "postgresql": f"lpad(to_hex({_NUMBER}), 8, '0') || substr(id, 1, 16)",
}
"""Keys of instances that are as far from each other as random ones."""
_EXAMINATIONS: Final = (
    # Modality, description, SOP class, instances on average, how common.
    ("CR", "Chest PA and lateral", "1.2.840.10008.5.1.4.1.1.1", 2, 25),
    ("DX", "Hip right, two views", "1.2.840.10008.5.1.4.1.1.1.1", 2, 20),
    ("US", "Ultrasound abdomen", "1.2.840.10008.5.1.4.1.1.6.1", 8, 15),
    ("CT", "CT thorax and abdomen, portal venous phase", "1.2.840.10008.5.1.4.1.1.2", 25, 20),
    ("MR", "MR brain, tumour follow-up", "1.2.840.10008.5.1.4.1.1.4", 18, 12),
    ("MG", "Screening mammography, both sides", "1.2.840.10008.5.1.4.1.1.1.2", 4, 5),
    ("PT", "PET/CT whole body FDG", "1.2.840.10008.5.1.4.1.1.128", 30, 3),
)
_ENTRY: Final = tuple(field.name for field in fields(IndexEntry))
_COMMON: Final = tuple(examination[-1] for examination in _EXAMINATIONS)


@dataclass(frozen=True)
class GrownStudy(Study):
    """A study of one series."""

    def series_uid(self, ordinal: int) -> str:  # noqa: ARG002 - there is one
        """Return the UID of the series."""
        return f"{_ROOT}.4.{self.number}"

    def sop_uid(self, ordinal: int) -> str:  # noqa: ARG002 - every series has the first
        """Return the UID of the first instance."""
        return f"{_ROOT}.5.{self.number}.0"


@dataclass(frozen=True)
class Sample:
    """A study that can be read: as each kind of search knows it, and the first parts of the ids of its frames."""

    study: GrownStudy
    series: Series
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Sizes:
    """Rows of each table, and bytes of each table with its primary key and of each index."""

    rows: Mapping[str, int]
    tables: Mapping[str, int]
    indexes: Mapping[str, int]

    @property
    def total(self) -> int:
        """Bytes of all."""
        return sum(self.tables.values()) + sum(self.indexes.values())


@dataclass(frozen=True)
class _Template:
    sop_uid: str
    key: str
    columns: Mapping[str, Any]
    records: Mapping[RecordKind, bytes]


class GrowingStore:
    """A data store that is filled in steps, while no server runs.

    Parameters
    ----------
    image_store : ImageStore
        Where it is.
    template_datastore_id, datastore_id : str
        A data store with one imported series, and the one to fill.
    samples : int
        How many studies are samples, whatever the size.
    """

    def __init__(self, image_store: ImageStore, template_datastore_id: str, datastore_id: str, samples: int) -> None:
        self._levels, self._templates = _read_templates(image_store, template_datastore_id)
        self._key = fetch_key(image_store, get_datastore(image_store, datastore_id))
        self._datastore_id = datastore_id
        self._wanted = samples
        self._every = 1
        self._studies = _studies()
        self._chance = random.Random(20261130)
        self.count = 0
        self.samples: list[Sample] = []

    def spread(self) -> list[Sample]:
        """Return as many samples as were asked for, spread over all studies."""
        return [sample for sample in self.samples if sample.study.number % self._every == 0]

    def forget(self, samples: Sequence[Sample]) -> None:
        """Take samples out that are no longer what they were."""
        gone = {sample.study.number for sample in samples}
        self.samples = [sample for sample in self.samples if sample.study.number not in gone]

    def grow(self, image_store: ImageStore, count: int) -> Sizes:
        """Write studies until there are so many, with the indexes made anew at the end, as a database does it fastest."""
        indexes = sorted((index for table in _TABLES for index in table.indexes), key=lambda index: str(index.name))
        database = image_store.database
        self._every = max(1, count // self._wanted)
        with database.write() as connection:
            _prepare(connection)
            for index in indexes:
                index.drop(connection)
        while self.count < count:
            with database.write() as connection:
                _prepare(connection)
                _make_temporary(connection)
                # Keys are random: few large transactions write each page of their indexes a few times only.
                for _ in range(_SLICES):
                    some = list(islice(self._studies, min(_STUDIES_AT_ONCE, count - self.count)))
                    if some:
                        self._write(image_store, connection, some)
                        self.count += len(some)
                self._write_instances(connection)
        sizes = _measured(image_store, indexes)
        gather_statistics(database)
        return sizes

    def _write(self, image_store: ImageStore, connection: Connection, some: Sequence[tuple[GrownStudy, int]]) -> None:
        series = [self._series(study) for study, _ in some]
        rows = []
        named: list[dict[str, Any]] = []
        for one, (study, count) in zip(series, some, strict=True):
            if study.number % self._every:
                rows.append(self._image_set_row(one, count))
                named.append(_named(study, one, count))
            else:
                rows.append(self._image_set_row(one, SAMPLE_INSTANCES))
        _insert(connection, image_sets, rows)
        _insert(connection, image_set_versions, (version_row(self._key, one) for one in series))
        for one, (study, _) in zip(series, some, strict=True):
            if study.number % self._every == 0:
                members, runs = self._stored(image_store, study, one)
                _insert(connection, instances, members)
                _insert(connection, frame_runs, runs)
                self.samples.append(Sample(study, one, tuple(row["key"] for row in members)))
        _insert(connection, _GROWING, named)
        found = [study_row(self._datastore_id, [SimpleNamespace(**row)]) for row in rows]
        _insert(connection, studies, found)
        _insert(connection, study_words, [word for row in found for word in word_rows(row)])

    def _write_instances(self, connection: Connection) -> None:
        """Make the instances of all series that are never read, in the database: this is most of all rows."""
        dialect = connection.dialect.name
        values = self._templates[0].columns
        offset = f"ordinal * {values['fragment_length'] + values['dataset_length'] + values['pixel_bytes']}"
        columns = {
            **{name: f":{name}" for name, value in {**values, **_instance_columns(1)}.items() if value is not None},
            "key": _KEYS[dialect],
            "source_key": _KEYS[dialect],
            "image_set_id": "id",
            "datastore_id": ":datastore",
            "sop_uid": f"'{_ROOT}.5.' || number || '.' || ordinal",
            "sop_class_uid": "sop_class",
            "fragment_pack_id": "pack_id",
            "fragment_offset": offset,
            "dataset_pack_id": "pack_id",
            "dataset_offset": f"{offset} + {values['fragment_length']}",
            "instance_number": "CAST(ordinal + 1 AS TEXT)",
            "instance_order": "ordinal + 1",
        }
        runs = {
            "source_key": _KEYS[dialect],
            "first_ordinal": "0",
            "pack_id": "pack_id",
            "first_offset": f"{offset} + {values['fragment_length'] + values['dataset_length']}",
            "lengths": ":lengths",
        }
        parameters = {
            **values,
            **_instance_columns(1),
            "datastore": self._datastore_id,
            "lengths": array("I", [values["pixel_bytes"]]).tobytes(),
        }
        for table, given in ((instances, columns), (frame_runs, runs)):
            connection.execute(
                text(
                    f"INSERT INTO {table.name} ({', '.join(given)}) SELECT {', '.join(given.values())}"
                    f" FROM {_GROWING.name} JOIN {_ORDINALS.name} ON ordinal < instance_count"
                ),
                {name: value for name, value in parameters.items() if f":{name}" in given.values()},
            )
        connection.execute(delete(_GROWING))

    def _series(self, study: GrownStudy) -> Series:
        own = {
            "BodyPartExamined": ("HEAD", "CHEST", "ABDOMEN", "KNEE", "")[study.number % 5],
            "Modality": study.modalities[0],
            "SeriesDescription": f"Series of {study.modalities[0]}",
            "SeriesInstanceUID": study.series_uid(0),
            "SeriesNumber": str(study.number % 7 + 1),
        }
        levels = Levels(
            {**self._levels.patient, **study.patient},
            {**self._levels.study, **study.values},
            {**self._levels.series, **own},
        )
        return Series(
            id=f"{self._chance.getrandbits(128):032x}",
            levels=levels,
            is_primary=True,
            created_at=_FIRST_MS + study.number * _STEP_MS,
            updated_at=study.updated_at,
        )

    def _image_set_row(self, series: Series, count: int) -> dict[str, Any]:
        entry = index_entry(series.levels)
        return {
            **{name: getattr(entry, name) for name in _ENTRY},
            "id": series.id,
            "datastore_id": self._datastore_id,
            "is_primary": True,
            "state": ImageSetState.ACTIVE.value,
            "latest_version": 1,
            "created_at": series.created_at,
            "updated_at": series.updated_at,
            # None is to be archived meanwhile.
            "last_accessed_at": now_ms(),
            "storage_tier": StorageTier.FREQUENT_ACCESS.value,
            "instance_count": count,
            "frame_count": count,
            "stored_bytes": count * 200_000,
            "performed_date": entry.study_date,
            "performed_time": entry.study_time,
            "timezone_offset": "",
            "index_version": INDEX_VERSION,
        }

    def _stored(
        self, image_store: ImageStore, study: GrownStudy, series: Series
    ) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Write the records of a sample into a pack, and make the rows of its instances and of their frames."""
        members, runs = [], []
        writer = PackWriter(image_store.blobs, self._key)
        try:
            for number, template in enumerate(self._templates):
                key = f"{self._chance.getrandbits(96):024x}"
                sop_uid = f"{_ROOT}.5.{study.number}.{number}"
                own = {
                    kind: data.replace(template.key.encode(), key.encode()).replace(
                        template.sop_uid.encode(), sop_uid.encode()
                    )
                    if kind is RecordKind.FRAGMENT
                    else data
                    for kind, data in template.records.items()
                }
                at = {kind: writer.add(Label(kind, key), data) for kind, data in own.items()}
                fragment, dataset = at[RecordKind.FRAGMENT], at[RecordKind.DATASET]
                row = {
                    **template.columns,
                    **_instance_columns(number + 1),
                    "key": key,
                    "source_key": key,
                    "image_set_id": series.id,
                    "datastore_id": self._datastore_id,
                    "sop_uid": sop_uid,
                    "fragment_pack_id": fragment.pack_id,
                    "fragment_offset": fragment.offset,
                    "fragment_length": fragment.length,
                    "fragment_bytes": len(own[RecordKind.FRAGMENT]),
                    "dataset_pack_id": dataset.pack_id,
                    "dataset_offset": dataset.offset,
                    "dataset_length": dataset.length,
                }
                members.append(row)
                runs.append(_run(key, at[RecordKind.FRAME]))
            writer.close()
        finally:
            writer.abort()
        return members, runs


def _studies() -> Iterator[tuple[GrownStudy, int]]:
    """Make studies without end, in the order of their import, and how many instances each has."""
    chance = random.Random(20240301)
    number = 0
    while True:
        created = _FIRST_MS + number * _STEP_MS
        age_days = chance.uniform(0, 2) if chance.random() < 0.6 else chance.uniform(30, 3650)
        moment = datetime.fromtimestamp((created - age_days * DAY_MS) / 1000, UTC)
        (examination,) = chance.choices(_EXAMINATIONS, _COMMON)
        modality, description, _, mean, _ = examination
        # Patients come again, some often.
        patient = int((1 + number // 4) * chance.random() ** 1.5)
        changed = 0 if chance.random() < 0.8 else int(chance.expovariate(1 / (30 * DAY_MS)))
        study = GrownStudy(
            number=number,
            uid=f"{_ROOT}.3.{number}",
            updated_at=created + changed,
            patient=patient_values(patient),
            values={
                "AccessionNumber": f"ACC{number:09d}" if chance.random() < 0.97 else "",
                "ReferringPhysicianName": f"{surname_of(random.Random(number % 300))}^Doc",
                "StudyDate": f"{moment:%Y%m%d}",
                "StudyDescription": description,
                "StudyID": COMMON_STUDY_ID if number % 2 else f"S{number:07d}",
                "StudyInstanceUID": f"{_ROOT}.3.{number}",
                "StudyTime": f"{moment:%H%M%S}",
            },
            modalities=(modality,),
        )
        yield study, min(_MOST_INSTANCES, max(1, round(chance.expovariate(1 / mean))))
        number += 1


def _named(study: GrownStudy, series: Series, count: int) -> dict[str, Any]:
    """Return the row of a series that is never read, of which the database makes the rows of its instances."""
    sop_class = next(one[2] for one in _EXAMINATIONS if one[0] == study.modalities[0])
    pack_id = f"{random.Random(study.number).getrandbits(128):032x}"
    return {
        "id": series.id,
        "number": study.number,
        "instance_count": count,
        "sop_class": sop_class,
        "pack_id": pack_id,
    }


@cache
def _instance_columns(number: int) -> Mapping[str, Any]:
    return asdict(read_columns({"InstanceNumber": str(number), "Rows": 512, "Columns": 512, "BitsAllocated": 16}))


def _run(key: str, frame: Extent) -> dict[str, Any]:
    lengths = array("I", [frame.length]).tobytes()
    return {
        "source_key": key,
        "first_ordinal": 0,
        "pack_id": frame.pack_id,
        "first_offset": frame.offset,
        "lengths": lengths,
    }


def _read_templates(image_store: ImageStore, datastore_id: str) -> tuple[Levels, list[_Template]]:
    key = fetch_key(image_store, get_datastore(image_store, datastore_id))
    joined = instances.join(frame_runs, frame_runs.c.source_key == instances.c.source_key)
    with image_store.database.read() as connection:
        version = connection.execute(
            select(image_set_versions)
            .join(image_sets, image_sets.c.id == image_set_versions.c.image_set_id)
            .where(image_sets.c.datastore_id == datastore_id)
        ).one()
        rows = connection.execute(
            select(instances, frame_runs.c.pack_id, frame_runs.c.first_offset, frame_runs.c.lengths)
            .select_from(joined)
            .where(instances.c.datastore_id == datastore_id)
            .order_by(instances.c.instance_order)
            .limit(SAMPLE_INSTANCES)
        ).all()
    if len(rows) != SAMPLE_INSTANCES or rows[0].pixel_kind != PixelKind.FRAMES:
        raise BenchmarkError("the templates were not imported as they should be")
    templates = []
    for row in rows:
        extents = {
            RecordKind.FRAGMENT: Extent(row.fragment_pack_id, row.fragment_offset, row.fragment_length),
            RecordKind.DATASET: Extent(row.dataset_pack_id, row.dataset_offset, row.dataset_length),
            RecordKind.FRAME: Extent(row.pack_id, row.first_offset, array("I", row.lengths)[0]),
        }
        labels = [(extent, Label(kind, row.source_key)) for kind, extent in extents.items()]
        records = dict(zip(extents, read_records(image_store.blobs, key, labels), strict=True))
        columns = {column.name: getattr(row, column.name) for column in instances.columns}
        templates.append(_Template(row.sop_uid, row.key, columns, records))
    levels = open_levels(key, version.image_set_id, version.version, version.sealed_levels)
    return levels, templates


def _prepare(connection: Connection) -> None:
    """Set on a connection what a large load needs."""
    if connection.dialect.name == "sqlite":
        # Keys are random, so that all pages of their indexes are wanted all the time.
        kilobytes = psutil.virtual_memory().available // _CACHE_SHARE // 1024
        connection.exec_driver_sql(f"PRAGMA cache_size = -{kilobytes}")
        return
    connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
    connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
    connection.exec_driver_sql("SET LOCAL maintenance_work_mem = '1GB'")


def _make_temporary(connection: Connection) -> None:
    """Make the tables that instances are multiplied with, unless the connection has them."""
    for table in (_GROWING, _ORDINALS):
        table.drop(connection, checkfirst=True)
        table.create(connection, checkfirst=False)
    _insert(connection, _ORDINALS, ({"ordinal": number} for number in range(_MOST_INSTANCES)))


def _insert(connection: Connection, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
    given = list(rows)
    if not given:
        return
    names = list(given[0])
    columns = ", ".join(names)
    driver: Any = connection.connection.dbapi_connection
    with closing(driver.cursor()) as cursor:
        if connection.dialect.name == "sqlite":
            places = ", ".join("?" * len(names))
            cursor.executemany(
                f"INSERT INTO {table.name} ({columns}) VALUES ({places})", (tuple(row.values()) for row in given)
            )
            return
        with cursor.copy(f"COPY {table.name} ({columns}) FROM STDIN") as copy:
            for row in given:
                copy.write_row(tuple(row.values()))


def _measured(image_store: ImageStore, indexes: Sequence[Index]) -> Sizes:
    """Make the indexes, and give the size of everything; that of an embedded database is known by its growth only."""
    database = image_store.database
    by_index: dict[str, int] = {}
    with database.read() as connection:
        before = _bytes(connection)
    tables = before
    for index in indexes:
        with database.write() as connection:
            _prepare(connection)
            index.create(connection)
        with database.read() as connection:
            after = _bytes(connection)
        by_index[str(index.name)], before = after - before, after
    with database.read() as connection:
        rows = {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one() for table in _TABLES
        }
        if connection.dialect.name == "sqlite":
            return Sizes(rows, {"tables and primary keys": tables}, by_index)
        sizes = {table.name: _relation_bytes(connection, table.name) for table in _TABLES}
        return Sizes(rows, sizes, {name: _relation_bytes(connection, name) for name in by_index})


def _bytes(connection: Connection) -> int:
    if connection.dialect.name != "sqlite":
        return 0
    pages, free, size = (
        int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())
        for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * size


def _relation_bytes(connection: Connection, name: str) -> int:
    """Size of a table with its primary key, or of an index."""
    query = text(
        "SELECT pg_table_size(CAST(:name AS regclass)) + coalesce((SELECT sum(pg_relation_size(indexrelid)) FROM pg_index"
        " WHERE indrelid = CAST(:name AS regclass) AND indisprimary), 0)"
    )
    return int(connection.execute(query, {"name": name}).scalar_one())
