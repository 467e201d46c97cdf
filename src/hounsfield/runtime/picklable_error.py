"""Exceptions that go from process to process.

    raised in a worker ─▶ pickled ─▶ unpickled by whoever asked: the same class, words and attributes

An exception that cannot be unpickled breaks the whole pool of processes that it comes from, with all that others wait for.
"""

from __future__ import annotations

import copyreg
import pickle
from typing import Any


class PicklableError(Exception):
    """An exception whose constructor takes something else than its words: it is unpickled without the constructor."""

    def __reduce__(self) -> tuple[Any, ...]:
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]


def make_picklable(error: Exception) -> Exception:
    """Return the exception where another process can unpickle it, otherwise one that has its name and its words."""
    try:
        again = pickle.loads(pickle.dumps(error))  # noqa: S301 - what was pickled here a moment ago
    except Exception:  # noqa: BLE001 - classes of others may raise anything here
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error if type(again) is type(error) else RuntimeError(f"{type(error).__name__}: {error}")
