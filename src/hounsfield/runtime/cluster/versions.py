"""The versions that a worker must have in common with whoever hands it work.

What they exchange are pickled objects of our classes, and what they make must be the same bytes on every machine.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Final

_PACKAGES: Final = ("hounsfield", "distributed", "imagecodecs", "numpy", "obstore", "pydicom")


@dataclass(frozen=True, slots=True)
class Versions:
    """Versions by the names of what has them: ``python`` (``3.11``), ``hounsfield``, the codecs and so on."""

    of: tuple[tuple[str, str], ...]

    def compare(self, other: Versions) -> str:
        """Return how the other's versions differ from these, as ``imagecodecs 2025.3.30 is not 2026.3.6``; empty if nowhere."""
        found = dict(other.of)
        differing = [
            f"{name} {found.get(name, '-')} is not {wanted}" for name, wanted in self.of if found.get(name) != wanted
        ]
        return ", ".join(differing)


def read_versions() -> Versions:
    """Return the versions of this process."""
    return Versions((("python", f"{sys.version_info.major}.{sys.version_info.minor}"), *map(_read, _PACKAGES)))


# It reads files, and a worker compares versions for each task; those of a process are what it began with.
@cache
def _read(package: str) -> tuple[str, str]:
    try:
        return package, version(package)
    except PackageNotFoundError:
        return package, "-"
