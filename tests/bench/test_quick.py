"""The benchmarks run and write what they promise; no figure is asserted."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
NAMES = {
    "import_speed",
    "frame_speed",
    "encryption_speed",
    "rendered_speed",
    "metadata_speed",
    "dicomweb_speed",
    "append_bytes",
    "audit_speed",
    "search_speed",
    "qido_speed",
    "restricted_speed",
    "update_speed",
    "verify_speed",
    "compaction_speed",
    "rebuild_speed",
    "dask_speed",
    "backup_speed",
    "access_speed",
    "fairness",
    "growth_speed",
    "long_series_speed",
    "memory",
    "console",
    "viewer",
}
NEED_WRK = {"audit_speed", "compaction_speed", "frame_speed", "encryption_speed", "rendered_speed"}


@pytest.mark.slow
def test_quick_run_writes_a_json_file_for_each_benchmark(tmp_path: Path) -> None:
    results = tmp_path / "results"
    command = [sys.executable, "-m", "bench", "--quick", "--results", str(results), "--work", str(tmp_path)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    written = {path.stem: json.loads(path.read_bytes()) for path in results.iterdir()}
    assert written.keys() == NAMES
    for name, report in written.items():
        assert report["benchmark"] == name
        assert report["quick"] is True
        assert report["failed"] is None
        assert report["machine"]["processors"] >= 1
        if name in NEED_WRK and shutil.which("wrk") is None:
            assert "wrk" in report["skipped"]
            continue
        if name in {"console", "viewer"} and shutil.which("chromium") is None:
            assert "chromium" in report["skipped"]
            continue
        assert report["skipped"] is None
        assert any(figure["limit"] is not None for figure in report["figures"])
        for figure in report["figures"]:
            assert figure.keys() == {"name", "value", "unit", "limit", "at_most", "met"}
            assert (figure["met"] is None) == (figure["limit"] is None)
            assert figure["name"] in done.stdout
    assert {path.name for path in tmp_path.iterdir()} == {"results"}


def test_an_unknown_benchmark_is_refused_by_name(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench", "speed_of_light", "--results", str(tmp_path)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "speed_of_light" in done.stderr
    assert not list(tmp_path.iterdir())
