"""Servers of the tests run as they are installed for users: without the packages that only development needs.

Some of these are read whenever they are there (pydicom looks for decoders, structlog for pretty printers), which would hide
that one of ours is missing among the dependencies, and costs each process a tenth of its start.
"""

from __future__ import annotations

import re
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path

from packaging.requirements import Requirement


@cache
def as_installed(*extras: str) -> dict[str, str]:
    """The environment of a process that is to see only what is installed with it, and with some of its extras."""
    seen: set[tuple[str, frozenset[str]]] = set()
    _need("hounsfield", frozenset(extras), seen)
    needed = {name for name, _ in seen}
    hidden = [
        package
        for package, names in packages_distributions().items()
        if not needed.intersection(_normal(name) for name in names)
    ]
    return {"PYTHONPATH": str(Path(__file__).parent), "HIDDEN_PACKAGES": ",".join(sorted(hidden))}


def _need(name: str, extras: frozenset[str], seen: set[tuple[str, frozenset[str]]]) -> None:
    """Note a distribution and what it depends on, with the extras that are asked for."""
    if (_normal(name), extras) in seen:
        return
    seen.add((_normal(name), extras))
    with suppress(PackageNotFoundError):
        for text in distribution(name).requires or ():
            requirement = Requirement(text)
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras or {""}):
                _need(requirement.name, frozenset(requirement.extras), seen)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
