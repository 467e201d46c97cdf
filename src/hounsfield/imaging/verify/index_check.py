"""Check of what DICOMweb searches: rows of studies and their words, made anew from the primary image sets and compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, select

from hounsfield.imaging.study_rows import INDEX_VERSION, primary_rows, study_row, word_rows
from hounsfield.imaging.verify.findings import Finding, FindingKind
from hounsfield.storage.db.image_set_tables import image_sets
from hounsfield.storage.db.study_tables import studies, study_words

_TOTALS: Final = ("modalities", "series_count", "instance_count")
_WORD: Final = ("field", "word")


def list_studies(connection: Connection, datastore_id: str, after: str, most: int) -> list[str]:
    """Return the next UIDs of studies that are in the index, in its order."""
    columns = studies.c
    query = select(columns.study_uid).where(columns.datastore_id == datastore_id, columns.study_uid > after)
    return list(connection.execute(query.order_by(columns.study_uid).limit(most)).scalars())


def is_indexed(connection: Connection, datastore_id: str) -> bool:
    """Return whether all image sets of a data store are in the index of today's form."""
    columns = image_sets.c
    older = select(columns.id).where(
        columns.datastore_id == datastore_id, columns.deleted_at.is_(None), columns.index_version < INDEX_VERSION
    )
    return connection.execute(older.limit(1)).first() is None


def check_studies(connection: Connection, datastore_id: str, study_uids: Sequence[str]) -> list[Finding]:
    """Check the rows of studies and their words.

    Parameters
    ----------
    connection : Connection
        From `hounsfield.storage.db.database.Database.read_snapshot`.
    datastore_id : str
        Which data store.
    study_uids : Sequence of str
        At most some hundred.

    Returns
    -------
    list of Finding
        They name the image set that the row of the study is made of.
    """
    own = (studies.c.datastore_id == datastore_id, studies.c.study_uid.in_(study_uids))
    rows = connection.execute(select(studies).where(*own)).all()
    series = primary_rows(connection, datastore_id, study_uids)
    words: dict[str, set[tuple[str, str]]] = {}
    query = select(study_words).where(
        study_words.c.datastore_id == datastore_id, study_words.c.study_uid.in_(study_uids)
    )
    for word in connection.execute(query):
        words.setdefault(word.study_uid, set()).add((word.field, word.word))
    found = []
    for row in rows:
        what = _find_wrong(row, series.get(row.study_uid, []), words.get(row.study_uid, set()))
        if what:
            found.append(Finding(datastore_id, row.image_set_id, "", 0, "", FindingKind.INDEX_WRONG, what))
    return found


def _find_wrong(row: Row[Any], series: Sequence[Any], words: set[tuple[str, str]]) -> str:
    """Return what is wrong with the row of a study; nothing where it is as it should be."""
    latest = next((one for one in series if one.id == row.image_set_id), None)
    if latest is None:
        return "the study in the index is of an image set that is not one of its primary ones"
    # An operation under way changes when an image set was changed; the study follows when it has succeeded.
    wanted: Mapping[str, Any] = {**study_row(row.datastore_id, [latest]), **_totals(row.datastore_id, series)}
    wrong = [name for name, value in wanted.items() if name != "updated_at" and getattr(row, name) != value]
    if row.updated_at > latest.updated_at:
        wrong.append("updated_at")
    if wrong:
        return f"the study is indexed by other values than its image sets have: {', '.join(wrong)}"
    if words != {tuple(entry[name] for name in _WORD) for entry in word_rows(row._asdict())}:
        return "the study is indexed by other words than its names have"
    return ""


def _totals(datastore_id: str, series: Sequence[Any]) -> dict[str, Any]:
    made = study_row(datastore_id, series)
    return {name: made[name] for name in _TOTALS}
