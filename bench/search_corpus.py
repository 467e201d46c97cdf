"""A large search index to measure with, written straight into the tables; the same at every run but for ids and seals.

patients ─▶ studies ─▶ series = image sets, in the order of their import ─▶ image_sets, image_set_versions

What is skewed in an archive is skewed here: every second study has the Study ID "1", most image sets are primary, four of ten
studies come from an older archive and are years older than their import, one of five image sets was changed after it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

from sqlalchemy import Connection, Index, insert

from bench.databases import gather_statistics
from hounsfield.dicom.healthimaging.document import Levels
from hounsfield.imaging.datastores import data_key, get_datastore
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.levels import index_entry, seal_levels
from hounsfield.imaging.states import ImageSetState, StorageTier, WorkflowStatus
from hounsfield.storage.db.image_set_tables import image_set_versions, image_sets
from hounsfield.storage.keys.data_key import DataKey

COMMON_STUDY_ID: Final = "1"
DAY_MS: Final = 86_400_000
FIRST_MS: Final = 1_695_000_000_000
"""When the first image set was made (September 2023)."""
LAST_MS: Final = FIRST_MS + 3 * 365 * DAY_MS
_ROOT: Final = "1.2.826.0.1.3680043.8.498"
_ROWS_AT_ONCE: Final = 20_000
_MODALITIES: Final = ("CT", "CT", "CT", "MR", "MR", "CR", "DX", "US", "MG", "PT")
_BODY_PARTS: Final = ("HEAD", "CHEST", "ABDOMEN", "KNEE", "")
_NAMES: Final = ("Smith", "Müller", "Rossi", "Nowak", "Tanaka", "Silva", "Haddad", "Jensen")


@dataclass(frozen=True)
class Series:
    """One image set of the corpus."""

    id: str
    levels: Levels
    is_primary: bool
    created_at: int
    updated_at: int


def fill(image_store: ImageStore, datastore_id: str, count: int) -> list[Series]:
    """Write image sets into an empty data store, and give a few hundred of them spread over all.

    The indexes are taken away and made again at the end, as a database does it fastest.
    """
    key = data_key(image_store, get_datastore(image_store, datastore_id))
    series = _corpus(count)
    step = max(1, count // 400)
    samples: list[Series] = []
    # Those of the search and no others: a unique index of a key constraint cannot be taken away on its own.
    indexes = sorted(image_sets.indexes, key=lambda index: str(index.name))
    with image_store.database.write() as connection:
        _without(connection, indexes)
        while some := list(islice(series, _ROWS_AT_ONCE)):
            connection.execute(insert(image_sets), [_image_set_row(datastore_id, entry) for entry in some])
            connection.execute(insert(image_set_versions), [version_row(key, entry) for entry in some])
            samples += some[::step]
        for index in indexes:
            index.create(connection)
    gather_statistics(image_store.database)
    return samples


def _without(connection: Connection, indexes: list[Index]) -> None:
    for index in indexes:
        index.drop(connection)


def _corpus(count: int) -> Iterator[Series]:
    chance = random.Random(20240229)
    patients = max(1, count // 8)
    number = study = 0
    while number < count:
        study += 1
        series_count = min(count - number, 1 + int(chance.expovariate(1 / 3)))
        created = FIRST_MS + (LAST_MS - FIRST_MS) * number // count
        levels = _study(chance, study, chance.randrange(patients), created)
        for ordinal in range(series_count):
            yield _series(chance, levels, number, ordinal, created + 40 * ordinal)
            number += 1


def _study(chance: random.Random, study: int, patient: int, created: int) -> tuple[dict[str, Any], dict[str, Any]]:
    age_days = chance.uniform(0, 2) if chance.random() < 0.6 else chance.uniform(30, 3650)
    moment = datetime.fromtimestamp((created - age_days * DAY_MS) / 1000, UTC)
    return (
        {
            "PatientBirthDate": f"{1930 + patient % 90}{patient % 12 + 1:02d}{patient % 28 + 1:02d}",
            "PatientID": f"PAT{patient:08d}",
            "PatientName": f"{_NAMES[patient % len(_NAMES)]}^{patient:06d}",
            "PatientSex": "FMO"[patient % 3],
        },
        {
            "AccessionNumber": "" if study % 33 == 0 else f"ACC{study:09d}",
            "StudyDate": f"{moment:%Y%m%d}",
            "StudyDescription": "CT Thorax with contrast",
            "StudyID": COMMON_STUDY_ID if study % 2 else f"S{study:07d}",
            "StudyInstanceUID": f"{_ROOT}.1.{study}",
            "StudyTime": f"{moment:%H%M%S}",
        },
    )


def _series(
    chance: random.Random, levels: tuple[dict[str, Any], dict[str, Any]], number: int, ordinal: int, created: int
) -> Series:
    patient, study = levels
    values = {
        "BodyPartExamined": _BODY_PARTS[number % len(_BODY_PARTS)],
        "Modality": _MODALITIES[number % len(_MODALITIES)],
        "SeriesInstanceUID": f"{_ROOT}.2.{number}",
        "SeriesNumber": str(ordinal + 1),
    }
    changed = 0 if chance.random() < 0.8 else int(chance.expovariate(1 / (30 * DAY_MS)))
    return Series(
        id=f"{chance.getrandbits(128):032x}",
        levels=Levels(patient, study, values),
        is_primary=number % 50 != 0,
        created_at=created,
        updated_at=created + changed,
    )


def _image_set_row(datastore_id: str, series: Series) -> dict[str, Any]:
    return {
        "id": series.id,
        "datastore_id": datastore_id,
        "is_primary": series.is_primary,
        "state": ImageSetState.ACTIVE.value,
        "latest_version": 1,
        "created_at": series.created_at,
        "updated_at": series.updated_at,
        "last_accessed_at": series.updated_at,
        "storage_tier": StorageTier.FREQUENT_ACCESS.value,
        "instance_count": 1,
        **asdict(index_entry(series.levels)),
    }


def version_row(key: DataKey, series: Series) -> dict[str, Any]:
    """Return the row of the only version of an image set."""
    return {
        "image_set_id": series.id,
        "version": 1,
        "state": ImageSetState.ACTIVE.value,
        "workflow_status": WorkflowStatus.CREATED.value,
        "is_primary": series.is_primary,
        "created_at": series.created_at,
        "updated_at": None,
        "sealed_levels": seal_levels(key, series.id, 1, series.levels),
    }
