"""Real DICOM files as parameters, and a writer of files that are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.files.file_writer import Writer
from support.files.real_files import INSTALLED, dicom_files, refusal_of


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    files = {path: refusal_of(path) for path in dicom_files()}
    if "dicom_path" in metafunc.fixturenames:
        metafunc.parametrize("dicom_path", [p for p, why in files.items() if not why], ids=lambda path: path.name)
    if "refused_path" in metafunc.fixturenames:
        refused = [(path, why) for path, why in files.items() if why]
        metafunc.parametrize(("refused_path", "refusal"), refused, ids=[path.name for path, _ in refused])


@pytest.fixture
def writer() -> Writer:
    return Writer()


@pytest.fixture
def installed() -> Path:
    """The data folder of the installed pydicom."""
    return INSTALLED
