"""Private creators: who reserved the blocks of private elements in a data set (PS3.5 section 7.8.1)."""

from __future__ import annotations

from hounsfield.dicom.values.dictionary import is_private_creator
from hounsfield.dicom.values.elements import Element

_LENGTH = 64
"""Bytes of a private creator that can matter: it is an LO."""


class PrivateCreators:
    """The private creators among the elements of one data set, looked for when an element needs one.

    Parameters
    ----------
    elements : list of Element
        The data set as far as it has been read; it may grow.
    """

    __slots__ = ("_elements", "_names", "_seen")

    def __init__(self, elements: list[Element]) -> None:
        self._elements = elements
        self._names: dict[int, str] = {}
        self._seen = 0

    def of(self, tag: int) -> str | None:
        """Name the creator of the block that a private element is in; None when none came before it."""
        if self._seen < len(self._elements):
            self._look()
        return self._names.get((tag & 0xFFFF0000) | (tag >> 8 & 0xFF))

    def _look(self) -> None:
        for number in range(self._seen, len(self._elements)):
            tag, _, value = self._elements[number]
            if is_private_creator(tag) and isinstance(value, bytes):
                self._names[tag] = value[:_LENGTH].decode("latin-1").strip(" \0")
        self._seen = len(self._elements)
