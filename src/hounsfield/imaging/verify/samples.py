"""Samples of image sets: which lots are drawn."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from sqlalchemy import select

from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.verify.scopes import Sample, Scope, draw, largest_lot
from hounsfield.storage.db.image_set_tables import image_sets


def largest_lot_of(image_store: ImageStore, scope: Scope, seed: str) -> int | None:
    """Return the largest lot that is in the sample of a scope; None where the scope is no sample.

    Parameters
    ----------
    image_store : ImageStore
        Where the image sets are.
    scope : Scope
        Its sample is of its data store, or of all.
    seed : str
        What makes samples differ.
    """
    if not scope.sample:
        return None
    sample = Sample.parse(scope.sample)
    if sample.count is None:
        return largest_lot(sample.part)
    smallest = heapq.nsmallest(sample.count, (draw(seed, name) for name in _image_set_ids(image_store, scope)))
    return smallest[-1] if smallest else 0


def _image_set_ids(image_store: ImageStore, scope: Scope) -> Iterator[str]:
    query = select(image_sets.c.id).where(image_sets.c.deleted_at.is_(None))
    if scope.datastore_id:
        query = query.where(image_sets.c.datastore_id == scope.datastore_id)
    with image_store.database.read() as connection:
        yield from connection.execute(query).yield_per(10_000).scalars()
