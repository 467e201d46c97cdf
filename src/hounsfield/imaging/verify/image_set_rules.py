"""Rules of the rows of an image set: its versions, what is a member of them, its totals, and its search index.

All are checked on one snapshot, without reading a pack.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from itertools import pairwise
from typing import Any, Final

from sqlalchemy import Row

from hounsfield.dicom.healthimaging.document import Levels
from hounsfield.imaging.imagesets.copy import COPY_IMAGE_SET
from hounsfield.imaging.imagesets.delete import DELETE_IMAGE_SET
from hounsfield.imaging.imagesets.release_storage import RELEASE_IMAGE_SET
from hounsfield.imaging.imagesets.update import UPDATE_IMAGE_SET
from hounsfield.imaging.imagesets.workflow import TRANSITIONS, Trigger
from hounsfield.imaging.levels import IndexEntry, index_entry, open_levels
from hounsfield.imaging.staged_instance import FrameRun, PixelKind
from hounsfield.imaging.states import ImageSetState
from hounsfield.imaging.study_rows import INDEX_VERSION
from hounsfield.imaging.tag_index import REPEATED, indexed_tags
from hounsfield.imaging.verify.findings import Finding, FindingKind
from hounsfield.imaging.verify.snapshots import ImageSetSnapshot
from hounsfield.storage.keys.data_key import DataKey, KeyUnavailableError

Wrong = tuple[FindingKind, str, str]
"""Kind, words, and key of the instance that it is about; an empty one for none."""

_UNDER_WAY: Final = {
    TRANSITIONS[trigger].during.value: work
    for trigger, work in (
        (Trigger.UPDATE, UPDATE_IMAGE_SET),
        (Trigger.UPDATE_SIBLING, UPDATE_IMAGE_SET),
        (Trigger.COPY_SOURCE, COPY_IMAGE_SET),
        (Trigger.COPY_INTO, COPY_IMAGE_SET),
        (Trigger.DELETE, DELETE_IMAGE_SET),
    )
}
"""States of operations under way, and the work that ends them."""
_OF_OTHERS: Final = frozenset(
    TRANSITIONS[trigger].during.value for trigger in (Trigger.UPDATE_SIBLING, Trigger.COPY_SOURCE)
)
"""Those whose work names another image set."""
PIXEL_KINDS: Final = frozenset(kind.value for kind in PixelKind)
_INDEXED: Final = tuple(field.name for field in fields(IndexEntry))


def check_image_set(snapshot: ImageSetSnapshot, key: DataKey) -> list[Finding]:
    """Check the rows of an image set.

    Parameters
    ----------
    snapshot : ImageSetSnapshot
        Its rows.
    key : DataKey
        The key of its data store.
    """
    row = snapshot.row
    found: list[Wrong] = [*_check_state(snapshot), *_check_versions(snapshot)]
    if not _is_released(snapshot):
        found += _check_members(snapshot)
        found += _check_pixel_rows(snapshot)
        found += _check_levels(snapshot, key)
    if row.deleted_at is None:
        found += _check_totals(snapshot)
        found += _check_series(snapshot)
        found += _check_tags(snapshot)
    return [Finding(row.datastore_id, row.id, instance, 0, "", kind, what) for kind, what, instance in found]


def is_in_a_version(row: Row[Any]) -> bool:
    """Return whether an instance is in any version; one that another file of its import job replaced is in none."""
    return row.last_version is None or bool(row.last_version >= row.first_version)


def _is_released(snapshot: ImageSetSnapshot) -> bool:
    return snapshot.row.deleted_at is not None and not snapshot.instances


def _check_state(snapshot: ImageSetSnapshot) -> Iterator[Wrong]:
    row = snapshot.row
    if (row.deleted_at is not None) != (row.state == ImageSetState.DELETED):
        yield FindingKind.ROW_WRONG, f"the image set is {row.state}, but its time of deletion says otherwise", ""
    latest = next((version for version in snapshot.versions if version.version == row.latest_version), None)
    if latest is None:
        return
    if latest.state != row.state:
        yield FindingKind.ROW_WRONG, f"the image set is {row.state}, its latest version {latest.state}", ""
    if latest.is_primary != row.is_primary:
        yield FindingKind.ROW_WRONG, "the image set and its latest version differ in whether they are primary", ""
    work = _UNDER_WAY.get(latest.workflow_status)
    if (work is not None) != (row.state == ImageSetState.LOCKED):
        yield FindingKind.ROW_WRONG, f"the image set is {row.state}, its latest version {latest.workflow_status}", ""
    elif work is not None:
        waiting = snapshot.any_work if latest.workflow_status in _OF_OTHERS else snapshot.work
        if work not in waiting:
            yield FindingKind.ROW_MISSING, f"nothing is there to end {latest.workflow_status}", ""
    if row.deleted_at is not None and snapshot.instances and RELEASE_IMAGE_SET not in snapshot.work:
        yield FindingKind.ROW_MISSING, "nothing is there to release the storage of the deleted image set", ""


def _check_versions(snapshot: ImageSetSnapshot) -> Iterator[Wrong]:
    there = {version.version for version in snapshot.versions}
    wanted = set(range(1, snapshot.row.latest_version + 1))
    for version in sorted(wanted - there):
        yield FindingKind.ROW_MISSING, f"version {version} is missing", ""
    for version in sorted(there - wanted):
        yield FindingKind.ROW_WRONG, f"version {version} is there, the latest is {snapshot.row.latest_version}", ""


def _check_members(snapshot: ImageSetSnapshot) -> Iterator[Wrong]:
    """Check when instances are in the image set: each SOP instance and each key at most once in a version."""
    latest = snapshot.row.latest_version
    by_uid: defaultdict[str, list[Row[Any]]] = defaultdict(list)
    by_key: defaultdict[str, list[Row[Any]]] = defaultdict(list)
    for row in snapshot.instances:
        if row.datastore_id != snapshot.row.datastore_id:
            yield FindingKind.ROW_WRONG, "the instance is of another data store than its image set", row.key
        last = row.first_version if row.last_version is None else row.last_version
        if not 1 <= row.first_version <= latest or not row.first_version - 1 <= last <= latest:
            yield (
                FindingKind.ROW_WRONG,
                f"the instance is in versions {row.first_version} to {row.last_version}, the latest is {latest}",
                row.key,
            )
        if is_in_a_version(row):
            by_uid[row.sop_uid].append(row)
            by_key[row.key].append(row)
    for name, groups in (("SOP instance", by_uid), ("instance", by_key)):
        for rows in groups.values():
            for before, after in pairwise(sorted(rows, key=lambda row: row.first_version)):
                if before.last_version is None or before.last_version >= after.first_version:
                    what = f"version {after.first_version} has the same {name} twice"
                    yield FindingKind.ROW_WRONG, what, after.key
    if snapshot.twice:
        what = f"{snapshot.twice} of its instances are in another primary image set too"
        yield FindingKind.ROW_WRONG, what, ""


def _check_pixel_rows(snapshot: ImageSetSnapshot) -> Iterator[Wrong]:
    for row in {row.key: row for row in snapshot.instances}.values():
        runs = snapshot.runs.get(row.source_key, ())
        if [run.first_ordinal for run in runs] != _ordinals(runs):
            yield FindingKind.ROW_MISSING, "places of its pixel data are missing, or are there twice", row.key
            continue
        count = sum(len(run.lengths) for run in runs)
        if row.pixel_kind not in PIXEL_KINDS:
            yield FindingKind.ROW_WRONG, f"its pixel data is of the kind {row.pixel_kind}, which is none", row.key
        elif PixelKind(row.pixel_kind).in_frames and count != row.frame_count:
            what = f"there are places of {count} frames, the row says {row.frame_count}"
            yield FindingKind.ROW_MISSING if count < row.frame_count else FindingKind.ROW_WRONG, what, row.key
        elif sum(sum(run.lengths) for run in runs) != row.pixel_bytes:
            yield FindingKind.ROW_WRONG, "the places of its pixel data have another size than the row says", row.key


def _ordinals(runs: Sequence[FrameRun]) -> list[int]:
    """Return the ordinals at which runs begin that follow each other."""
    ordinals, following = [], 0
    for run in runs:
        ordinals.append(following)
        following += len(run.lengths)
    return ordinals


def _check_levels(snapshot: ImageSetSnapshot, key: DataKey) -> Iterator[Wrong]:
    row = snapshot.row
    for version in snapshot.versions:
        try:
            levels = open_levels(key, row.id, version.version, version.sealed_levels)
        except (KeyUnavailableError, ValueError):
            yield FindingKind.DOCUMENT_WRONG, f"the values of version {version.version} do not open", ""
            continue
        if version.version == row.latest_version and row.deleted_at is None:
            yield from _check_index(row, levels)


def _check_index(row: Row[Any], levels: Levels) -> Iterator[Wrong]:
    entry = asdict(index_entry(levels))
    current = row.index_version >= INDEX_VERSION
    # An index of an older form is made anew soon; what image sets are organised by it has had at all times.
    names = [name for name in _INDEXED if current or name in {"study_uid", "series_uid"}]
    wrong = [name for name in names if getattr(row, name) != entry[name]]
    if wrong:
        yield FindingKind.INDEX_WRONG, f"the image set is indexed by other values than it has: {', '.join(wrong)}", ""


def _check_totals(snapshot: ImageSetSnapshot) -> Iterator[Wrong]:
    current = [row for row in snapshot.instances if row.last_version is None]
    totals = {
        "instance_count": len(current),
        "frame_count": sum(row.frame_count for row in current),
        "stored_bytes": sum(row.fragment_length + row.dataset_length + row.pixel_bytes for row in current),
    }
    for name, total in totals.items():
        said = getattr(snapshot.row, name)
        if said != total:
            kind = FindingKind.ROW_MISSING if total < said else FindingKind.ROW_WRONG
            yield kind, f"the image set says {name} {said}, its instances make {total}", ""


def _check_series(snapshot: ImageSetSnapshot) -> Iterator[Wrong]:
    row = snapshot.row
    if row.index_version < INDEX_VERSION:
        return
    if row.is_primary and snapshot.study_updated_at is None:
        yield FindingKind.INDEX_WRONG, "the study of the image set is not in the index", ""
    wrong = [name for name, value in asdict(snapshot.series).items() if getattr(row, name) != value]
    if wrong:
        yield FindingKind.INDEX_WRONG, f"its first instance has other values than the image set: {', '.join(wrong)}", ""


def _check_tags(snapshot: ImageSetSnapshot) -> Iterator[Wrong]:
    row = snapshot.row
    indexed = {entry.tag_key: entry.tag_value for entry in snapshot.indexed_tags}
    if indexed != indexed_tags(snapshot.tags):
        yield FindingKind.INDEX_WRONG, "the index of tags has other tags than the image set", ""
    for entry in snapshot.indexed_tags:
        wrong = [name for name in REPEATED if getattr(entry, name) != getattr(row, name)]
        if row.is_primary and snapshot.study_updated_at not in {None, entry.study_updated_at}:
            wrong.append("study_updated_at")
        if wrong:
            what = f"the index of tags repeats other values than the image set has: {', '.join(wrong)}"
            yield FindingKind.INDEX_WRONG, what, ""
            return
