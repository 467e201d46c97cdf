"""How large the benchmarks are: the real size, and the small one with which a test sees that they run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Scale:
    """Sizes and repetitions."""

    quick: bool
    series_instances: int
    rounds: int
    sampled_files: int
    load_seconds: float
    load_frames: int
    load_rounds: int
    metadata_requests: int
    restarts: int
    tiny_instances: int
    large_frames: int
    indexed_image_sets: int
    indexed_studies: int
    searches: int
    study_searches: int
    updates: int
    console_image_sets: int
    page_visits: int
    uploads: int
    idle_seconds: float
    grown_image_sets: tuple[int, ...]
    grown_samples: int
    long_series_instances: int


REAL = Scale(
    quick=False,
    series_instances=500,
    rounds=5,
    sampled_files=50,
    load_seconds=4,
    load_frames=200,
    load_rounds=5,
    metadata_requests=200,
    restarts=7,
    tiny_instances=5000,
    large_frames=4096,
    indexed_image_sets=1_000_000,
    indexed_studies=100_000,
    searches=60,
    study_searches=200,
    updates=50,
    console_image_sets=100_000,
    page_visits=5,
    uploads=3,
    idle_seconds=20,
    grown_image_sets=(10_000, 100_000, 1_000_000),
    grown_samples=200,
    long_series_instances=10_000,
)
QUICK = Scale(
    quick=True,
    series_instances=12,
    rounds=1,
    sampled_files=4,
    load_seconds=0.5,
    load_frames=12,
    load_rounds=1,
    metadata_requests=10,
    restarts=1,
    tiny_instances=30,
    large_frames=128,
    indexed_image_sets=2_000,
    indexed_studies=700,
    searches=2,
    study_searches=2,
    updates=3,
    console_image_sets=300,
    page_visits=1,
    uploads=1,
    idle_seconds=1,
    grown_image_sets=(30, 60, 90),
    grown_samples=6,
    long_series_instances=20,
)


@dataclass(frozen=True)
class Run:
    """One run of a benchmark.

    Attributes
    ----------
    scale : Scale
        How large.
    corpus : Path
        Where DICOM files are made that other benchmarks use as well.
    work : Path
        Where everything else goes; on the same file system.
    """

    scale: Scale
    corpus: Path
    work: Path

    def folder(self, name: str) -> Path:
        """Return a new folder below the work folder."""
        path = self.work / name
        path.mkdir(parents=True)
        return path
