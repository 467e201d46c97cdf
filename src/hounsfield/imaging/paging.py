"""Pages of a listing, each starting where the one before ended, so that page 1,000 costs what page 1 costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Position:
    """The last entry of a page: the value the listing is sorted by, and the id that breaks ties."""

    sort_value: int | str
    id: str
    second_value: str = ""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some entries, and the position to go on from; None when these were the last."""

    entries: list[T]
    end: Position | None
