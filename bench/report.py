"""Figures with their limits: printed one a line, and written as one JSON file per benchmark."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil


def machine() -> dict[str, Any]:
    """Describe the machine and how busy it is before a benchmark begins."""
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "processors": os.cpu_count(),
        "load_average": os.getloadavg(),
        "memory_bytes": psutil.virtual_memory().total,
        "system": platform.platform(),
        "python": platform.python_version(),
    }


@dataclass(frozen=True)
class Figure:
    """One measured figure.

    ``limit`` is what it is held against: at most that where ``at_most``, at least that otherwise; None for information.
    """

    name: str
    value: float
    unit: str
    limit: float | None = None
    at_most: bool = True

    @property
    def met(self) -> bool | None:
        """Whether the limit is met, None without a limit."""
        if self.limit is None:
            return None
        return self.value <= self.limit if self.at_most else self.value >= self.limit

    def line(self) -> str:
        """Return the figure as a line of text."""
        text = f"  {self.name:<66} {self.value:>10.4g} {self.unit:<6}"
        if self.limit is None:
            return text.rstrip()
        sign = "≤" if self.at_most else "≥"
        return f"{text} limit {sign} {self.limit:g}: {'met' if self.met else 'NOT MET'}"


@dataclass
class Report:
    """What one benchmark found."""

    benchmark: str
    quick: bool
    machine: dict[str, Any] = field(default_factory=machine)
    figures: list[Figure] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    skipped: str | None = None
    failed: str | None = None

    def figure(self, name: str, value: float, unit: str, limit: float | None = None, *, at_most: bool = True) -> None:
        """Note a figure and print it."""
        found = Figure(name, value, unit, limit, at_most)
        self.figures.append(found)
        print(found.line(), flush=True)

    def note(self, text: str) -> None:
        """Note what a reader of the figures has to know, and print it."""
        self.notes.append(text)
        print(f"  · {text}", flush=True)

    def write(self, folder: Path) -> Path:
        """Write the JSON file and give its path."""
        folder.mkdir(parents=True, exist_ok=True)
        figures = [{**asdict(found), "met": found.met} for found in self.figures]
        path = folder / f"{self.benchmark}.json"
        path.write_text(json.dumps({**asdict(self), "figures": figures}, indent=1, ensure_ascii=False) + "\n")
        return path


def median(values: Sequence[float]) -> float:
    """Return the median."""
    return statistics.median(values)


def median_ratio(ones: Sequence[float], others: Sequence[float]) -> float:
    """Return the median of what each is of the other that was measured beside it."""
    return median([one / other for one, other in zip(ones, others, strict=True)])


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the value that ``percent`` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
