"""SearchImageSets: search of image sets by their indexed elements.

Which index a search walks is chosen in `hounsfield.imaging.search.image_sets_plan`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum, StrEnum, auto
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, and_, or_

from hounsfield.imaging.datastores import active_datastore
from hounsfield.imaging.errors import InvalidRequestError
from hounsfield.imaging.image_set_access import ImageSetAccess
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.levels import IndexEntry
from hounsfield.imaging.pagination import Page, Position, page_of
from hounsfield.imaging.search.image_sets_plan import Columns, Order, Plan, Range
from hounsfield.imaging.states import StorageTier
from hounsfield.storage.clock import to_datetime, to_ms


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


class SortField(Enum):
    """What results are ordered by (API shape SortField)."""

    UPDATED_AT = auto()
    CREATED_AT = auto()
    STUDY_DATE_AND_TIME = auto()


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


MOST_LOOKED_AT: Final = 20_000
"""Image sets that one request looks at where some may be denied, about; the next page goes on behind them."""
_LEAST_AT_ONCE: Final = 100
_DATE = re.compile(r"[0-9]{8}")
_TIME = re.compile(r"([0-9]{2}([0-9]{2}([0-9]{2}(\.[0-9]{1,6})?)?)?)?")
_RANGES = frozenset({SearchField.CREATED_AT, SearchField.UPDATED_AT, SearchField.STUDY_DATE_AND_TIME})
_ORDERS = {
    SortField.UPDATED_AT: Order.UPDATE,
    SortField.CREATED_AT: Order.CREATION,
    SortField.STUDY_DATE_AND_TIME: Order.STUDY_DATE,
}


def search_image_sets(
    image_store: ImageStore,
    access: ImageSetAccess,
    datastore_id: str,
    filters: Sequence[SearchFilter],
    sort: SearchSort,
    *,
    after: Position | None = None,
    limit: int = 50,
    most_looked_at: int = MOST_LOOKED_AT,
) -> Page[ImageSetSummary]:
    """Find the image sets that meet all filters (SearchImageSets).

    Where the caller is denied image sets, a page may have fewer entries than ``limit``, or none, though others follow.

    Parameters
    ----------
    image_store : ImageStore
        The image store.
    access : ImageSetAccess
        What the caller may see; the rest is left out.
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
    most_looked_at : int
        How many image sets are looked at for a page, where some may be denied.

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
    plan = _plan(datastore_id, filters, sort, after)

    def find(connection: Connection) -> Page[ImageSetSummary]:
        active_datastore(connection, image_store, datastore_id)
        visible = access.visible(connection, datastore_id)
        if visible is None:
            return _allowed_page(connection, access, plan, sort, limit, most_looked_at)
        rows = replace(plan, visible=visible).find(connection, limit + 1)
        return page_of(rows, limit, _summary, lambda row: _position(row, sort))

    return image_store.database.read_from_replica(find)


def _allowed_page(
    connection: Connection, access: ImageSetAccess, plan: Plan, sort: SearchSort, limit: int, most_looked_at: int
) -> Page[ImageSetSummary]:
    """Return a page without the image sets that the caller is denied, ended early when too many of these were met."""
    found: list[Row[Any]] = []
    at_once = max(limit + 1, _LEAST_AT_ONCE)
    for _ in range(-(-most_looked_at // at_once)):
        rows = plan.find(connection, at_once)
        denied = access.denied(connection, plan.datastore_id, [row.id for row in rows])
        found += [row for row in rows if row.id not in denied]
        if len(found) > limit or len(rows) < at_once:
            return page_of(found, limit, _summary, lambda row: _position(row, sort))
        end = _position(rows[-1], sort)
        plan = replace(plan, after=_after(end, plan.order))
    return Page([_summary(row) for row in found], end)


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
        if criterion.operator is SearchOperator.BETWEEN:
            _check_bounds(criterion.values)
    if len(filters) == 2:
        operators = {criterion.operator for criterion in filters}
        if operators != {SearchOperator.EQUAL, SearchOperator.BETWEEN}:
            raise InvalidRequestError("two filters must be one with operator EQUAL and one with operator BETWEEN")


def _check_bounds(values: Sequence[SearchValue]) -> None:
    """Refuse bounds that are no date and time: compared as text they would find what nobody asked for."""
    for value in values:
        if isinstance(value, StudyDateAndTime):
            if not _DATE.fullmatch(value.date):
                raise InvalidRequestError("DICOMStudyDate of a BETWEEN filter must be a date in the form yyyyMMdd")
            if not _TIME.fullmatch(value.time):
                raise InvalidRequestError("DICOMStudyTime of a BETWEEN filter must be a time in the form HHmmss.FFFFFF")


def _texts(value: SearchValue) -> tuple[str, ...]:
    if isinstance(value, StudyDateAndTime):
        return value.date, value.time
    return (value,) if isinstance(value, str) else ()


def _plan(datastore_id: str, filters: Sequence[SearchFilter], sort: SearchSort, after: Position | None) -> Plan:
    order = _ORDERS[sort.field]
    return Plan(
        datastore_id,
        equal={str(given.field): given.values[0] for given in filters if given.field not in _RANGES},
        ranges=[_range(given) for given in filters if given.field in _RANGES],
        order=order,
        descending=sort.descending,
        after=None if after is None else _after(after, order),
    )


def _after(end: Position, order: Order) -> tuple[object, ...]:
    first = (end.sort_value, end.second_value) if order is Order.STUDY_DATE else (end.sort_value,)
    return (*first, end.id)


def _range(criterion: SearchFilter) -> Range:
    if criterion.field is SearchField.STUDY_DATE_AND_TIME:
        return Range(Order.STUDY_DATE, lambda columns: _study_date_condition(columns, criterion))
    bounds = [to_ms(value) for value in criterion.values if isinstance(value, datetime)]
    # Some clients cut off the milliseconds: a whole second means any moment within it, so that what was made a moment ago is
    # found by a range that ends now.
    last = bounds[-1] + (999 if bounds[-1] % 1000 == 0 else 0)
    order = Order.CREATION if criterion.field is SearchField.CREATED_AT else Order.UPDATE
    return Range(order, lambda columns: columns[0].between(bounds[0], last))


def _study_date_condition(columns: Columns, criterion: SearchFilter) -> ColumnElement[bool]:
    moments = [value for value in criterion.values if isinstance(value, StudyDateAndTime)]
    date, time = columns
    if criterion.operator is SearchOperator.EQUAL:
        return and_(date == moments[0].date, time == moments[0].time) if moments[0].time else date == moments[0].date
    lower, upper = moments
    return and_(
        date.between(lower.date, upper.date),
        or_(date > lower.date, time >= _earliest_text(lower.time)),
        or_(date < upper.date, time <= _latest_text(upper.time)),
    )


def _earliest_text(time: str) -> str:
    """Return the least text that means a time (TM): 10, 1000 and 100000.0 are all ten o'clock."""
    return time.rstrip("0.")


def _latest_text(time: str) -> str:
    """Return the greatest text that means a time (TM); no time means the start of the day."""
    seconds, _, fraction = time.partition(".")
    return f"{seconds:0<6}.{fraction:0<6}"


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
