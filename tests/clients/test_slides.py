"""Readers of whole slide images and a downloader, unmodified, in environments of their own: they show what was stored."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import numpy as np
import pydicom
import pytest

from support.clients.dicomweb import part10, root, store
from support.files.slides import SIDE, slide, slide_picture
from support.files.synthetic import uid
from support.servers import ServerProcess, active_datastore

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

PACKAGES = {
    "wsidicom": ("wsidicom==0.36.1", "large-image==1.35.6", "large-image-source-dicom==1.35.6"),
    "ez_wsi_dicomweb": ("ez-wsi-dicomweb==6.1.6",),
    "dicomtrolley": ("dicomtrolley==4.1.0",),
}
READERS = {
    "wsidicom": (
        "wsidicom",
        """
        from wsidicom import WsiDicom, WsiDicomWebClient
        with WsiDicom.open_web(WsiDicomWebClient.create_client(base), study, [series]) as slide:
            picture = slide.read_region((0, 0), 0, (side, side)).convert("RGB")
        """,
    ),
    "large_image": (
        "wsidicom",
        """
        import large_image, large_image_source_dicom
        source = large_image_source_dicom.open({"url": base, "study_uid": study, "series_uid": series})
        picture = source.getRegion(format=large_image.constants.TILE_FORMAT_NUMPY)[0][:, :, :3]
        """,
    ),
    "ez_wsi_dicomweb": (
        "ez_wsi_dicomweb",
        """
        from ez_wsi_dicomweb import credential_factory, dicom_slide, dicom_web_interface
        from ez_wsi_dicomweb.ml_toolkit import dicom_path
        web = dicom_web_interface.DicomWebInterface(credential_factory.NoAuthCredentialsFactory())
        slide = dicom_slide.DicomSlide(web, dicom_path.FromString(f"{base}/studies/{study}/series/{series}"))
        picture = slide.get_patch(slide.native_level, 0, 0, side, side).image_bytes()
        """,
    ),
}
DOWNLOAD = """
import sys, requests
from dicomtrolley.qido_rs import HierarchicalQuery, QidoRS
from dicomtrolley.trolley import Trolley
from dicomtrolley.wado_rs import WadoRS
base, folder = sys.argv[1:]
session = requests.Session()
trolley = Trolley(downloader=WadoRS(session=session, url=base), searcher=QidoRS(session=session, url=base))
trolley.download(trolley.find_studies(HierarchicalQuery(query_level="STUDY")), folder)
"""
SERIES = {1: False, 2: True}
"""Series of the slides, and whether their tiles are JPEG."""


@pytest.fixture(scope="module")
def environments(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Install each group of packages; they want different versions of what they stand on."""
    made = {}
    for name, packages in PACKAGES.items():
        folder = tmp_path_factory.mktemp(name)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        made[name] = folder / "bin" / "python"
        command = [str(made[name]), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages]
        subprocess.run(command, check=True, capture_output=True, timeout=1200)
    return made


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of two slides, on a server that lets everybody in: not all of these clients can sign."""
    settings = {"HOUNSFIELD_INSECURE_NO_AUTH": "true"}
    process = ServerProcess(tmp_path_factory.mktemp("slides") / "data", settings).start()
    datastore_id = active_datastore(process.client())
    files = [part10(one) for series, jpeg in SERIES.items() for one in slide(series, jpeg=jpeg)]
    assert store(process, datastore_id, files).status_code == 200
    yield root(process, datastore_id)
    process.stop()


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("series", SERIES)
def test_slides_are_opened(environments: dict[str, Path], base: str, tmp_path: Path, name: str, series: int) -> None:
    environment, reading = READERS[name]
    script = "import sys, numpy\nbase, study, series, side = *sys.argv[1:4], int(sys.argv[4])\n"
    script += dedent(reading) + "numpy.save(sys.argv[5], numpy.asarray(picture))\n"
    shown = tmp_path / "shown.npy"
    arguments = [base, uid(1), uid(1, series), str(SIDE), str(shown)]
    command = [str(environments[environment]), "-c", script, *arguments]
    done = subprocess.run(command, capture_output=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    difference = np.abs(np.load(shown).astype(int) - slide_picture())
    if SERIES[series]:
        # Colour is subsampled at the edges of the squares.
        assert difference.mean() < 2
    else:
        assert difference.max() == 0


def test_a_study_is_downloaded(environments: dict[str, Path], base: str, tmp_path: Path) -> None:
    command = [str(environments["dicomtrolley"]), "-c", DOWNLOAD, base, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    files = [pydicom.dcmread(path) for path in tmp_path.rglob("*") if path.is_file()]
    expected = {one.SOPInstanceUID: one for series, jpeg in SERIES.items() for one in slide(series, jpeg=jpeg)}
    assert {file.SOPInstanceUID for file in files} == expected.keys()
    for file in files:
        if not SERIES[file.SeriesNumber]:
            np.testing.assert_array_equal(file.pixel_array, expected[file.SOPInstanceUID].pixel_array)
