"""How a search walks the indexes of the table of image sets, so that neither a late page nor a common value is slow.

    all filters and the order in one index ──────────────────────▶ walk it from the position on
    a range of another order, few image sets in it (counted) ────▶ scan the range, sort
    a range of another order, many ──────────────────────────────▶ walk the order, leave out what is not in the range

SQLite keeps no statistics here and would guess, at worst by reading every image set; it is told which index to use.
PostgreSQL has statistics and chooses itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Select, select

from hounsfield.imaging.paging import beyond
from hounsfield.storage.tables import image_sets

FEW_ENTRIES: Final = 40_000
"""So many entries of an index are scanned and sorted in about 10 ms."""
FEW_ROWS: Final = 20_000
"""So many image sets, where each row has to be looked up."""

_INDEX: Final = "ix_image_sets_by_"
_ATTRIBUTES: Final = ("series_uid", "study_uid", "accession_number", "patient_id", "study_id", "is_primary")
"""Those of which a value finds least come first."""
_SMALL: Final = frozenset({"series_uid", "study_uid"})
"""Of one value there are so few image sets that they are sorted."""

Columns = Sequence[ColumnElement[Any]]


class Order(Enum):
    """What image sets can be ordered by, and ranges taken of; the value is the columns."""

    UPDATE = ("updated_at",)
    CREATION = ("created_at",)
    STUDY_DATE = ("study_date", "study_time")


@dataclass(frozen=True, slots=True)
class Range:
    """A condition on the columns of an order, which are given to it."""

    order: Order
    condition: Callable[[Columns], ColumnElement[bool]]


@dataclass(frozen=True, slots=True)
class Plan:
    """A search.

    Attributes
    ----------
    datastore_id : str
        Where to search.
    equal : Mapping
        Values that columns must have.
    ranges : Sequence of Range
        What must hold as well.
    order : Order
        The order of the answers.
    descending : bool
        Whether the greatest comes first.
    after : tuple or None
        Values of the order's columns and of ``id`` that all answers come after.
    few_entries, few_rows : int
        What is scanned rather than walked past.
    """

    datastore_id: str
    equal: Mapping[str, object]
    ranges: Sequence[Range]
    order: Order
    descending: bool
    after: tuple[object, ...] | None = None
    few_entries: int = FEW_ENTRIES
    few_rows: int = FEW_ROWS

    def find(self, connection: Connection, limit: int) -> Sequence[Row[Any]]:
        """Give the first rows of the table of image sets."""
        return connection.execute(self.statement(connection, limit)).all()

    def statement(self, connection: Connection, limit: int) -> Select[Any]:
        """Choose the statement that finds the first rows."""
        if connection.dialect.name != "sqlite":
            return self._page(self._matching(select(image_sets)), limit)
        if self._attribute in _SMALL:
            index = f"{_INDEX}{self._attribute}"
            return self._page(self._matching(select(image_sets), index), limit)
        across = [given.order for given in self.ranges if given.order is not self.order]
        index = self._index(next((order for order in across if self._few(connection, order)), self.order))
        if not across:
            return self._page(self._matching(select(image_sets), index), limit)
        # What is left out costs least when it is seen in the index alone.
        ids = self._page(self._matching(select(image_sets.c.id), index), limit)
        return select(image_sets).where(image_sets.c.id.in_(ids)).order_by(*self._sorting())

    @property
    def _attribute(self) -> str | None:
        return next((name for name in _ATTRIBUTES if name in self.equal), None)

    def _index(self, order: Order) -> str:
        attribute = "" if self._attribute is None else f"{self._attribute}_and_"
        return f"{_INDEX}{attribute}{order.name.lower()}"

    def _few(self, connection: Connection, order: Order) -> bool:
        most = self.few_entries if self.equal.keys() <= {"is_primary"} else self.few_rows
        more = self._matching(select(image_sets.c.id), self._index(order)).offset(most).limit(1)
        return connection.execute(more).first() is None

    def _matching(self, query: Select[Any], index: str | None = None) -> Select[Any]:
        columns = image_sets.c
        query = query.where(columns.datastore_id == self.datastore_id, columns.deleted_at.is_(None))
        for name, value in self.equal.items():
            query = query.where(columns[name] == value)
        for given in self.ranges:
            query = query.where(given.condition(_columns(given.order)))
        return query if index is None else query.with_hint(image_sets, f"INDEXED BY {index}", "sqlite")

    def _page(self, query: Select[Any], limit: int) -> Select[Any]:
        if self.after is not None:
            query = query.where(
                beyond([*_columns(self.order), image_sets.c.id], self.after, descending=self.descending)
            )
        return query.order_by(*self._sorting()).limit(limit)

    def _sorting(self) -> list[ColumnElement[Any]]:
        columns = [*_columns(self.order), image_sets.c.id]
        return [column.desc() if self.descending else column.asc() for column in columns]


def _columns(order: Order) -> Columns:
    return [image_sets.c[name] for name in order.value]
