"""Fixtures for tests of pixel data."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset


@pytest.fixture(scope="session")
def ct(shared_data: Path) -> Dataset:
    """A CT slice of 512 × 512 signed 16-bit samples."""
    return pydicom.dcmread(shared_data / "ahi-samples" / "CT1_UNC.dcm")
