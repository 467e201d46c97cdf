"""Answers too large to be held in memory whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StreamedResult:
    """A successful answer whose body comes in chunks; ``size`` is its length in bytes."""

    headers: list[tuple[str, str]]
    size: int
    chunks: Iterator[bytes]
