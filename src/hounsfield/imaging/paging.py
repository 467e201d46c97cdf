"""Pages of a listing, each starting where the one before ended, so that page 1,000 costs what page 1 costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, tuple_

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


def beyond(columns: Sequence[ColumnElement[Any]], values: Sequence[Any], *, descending: bool) -> ColumnElement[bool]:
    """Give the condition for rows that come after ``values`` in the order of ``columns``."""
    return tuple_(*columns) < tuple_(*values) if descending else tuple_(*columns) > tuple_(*values)
