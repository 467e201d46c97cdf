"""Study and series rows for DICOMweb searches, made of the primary image sets.

    image sets of a study (primary, not deleted) ─▶ one row: values of the one changed last, counts, modalities
                                                 └▶ words of its names, and its modalities, each a row

Whoever changes primary image sets calls `refresh_studies` in the same transaction, when their rows are written.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from hounsfield.dicom.values.person_names import normalise_name, split_words
from hounsfield.imaging.tag_index import follow_studies
from hounsfield.storage.db.database import ONE, in_groups, lock_name
from hounsfield.storage.db.image_set_tables import image_sets, instances
from hounsfield.storage.db.prepared import PreparedStatement, PreparedValueStatement
from hounsfield.storage.db.study_tables import studies, study_words

INDEX_VERSION: Final = 2
"""The form of the search index; when it grows, `hounsfield.imaging.search.reindex` makes the index of all image sets anew."""

_LONGEST_TEXT = 512
_LONGEST_WORD = 64
_MOST_WORDS = 64
_SAME_AS_IMAGE_SET: Final = (
    "patient_id",
    "patient_name",
    "patient_birth_date",
    "patient_birth_time",
    "patient_sex",
    "study_id",
    "study_description",
    "study_date",
    "study_time",
    "accession_number",
    "referring_physician",
    "timezone_offset",
)
_NAMES: Final = ("patient_name", "referring_physician")
_READ: Final = tuple(
    image_sets.c[name] for name in ("id", "study_uid", "updated_at", "instance_count", "modality", *_SAME_AS_IMAGE_SET)
)
_FIRST: Final = PreparedStatement(
    select(instances.c.performed_date, instances.c.performed_time, instances.c.timezone_offset)
    .where(instances.c.image_set_id == bindparam("image_set"), instances.c.last_version.is_(None))
    .order_by(instances.c.instance_order, instances.c.sop_uid, instances.c.key)
    .limit(ONE)
)
_DETAILS: Final = PreparedStatement(
    select(image_sets.c.performed_date, image_sets.c.performed_time, image_sets.c.timezone_offset).where(
        image_sets.c.id == bindparam("image_set")
    )
)
_BEFORE: Final = PreparedValueStatement(
    lambda uids: select(studies).where(studies.c.datastore_id == bindparam("datastore"), studies.c.study_uid.in_(uids))
)
_SERIES: Final = PreparedValueStatement(
    lambda uids: select(*_READ).where(
        image_sets.c.datastore_id == bindparam("datastore"),
        image_sets.c.study_uid.in_(uids),
        image_sets.c.is_primary,
        image_sets.c.deleted_at.is_(None),
    )
)
_GROWING: Final = ("image_set_id", "updated_at", "series_count", "instance_count")
_GROW: Final = PreparedStatement(
    update(studies).where(studies.c.datastore_id == bindparam("datastore"), studies.c.study_uid == bindparam("uid")),
    _GROWING,
)
"""What changes of a study when instances are added; no more, for SQLite writes the indexes of all columns that are named."""


@dataclass(frozen=True, slots=True)
class SeriesDetails:
    """What a series has from its first instance; the names are those of columns of the tables of image sets and instances."""

    performed_date: str = ""
    performed_time: str = ""
    timezone_offset: str = ""


def read_series_details(connection: Connection, image_set_id: str) -> SeriesDetails:
    """Return what a series has from the first of its instances, all empty where there is none."""
    first = _FIRST.first(connection, {"image_set": image_set_id})
    return SeriesDetails() if first is None else SeriesDetails(*first)


def refresh_series(connection: Connection, image_set_ids: Iterable[str]) -> None:
    """Write the details of the first instances of image sets to their rows, which the caller has locked."""
    for image_set_id in image_set_ids:
        details = read_series_details(connection, image_set_id)
        (before,) = _DETAILS.rows(connection, {"image_set": image_set_id})
        if SeriesDetails(*before) != details:
            connection.execute(update(image_sets).where(image_sets.c.id == image_set_id).values(**asdict(details)))


def refresh_studies(connection: Connection, datastore_id: str, study_uids: Collection[str]) -> None:
    """Bring the rows of studies up to date with their primary image sets.

    Parameters
    ----------
    connection : Connection
        The transaction in which image sets were changed. It must not lock rows of image sets after this.
    datastore_id : str
        Which data store.
    study_uids : Collection of str
        The studies that changed, came or went.
    """
    if not study_uids:
        return
    # Two that change different series of a study at the same time must see each other's.
    lock_name(connection, f"studies:{datastore_id}")
    for some in in_groups(sorted(study_uids)):
        before = {row.study_uid: row._asdict() for row in _BEFORE.rows(connection, some, {"datastore": datastore_id})}
        after = _made(connection, datastore_id, some)
        changed = [uid for uid in some if before.get(uid) != after.get(uid)]
        all_changed = list(changed)
        grown = [uid for uid in changed if _only_grew(before.get(uid), after.get(uid))]
        for uid in grown:
            values = {name: after[uid][name] for name in _GROWING}
            _GROW.run(connection, {**values, "datastore": datastore_id, "uid": uid})
        changed = [uid for uid in changed if uid not in grown]
        renamed = [uid for uid in changed if _words_changed(before.get(uid), after.get(uid))]
        _write(connection, studies, datastore_id, changed, [after[uid] for uid in changed if uid in after])
        follow_studies(connection, datastore_id, {uid: after[uid]["updated_at"] for uid in all_changed if uid in after})
        words = [row for uid in renamed if uid in after for row in word_rows(after[uid])]
        _write(connection, study_words, datastore_id, renamed, words)


def _write(
    connection: Connection, table: Any, datastore_id: str, study_uids: Sequence[str], rows: list[dict[str, Any]]
) -> None:
    if study_uids:
        connection.execute(delete(table).where(table.c.datastore_id == datastore_id, table.c.study_uid.in_(study_uids)))
    if rows:
        connection.execute(insert(table), rows)


def _made(connection: Connection, datastore_id: str, study_uids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Make the rows of studies anew; those without primary image sets have none."""
    found = primary_rows(connection, datastore_id, study_uids)
    return {uid: study_row(datastore_id, rows) for uid, rows in found.items()}


def primary_rows(connection: Connection, datastore_id: str, study_uids: Collection[str]) -> dict[str, list[Any]]:
    """Return the rows of the primary image sets of studies, as `study_row` takes them; a study without any is left out."""
    by_study: dict[str, list[Any]] = {}
    for some in in_groups(sorted(study_uids)):
        for row in _SERIES.rows(connection, some, {"datastore": datastore_id}):
            by_study.setdefault(row.study_uid, []).append(row)
    return by_study


def study_row(datastore_id: str, series: Sequence[Any]) -> dict[str, Any]:
    """Make the row of a study.

    Parameters
    ----------
    datastore_id : str
        Which data store.
    series : Sequence of Row
        Its primary image sets, at least one.

    Returns
    -------
    dict
        Values by the names of the columns of the table of studies. Text is cut where it is much longer than its value
        representation allows: an index holds no text of any length.
    """
    latest = max(series, key=lambda row: (row.updated_at, row.id))
    values = {name: getattr(latest, name)[:_LONGEST_TEXT] for name in _SAME_AS_IMAGE_SET}
    modalities = sorted({modality for row in series for modality in row.modality.split("\\") if modality})
    return {
        "datastore_id": datastore_id,
        "study_uid": latest.study_uid,
        "image_set_id": latest.id,
        "updated_at": latest.updated_at,
        **values,
        **{f"{name}_key": normalise_name(values[name])[:_LONGEST_TEXT] for name in _NAMES},
        "modalities": "\\".join(modalities),
        "series_count": len(series),
        "instance_count": sum(row.instance_count for row in series),
    }


def word_rows(study: Mapping[str, Any]) -> list[dict[str, str]]:
    """Make the rows of the words of a study out of its row."""
    names = [(name, word) for name in _NAMES for word in split_words(study[name])[:_MOST_WORDS]]
    modalities = [("modalities", modality) for modality in study["modalities"].split("\\") if modality]
    found = dict.fromkeys((field, word[:_LONGEST_WORD]) for field, word in names + modalities)
    place = {"datastore_id": study["datastore_id"], "study_uid": study["study_uid"]}
    return [{**place, "field": field, "word": word} for field, word in found]


def _only_grew(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> bool:
    if before is None or after is None:
        return False
    return all(before[name] == value for name, value in after.items() if name not in _GROWING)


def _words_changed(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> bool:
    if before is None or after is None:
        return True
    return any(before[name] != after[name] for name in (*_NAMES, "modalities"))
