"""Writer of DICOM JSON for data sets that share nearly all elements, such as the slices of a series.

before:  a b c d e f      texts of each kept
now:     a b X d e f      one comparison finds X; only its text is made, the others are joined again
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from itertools import compress, count
from operator import is_not

from hounsfield.dicom.json.writer import BULK_DATA_URI, Path, element_text, json_object, sort_elements
from hounsfield.dicom.values.charsets import CharacterSet
from hounsfield.dicom.values.elements import Element


class JsonSeries:
    """Writes one data set after another; not for several threads at a time."""

    __slots__ = ("_charset", "_elements", "_own", "_texts")

    def __init__(self) -> None:
        self._charset: CharacterSet | None = None
        self._elements: tuple[Element, ...] = ()
        self._texts: list[bytes] = []
        self._own: set[int] = set()

    def json_object(
        self, elements: tuple[Element, ...], charset: CharacterSet, bulk_data_uri: Callable[[Path], str]
    ) -> bytes:
        """Write a data set; parameters and result are those of `hounsfield.dicom.json.writer.json_object`."""
        changed = self._changed(elements, charset)
        if changed is None:
            if sort_elements(elements) is not elements:
                return json_object(elements, charset, bulk_data_uri)
            changed, self._texts, self._own = range(len(elements)), [b""] * len(elements), set()
        texts = self._texts
        for at in changed:
            text = texts[at] = element_text(elements[at], charset, bulk_data_uri)
            # A text with a URI names the instance that it is of, and is made anew for the next one.
            if BULK_DATA_URI in text:
                self._own.add(at)
            else:
                self._own.discard(at)
        self._charset, self._elements = charset, elements
        return b"{" + b",".join(filter(None, texts)) + b"}"

    def _changed(self, elements: tuple[Element, ...], charset: CharacterSet) -> Collection[int] | None:
        """Find the elements that differ from those of the data set before; None where the tags differ already."""
        before = self._elements
        if len(elements) != len(before) or charset != self._charset:
            return None
        changed = set(self._own)
        for at in compress(count(), map(is_not, elements, before)):
            if elements[at][0] != before[at][0]:
                return None
            if elements[at] != before[at]:
                changed.add(at)
        return changed
