"""The audit trail of this machine, for those who look into it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class TrailFolder:
    """An audit folder and what is needed to read it.

    Attributes
    ----------
    path : Path
        The folder.
    key : bytes
        The key of the installation's audit trail.
    is_only : bool
        Whether the installation has no other: machines that share a database have a folder each.
    """

    path: Path
    key: bytes = field(repr=False)
    is_only: bool
