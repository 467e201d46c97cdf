"""Studies as a hospital's list of them reads: names of many countries, long ones too, working hours, missing values.

The same at every run.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from bench.qido_corpus import SERIES, Study

_ROOT: Final = "1.2.826.0.1.3680043.8.498.7"
_YEARS: Final = 10
_LATEST: Final = datetime(2026, 10, 30, 17, 30, tzinfo=UTC)
_SURNAMES: Final = (
    "Müller", "Nguyen", "Garcia Lopez", "Smith", "Kowalska", "Okonkwo", "Singh", "Ivanova", "Rossi", "Yılmaz", "Dubois",
    "Andersson", "Haddad", "Papadopoulos", "O'Brien", "van der Meer", "Ferreira dos Santos", "Novák", "Kim", "Li",
)  # fmt: skip
_GIVEN: Final = (
    "Anna", "Jürgen", "Thi Mai", "Maria José", "John", "Zofia", "Chidi", "Harpreet", "Olga", "Luca", "Elif", "Claire",
    "Björn", "Layla", "Eleni", "Siobhán", "Pieter", "Beatriz", "Jana", "Min-jun",
)  # fmt: skip
_RARE: Final = (
    "Yamada^Tarou=山田^太郎=やまだ^たろう",
    "Wolfeschlegelsteinhausenbergerdorff^Hubert Blaine^Adolph Charles David Earl Frederick^Dr.^Senior",
    "محمود^فاطمة",
    "Unknown, emergency 2",
)
"""One of two hundred patients is called so."""
_EXAMINATIONS: Final = (
    ("CT", "CT thorax and abdomen, portal venous phase"),
    ("CT", "CT head without contrast"),
    ("MR", "MR brain, tumour follow-up, with and without contrast"),
    ("MR", "MR knee left"),
    ("CR", "Chest PA and lateral"),
    ("DX", "Hip right, two views"),
    ("US", "Ultrasound abdomen"),
    ("MG", "Screening mammography, both sides, two views"),
    ("PT", "PET/CT whole body FDG"),
    ("XA", "Coronary angiography"),
    ("NM", ""),
)
_DOCTORS: Final = ("Becker^Ute^^Dr.", "Adeyemi^Grace^^Prof. Dr.", "Rahman^Tariq", "")


def hospital_studies(count: int) -> Iterator[Study]:
    """Make studies in the order of their import, of ten years up to the end of October 2026."""
    chance = random.Random(1895)
    patients = max(1, count // 5)
    for number in range(count):
        moment = _LATEST - timedelta(days=365.25 * _YEARS * (1 - (number + 1) / count))
        moment = moment.replace(hour=chance.choice((7, 8, 9, 10, 11, 13, 14, 15, 22)), minute=chance.randrange(60))
        modality, description = chance.choice(_EXAMINATIONS)
        second = "CT" if modality == "PT" else modality
        yield Study(
            number=number,
            uid=f"{_ROOT}.3.{number}",
            updated_at=int(moment.timestamp() * 1000) + chance.randrange(60_000, 3_600_000),
            patient=_patient(chance.randrange(patients)),
            values={
                "AccessionNumber": f"RIS{moment:%y}{number:07d}" if chance.random() < 0.95 else "",
                "ReferringPhysicianName": chance.choice(_DOCTORS),
                "StudyDate": f"{moment:%Y%m%d}",
                "StudyDescription": description,
                "StudyID": str(number % 100_000),
                "StudyInstanceUID": f"{_ROOT}.3.{number}",
                "StudyTime": f"{moment:%H%M%S}",
            },
            modalities=tuple(modality if ordinal == 0 else second for ordinal in range(SERIES)),
        )


def _patient(number: int) -> dict[str, str]:
    own = random.Random(number)
    name = f"{own.choice(_SURNAMES)}^{own.choice(_GIVEN)}"
    return {
        "PatientBirthDate": f"{1931 + number % 90}{number % 12 + 1:02d}{number % 28 + 1:02d}",
        "PatientID": f"{number:08d}",
        "PatientName": _RARE[number // 200 % len(_RARE)] if number % 200 == 7 else name,
        "PatientSex": "FMFMFMO"[number % 7],
    }
