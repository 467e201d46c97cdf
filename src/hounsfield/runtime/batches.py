"""Batches: things that are worked on together, as many in a row as are not too large."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def in_batches(
    things: Iterable[T], size_of: Callable[[T], int], most_bytes: int, most: int = sys.maxsize
) -> Iterator[list[T]]:
    """Yield things in their order, in batches; what is too large for a batch is one by itself.

    Parameters
    ----------
    things : Iterable
        The things; no more of them are taken than the next batch shows to be full.
    size_of : callable
        Returns the size of one, in bytes.
    most_bytes : int
        The size of a batch of several.
    most : int
        How many are in a batch.
    """
    batch: list[T] = []
    size = 0
    for thing in things:
        own = size_of(thing)
        if batch and (size + own > most_bytes or len(batch) >= most):
            yield batch
            batch, size = [], 0
        batch.append(thing)
        size += own
    if batch:
        yield batch
