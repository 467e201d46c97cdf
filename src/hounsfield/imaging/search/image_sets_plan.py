"""Plan of SearchImageSets: which indexes it walks, so that late pages and common values are not slow.

    all filters and the order in one index ──────────────────────▶ walk it from the position on
    a range of another order, few image sets in it (counted) ────▶ scan the range, sort
    a range of another order, many ──────────────────────────────▶ walk the order, leave out what is not in the range
    only some may be seen, by their tags or ids ─────────────────▶ walk the order of each tag, or leave out what is not seen
                                                                   where an attribute finds few

SQLite keeps no statistics here and would guess, at worst by reading every image set; it is told which index to use.
PostgreSQL has statistics and chooses itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Select, select, union_all

from hounsfield.imaging.pagination import beyond
from hounsfield.storage.db.image_set_tables import image_sets
from hounsfield.storage.db.tag_filters import Formula, IdIs, Start, TagIs, condition, starts
from hounsfield.storage.db.tag_table import image_set_tags

MOST_STARTS: Final = 64
"""Tags and ids that a search begins with, each on its own; where there are more, all image sets are looked at."""
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
    visible : Formula
        What may be seen.
    few_entries, few_rows : int
        What is scanned rather than walked past.
    """

    datastore_id: str
    equal: Mapping[str, object]
    ranges: Sequence[Range]
    order: Order
    descending: bool
    after: tuple[object, ...] | None = None
    visible: Formula = True
    few_entries: int = FEW_ENTRIES
    few_rows: int = FEW_ROWS

    def find(self, connection: Connection, limit: int) -> Sequence[Row[Any]]:
        """Return the first rows of the table of image sets."""
        if self.visible is False:
            # A condition that nothing meets would leave none by which an index is found.
            return []
        return connection.execute(self.statement(connection, limit)).all()

    def statement(self, connection: Connection, limit: int) -> Select[Any]:
        """Choose the statement that finds the first rows."""
        begin = None if self._attribute not in (None, "is_primary") else starts(self.visible)
        if begin is not None and len(begin) <= MOST_STARTS:
            return self._beginning(begin, limit)
        if connection.dialect.name != "sqlite":
            return self._page(self.matching(select(image_sets)), limit)
        if self._attribute in _SMALL:
            index = f"{_INDEX}{self._attribute}"
            return self._page(self.matching(select(image_sets), index), limit)
        across = [given.order for given in self.ranges if given.order is not self.order]
        index = self._index(next((order for order in across if self._few(connection, order)), self.order))
        if not across:
            return self._page(self.matching(select(image_sets), index), limit)
        # What is left out costs least when it is seen in the index alone.
        ids = self._page(self.matching(select(image_sets.c.id), index), limit)
        return select(image_sets).where(image_sets.c.id.in_(ids)).order_by(*self._sorting())

    def _beginning(self, begin: Sequence[Start], limit: int) -> Select[Any]:
        """Take the first rows that have one of some tags or ids: of each the first ones, and of these the first."""
        few = [self._ids(self._of_tag(start), limit) for start in begin if not isinstance(start, IdIs)]
        ids = [start.id for start in begin if isinstance(start, IdIs)]
        if ids or not few:
            few.append(self._ids(self.matching(select(image_sets.c.id)).where(image_sets.c.id.in_(ids)), limit))
        found = select(image_sets).where(image_sets.c.id.in_(union_all(*few) if len(few) > 1 else few[0]))
        return found.order_by(*self._sorting()).limit(limit)

    def _of_tag(self, start: tuple[str, str]) -> Select[Any]:
        """Return the ids of what has a tag and matches; all that is asked for is in the table of tags."""
        key, value = start
        columns = image_set_tags.c
        query = select(columns.image_set_id).where(
            columns.datastore_id == self.datastore_id, columns.tag_key == key, columns.tag_value == value
        )
        for name, wanted in self.equal.items():
            query = query.where(columns[name] == wanted)
        for given in self.ranges:
            query = query.where(given.condition([columns[name] for name in given.order.value]))
        if self.visible != TagIs(key, frozenset({value})):
            query = query.where(condition(self.visible, columns.image_set_id))
        return query.with_hint(image_set_tags, f"INDEXED BY ix_image_set_tags_by_{self.order.name.lower()}", "sqlite")

    def _ids(self, query: Select[Any], limit: int) -> Select[Any]:
        """Return the first ids of a query of image sets or of tags, in a form that can be put together with others."""
        tagged = image_set_tags.c.image_set_id in query.selected_columns.values()
        table = image_set_tags if tagged else image_sets
        order = [table.c[name] for name in self.order.value]
        order.append(table.c.image_set_id if tagged else table.c.id)
        if self.after is not None:
            query = query.where(beyond(order, self.after, descending=self.descending))
        sorting = [column.desc() if self.descending else column.asc() for column in order]
        some = query.order_by(*sorting).limit(limit).subquery()
        return select(next(iter(some.c)))

    @property
    def _attribute(self) -> str | None:
        return next((name for name in _ATTRIBUTES if name in self.equal), None)

    def _index(self, order: Order) -> str:
        attribute = "" if self._attribute is None else f"{self._attribute}_and_"
        return f"{_INDEX}{attribute}{order.name.lower()}"

    def _few(self, connection: Connection, order: Order) -> bool:
        most = self.few_entries if self.equal.keys() <= {"is_primary"} else self.few_rows
        # What may not be seen is counted too: to look at that costs more than to count.
        everything = replace(self, visible=True)
        more = everything.matching(select(image_sets.c.id), self._index(order)).offset(most).limit(1)
        return connection.execute(more).first() is None

    def matching(self, query: Select[Any], index: str | None = None) -> Select[Any]:
        """Return a query of image sets with all conditions, begun with an index that SQLite is told."""
        columns = image_sets.c
        query = query.where(columns.datastore_id == self.datastore_id, columns.deleted_at.is_(None))
        for name, value in self.equal.items():
            query = query.where(columns[name] == value)
        for given in self.ranges:
            query = query.where(given.condition(_columns(given.order)))
        if self.visible is not True:
            query = query.where(condition(self.visible, columns.id))
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
