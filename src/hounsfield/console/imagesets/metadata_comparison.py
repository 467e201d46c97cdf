"""Comparison of two versions of a metadata document: elements that were added, removed or changed, and instances likewise.

two documents ─▶ levels: element by element
              ─▶ instances of both: bytes equal? else element by element, equal changes once ─▶ Comparison
              ─▶ instances of one only
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b
from typing import Final

import orjson

from hounsfield.console.imagesets.elements import DataSet, Element, element_at, flatten
from hounsfield.console.imagesets.metadata import levels_of, read_instance
from hounsfield.dicom.healthimaging.document_parts import DocumentParts
from hounsfield.dicom.values.decode import JsonValue

MOST_CHANGES: Final = 2000
"""Different changes that are told; more are said to be there."""


class Kind(StrEnum):
    """What became of an element."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(slots=True)
class Change:
    """An element that is not the same in both versions.

    Attributes
    ----------
    level : str
        ``Patient``, ``Study``, ``Series`` or ``Instance``.
    kind : Kind
        What became of it.
    before, after : Element or None
        The element in each version; None where it is not there.
    sop_uid : str
        The first instance with this change; empty for the levels above.
    count : int
        How many instances have this change.
    """

    level: str
    kind: Kind
    before: Element | None
    after: Element | None
    sop_uid: str = ""
    count: int = 1

    @property
    def element(self) -> Element:
        """The element, as it is now where it is there."""
        element = self.after or self.before
        if element is None:
            raise ValueError("a change is about an element")
        return element


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is different.

    Attributes
    ----------
    changes : list of Change
        By level.
    added, removed : list of str
        SOP Instance UIDs of instances that only the later or the earlier version has.
    changed_instances : int
        How many instances of both are not the same.
    is_cut : bool
        Whether there are more changes than are told.
    """

    changes: list[Change]
    added: list[str]
    removed: list[str]
    changed_instances: int
    is_cut: bool


def compare_documents(before: DocumentParts, after: DocumentParts) -> Comparison:
    """Compare two versions of an image set.

    Parameters
    ----------
    before, after : DocumentParts
        The earlier and the later version; any two will do.
    """
    collected = _Changes()
    for old, new in zip(levels_of(before), levels_of(after), strict=True):
        collected.compare(old.name, (old.data_set, {}), (new.data_set, {}), "")
    changed = 0
    for sop_uid in before.ranges:
        if sop_uid not in after.ranges or before.fragment(sop_uid) == after.fragment(sop_uid):
            continue
        one, other = read_instance(before, sop_uid), read_instance(after, sop_uid)
        changed += collected.compare("Instance", (one.data_set, one.vrs), (other.data_set, other.vrs), sop_uid)
    return Comparison(
        list(collected.found.values()),
        [sop_uid for sop_uid in after.ranges if sop_uid not in before.ranges],
        [sop_uid for sop_uid in before.ranges if sop_uid not in after.ranges],
        changed,
        collected.is_cut,
    )


class _Changes:
    def __init__(self) -> None:
        self.found: dict[tuple[str, str, bytes], Change] = {}
        self.is_cut = False

    def compare(
        self,
        level: str,
        before: tuple[DataSet, Mapping[str, str]],
        after: tuple[DataSet, Mapping[str, str]],
        sop_uid: str,
    ) -> bool:
        """Note what is different between two data sets with their VRs; gives whether anything is."""
        different = False
        for path, kind, values in _differences(dict(flatten(before[0])), dict(flatten(after[0]))):
            different = True
            key = (level, path, blake2b(orjson.dumps((kind, values)), digest_size=16).digest())
            if key in self.found:
                self.found[key].count += 1
            elif len(self.found) < MOST_CHANGES:
                old = None if kind is Kind.ADDED else element_at(*before, path)
                new = None if kind is Kind.REMOVED else element_at(*after, path)
                self.found[key] = Change(level, kind, old, new, sop_uid)
            else:
                self.is_cut = True
        return different


def _differences(
    before: Mapping[str, JsonValue], after: Mapping[str, JsonValue]
) -> Iterator[tuple[str, Kind, tuple[JsonValue, JsonValue]]]:
    for path, value in after.items():
        if path not in before:
            yield path, Kind.ADDED, (None, value)
        elif before[path] != value:
            yield path, Kind.CHANGED, (before[path], value)
    for path, value in before.items():
        if path not in after:
            yield path, Kind.REMOVED, (value, None)
