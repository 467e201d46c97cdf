"""DICOM JSON of data sets that follow each other and share nearly all of their elements, such as the slices of a series.

before:  a b c d e f      texts of each kept
now:     a b X d e f      one comparison finds X; only its text is made, the others are joined again
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import compress, count
from operator import is_not

from hounsfield.dicom.charsets import CharacterSet
from hounsfield.dicom.elements import Element
from hounsfield.dicom.json_model import Path, element_text, in_order, json_object

_NAMED = b'"BulkDataURI":'


class JsonSeries:
    """Writes one data set after another; not for several threads at a time."""

    __slots__ = ("_charset", "_elements", "_own", "_texts")

    def __init__(self) -> None:
        self._charset: CharacterSet | None = None
        self._elements: tuple[Element, ...] = ()
        self._texts: list[bytes] = []
        self._own: frozenset[int] = frozenset()

    def json_object(
        self, elements: tuple[Element, ...], charset: CharacterSet, bulk_data_uri: Callable[[Path], str]
    ) -> bytes:
        """Write a data set; parameters and result are those of `hounsfield.dicom.json_model.json_object`."""
        texts = self._changed(elements, charset, bulk_data_uri)
        if texts is None:
            if in_order(elements) is not elements:
                return json_object(elements, charset, bulk_data_uri)
            texts = [element_text(element, charset, bulk_data_uri) for element in elements]
        self._charset, self._elements, self._texts = charset, elements, texts
        # A text with a URI names the instance that it is of.
        self._own = frozenset(at for at, text in enumerate(texts) if len(text) > len(_NAMED) and _NAMED in text)
        return b"{" + b",".join(filter(None, texts)) + b"}"

    def _changed(
        self, elements: tuple[Element, ...], charset: CharacterSet, bulk_data_uri: Callable[[Path], str]
    ) -> list[bytes] | None:
        """Give the texts of elements that have the tags of the data set before; None where they have others."""
        before = self._elements
        if len(elements) != len(before) or charset != self._charset:
            return None
        texts = self._texts.copy()
        for at in compress(count(), map(is_not, elements, before)):
            element = elements[at]
            if element[0] != before[at][0]:
                return None
            if element != before[at]:
                texts[at] = element_text(element, charset, bulk_data_uri)
        for at in self._own:
            texts[at] = element_text(elements[at], charset, bulk_data_uri)
        return texts
