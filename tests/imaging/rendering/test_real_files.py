"""Pictures of real files: every one is shown, or refused with a reason, and none breaks the server."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from PIL import Image

from support.clients.dicomweb import get
from support.imaging.imports import run_import
from support.imaging.rendering_formulas import by_pydicom
from support.servers import ServerProcess

_GREY = ("MONOCHROME1", "MONOCHROME2")


def test_every_real_file_is_shown_or_refused(
    server: ServerProcess, client: Any, datastore: str, shared_data: Path
) -> None:
    folder = server.bucket("input") / "rendered-real"
    shutil.copytree(shared_data / "pydicom-data" / "files", folder)
    run_import(server, client, datastore, "rendered-real/")
    statuses: dict[int, int] = {}
    compared = 0
    for study in get(server, datastore, "studies?limit=1000").json():
        study_uid = study["0020000D"]["Value"][0]
        assert get(server, datastore, f"studies/{study_uid}/thumbnail").status_code in {200, 404}
        for item in get(server, datastore, f"studies/{study_uid}/instances?limit=1000").json():
            series_uid, sop_uid = item["0020000E"]["Value"][0], item["00080018"]["Value"][0]
            path = f"studies/{study_uid}/series/{series_uid}/instances/{sop_uid}"
            answer = get(server, datastore, f"{path}/rendered", "image/png")
            statuses[answer.status_code] = statuses.get(answer.status_code, 0) + 1
            assert answer.status_code in {200, 406}, f"{sop_uid} {answer.text}"
            thumbnail = get(server, datastore, f"{path}/thumbnail")
            assert thumbnail.status_code == (200 if answer.ok else 404), f"{sop_uid} {thumbnail.text}"
            if answer.ok:
                compared += _compared(server, datastore, path, answer.content)
    assert statuses.get(200, 0) > 2 * statuses.get(406, 0), statuses
    assert compared >= 3, "some of the files are grey and have a window"


def _compared(server: ServerProcess, datastore: str, path: str, png: bytes) -> bool:
    """Compare the size of a picture, and its grey levels with pydicom's where the file says how it is shown."""
    file = get(server, datastore, path, "application/dicom").content
    dataset = pydicom.dcmread(io.BytesIO(file), force=True)
    picture = np.asarray(Image.open(io.BytesIO(png)))
    assert picture.shape[:2] == (dataset.Rows, dataset.Columns)
    said = "WindowCenter" in dataset or "VOILUTSequence" in dataset
    plain = "ModalityLUTSequence" not in dataset and dataset.get("RescaleSlope", 1) != 0
    if not said or not plain or dataset.PhotometricInterpretation not in _GREY or dataset.BitsAllocated > 16:
        return False
    if "PerFrameFunctionalGroupsSequence" in dataset or dataset.get("NumberOfFrames", 1) != 1:
        return False
    expected = by_pydicom(dataset)
    if dataset.PhotometricInterpretation == "MONOCHROME1" or dataset.get("PresentationLUTShape") == "INVERSE":
        expected = 255 - expected
    assert np.abs(picture - expected).max() <= 1, dataset.SOPInstanceUID
    return True
