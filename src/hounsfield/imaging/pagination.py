"""Pagination of listings: each page starts where the one before ended, so page 1,000 costs what page 1 costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Row, Select, tuple_

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


def newest_first(
    query: Select[Any], moment: ColumnElement[int], identifier: ColumnElement[str], after: Position | None, limit: int
) -> Select[Any]:
    """Order a listing by a moment, newest first, and ask for one page of it and a row more, as `page_of` needs it."""
    if after is not None:
        query = query.where(beyond((moment, identifier), (after.sort_value, after.id), descending=True))
    return query.order_by(moment.desc(), identifier.desc()).limit(limit + 1)


def page_of(
    rows: Sequence[Row[Any]], limit: int, entry: Callable[[Row[Any]], T], position: Callable[[Row[Any]], Position]
) -> Page[T]:
    """Make a page of rows of which one more than ``limit`` was asked for, to see whether there are more.

    Parameters
    ----------
    rows : Sequence[Row]
        In the order of the listing.
    limit : int
        At most so many entries.
    entry, position : Callable
        What a row is shown as, and where the listing goes on after it.
    """
    end = position(rows[limit - 1]) if len(rows) > limit else None
    return Page([entry(row) for row in rows[:limit]], end)


def beyond(columns: Sequence[ColumnElement[Any]], values: Sequence[Any], *, descending: bool) -> ColumnElement[bool]:
    """Return the condition for rows that come after ``values`` in the order of ``columns``."""
    return tuple_(*columns) < tuple_(*values) if descending else tuple_(*columns) > tuple_(*values)
