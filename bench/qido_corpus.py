"""Many studies to search by DICOMweb, written straight into the tables; the same at every run but for ids.

Patients have eight studies on average, studies three series, series one instance. Some syllables of names are commoner
than others; dates and the order of import are close to each other for six of ten studies.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import islice
from types import SimpleNamespace
from typing import Any, Final

from sqlalchemy import Connection, insert

from bench.databases import gather_statistics
from bench.search_corpus import DAY_MS, FIRST_MS, LAST_MS
from hounsfield.dicom.healthimaging.document import Levels
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.instance_columns import read_columns
from hounsfield.imaging.levels import index_entry
from hounsfield.imaging.states import ImageSetState, StorageTier
from hounsfield.imaging.study_rows import INDEX_VERSION, study_row, word_rows
from hounsfield.storage.db.image_set_tables import image_sets, instances
from hounsfield.storage.db.study_tables import studies, study_words

SERIES: Final = 3
_ROOT: Final = "1.2.826.0.1.3680043.8.498"
_STUDIES_AT_ONCE: Final = 4_000
_MODALITIES: Final = ("CT", "CT", "MR", "CR", "US", "PT")
_SYLLABLES: Final = ("ba", "ko", "ri", "ne", "su", "ta", "mi", "lo", "ga", "fe", "wi", "hu")
_GIVEN: Final = ("Jane", "John", "Mary", "Ali", "Yuki", "Olga", "Pedro", "Ana", "Tom", "Eva")
_CT: Final = "1.2.840.10008.5.1.4.1.1.2"


@dataclass(frozen=True)
class Study:
    """One study of the corpus."""

    number: int
    uid: str
    updated_at: int
    patient: dict[str, Any]
    values: dict[str, Any]
    modalities: tuple[str, ...]

    @property
    def surname(self) -> str:
        """First component of Patient's Name."""
        return str(self.patient["PatientName"]).partition("^")[0]

    def series_uid(self, ordinal: int) -> str:
        """Return the UID of a series."""
        return f"{_ROOT}.4.{self.number}.{ordinal}"

    def sop_uid(self, ordinal: int) -> str:
        """Return the UID of the instance of a series."""
        return f"{_ROOT}.5.{self.number}.{ordinal}"


def fill(
    image_store: ImageStore, datastore_id: str, count: int, studies_of: Callable[[int], Iterator[Study]] | None = None
) -> list[Study]:
    """Write studies into an empty data store, and give a few hundred of them spread over all.

    The indexes are taken away and made again at the end, as a database does it fastest.
    ``studies_of`` makes the studies, `all_studies` unless another is given.
    """
    made = (studies_of or all_studies)(count)
    step = max(1, count // 400)
    samples: list[Study] = []
    tables = (image_sets, instances, studies, study_words)
    indexes = sorted((index for table in tables for index in table.indexes), key=lambda index: str(index.name))
    with image_store.database.write() as connection:
        for index in indexes:
            index.drop(connection)
        while some := list(islice(made, _STUDIES_AT_ONCE)):
            _write(connection, datastore_id, some)
            samples += some[::step]
        for index in indexes:
            index.create(connection)
    gather_statistics(image_store.database)
    return samples


def all_studies(count: int) -> Iterator[Study]:
    """Make the studies of the corpus, in the order of their import."""
    chance = random.Random(20240301)
    patients = max(1, count // 8)
    for number in range(count):
        created = FIRST_MS + (LAST_MS - FIRST_MS) * number // count
        age_days = chance.uniform(0, 2) if chance.random() < 0.6 else chance.uniform(30, 3650)
        moment = datetime.fromtimestamp((created - age_days * DAY_MS) / 1000, UTC)
        patient = int(patients * chance.random() ** 1.5)
        yield Study(
            number=number,
            uid=f"{_ROOT}.3.{number}",
            updated_at=created + (0 if chance.random() < 0.8 else int(chance.expovariate(1 / (30 * DAY_MS)))),
            patient=patient_values(patient),
            values={
                "AccessionNumber": f"ACC{number:09d}",
                "ReferringPhysicianName": f"{surname_of(random.Random(number % 300))}^Doc",
                "StudyDate": f"{moment:%Y%m%d}",
                "StudyDescription": ("CT Thorax", "MR Head", "US Abdomen")[number % 3],
                "StudyID": f"S{number:07d}",
                "StudyInstanceUID": f"{_ROOT}.3.{number}",
                "StudyTime": f"{moment:%H%M%S}",
            },
            modalities=tuple(chance.choice(_MODALITIES) for _ in range(SERIES)),
        )


def patient_values(number: int) -> dict[str, Any]:
    """Return the values of a patient."""
    own = random.Random(number)
    return {
        "PatientBirthDate": f"{1930 + number % 90}{number % 12 + 1:02d}{number % 28 + 1:02d}",
        "PatientID": f"PAT{number:08d}",
        "PatientName": f"{surname_of(own)}^{own.choice(_GIVEN)}",
        "PatientSex": "FMO"[number % 3],
    }


def surname_of(chance: random.Random) -> str:
    """Return a surname of two to four syllables, of which the first ones are commoner."""
    picked = (_SYLLABLES[int(len(_SYLLABLES) * chance.random() ** 1.3)] for _ in range(chance.randrange(2, 5)))
    return "".join(picked).capitalize()


def _write(connection: Connection, datastore_id: str, some: list[Study]) -> None:
    series = [_series_row(datastore_id, study, ordinal) for study in some for ordinal in range(SERIES)]
    connection.execute(insert(image_sets), series)
    members = [_instance_row(datastore_id, study, ordinal) for study in some for ordinal in range(SERIES)]
    connection.execute(insert(instances), members)
    found = [SimpleNamespace(**row) for row in series]
    rows = [study_row(datastore_id, found[start : start + SERIES]) for start in range(0, len(found), SERIES)]
    connection.execute(insert(studies), rows)
    connection.execute(insert(study_words), [word for row in rows for word in word_rows(row)])


def _series_row(datastore_id: str, study: Study, ordinal: int) -> dict[str, Any]:
    values = {
        "Modality": study.modalities[ordinal],
        "SeriesDescription": f"Series {ordinal + 1}",
        "SeriesInstanceUID": study.series_uid(ordinal),
        "SeriesNumber": str(ordinal + 1),
    }
    return {
        **asdict(index_entry(Levels(study.patient, study.values, values))),
        "id": image_set_id(study, ordinal),
        "datastore_id": datastore_id,
        "is_primary": True,
        "state": ImageSetState.ACTIVE.value,
        "latest_version": 1,
        "created_at": study.updated_at,
        "updated_at": study.updated_at,
        "last_accessed_at": study.updated_at,
        "storage_tier": StorageTier.FREQUENT_ACCESS.value,
        "instance_count": 1,
        "performed_date": study.values["StudyDate"],
        "performed_time": study.values["StudyTime"],
        "timezone_offset": "",
        "index_version": INDEX_VERSION,
    }


def _instance_row(datastore_id: str, study: Study, ordinal: int) -> dict[str, Any]:
    key = f"{study.number:016x}{ordinal:08x}"
    index = read_columns({"InstanceNumber": str(study.number % 500), "Rows": 512, "Columns": 512})
    return {
        **asdict(index),
        "key": key,
        "image_set_id": image_set_id(study, ordinal),
        "datastore_id": datastore_id,
        "sop_uid": study.sop_uid(ordinal),
        "sop_class_uid": _CT,
        "first_version": 1,
        "source_key": key,
        "pixel_kind": "none",
        "frame_count": 0,
        **dict.fromkeys(("fragment_pack_id", "dataset_pack_id"), "0" * 32),
        **{f"{kind}_{part}": 0 for kind in ("fragment", "dataset") for part in ("offset", "length")},
    }


def image_set_id(study: Study, ordinal: int) -> str:
    """Return the id of the image set of a series."""
    return f"{random.Random(study.number * SERIES + ordinal).getrandbits(128):032x}"
