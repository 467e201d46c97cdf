"""Search of a metadata document by keyword, tag or value.

"kvp", "(0018,0060)", "00180060", "120" ─▶ search_document ─▶ elements, each value once, with how many instances have it
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

import orjson

from hounsfield.console.imagesets.elements import DataSet, Element, element_at, flatten
from hounsfield.console.imagesets.metadata import levels_of, read_instance
from hounsfield.dicom.healthimaging.document_parts import DocumentParts
from hounsfield.dicom.values.decode import JsonValue
from hounsfield.dicom.values.dictionary import is_private, key_of, tag_of

MOST_FOUND: Final = 100
_NO_HEXADECIMAL: Final = re.compile(r"[^0-9a-f]")
_TAG: Final = re.compile(r"\(?[0-9a-f]{4},?[0-9a-f]{0,4}\)?")


@dataclass(slots=True)
class Found:
    """An element that was found.

    Attributes
    ----------
    level : str
        ``Patient``, ``Study``, ``Series`` or ``Instance``.
    element : Element
        The element.
    sop_uid : str
        The first instance that has it with this value; empty for the levels above.
    count : int
        How many instances have it with this value.
    """

    level: str
    element: Element
    sop_uid: str = ""
    count: int = 1


@dataclass(frozen=True, slots=True)
class FoundElements:
    """What a search found.

    Attributes
    ----------
    found : list of Found
        In the order of the document.
    is_cut : bool
        Whether there is more.
    """

    found: list[Found]
    is_cut: bool


def search_document(document: DocumentParts, text: str) -> FoundElements:
    """Find elements whose keyword, tag or value has a text in it, in any case.

    Parameters
    ----------
    document : DocumentParts
        The document.
    text : str
        The text, of one character at least.
    """
    search = _Search(text)
    for level in levels_of(document):
        search.look_through(level.name, level.data_set, {}, "")
    for sop_uid in document.ranges:
        instance = read_instance(document, sop_uid)
        search.look_through("Instance", instance.data_set, instance.vrs, sop_uid)
    return FoundElements(list(search.found.values()), search.is_cut)


class _Search:
    def __init__(self, text: str) -> None:
        self._wanted = text.strip().casefold()
        digits = _NO_HEXADECIMAL.sub("", self._wanted)
        self._tag = digits.upper() if _TAG.fullmatch(self._wanted) else None
        self._known: dict[str, bool] = {}
        self.found: dict[tuple[str, str, bytes], Found] = {}
        self.is_cut = False

    def look_through(self, level: str, data_set: DataSet, vrs: Mapping[str, str], sop_uid: str) -> None:
        """Look through a data set."""
        for path, value in flatten(data_set):
            if self._is_named(path) or self._has(value) or self._has_private_name(data_set, vrs, path):
                self._note(level, data_set, vrs, path, value, sop_uid)

    def _note(
        self, level: str, data_set: DataSet, vrs: Mapping[str, str], path: str, value: JsonValue, sop_uid: str
    ) -> None:
        digest = blake2b(orjson.dumps(value), digest_size=16).digest()
        known = self.found.get((level, path, digest))
        if known is not None:
            known.count += 1
        elif len(self.found) < MOST_FOUND:
            self.found[level, path, digest] = Found(level, element_at(data_set, vrs, path), sop_uid)
        else:
            self.is_cut = True

    def _is_named(self, path: str) -> bool:
        """Return whether the element, or a sequence that it is in, has the text in its keyword or tag."""
        return any(self._names(step) for step in path.split(".") if not step.isdigit() or len(step) == 8)

    def _names(self, key: str) -> bool:
        named = self._known.get(key)
        if named is None:
            tag = tag_of(key)
            keyword = key if tag is None else key_of(tag)
            of_tag = self._tag is not None and tag is not None and f"{tag:08X}".startswith(self._tag)
            named = self._known[key] = of_tag or self._wanted in keyword.casefold()
        return named

    def _has(self, value: JsonValue) -> bool:
        if isinstance(value, list):
            return any(map(self._has, value))
        return value is not None and self._wanted in str(value).casefold()

    def _has_private_name(self, data_set: DataSet, vrs: Mapping[str, str], path: str) -> bool:
        """Return whether a private element has the text in its name or that of its creator."""
        tag = tag_of(path.rpartition(".")[2])
        if tag is None or not is_private(tag):
            return False
        element = element_at(data_set, vrs, path)
        return self._wanted in element.keyword.casefold() or self._wanted in element.creator.casefold()
