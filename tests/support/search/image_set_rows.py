"""Rows of image sets made at random, for tests of plans of searches."""

from __future__ import annotations

import random
from typing import Any

DATASTORE = "d" * 32
ATTRIBUTES = ("patient_id", "accession_number", "study_id", "study_uid", "series_uid")
Entry = dict[str, Any]


def _entries() -> list[Entry]:
    chance = random.Random(3)
    entries = []
    for number in range(120):
        entry: Entry = dict.fromkeys(
            ("patient_name", "patient_birth_date", "patient_sex", "study_description", "series_number", "modality"), ""
        )
        entry.update({name: chance.choice("ab") for name in ATTRIBUTES}, body_part="", series_uid=f"1.{number // 2}")
        entry.update(id=f"{number:032x}", datastore_id=DATASTORE if number % 10 else "e" * 32, state="ACTIVE")
        entry.update(is_primary=number % 2 == 0, latest_version=1, instance_count=1, storage_tier="FREQUENT_ACCESS")
        entry.update(created_at=chance.randrange(9), updated_at=chance.randrange(9), last_accessed_at=0)
        entry.update(study_date=f"2024010{chance.randrange(4)}", study_time=chance.choice(["", "08", "120000"]))
        entry["deleted_at"] = 5 if number % 13 == 0 else None
        entries.append(entry)
    return entries


ENTRIES = _entries()
