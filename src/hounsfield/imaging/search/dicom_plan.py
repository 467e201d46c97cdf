"""Plan of a DICOMweb search: at which level each criterion is, and with which index SQLite begins.

    criteria ─┬─ one that few rows match (counted) ─▶ begin with its index, go down to the level of the results, sort
              └─ none                              ─▶ walk the order of the results, leave out what does not match
    some may be seen only, by their tags  ─▶ for studies, walk the order of each tag instead
    studies in another order than by change ─▶ walk the index of that attribute instead
    PostgreSQL: few studies match ─▶ their UIDs are looked up first, series and instances are searched by these

Levels are linked one way or the other: down from what was found (``study_uid IN (…)``), or up from each row (``EXISTS (…)``).
SQLite keeps no statistics here; PostgreSQL has them and chooses itself. Its indexes of UIDs have one collation for studies
and another for image sets, so that it cannot go down from a study by an index: it would read all image sets.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Connection,
    Integer,
    Select,
    bindparam,
    exists,
    func,
    literal_column,
    or_,
    select,
    union,
)

from hounsfield.imaging.search.attribute_matching import (
    AnyCasePatternMatch,
    Criterion,
    PatternOrWordMatch,
    RangeMatch,
    ValueMatch,
    WordMatch,
)
from hounsfield.imaging.search.image_sets_plan import MOST_STARTS
from hounsfield.imaging.search.search_keys import SEARCH_KEYS, SearchLevel
from hounsfield.imaging.search.sql_conditions import (
    condition,
    has_words,
    literal_beginning,
    studies_with_words,
    word_field,
)
from hounsfield.storage.db.database import in_groups
from hounsfield.storage.db.image_set_tables import image_sets, instances
from hounsfield.storage.db.prepared import PreparedValueStatement
from hounsfield.storage.db.study_tables import STUDY_INDEXES, studies
from hounsfield.storage.db.tag_filters import Formula, IdIs, Start, TagIs, alternatives, starts
from hounsfield.storage.db.tag_filters import condition as visible_condition
from hounsfield.storage.db.tag_table import image_set_tags

FEW: Final = 5_000
"""So many rows are looked up and sorted in some 10 ms."""
FEW_ENTRIES: Final = 40_000
"""So many entries of an index, where no row has to be looked up."""
FEW_BELOW: Final = 20_000
"""So many entries of the indexes that lead down from what was begun with."""

FEW_STUDIES: Final = 1_000
"""So many studies are named to PostgreSQL by their UIDs."""
FEW_STUDIES_BY_WORDS: Final = 100
"""So many where words find them: to see that these find many would cost more."""
FIRST: Final = 400
"""So many of few are looked at first."""
FEWEST: Final = 200
"""So few rows are looked up whatever else could be begun with."""

_STUDY, _SERIES, _INSTANCE = SearchLevel.STUDY, SearchLevel.SERIES, SearchLevel.INSTANCE
_TABLES: Final = {_STUDY: studies, _SERIES: image_sets, _INSTANCE: instances}
_KEYS: Final = {_STUDY: studies.c.study_uid, _SERIES: image_sets.c.id, _INSTANCE: instances.c.key}
_ORDER_INDEXES: Final = {
    _STUDY: "ix_studies_by_update",
    _SERIES: "ix_series_by_order",
    _INSTANCE: "ix_instances_by_order",
}
_LINK_INDEXES: Final = {_SERIES: "ix_series_by_study", _INSTANCE: "ix_instances_in_image_set"}
_INDEXES: Final = {
    **{column: f"ix_studies_by_{column}" for column in STUDY_INDEXES},
    "series_uid": "ix_image_sets_by_series_uid",
    "modality": "ix_series_by_modality",
    "series_order": "ix_series_by_order",
    "performed_date": "ix_series_by_performed_date",
    "sop_uid": "ix_instances_sop_uid",
    "instance_order": "ix_instances_by_order",
    "sop_class_uid": "ix_instances_by_sop_class_uid",
    "warning_reason": "ix_instances_by_warning_reason",
}
_STUDY_UID: Final = 0x0020000D
_STUDY_UID_INDEX: Final = "ix_studies_by_study_uid"
_SMALL: Final = ("sop_uid", "series_uid", "study_uid")
"""Of one value there are so few rows that they need not be counted."""


_TAGGED: Final = PreparedValueStatement(
    lambda uids: (
        select(image_set_tags.c.study_uid)
        .where(
            image_set_tags.c.datastore_id == bindparam("datastore"),
            image_set_tags.c.study_uid.in_(uids),
            image_set_tags.c.tag_key == bindparam("key"),
            image_set_tags.c.tag_value == bindparam("value"),
            image_set_tags.c.is_primary,
        )
        .with_hint(image_set_tags, "INDEXED BY ix_image_set_tags_of_study", "sqlite")
    )
)
"""Studies, of some, of which a primary image set has a tag."""


@dataclass(frozen=True, slots=True)
class _Start:
    """A criterion to begin with, at which level, the index of that level's table that finds it, and how many entries it has."""

    criterion: Criterion
    level: SearchLevel
    index: str
    entries: int = 0


@dataclass(frozen=True, slots=True)
class StudyOrder:
    """An order of studies other than by their last change.

    Attributes
    ----------
    column : str
        A column of the table of studies that is one of `STUDY_INDEXES`.
    descending : bool
        Whether the greatest comes first.
    """

    column: str
    descending: bool = False


@dataclass(frozen=True)
class DicomSearchPlan:
    """A search.

    Attributes
    ----------
    datastore_id : str
        Where to search.
    level : SearchLevel
        What is found.
    criteria : Sequence of Criterion
        What must match; those of the path as well.
    in_study : bool
        Whether it is for the instances of one study, which have an order of their own.
    visible : Formula
        Which image sets may be seen; a study of which one may be seen is found.
    order : StudyOrder or None
        The order of studies; None for the last change first.
    few, few_entries, few_below, fewest : int
        What is looked up rather than walked past.
    first : int
        What is looked at before the rest of few.
    few_studies : int
        How many studies are named by their UIDs, on PostgreSQL.
    """

    datastore_id: str
    level: SearchLevel
    criteria: Sequence[Criterion]
    in_study: bool = False
    visible: Formula = True
    order: StudyOrder | None = None
    few: int = FEW
    few_entries: int = FEW_ENTRIES
    few_below: int = FEW_BELOW
    fewest: int = FEWEST
    first: int = FIRST
    few_studies: int = FEW_STUDIES

    def find(self, connection: Connection, offset: int, limit: int) -> list[str]:
        """Return the keys of rows in order: Study Instance UIDs, ids of image sets, or keys of instances."""
        if self.visible is False:
            return []
        by_few = self._by_few_studies(connection)
        if by_few is not self:
            return by_few.find(connection, offset, limit)
        start = self._start(connection)
        if start is not None and self._leads_down_alone(start):
            found = self._sorted_if_few(connection, start, offset, limit)
            if found is not None:
                return found
            start = None
        begin = self._tags_to_begin_with(connection, start)
        if begin is not None:
            statement = studies_with_tags(begin, self._study_of_tag, self._studies_of_ids, offset, limit)
            return list(connection.execute(statement).scalars())
        tests = alternatives(self.visible)
        if start is not None and start.entries and self.level is _STUDY and tests is not None:
            return self._seen_of_few(connection, start, tests, offset, limit)
        return list(connection.execute(self._statement(connection, start, offset, limit)).scalars())

    def statement(self, connection: Connection, offset: int, limit: int) -> Select[Any]:
        """Choose the statement that finds the rows, as far as what it looks at can be counted before."""
        return self._statement(connection, self._start(connection), offset, limit)

    def _statement(self, connection: Connection, start: _Start | None, offset: int, limit: int) -> Select[Any]:
        dialect = connection.dialect.name
        query = self._rows(self.level, dialect, start, hints=dialect == "sqlite")
        return _page(query.order_by(*self._sorting()), offset, limit)

    def _by_few_studies(self, connection: Connection) -> DicomSearchPlan:
        """Return the search with UIDs in place of the criteria on studies, where few studies meet them; else as it is."""
        of_studies = self._by_level[_STUDY]
        if connection.dialect.name != "postgresql" or self.level is _STUDY or not of_studies:
            return self
        by_words = any(isinstance(criterion.match, WordMatch) for criterion in of_studies)
        most = min(self.few_studies, FEW_STUDIES_BY_WORDS) if by_words else self.few_studies
        query = select(studies.c.study_uid).where(*self._own(_STUDY, "postgresql", None))
        uids = connection.execute(_page(query, 0, most + 1)).scalars().all()
        if len(uids) > most:
            return self
        named = Criterion(SEARCH_KEYS[_STUDY_UID], ValueMatch(tuple(uids)))
        others = [criterion for criterion in self.criteria if criterion not in of_studies]
        return replace(self, criteria=[*others, named])

    def _tags_to_begin_with(self, connection: Connection, start: _Start | None) -> list[Start] | None:
        """Return the tags whose order is walked instead of that of all studies; None where another way is better."""
        if self.level is not _STUDY or self.order or (self.criteria and connection.dialect.name != "sqlite"):
            return None
        begin = starts(self.visible)
        if begin is None or len(begin) > MOST_STARTS:
            return None
        if start is None:
            return begin
        # What has few entries leads to the other.
        return begin if start.entries > self.fewest and self._tagged(connection, begin, start.entries) else None

    def _seen_of_few(
        self, connection: Connection, start: _Start, tests: Sequence[TagIs], offset: int, limit: int
    ) -> list[str]:
        """Sort the few studies that match as if all could be seen, and keep from the first on those that can."""
        everything = DicomSearchPlan(self.datastore_id, self.level, self.criteria, order=self.order)
        found: list[str] = []
        looked_at = 0
        # Mostly the first of them are enough.
        for most in (max(self.first, offset + limit), start.entries):
            statement = everything._statement(connection, start, looked_at, most)
            uids = list(connection.execute(statement).scalars())
            for some in in_groups(uids):
                seen = self._with_tags(connection, tests, some)
                found += [uid for uid in some if uid in seen]
            looked_at += len(uids)
            if len(found) >= offset + limit or len(uids) < most:
                break
        return found[offset : offset + limit]

    def _with_tags(self, connection: Connection, tests: Sequence[TagIs], study_uids: Sequence[str]) -> set[str]:
        seen: set[str] = set()
        for test in tests:
            for value in test.values:
                tagged = {"datastore": self.datastore_id, "key": test.key, "value": value}
                seen.update(row.study_uid for row in _TAGGED.rows(connection, study_uids, tagged))
        return seen

    def _tagged(self, connection: Connection, begin: Sequence[Start], most: int) -> bool:
        """Return whether tags and ids have fewer entries than a number."""
        left = most
        for start in begin:
            if isinstance(start, IdIs):
                left -= 1
            else:
                left -= _count(connection, self._entries_of_tag(*start), max(1, left))
            if left <= 0:
                return False
        return True

    def _entries_of_tag(self, key: str, value: str) -> Select[Any]:
        columns = image_set_tags.c
        query = select(columns.study_uid).where(
            columns.datastore_id == self.datastore_id,
            columns.tag_key == key,
            columns.tag_value == value,
            columns.is_primary,
        )
        return query.with_hint(image_set_tags, "INDEXED BY ix_image_set_tags_by_study", "sqlite")

    def _study_of_tag(self, key: str, value: str) -> Select[Any]:
        """Return the studies of the primary image sets with a tag that match, in the table of tags."""
        columns = image_set_tags.c
        query = self._entries_of_tag(key, value).add_columns(columns.study_updated_at)
        if self.visible != TagIs(key, frozenset({value})):
            query = query.where(visible_condition(self.visible, columns.image_set_id))
        if self.criteria:
            of_study = select(studies.c.study_uid).where(
                studies.c.study_uid == columns.study_uid, *self._matching_studies()
            )
            query = query.where(of_study.with_hint(studies, f"INDEXED BY {_STUDY_UID_INDEX}", "sqlite").exists())
        return query

    def _studies_of_ids(self, ids: Sequence[str]) -> Select[Any]:
        own = image_sets.c.datastore_id == self.datastore_id
        seen = select(image_sets.c.study_uid).where(
            image_sets.c.id.in_(ids),
            own,
            image_sets.c.is_primary,
            image_sets.c.deleted_at.is_(None),
            visible_condition(self.visible, image_sets.c.id),
        )
        return select(studies.c.study_uid, studies.c.updated_at.label("study_updated_at")).where(
            studies.c.study_uid.in_(seen), *self._matching_studies()
        )

    def _matching_studies(self) -> list[ColumnElement[bool]]:
        # PostgreSQL begins with tags only where there are no criteria.
        matching = [self._condition(criterion, "sqlite", None) for criterion in self._by_level[_STUDY]]
        return [studies.c.datastore_id == self.datastore_id, *matching]

    def _leads_down_alone(self, start: _Start) -> bool:
        """Return whether instances are found by one criterion of a level above, which says no more of them than how many."""
        alone = len(self.criteria) == 1 and self.level is _INSTANCE and start.level is not _INSTANCE
        return alone and start.criterion.key.column not in _SMALL

    def _sorted_if_few(self, connection: Connection, start: _Start, offset: int, limit: int) -> list[str] | None:
        """Look up all rows, and sort them; None where there are too many. Counting them first would look them up twice."""
        rows = self._rows(_INSTANCE, "sqlite", start, hints=True)
        order = (instances.c.instance_order, instances.c.sop_uid)
        some = rows.add_columns(*order).limit(literal_column(str(self.few_below), Integer)).subquery()
        query = select(some.c.key, func.count().over()).order_by(some.c.instance_order, some.c.sop_uid, some.c.key)
        found = list(connection.execute(_page(query, 0, min(offset + limit, self.few_below))))
        if found and found[0][1] >= self.few_below:
            return None
        return [key for key, _ in found[offset:]]

    @cached_property
    def _by_level(self) -> dict[SearchLevel, list[Criterion]]:
        levels: dict[SearchLevel, list[Criterion]] = {level: [] for level in SearchLevel}
        for criterion in self.criteria:
            levels[self._level_of(criterion)].append(criterion)
        return levels

    def _level_of(self, criterion: Criterion) -> SearchLevel:
        """Series have the UID of their study themselves, so that it is looked for there."""
        if criterion.key.column == "study_uid" and self.level > _STUDY:
            return _SERIES
        return criterion.key.level

    def _start(self, connection: Connection) -> _Start | None:
        if connection.dialect.name != "sqlite":
            return None
        found = [start for criterion in self.criteria if (start := self._start_at(criterion)) is not None]
        for column in _SMALL:
            for start in found:
                if start.criterion.key.column == column:
                    return start
        counts = sorted(
            ((self._entries(connection, start, self.few), start) for start in found), key=lambda entry: entry[0]
        )
        for count, start in counts:
            if count < self.few and self._few_below(connection, start):
                return replace(start, entries=count)
        # Where the index has all that is asked of a row, many more can be seen.
        if self.visible is True and len(self.criteria) == 1 and len(found) == 1:
            (start,) = found
            is_in_order = self.order is None or self.order.column == start.criterion.key.column
            if start.level is self.level and start.index != _STUDY_UID_INDEX and is_in_order:
                one = isinstance(start.criterion.match, ValueMatch) and len(start.criterion.match.values) == 1
                if one or self._entries(connection, start, self.few_entries) < self.few_entries:
                    return start
        return None

    def _start_at(self, criterion: Criterion) -> _Start | None:
        match, column, level = criterion.match, criterion.key.column, self._level_of(criterion)
        if isinstance(match, (AnyCasePatternMatch, PatternOrWordMatch)):
            return None
        if isinstance(match, WordMatch):
            return _Start(criterion, level, _STUDY_UID_INDEX) if literal_beginning(match) else None
        if column == "study_uid":
            return _Start(criterion, level, _STUDY_UID_INDEX if level is _STUDY else _LINK_INDEXES[_SERIES])
        index = _INDEXES.get(column)
        if index is None or not literal_beginning(match):
            return None
        if isinstance(match, RangeMatch) and not match.lower and not match.upper:
            return None
        return _Start(criterion, level, index)

    def _few_below(self, connection: Connection, start: _Start) -> bool:
        """Return whether few instances are below what a search begins with: a study has few series, these any number."""
        if self.level is not _INSTANCE or start.level is _INSTANCE or self._leads_down_alone(start):
            return True
        alone = DicomSearchPlan(self.datastore_id, self.level, [start.criterion])
        rows = alone._rows(self.level, "sqlite", start, hints=True, loose=True)
        return _count(connection, rows, self.few_below) < self.few_below

    def _entries(self, connection: Connection, start: _Start, most: int) -> int:
        """Count the entries of the index that a search begins with, up to a number."""
        match = start.criterion.match
        if isinstance(match, WordMatch):
            found = studies_with_words(self.datastore_id, word_field(start.criterion.key), match, "sqlite")
            return _count(connection, found, most)
        alone = DicomSearchPlan(self.datastore_id, start.level, [start.criterion])
        return _count(connection, alone._rows(start.level, "sqlite", start, hints=True, loose=True), most)

    def _rows(
        self, level: SearchLevel, dialect: str, start: _Start | None, *, hints: bool, loose: bool = False
    ) -> Select[Any]:
        """Return the keys of a level that match, with all criteria of the levels above.

        Parameters
        ----------
        level : SearchLevel
            Which.
        dialect : str
            ``sqlite`` or ``postgresql``.
        start : _Start or None
            What to begin with; None to walk the order.
        hints : bool
            Whether SQLite is told which index to use.
        loose : bool
            Whether to count only: whatever must be looked up in the rows above is left out.
        """
        query = select(_KEYS[level]).where(*self._own(level, dialect, start))
        if start is not None and start.level < level:
            above = self._upper_rows(SearchLevel(level - 1), dialect, start, hints=hints, loose=loose)
            link = image_sets.c.study_uid if level is _SERIES else instances.c.image_set_id
            query = query.where(link.in_(above))
        elif not loose:
            query = query.where(*self._above(level, dialect))
        return query.with_hint(_TABLES[level], f"INDEXED BY {self._index(level, start)}", "sqlite") if hints else query

    def _upper_rows(
        self, level: SearchLevel, dialect: str, start: _Start, *, hints: bool, loose: bool
    ) -> Select[Any] | CompoundSelect[Any]:
        match = start.criterion.match
        if level is _STUDY and isinstance(match, WordMatch) and len(self._by_level[_STUDY]) == 1:
            # The words tell which studies they are, nothing has to be looked up in these.
            return studies_with_words(self.datastore_id, word_field(start.criterion.key), match, dialect)
        return self._rows(level, dialect, start, hints=hints, loose=loose)

    def _index(self, level: SearchLevel, start: _Start | None) -> str:
        if start is not None:
            return start.index if start.level is level else _LINK_INDEXES[level]
        if self.order is not None and level is _STUDY:
            return _INDEXES[self.order.column]
        return _ORDER_INDEXES[level]

    def _own(self, level: SearchLevel, dialect: str, start: _Start | None) -> list[ColumnElement[bool]]:
        conditions: list[ColumnElement[bool]] = []
        if level is _STUDY:
            conditions.append(studies.c.datastore_id == self.datastore_id)
            if self.level is _STUDY and self.visible is not True:
                conditions.append(self._one_is_visible())
        elif level is _SERIES:
            conditions += [
                image_sets.c.datastore_id == self.datastore_id,
                image_sets.c.is_primary,
                image_sets.c.deleted_at.is_(None),
            ]
            if self.visible is not True:
                conditions.append(visible_condition(self.visible, image_sets.c.id))
        else:
            conditions.append(instances.c.last_version.is_(None))
            if start is None or start.level is level:
                conditions.append(instances.c.datastore_id == self.datastore_id)
        for criterion in self._by_level[level]:
            conditions.append(self._condition(criterion, dialect, start))
        return conditions

    def _one_is_visible(self) -> ColumnElement[bool]:
        """Return the condition that a study has a primary image set which may be seen."""
        tests = alternatives(self.visible)
        if tests is not None:
            return or_(*(self._has_tag(test) for test in tests))
        series = image_sets.alias("seen")
        query = select(series.c.id).where(
            series.c.datastore_id == self.datastore_id,
            series.c.study_uid == studies.c.study_uid,
            series.c.is_primary,
            series.c.deleted_at.is_(None),
            visible_condition(self.visible, series.c.id),
        )
        return query.with_hint(series, "INDEXED BY ix_series_by_study", "sqlite").exists()

    def _has_tag(self, test: TagIs) -> ColumnElement[bool]:
        table = image_set_tags.alias("seen")
        query = select(table.c.image_set_id).where(
            table.c.datastore_id == self.datastore_id,
            table.c.study_uid == studies.c.study_uid,
            table.c.tag_key == test.key,
            table.c.tag_value.in_(sorted(test.values)),
            table.c.is_primary,
        )
        return query.with_hint(table, "INDEXED BY ix_image_set_tags_of_study", "sqlite").exists()

    def _condition(self, criterion: Criterion, dialect: str, start: _Start | None) -> ColumnElement[bool]:
        key, match = criterion.key, criterion.match
        if isinstance(match, WordMatch):
            field = word_field(criterion.key)
            if start is not None and start.criterion is criterion:
                found: ColumnElement[bool] = studies.c.study_uid.in_(
                    studies_with_words(self.datastore_id, field, match, dialect)
                )
                return found
            return has_words(self.datastore_id, field, match, dialect)
        if isinstance(match, PatternOrWordMatch):
            words = has_words(self.datastore_id, word_field(key), match.words, dialect)
            return or_(words, condition(key, match.like, dialect))
        if key.column == "study_uid" and self.level > _STUDY and isinstance(match, ValueMatch):
            return image_sets.c.study_uid.in_(match.values)
        return condition(key, match, dialect)

    def _above(self, level: SearchLevel, dialect: str) -> list[ColumnElement[bool]]:
        """Return the conditions on what a row belongs to."""
        if level is _INSTANCE:
            own = [*self._own(_SERIES, dialect, None), *self._above(_SERIES, dialect)]
            return [exists().where(image_sets.c.id == instances.c.image_set_id, *own)]
        if level is _SERIES and self._by_level[_STUDY]:
            own = self._own(_STUDY, dialect, None)
            return [exists().where(studies.c.study_uid == image_sets.c.study_uid, *own)]
        return []

    def _sorting(self) -> list[ColumnElement[Any]]:
        if self.level is _STUDY:
            columns = [studies.c.updated_at, studies.c.study_uid]
            if self.order is None:
                return [column.desc() for column in columns]
            columns.insert(0, studies.c[self.order.column])
            return [column.desc() if self.order.descending else column.asc() for column in columns]
        if self.level is _SERIES:
            return [image_sets.c.series_order.asc(), image_sets.c.series_uid.asc(), image_sets.c.id.asc()]
        order: list[ColumnElement[Any]] = [
            instances.c.instance_order.asc(),
            instances.c.sop_uid.asc(),
            instances.c.key.asc(),
        ]
        if not self.in_study:
            return order
        of_series = image_sets.c.id == instances.c.image_set_id
        changed = select(image_sets.c.updated_at).where(of_series).scalar_subquery()
        number = select(image_sets.c.series_order).where(of_series).scalar_subquery()
        return [changed.desc(), number.asc(), *order]


def studies_with_tags(
    begin: Sequence[Start],
    of_tag: Callable[[str, str], Select[Any]],
    of_ids: Callable[[Sequence[str]], Select[Any]],
    offset: int,
    limit: int,
) -> Select[Any]:
    """Return the query for the studies of what has one of some tags or ids: the first of each, then of these the first.

    Parameters
    ----------
    begin : Sequence of Start
        Tags and ids.
    of_tag, of_ids : callable
        Give the queries for UIDs and times of the studies of a tag, and of ids.
    offset, limit : int
        Studies to skip, and to give at most.
    """
    queries = [of_tag(*start) for start in begin if not isinstance(start, IdIs)]
    ids = [start.id for start in begin if isinstance(start, IdIs)]
    if ids or not queries:
        queries.append(of_ids(ids))
    firsts = []
    for query in queries:
        uid, changed = query.selected_columns
        some = _page(query.group_by(changed, uid).order_by(changed.desc(), uid.desc()), 0, offset + limit).subquery()
        firsts.append(select(some.c.study_uid, some.c.study_updated_at))
    found = (union(*firsts) if len(firsts) > 1 else firsts[0]).subquery()
    query = select(found.c.study_uid).order_by(found.c.study_updated_at.desc(), found.c.study_uid.desc())
    return _page(query, offset, limit)


def _page(query: Select[Any], offset: int, limit: int) -> Select[Any]:
    # Written out, as SQLite would prepare the statement anew for a limit that is a parameter; there are few of them.
    query = query.limit(literal_column(str(int(limit)), Integer))
    return query.offset(offset) if offset else query


def _count(connection: Connection, rows: Select[Any] | CompoundSelect[Any], most: int) -> int:
    return connection.execute(
        select(func.count()).select_from(rows.limit(literal_column(str(int(most)), Integer)).subquery())
    ).scalar_one()
