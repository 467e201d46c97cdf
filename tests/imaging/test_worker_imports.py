"""What a transcoding process imports, which whoever needs the first one waits for."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["hounsfield.imaging.ingest.worker", "hounsfield.imaging.ingest.large_files"])
def test_workers_import_nothing_of_the_database(module: str) -> None:
    listed = f"import sys, {module}; print(*sys.modules)"
    imported = set(
        subprocess.run([sys.executable, "-c", listed], check=True, capture_output=True, text=True).stdout.split()
    )
    assert module in imported
    assert imported.isdisjoint({"sqlalchemy", "sqlcipher3", "alembic", "granian", "starlette", "botocore"})
