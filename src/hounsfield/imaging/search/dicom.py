"""Search of studies, series and instances (QIDO-RS, PS3.18 section 10.6).

Only primary image sets are searched. Values of a study are those of the image set of it that was changed last.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, make_dataclass, replace
from functools import partial
from operator import attrgetter
from typing import Any, Final, TypeAlias

from sqlalchemy import Connection, bindparam, select

from hounsfield.dicom.json.includefield import IncludedAttributes
from hounsfield.imaging.datastores import active_datastore
from hounsfield.imaging.image_set_access import ImageSetAccess
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.search.attribute_matching import Criterion, ValueMatch
from hounsfield.imaging.search.dicom_plan import DicomSearchPlan, StudyOrder
from hounsfield.imaging.search.search_keys import SEARCH_KEYS, SearchLevel
from hounsfield.imaging.search.sql_conditions import are_met
from hounsfield.imaging.study_rows import primary_rows, study_row, word_rows
from hounsfield.storage.db.database import in_groups
from hounsfield.storage.db.image_set_tables import image_sets, instances
from hounsfield.storage.db.prepared import PreparedValueStatement
from hounsfield.storage.db.study_tables import studies
from hounsfield.storage.db.tag_filters import Formula, holds, keys_of
from hounsfield.storage.db.tag_table import image_set_tags

MOST_RESULTS: Final = 1000
MOST_SKIPPED: Final = 1_000_000

NOTHING: Final = IncludedAttributes()
"""No attributes besides the default ones."""

FoundRow: TypeAlias = Any
"""A row of a result, with attributes named like the columns of its table; two of the same values are equal."""

_STUDY_UID, _SERIES_UID = 0x0020000D, 0x0020000E
_STUDY_COLUMNS: Final = tuple(
    studies.c[name]
    for name in (
        "study_uid",
        "image_set_id",
        "patient_id",
        "patient_name",
        "patient_birth_date",
        "patient_sex",
        "study_id",
        "study_description",
        "study_date",
        "study_time",
        "accession_number",
        "referring_physician",
        "timezone_offset",
        "modalities",
        "series_count",
        "instance_count",
    )
)
_SERIES_COLUMNS: Final = tuple(
    image_sets.c[name]
    for name in (
        "id",
        "study_uid",
        "series_uid",
        "series_number",
        "modality",
        "series_description",
        "performed_date",
        "performed_time",
        "timezone_offset",
        "request_attributes",
        "instance_count",
    )
)
_INSTANCE_COLUMNS: Final = tuple(
    instances.c[name]
    for name in (
        "key",
        "image_set_id",
        "sop_uid",
        "sop_class_uid",
        "instance_number",
        "stored_transfer_syntax",
        "pixel_kind",
        "warning_reason",
        "number_of_frames",
        "pixel_rows",
        "pixel_columns",
        "bits_allocated",
        "timezone_offset",
    )
)
_STUDY_ROW: Final[Callable[..., FoundRow]] = make_dataclass("_STUDY_ROW", [c.name for c in _STUDY_COLUMNS], frozen=True)
_LEAST_AT_ONCE: Final = 100
_OF_STUDIES: Final = PreparedValueStatement(
    lambda uids: select(*_STUDY_COLUMNS).where(
        studies.c.datastore_id == bindparam("datastore"), studies.c.study_uid.in_(uids)
    )
)
_OF_SERIES: Final = PreparedValueStatement(lambda ids: select(*_SERIES_COLUMNS).where(image_sets.c.id.in_(ids)))
_OF_INSTANCES: Final = PreparedValueStatement(
    lambda keys: select(*_INSTANCE_COLUMNS).where(instances.c.key.in_(keys), instances.c.last_version.is_(None))
)

_TAGS: Final = PreparedValueStatement(
    lambda ids: select(image_set_tags.c.image_set_id, image_set_tags.c.tag_value).where(
        image_set_tags.c.image_set_id.in_(ids), image_set_tags.c.tag_key == bindparam("key")
    )
)
_PRIMARY: Final = PreparedValueStatement(
    lambda uids: select(image_sets.c.id, image_sets.c.study_uid).where(
        image_sets.c.datastore_id == bindparam("datastore"),
        image_sets.c.study_uid.in_(uids),
        image_sets.c.is_primary,
        image_sets.c.deleted_at.is_(None),
    )
)


@dataclass(frozen=True, slots=True)
class DicomSearch:
    """What is searched for.

    Attributes
    ----------
    datastore_id : str
        Where.
    level : SearchLevel
        What the results are.
    study_uid, series_uid : str or None
        What they must be in; None for any.
    criteria : tuple of Criterion
        What must match.
    included : IncludedAttributes
        What results tell besides the default attributes.
    offset, limit : int
        Results to skip, and to give at most.
    order : StudyOrder or None
        The order of studies; None for the last change first.
    """

    datastore_id: str
    level: SearchLevel
    study_uid: str | None = None
    series_uid: str | None = None
    criteria: tuple[Criterion, ...] = ()
    included: IncludedAttributes = NOTHING
    offset: int = 0
    limit: int = MOST_RESULTS
    order: StudyOrder | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """One result: the row of its level and of those above it; None for levels below and for what is not told."""

    study: FoundRow | None
    series: FoundRow | None = None
    instance: FoundRow | None = None


@dataclass(frozen=True, slots=True)
class Results:
    """Results in order, whether there are more, and whether the order is the one that was asked for."""

    found: Sequence[Result]
    more: bool
    is_ordered: bool = True


def find_results(image_store: ImageStore, access: ImageSetAccess, search: DicomSearch) -> Results:
    """Find what a search is for (operations SearchDICOM…).

    Studies come by their last change, the newest first; series by Series Number; instances by Instance Number, but those of a
    study by the last change of their image set, the newest first. Ties are broken by UIDs.

    Another order of studies is not kept for a caller who may not see all image sets: the place of a study would tell of values
    that may be those of an image set which is hidden.

    Parameters
    ----------
    image_store : ImageStore
        The image store.
    access : ImageSetAccess
        What the caller may see. The rest is left out, and no value of it is shown or counted in what is above it.
    search : DicomSearch
        What to find.

    Raises
    ------
    NotFoundError
        There is no such data store.
    ConflictError
        The data store is not ACTIVE.
    """
    return image_store.database.read_from_replica(partial(_find_results, image_store, access, search))


def _find_results(
    image_store: ImageStore, access: ImageSetAccess, search: DicomSearch, connection: Connection
) -> Results:
    active_datastore(connection, image_store, search.datastore_id)
    visible = access.visible(connection, search.datastore_id)
    plan = replace(_plan(search), visible=True if visible is None else visible)
    if visible is not True:
        plan = replace(plan, order=None)
        hidden: _Hidden = partial(access.denied, connection, search.datastore_id)
        if visible is not None:
            hidden = partial(_not_visible, connection, visible)
        seen = _allowed_results(connection, plan, hidden, search)
        return replace(seen, is_ordered=search.order is None)
    keys = plan.find(connection, search.offset, search.limit + 1)
    found = _RESULTS[search.level](connection, search.datastore_id, keys[: search.limit])
    return Results(found, len(keys) > search.limit)


def _plan(search: DicomSearch) -> DicomSearchPlan:
    path = [(_STUDY_UID, search.study_uid), (_SERIES_UID, search.series_uid)]
    given = [Criterion(SEARCH_KEYS[tag], ValueMatch((uid,))) for tag, uid in path if uid is not None]
    in_study = search.study_uid is not None and search.series_uid is None
    criteria = (*given, *search.criteria)
    return DicomSearchPlan(search.datastore_id, search.level, criteria, in_study=in_study, order=search.order)


_Hidden: TypeAlias = Callable[[Sequence[str]], frozenset[str]]
"""Tells which of some image sets the caller may not see."""


def _not_visible(connection: Connection, visible: Formula, ids: Sequence[str]) -> frozenset[str]:
    tags: dict[str, dict[str, str]] = {}
    for key in keys_of(visible):
        for some in in_groups(ids):
            for row in _TAGS.rows(connection, some, {"key": key}):
                tags.setdefault(row.image_set_id, {})[key] = row.tag_value
    return frozenset(
        image_set_id for image_set_id in ids if not holds(visible, image_set_id, tags.get(image_set_id, {}))
    )


def _allowed_results(connection: Connection, plan: DicomSearchPlan, hidden: _Hidden, search: DicomSearch) -> Results:
    """Find results without what the caller may not see: all from the first on, as that decides what is skipped."""
    if plan.visible is not True and not _study_criteria(search):
        # What is hidden is not found in the first place, and nothing else is left out.
        keys = plan.find(connection, search.offset, search.limit + 1)
        seen = _RESULTS[search.level](connection, search.datastore_id, keys[: search.limit])
        return Results(_allowed(connection, hidden, search, seen), len(keys) > search.limit)
    wanted = search.offset + search.limit + 1
    at_once = min(wanted, MOST_RESULTS)
    if plan.visible is True:
        # Most of what is found may be hidden.
        at_once = max(_LEAST_AT_ONCE, at_once)
    found: list[Result] = []
    looked_at = 0
    while len(found) < wanted:
        keys = plan.find(connection, looked_at, at_once)
        found += _allowed(connection, hidden, search, _RESULTS[search.level](connection, search.datastore_id, keys))
        looked_at += len(keys)
        if len(keys) < at_once:
            break
    return Results(found[search.offset : wanted - 1], len(found) >= wanted)


def _allowed(connection: Connection, hidden: _Hidden, search: DicomSearch, results: Sequence[Result]) -> list[Result]:
    """Leave out what the caller may not see; a study that is hidden in part is one of the other image sets alone."""
    wanted = sorted({_study_uid(result) for result in results})
    place = {"datastore": search.datastore_id}
    there = [row for some in in_groups(wanted) for row in _PRIMARY.rows(connection, some, place)]
    denied = hidden([row.id for row in there])
    # Of studies that are seen as a whole nothing has to be read anew.
    series = primary_rows(connection, search.datastore_id, {row.study_uid for row in there if row.id in denied})
    changed: dict[str, FoundRow | None] = {}
    for uid, rows in series.items():
        changed[uid] = _allowed_study(connection, search, [row for row in rows if row.id not in denied])
    others = []
    for result in results:
        uid = _study_uid(result)
        study = changed.get(uid, result.study)
        is_denied = result.series is not None and result.series.id in denied
        if not is_denied and (study is not None or uid not in changed):
            others.append(replace(result, study=study))
    return others


def _allowed_study(connection: Connection, search: DicomSearch, allowed: Sequence[Any]) -> FoundRow | None:
    """Make the row of a study of some of its image sets; None where these are not what the search is for."""
    if not allowed:
        return None
    study = study_row(search.datastore_id, allowed)
    # It was found by values that may be those of the others.
    if not are_met(connection, _study_criteria(search), study, word_rows(study)):
        return None
    return _STUDY_ROW(*(study[column.name] for column in _STUDY_COLUMNS))


def _study_criteria(search: DicomSearch) -> list[Criterion]:
    return [criterion for criterion in search.criteria if criterion.key.level is SearchLevel.STUDY]


def _study_uid(result: Result) -> str:
    row: FoundRow = result.study if result.series is None else result.series
    return str(row.study_uid)


def _studies(connection: Connection, datastore_id: str, uids: Sequence[str]) -> list[Result]:
    rows = _study_rows(connection, datastore_id, uids)
    return [Result(rows[uid]) for uid in uids if uid in rows]


def _series(connection: Connection, datastore_id: str, ids: Sequence[str]) -> list[Result]:
    series = _rows(connection, _OF_SERIES, "id", ids)
    of_studies = _study_rows(connection, datastore_id, {row.study_uid for row in series.values()})
    return [Result(of_studies.get(series[name].study_uid), series[name]) for name in ids if name in series]


def _instances(connection: Connection, datastore_id: str, keys: Sequence[str]) -> list[Result]:
    found = _rows(connection, _OF_INSTANCES, "key", keys)
    series = _rows(connection, _OF_SERIES, "id", {row.image_set_id for row in found.values()})
    of_studies = _study_rows(connection, datastore_id, {row.study_uid for row in series.values()})
    results = []
    for key in keys:
        own = found.get(key)
        above = None if own is None else series.get(own.image_set_id)
        if above is not None:
            results.append(Result(of_studies.get(above.study_uid), above, own))
    return results


def _study_rows(connection: Connection, datastore_id: str, uids: Collection[str]) -> Mapping[str, FoundRow]:
    return _rows(connection, _OF_STUDIES, "study_uid", uids, datastore=datastore_id)


def _rows(
    connection: Connection, query: PreparedValueStatement, key: str, values: Collection[str], **parameters: str
) -> Mapping[str, FoundRow]:
    """Return the rows of some values of a column, by these."""
    key_of = attrgetter(key)
    groups = in_groups(sorted(values))
    return {key_of(row): row for some in groups for row in query.rows(connection, some, parameters)}


_RESULTS: Final = {SearchLevel.STUDY: _studies, SearchLevel.SERIES: _series, SearchLevel.INSTANCE: _instances}
