"""The instances of a series or a study in the order that people look at them: Series Number, then Instance Number."""

from __future__ import annotations

from typing import TypeAlias

from hounsfield.imaging.image_set_access import ImageSetAccess
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.levels import series_number_as_integer
from hounsfield.imaging.retrieve.instances import (
    ReadableImageSet,
    StoredInstance,
    find_image_set,
    find_primary_image_sets,
    list_instances,
)

INSTANCE_NUMBER = 0x00200013

SortKey: TypeAlias = "tuple[bool, int, str]"
"""What instances are sorted by: those without a number come last, equal numbers by SOP Instance UID."""


def find_series(
    image_store: ImageStore,
    access: ImageSetAccess,
    datastore_id: str,
    study_uid: str,
    series_uid: str,
    image_set_id: str | None = None,
) -> list[StoredInstance]:
    """List the instances of a series by Instance Number (0020,0013).

    Parameters and errors are those of `hounsfield.imaging.retrieve.instances.find_image_set`.
    """
    return list_instances_in_order(
        image_store, find_image_set(image_store, access, datastore_id, study_uid, series_uid, image_set_id)
    )


def find_study(
    image_store: ImageStore, access: ImageSetAccess, datastore_id: str, study_uid: str
) -> list[StoredInstance]:
    """List the instances of the primary image sets of a study by Series Number (0020,0011) and Instance Number.

    Parameters and errors are those of `hounsfield.imaging.retrieve.instances.find_primary_image_sets`.
    """
    found = sort_series(find_primary_image_sets(image_store, access, datastore_id, study_uid))
    return [instance for image_set in found for instance in list_instances_in_order(image_store, image_set)]


def sort_series(image_sets: list[ReadableImageSet]) -> list[ReadableImageSet]:
    """Sort image sets by Series Number; those without one come last."""
    return sorted(image_sets, key=_make_series_sort_key)


def make_sort_key(number: int | None, sop_uid: str) -> SortKey:
    """Return what an instance is sorted by: its Instance Number, and its SOP Instance UID."""
    return number is None, number or 0, sop_uid


def list_instances_in_order(image_store: ImageStore, image_set: ReadableImageSet) -> list[StoredInstance]:
    """List the instances of an image set by Instance Number, from their rows alone: they are read as they are sent."""
    return sorted(list_instances(image_store, image_set), key=lambda instance: (instance.order, instance.sop_uid))


def _make_series_sort_key(image_set: ReadableImageSet) -> SortKey:
    number = series_number_as_integer(str(image_set.levels.series.get("SeriesNumber") or "").strip())
    return number is None, number or 0, image_set.series_uid
