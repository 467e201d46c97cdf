"""Searching image sets by their indexed elements (SearchImageSets).

Every search walks one index of the table of image sets from a position on, so that a late page costs what the first costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, select, tuple_

from hounsfield.imaging.archive import Archive
from hounsfield.imaging.datastores import active_datastore
from hounsfield.imaging.errors import InvalidRequestError
from hounsfield.imaging.levels import IndexEntry
from hounsfield.imaging.paging import Page, Position, beyond, page_of
from hounsfield.imaging.states import StorageTier
from hounsfield.storage.clock import to_datetime, to_ms
from hounsfield.storage.tables import image_sets


class SearchField(StrEnum):
    """What a filter compares; the value is the column."""

    PATIENT_ID = "patient_id"
    ACCESSION_NUMBER = "accession_number"
    STUDY_ID = "study_id"
    STUDY_UID = "study_uid"
    SERIES_UID = "series_uid"
    IS_PRIMARY = "is_primary"
    CREATED_AT = "created_at"
    UPDATED_AT = "updated_at"
    STUDY_DATE_AND_TIME = "study_date_and_time"


class SearchOperator(StrEnum):
    """API shape Operator."""

    EQUAL = "EQUAL"
    BETWEEN = "BETWEEN"


class SortField(StrEnum):
    """API shape SortField."""

    UPDATED_AT = "updatedAt"
    CREATED_AT = "createdAt"
    STUDY_DATE_AND_TIME = "DICOMStudyDateAndTime"


@dataclass(frozen=True, slots=True)
class StudyDateAndTime:
    """A DICOM date (DA) and time (TM), as text."""

    date: str
    time: str = ""


SearchValue = str | bool | datetime | StudyDateAndTime


@dataclass(frozen=True, slots=True)
class SearchFilter:
    """One criterion (API shape SearchFilter): one value for EQUAL, the inclusive bounds for BETWEEN."""

    field: SearchField
    operator: SearchOperator
    values: tuple[SearchValue, ...]


@dataclass(frozen=True, slots=True)
class SearchSort:
    """The order of the answers (API shape Sort)."""

    field: SortField = SortField.UPDATED_AT
    descending: bool = True


@dataclass(frozen=True, slots=True)
class ImageSetSummary:
    """One answer of a search (API shape ImageSetsMetadataSummary)."""

    image_set_id: str
    version: int
    created_at: datetime
    updated_at: datetime
    last_accessed_at: datetime
    storage_tier: StorageTier
    is_primary: bool
    instance_count: int
    index: IndexEntry


_RANGES = frozenset({SearchField.CREATED_AT, SearchField.UPDATED_AT, SearchField.STUDY_DATE_AND_TIME})


def search_image_sets(
    archive: Archive,
    datastore_id: str,
    filters: Sequence[SearchFilter],
    sort: SearchSort,
    *,
    after: Position | None = None,
    limit: int = 50,
) -> Page[ImageSetSummary]:
    """Find the image sets that meet all filters (SearchImageSets).

    Parameters
    ----------
    archive : Archive
        The archive.
    datastore_id : str
        Which data store.
    filters : Sequence[SearchFilter]
        At most one attribute and one date range; none finds all.
    sort : SearchSort
        The order.
    after : Position | None
        Where the page before this one ended.
    limit : int
        At most so many.

    Raises
    ------
    InvalidRequestError
        A filter that cannot be: values and operator do not fit, or two filters that cannot be combined.
    NotFoundError
        There is no such data store.
    ConflictError
        The data store is not ACTIVE.
    """
    _check(filters)
    query = select(image_sets).where(image_sets.c.datastore_id == datastore_id, image_sets.c.deleted_at.is_(None))
    for criterion in filters:
        query = query.where(_condition(criterion))
    query = _ordered(query, sort, after).limit(limit + 1)
    with archive.database.read() as connection:
        active_datastore(connection, archive, datastore_id)
        rows = connection.execute(query).all()
    return page_of(rows, limit, _summary, lambda row: _position(row, sort))


def _check(filters: Sequence[SearchFilter]) -> None:
    for criterion in filters:
        if any("\0" in text for value in criterion.values for text in _texts(value)):
            raise InvalidRequestError(f"a value of {criterion.field} holds a zero byte, which no DICOM text does")
        ranged = criterion.field in _RANGES
        if criterion.operator is SearchOperator.BETWEEN and not ranged:
            raise InvalidRequestError(f"operator BETWEEN needs a date, {criterion.field} allows only EQUAL")
        needed = 1 if criterion.operator is SearchOperator.EQUAL else 2
        if len(criterion.values) != needed:
            raise InvalidRequestError(
                f"operator {criterion.operator} needs {needed} values, {len(criterion.values)} were given"
            )
    if len(filters) == 2:
        operators = {criterion.operator for criterion in filters}
        if operators != {SearchOperator.EQUAL, SearchOperator.BETWEEN}:
            raise InvalidRequestError("two filters must be one with operator EQUAL and one with operator BETWEEN")


def _texts(value: SearchValue) -> tuple[str, ...]:
    if isinstance(value, StudyDateAndTime):
        return value.date, value.time
    return (value,) if isinstance(value, str) else ()


def _condition(criterion: SearchFilter) -> ColumnElement[bool]:
    if criterion.field is SearchField.STUDY_DATE_AND_TIME:
        return _study_date_condition(criterion)
    column = image_sets.c[criterion.field.value]
    if criterion.field not in _RANGES:
        return column == criterion.values[0]
    bounds = [to_ms(value) for value in criterion.values if isinstance(value, datetime)]
    if len(bounds) == 1:
        # Clients send whole seconds or milliseconds; a whole second means any moment within it.
        return column.between(bounds[0], bounds[0] + (999 if bounds[0] % 1000 == 0 else 0))
    return column.between(bounds[0], bounds[1])


def _study_date_condition(criterion: SearchFilter) -> ColumnElement[bool]:
    moments = [value for value in criterion.values if isinstance(value, StudyDateAndTime)]
    columns = tuple_(image_sets.c.study_date, image_sets.c.study_time)
    if criterion.operator is SearchOperator.EQUAL:
        wanted = image_sets.c.study_date == moments[0].date
        return and_(wanted, image_sets.c.study_time == moments[0].time) if moments[0].time else wanted
    lower, upper = moments
    return and_(
        image_sets.c.study_date.between(lower.date, upper.date),
        columns >= tuple_(lower.date, _earliest_text(lower.time)),
        columns <= tuple_(upper.date, _latest_text(upper.time)),
    )


def _earliest_text(time: str) -> str:
    """Give the least text that means a time (TM): 10, 1000 and 100000.0 are all ten o'clock."""
    return time.rstrip("0.")


def _latest_text(time: str) -> str:
    """Give the greatest text that means a time (TM); no time means the start of the day."""
    seconds, _, fraction = time.partition(".")
    return f"{seconds:0<6}.{fraction:0<6}"


def _ordered(query: Select[Any], sort: SearchSort, after: Position | None) -> Select[Any]:
    columns = _sort_columns(sort)
    order = [column.desc() if sort.descending else column.asc() for column in columns]
    if after is not None:
        first = (after.sort_value, after.second_value) if len(columns) == 3 else (after.sort_value,)
        query = query.where(beyond(columns, (*first, after.id), descending=sort.descending))
    return query.order_by(*order)


def _sort_columns(sort: SearchSort) -> tuple[ColumnElement[Any], ...]:
    columns = image_sets.c
    if sort.field is SortField.STUDY_DATE_AND_TIME:
        return columns.study_date, columns.study_time, columns.id
    return (columns.created_at if sort.field is SortField.CREATED_AT else columns.updated_at), columns.id


def _position(row: Row[Any], sort: SearchSort) -> Position:
    if sort.field is SortField.STUDY_DATE_AND_TIME:
        return Position(row.study_date, row.id, row.study_time)
    return Position(row.created_at if sort.field is SortField.CREATED_AT else row.updated_at, row.id)


def _summary(row: Row[Any]) -> ImageSetSummary:
    return ImageSetSummary(
        image_set_id=row.id,
        version=row.latest_version,
        created_at=to_datetime(row.created_at),
        updated_at=to_datetime(row.updated_at),
        last_accessed_at=to_datetime(row.last_accessed_at),
        storage_tier=StorageTier(row.storage_tier),
        is_primary=row.is_primary,
        instance_count=row.instance_count,
        index=IndexEntry(**{name: getattr(row, name) for name in IndexEntry.__dataclass_fields__}),
    )
