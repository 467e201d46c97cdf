"""AHItoDICOMInterface, unmodified: DICOM files rebuilt over the API are equal to those that were imported."""

from __future__ import annotations

import re
import shutil
import subprocess
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from support.clients.ahi_to_dicom import ENDS_NEVER, Obstacle, Rebuilder, differences, elements_of, obstacle
from support.clients.environment import environment_of
from support.files.synthetic import noise, save, slice_of, uid
from support.imaging.imports import document, instances, run_import
from support.servers import ServerProcess, active_datastore

PAGE = Path(__file__).resolve().parents[2] / "docs/how-to/connect-clients.md"
CARRIED = Path(pydicom.__path__[0]) / "data" / "test_files"
FEW = ("CT_small.dcm", "MR_small_bigendian.dcm", "693_J2KI.dcm", "SC_rgb_jpeg_dcmd.dcm")
BROKEN = {"JPEG2000-embedded-sequence-delimiter.dcm"}
"""The header of its codestream was damaged on purpose; the client's decoder cannot read the file itself either."""


@pytest.fixture(scope="module")
def rebuilder(tmp_path_factory: pytest.TempPathFactory) -> Rebuilder:
    return Rebuilder.install(tmp_path_factory.mktemp("ahi-to-dicom") / "environment")


@dataclass(frozen=True)
class ImportedFile:
    """A file alone in its image set."""

    path: Path
    datastore_id: str
    image_set_id: str
    instance: dict[str, Any]
    obstacle: Obstacle | None

    @property
    def task(self) -> dict[str, Any]:
        return {"datastoreId": self.datastore_id, "imageSetId": self.image_set_id}


def read(path: Path) -> Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pydicom.dcmread(path, force=True)


def layers(paths: list[Path]) -> Iterator[list[Path]]:
    """Divide files so that no two of a series are together: each is then an image set of its own."""
    seen: Counter[str] = Counter()
    divided = defaultdict(list)
    for path in paths:
        try:
            dataset = read(path)
            series = str(dataset.get("SeriesInstanceUID", ""))
            has_pixels = any(keyword in dataset for keyword in ("PixelData", "FloatPixelData", "DoubleFloatPixelData"))
        except (InvalidDicomError, NotImplementedError, OSError, ValueError):
            continue
        if series and has_pixels:
            divided[seen[series]].append(path)
            seen[series] += 1
    yield from divided.values()


def imported(server: ServerProcess, client: Any, folder: str, paths: list[Path]) -> Iterator[ImportedFile]:
    """Import files that are of different series; those that cannot be imported are left out."""
    for number, path in enumerate(paths):
        target = server.bucket("input") / folder / f"{number:04d}.dcm"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    datastore_id = active_datastore(client, datastoreName=folder)
    for line in run_import(server, client, datastore_id, f"{folder}/").success:
        image_set_id = line["importResponse"]["imageSetId"]
        found = document(client, datastore_id, image_set_id)
        ((_, instance),) = instances(found)
        (series,) = found["Study"]["Series"].values()
        path = paths[int(Path(line["inputFile"]).stem)]
        yield ImportedFile(path, datastore_id, image_set_id, instance, obstacle(series, instance))


def problems(files: list[ImportedFile], outcomes: list[str | None], folder: Path) -> dict[str, list[str]]:
    """Compare what was rebuilt with the files, by name."""
    found: dict[str, list[str]] = {}
    for number, (file, outcome) in enumerate(zip(files, outcomes, strict=True)):
        rebuilt = list((folder / str(number)).glob("*.dcm"))
        if outcome is not None or len(rebuilt) != 1:
            found[file.path.name] = [str(outcome), f"{len(rebuilt)} files"]
        elif wrong := differences(read(file.path), pydicom.dcmread(rebuilt[0]), file.instance):
            found[file.path.name] = wrong
    return found


def test_a_few_files_come_back_as_they_were(
    server: ServerProcess, client: Any, rebuilder: Rebuilder, tmp_path: Path
) -> None:
    files = list(imported(server, client, "ahi-few", [CARRIED / name for name in FEW]))
    assert {file.path.name for file in files} == set(FEW)
    assert {file.obstacle for file in files} == {None}
    outcomes = rebuilder.rebuild(server, tmp_path, [file.task for file in files])
    assert problems(files, outcomes, tmp_path) == {}


def test_a_study_is_rebuilt_by_its_uid(
    server: ServerProcess, client: Any, datastore: str, rebuilder: Rebuilder, tmp_path: Path
) -> None:
    frames = np.stack([noise(40, 56, n) for n in range(4)])
    of_study = [slice_of(1, n, study=911, pixels=noise(40, 56, n)) for n in (2, 1)]
    of_study.append(slice_of(2, study=911, pixels=frames))
    without_frames = slice_of(2, 2, study=911)
    del without_frames.PixelData
    for number, dataset in enumerate([*of_study, without_frames, slice_of(study=912)]):
        save(dataset, server.bucket("input") / "ahi-study" / f"{number}.dcm")
    assert run_import(server, client, datastore, "ahi-study/").failure == []
    task = {"datastoreId": datastore, "studyInstanceUID": uid(911)}
    outcomes = rebuilder.rebuild(server, tmp_path, [task, {**task, "headerOnly": True}])
    assert outcomes == [None, None]
    for number, with_pixels in enumerate((True, False)):
        rebuilt = {path.stem: pydicom.dcmread(path) for path in (tmp_path / str(number)).glob("*.dcm")}
        assert rebuilt.keys() == {dataset.SOPInstanceUID for dataset in of_study}
        for dataset in of_study:
            other = rebuilt[dataset.SOPInstanceUID]
            assert elements_of(other) == elements_of(dataset)
            assert other.get("PixelData") == (dataset.PixelData if with_pixels else None)


def test_the_example_of_the_page_runs(
    server: ServerProcess, client: Any, datastore: str, rebuilder: Rebuilder, tmp_path: Path
) -> None:
    original = slice_of(study=913, pixels=noise(40, 56))
    save(original, server.bucket("input") / "ahi-page/one.dcm")
    (entry,) = run_import(server, client, datastore, "ahi-page/").summary["imageSetsSummary"]
    example = re.search(r"<!-- test: AHItoDICOMInterface -->\n```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert example is not None
    run = subprocess.run(
        [rebuilder.python, "-W", "ignore", "-c", example.group(1)],
        cwd=tmp_path,
        env=environment_of(server, DATASTORE=datastore, IMAGE_SET=entry["imageSetId"]),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    rebuilt = pydicom.dcmread(tmp_path / "rebuilt" / f"{original.SOPInstanceUID}.dcm")
    assert elements_of(rebuilt) == elements_of(original)
    assert rebuilt.PixelData == original.PixelData


def test_the_page_tells_every_limit() -> None:
    rows = re.search(r"\| image set \| what the client does \|\n.*\n((?:\|.*\n)+)", PAGE.read_text())
    assert rows is not None
    # One row for the two obstacles of missing numbers.
    assert len(rows.group(1).splitlines()) == len(Obstacle) - 1


@pytest.fixture(scope="module")
def everything(server: ServerProcess, client: Any, shared_data: Path) -> list[ImportedFile]:
    """Every file at hand that has pixel data, each alone in its image set."""
    paths = sorted(path for root in (CARRIED, shared_data) for path in root.rglob("*") if path.is_file())
    return [
        file
        for number, layer in enumerate(layers(paths))
        for file in imported(server, client, f"ahi-all-{number}", layer)
    ]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_file_it_supports_comes_back_as_it_was(
    server: ServerProcess, everything: list[ImportedFile], rebuilder: Rebuilder, tmp_path: Path
) -> None:
    files = [file for file in everything if file.obstacle is None and file.path.name not in BROKEN]
    outcomes = rebuilder.rebuild(server, tmp_path, [file.task for file in files])
    assert problems(files, outcomes, tmp_path) == {}
    assert len(files) > 100


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_what_it_does_not_support_is_its_own_limit(
    server: ServerProcess, everything: list[ImportedFile], rebuilder: Rebuilder, tmp_path: Path
) -> None:
    """For each obstacle a file of which the client makes nothing or something else; docs/how-to/connect-clients.md has them."""
    smallest: dict[Obstacle, ImportedFile] = {}
    for file in sorted(everything, key=lambda file: file.path.stat().st_size):
        if file.obstacle is not None:
            smallest.setdefault(file.obstacle, file)
    assert smallest.keys() >= set(Obstacle) - {Obstacle.NO_FRAMES}
    for endless in (False, True):
        files = [file for name, file in smallest.items() if (name in ENDS_NEVER) is endless]
        folder = tmp_path / str(endless)
        outcomes = rebuilder.rebuild(server, folder, [file.task for file in files], 4 if endless else 60)
        assert ["TimeoutError" in str(outcome) for outcome in outcomes] == [endless] * len(files)
        assert problems(files, outcomes, folder).keys() == {file.path.name for file in files}
