"""The data dictionary (PS3.6), arranged for quick look-up by tag.

The names are those of pydicom's dictionary, and of `hounsfield.dicom.values.dictionary_supplement` for what is newer.
HealthImaging
documents the 2022b edition; keywords do not change between editions, so a newer dictionary only names more elements. Elements
without a keyword of their own are keyed by eight hexadecimal digits: private ones, unknown ones, and those of the repeating
groups (50xx, 60xx …), where one keyword stands for many tags and would collide inside a document.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Final

from pydicom.datadict import DicomDictionary, dictionary_VR, private_dictionary_VR  # type: ignore[attr-defined]

from hounsfield.dicom.values.dictionary_supplement import SUPPLEMENT
from hounsfield.dicom.values.errors import tag_text


@dataclass(frozen=True, slots=True)
class DictionaryEntry:
    """What the dictionary says of one tag.

    Attributes
    ----------
    keyword : str
        Keyword of PS3.6 Table 6-1.
    vr : str
        Value representation; may be ambiguous, for example ``"US or SS"``.
    multiple : bool
        True when the value multiplicity is anything but 1.
    """

    keyword: str
    vr: str
    multiple: bool


ENTRIES: Final[dict[int, DictionaryEntry]] = {
    tag: DictionaryEntry(keyword, vr, vm != "1")
    for tag, (vr, vm, _name, _retired, keyword) in DicomDictionary.items()
    if keyword and vr != "NONE"
} | {tag: DictionaryEntry(keyword, vr, vm != "1") for tag, (vr, vm, keyword) in SUPPLEMENT.items()}
"""Standard elements that have a keyword of their own, by tag."""

TAGS: Final[dict[str, int]] = {entry.keyword: tag for tag, entry in ENTRIES.items()}
"""Tags by keyword."""


def key_of(tag: int) -> str:
    """Name an element the way the metadata document does.

    Parameters
    ----------
    tag : int
        The element.

    Returns
    -------
    str
        The keyword, or eight upper-case hexadecimal digits.
    """
    entry = ENTRIES.get(tag)
    return entry.keyword if entry is not None else f"{tag:08X}"


def tag_of(key: str) -> int | None:
    """Find the tag behind a key of the metadata document.

    Parameters
    ----------
    key : str
        A keyword or eight hexadecimal digits.

    Returns
    -------
    int or None
        None when the key is neither.
    """
    tag = TAGS.get(key)
    if tag is None and len(key) == 8:
        try:
            return int(key, 16)
        except ValueError:
            return None
    return tag


def name_of(tag: int) -> str:
    """Return the name of a standard element, such as ``Patient's Name``; its keyword where the dictionary has no name."""
    known = DicomDictionary.get(tag)
    return known[2] if known is not None and known[2] else key_of(tag)


def letters_of(name: str) -> str:
    """Return the letters and digits of a name in lower case, by which people mean the same attribute."""
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def tag_of_name(name: str) -> int | None:
    """Find the tag that somebody means by a name or keyword, in any case and with any signs between its words.

    Parameters
    ----------
    name : str
        Such as ``Patient name``, ``patient's name`` or ``PatientName``.

    Returns
    -------
    int or None
        None when no standard element is called so.
    """
    return _tags_by_letters().get(letters_of(name))


@cache
def _tags_by_letters() -> Mapping[str, int]:
    names = {letters_of(name_of(tag)): tag for tag in ENTRIES}
    return names | {letters_of(entry.keyword): tag for tag, entry in ENTRIES.items()}


def element_name(tag: int) -> str:
    """Name an element for a reader: its keyword, where it has one, and its tag."""
    entry = ENTRIES.get(tag)
    return tag_text(tag) if entry is None else f"{entry.keyword} {tag_text(tag)}"


def is_private(tag: int) -> bool:
    """Return whether a tag is private: odd group (PS3.5 section 7.8)."""
    return bool(tag & 0x10000)


def is_private_creator(tag: int) -> bool:
    """Return whether a tag reserves a block of private elements: (gggg,0010-00FF) with gggg odd (PS3.5 7.8.1)."""
    return bool(tag & 0x10000) and 0x10 <= tag & 0xFFFF <= 0xFF


@lru_cache(maxsize=8192)
def known_vr(tag: int, creator: str | None) -> str | None:
    """Look up the value representation of an element that does not carry one (PS3.5 section 6.2.2).

    Parameters
    ----------
    tag : int
        The element.
    creator : str or None
        For a private element the creator of its block.

    Returns
    -------
    str or None
        May be ambiguous such as ``"US or SS"``; None when the dictionaries do not know the element.
    """
    entry = ENTRIES.get(tag)
    if entry is not None:
        return entry.vr
    if is_private_creator(tag):
        return "LO"
    if not is_private(tag) and not tag & 0xFFFF:
        return "UL"
    try:
        if not is_private(tag):
            return dictionary_VR(tag)
        return None if creator is None else private_dictionary_VR(tag, creator)
    except KeyError:
        return None
