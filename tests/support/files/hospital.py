"""A small hospital: studies of many kinds with pictures that look like ones, and names as they are in real lists.

    phantom ─▶ axial slices ─▶ CT        files that pydicom carries ─▶ MR, US, NM, ECG, SR
            └▶ sum along rays ─▶ CR, DX

The same at every run: the pictures of the documentation are made of it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final
from uuid import NAMESPACE_OID, uuid5

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.uid import UID, ComputedRadiographyImageStorage, CTImageStorage, ExplicitVRLittleEndian

from hounsfield.phantom.torso import PARTS, empty_volume
from support.files.synthetic import save, slice_of


@dataclass(frozen=True)
class Series:
    """A series: its description, and what makes its instances."""

    description: str
    make: Callable[[], Sequence[Dataset]]


@dataclass(frozen=True)
class Study:
    """A study of a patient; ``patient`` is name, ID, birth date and sex, ``when`` date and time."""

    patient: tuple[str, str, str, str]
    when: tuple[str, str]
    accession: str
    description: str
    referrer: str
    series: Sequence[Series]


@cache
def _phantom() -> NDArray[np.int16]:
    volume = empty_volume()
    for paint_part in PARTS:
        paint_part(volume)
    return volume.values


def _axial(first: int, last: int, step: int, centre: int, width: int) -> Callable[[], list[Dataset]]:
    def make() -> list[Dataset]:
        found = []
        for number in range(first, last, step):
            geometry: dict[str, Any] = {
                "ImagePositionPatient": [-179, -179, -1.5 * number],
                "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
                "PixelSpacing": [0.7, 0.7],
                "SliceThickness": 1.5 * step,
                "SliceLocation": -1.5 * number,
                "RescaleIntercept": 0,
                "RescaleSlope": 1,
                "RescaleType": "HU",
                "WindowCenter": centre,
                "WindowWidth": width,
                "KVP": 120,
                "Manufacturer": "Hounsfield",
                "ManufacturerModelName": "Phantom",
                "BodyPartExamined": "CHEST" if last < 120 else "ABDOMEN",
            }
            found.append(_image(CTImageStorage, "CT", _phantom()[number], **geometry))
        return found

    return make


def _projected(axis: int, modality: str = "CR") -> Callable[[], list[Dataset]]:
    """Sum along rays, as a radiograph does; axis 1 from front to back, 2 from side to side."""

    def make() -> list[Dataset]:
        attenuation = np.clip(_phantom().astype(np.float32) + 1000, 0, 2200).sum(axis=axis)
        stretched = attenuation[np.linspace(0, len(attenuation) - 1, 428).astype(int)]
        low, high = np.percentile(stretched, [1, 99.7])
        pixels = np.clip((stretched - low) / (high - low) * 4095, 0, 4095).astype("<u2")
        shown = {"WindowCenter": 2048, "WindowWidth": 4096, "BodyPartExamined": "CHEST", "ViewPosition": "PA"}
        return [_image(ComputedRadiographyImageStorage, modality, pixels, **shown)]

    return make


def _image(sop_class: str, modality: str, pixels: NDArray[Any], **elements: Any) -> Dataset:
    dataset = slice_of(pixels=pixels, Modality=modality, SOPClassUID=UID(sop_class), **elements)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    return dataset


def _carried(*names: str) -> Callable[[], list[Dataset]]:
    def make() -> list[Dataset]:
        return [pydicom.dcmread(str(get_testdata_file(f"{name}.dcm"))) for name in names]

    return make


_THORAX: Final = Series("Thorax 5.0 venous", _axial(12, 90, 6, 40, 400))
_LUNG: Final = Series("Lung 1.5", _axial(12, 90, 3, -600, 1500))
_ABDOMEN: Final = Series("Abdomen 5.0 venous", _axial(90, 196, 8, 40, 400))
_SCOUT: Final = Series("Scout", _projected(1, "CT"))
_PA: Final = Series("PA", _projected(1))
_LATERAL: Final = Series("LAT", _projected(2))
_KNEE: Final = Series("t1_se_sag", _carried("examples_overlay"))
_SMALL: Final = Series("T2W_TSE", _carried("MR_small"))
_HEART: Final = Series("4 chamber view", _carried("examples_ybr_color"))
_LIVER: Final = Series("Liver", _carried("examples_rgb_color"))
_DOPPLER: Final = Series("Carotid Doppler", _carried("examples_palette"))
_BONES: Final = Series("Whole body", _carried("JPEG2000"))
_ECG: Final = Series("12-lead ECG at rest", _carried("waveform_ecg"))
_REPORT: Final = Series("Report", _carried("reportsi"))

_MUELLER: Final = ("Müller^Anna", "00412077", "19580314", "F")
_YAMADA: Final = ("Yamada^Tarou=山田^太郎=やまだ^たろう", "00398112", "19710202", "M")
_LONG: Final = (
    "Wolfeschlegelsteinhausenbergerdorff^Hubert Blaine^^Dr.^Senior", "00410933", "19490807", "M"
)  # fmt: skip
STUDIES: Final = (
    Study(_MUELLER, ("20261030", "101512"), "RIS26-118804", "CT thorax and abdomen, portal venous phase", "Becker^Ute^^Dr.",
          (_SCOUT, _THORAX, _LUNG, _ABDOMEN)),
    Study(_MUELLER, ("20260412", "092030"), "RIS26-040117", "Chest PA and lateral", "Becker^Ute^^Dr.", (_PA, _LATERAL)),
    Study(("Okonkwo^Chidi", "00407751", "19830519", "M"), ("20261030", "083000"), "RIS26-118790", "MR knee left",
          "Adeyemi^Grace^^Prof. Dr.", (_KNEE,)),
    Study(_YAMADA, ("20261029", "154500"), "RIS26-118512", "Ultrasound of the abdomen", "", (_LIVER, _REPORT)),
    Study(_LONG, ("20261029", "141005"), "RIS26-118498",
          "CT abdomen with contrast, follow-up after resection of the liver",
          "Rahman^Tariq", (_ABDOMEN,)),
    Study(("Ferreira dos Santos^Beatriz", "00411840", "19920726", "F"), ("20261029", "111500"), "RIS26-118433",
          "Echocardiography", "Adeyemi^Grace^^Prof. Dr.", (_HEART, _ECG)),
    Study(("Unknown, emergency 2", "TEMP-0031", "", "O"), ("20261029", "023100"), "", "CT thorax", "", (_SCOUT, _THORAX)),
    Study(("Kowalska^Zofia", "00388106", "19661111", "F"), ("20261028", "133000"), "RIS26-118120", "Bone scintigraphy",
          "Becker^Ute^^Dr.", (_BONES,)),
    Study(("O'Brien^Siobhán", "00405523", "20010930", "F"), ("20261028", "101000"), "RIS26-118061", "Chest PA", "",
          (_PA,)),
    Study(("Singh^Harpreet", "00377018", "19790104", "M"), ("20261027", "160000"), "RIS26-117788", "Carotid Doppler",
          "Rahman^Tariq", (_DOPPLER,)),
    Study(("Papadopoulos^Eleni", "00402206", "19550621", "F"), ("20261027", "093000"), "RIS26-117702", "MR brain",
          "Adeyemi^Grace^^Prof. Dr.", (_SMALL,)),
    Study(("van der Meer^Pieter", "00399004", "19880213", "M"), ("20261026", "144500"), "RIS26-117410", "CT thorax",
          "Becker^Ute^^Dr.", (_THORAX, _LUNG)),
)  # fmt: skip


def _uid(*names: object) -> UID:
    return UID(f"2.25.{uuid5(NAMESPACE_OID, ' '.join(map(str, ('hospital', *names)))).int}")


def instances(studies: Sequence[Study] = STUDIES) -> Iterator[tuple[str, Dataset]]:
    """Return the instances of studies, each with the path of its file below a folder of the study."""
    for study in studies:
        for number, series in enumerate(study.series, start=1):
            for instance, made in enumerate(series.make(), start=1):
                dataset = copy.deepcopy(made)
                _name(dataset, study, series, (number, instance))
                yield f"{study.patient[1]}-{study.when[0]}/series-{number}/image-{instance:03d}.dcm", dataset


def _name(dataset: Dataset, study: Study, series: Series, numbers: tuple[int, int]) -> None:
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate, dataset.PatientSex = study.patient
    dataset.StudyDate, dataset.StudyTime = study.when
    dataset.SeriesDate, dataset.SeriesTime = study.when
    dataset.AccessionNumber = study.accession
    dataset.StudyDescription = study.description
    dataset.ReferringPhysicianName = study.referrer
    dataset.StudyID = study.accession[-6:] or "1"
    dataset.SeriesDescription = series.description
    dataset.SeriesNumber, dataset.InstanceNumber = numbers
    dataset.StudyInstanceUID = _uid(study.patient[1], study.when)
    dataset.SeriesInstanceUID = _uid(study.patient[1], study.when, numbers[0])
    dataset.SOPInstanceUID = _uid(study.patient[1], study.when, *numbers)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    if "TransferSyntaxUID" not in dataset.file_meta:
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    for keyword in ("InstitutionName", "OtherPatientIDs", "PatientAddress", "OperatorsName", "PerformingPhysicianName"):
        if keyword in dataset:
            delattr(dataset, keyword)


def write_hospital(folder: Path, studies: Sequence[Study] = STUDIES) -> list[Path]:
    """Write the files of studies below a folder."""
    return [save(dataset, folder / path) for path, dataset in instances(studies)]
