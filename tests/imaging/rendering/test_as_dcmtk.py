"""Pictures of the files that come with pydicom are dcmtk's, within 4 levels, or the difference is named here."""

from __future__ import annotations

import io
import shutil
import subprocess
import warnings
from pathlib import Path

import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import Dataset

from support.clients.dicomweb import get, store
from support.required_tools import required_tool
from support.servers import ServerProcess, active_datastore

FILES = Path(pydicom.__path__[0]) / "data" / "test_files"
TOLERANCE = 4
DIFFERENT = {
    "examples_overlay.dcm": "dcmtk draws the overlay of group 6000, which pictures here never have",
    "rtdose_expb.dcm": "dcmtk reads 32-bit samples of Explicit VR Big Endian in the wrong order; pydicom agrees with us",
    "rtdose_expb_1frame.dcm": "the same",
}


def test_pictures_are_those_of_dcmtk(server: ServerProcess, tmp_path: Path) -> None:
    tool = shutil.which("dcm2img") or shutil.which("dcmj2pnm")
    required_tool(tool is not None, "dcmtk (dcm2img or dcmj2pnm) is needed to compare pictures")
    wrong, compared = [], 0
    for path in sorted(FILES.glob("*.dcm")):
        reference = by_dcmtk(str(tool), path, tmp_path / "picture.png")
        if reference is None:
            continue
        header = pydicom.dcmread(path, stop_before_pixels=True)
        datastore = active_datastore(server.client())
        if store(server, datastore, [path.read_bytes()]).status_code == 409:
            continue
        uids = header.StudyInstanceUID, header.SeriesInstanceUID, header.SOPInstanceUID
        url = "studies/{}/series/{}/instances/{}/frames/1/rendered".format(*uids)
        answer = get(server, datastore, url, "image/png")
        if answer.status_code != 200:
            continue
        shown = np.asarray(Image.open(io.BytesIO(answer.content)).convert(reference.mode))
        differs = np.abs(shown.astype(int) - np.asarray(reference)).max() > TOLERANCE
        compared += 1
        if differs != (path.name in DIFFERENT):
            wrong.append(path.name)
    assert not wrong
    assert compared > 40


def by_dcmtk(tool: str, path: Path, picture: Path) -> Image.Image | None:
    """Let dcmtk show the first frame; None where it cannot, or pydicom cannot read the file's elements."""
    picture.unlink(missing_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            header = pydicom.dcmread(path, stop_before_pixels=True)
        except pydicom.errors.InvalidDicomError:
            return None
    if "Rows" not in header or "StudyInstanceUID" not in header:
        return None
    subprocess.run([tool, "+F", "1", "+on", *window_of(header), path, picture], capture_output=True, check=False)
    if not picture.exists():
        return None
    grey = str(header.PhotometricInterpretation).startswith("MONOCHROME")
    return Image.open(picture).convert("L" if grey else "RGB")


def window_of(header: Dataset) -> list[str]:
    """Ask dcmtk for what is shown here without being asked: the table, else the first window, else all values."""
    if header.get("VOILUTSequence"):
        return ["+Wl", "1"]
    if header.get("WindowCenter") not in (None, ""):
        return ["+Wi", "1"]
    return ["+Wm"] if str(header.PhotometricInterpretation).startswith("MONOCHROME") else []
