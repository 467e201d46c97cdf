"""Elements of the metadata document as pages show them: keyword, tag, VR and value, private ones with their creator.

    {"PatientName": "Roe^Jane", "00091010": "x"} ─▶ list_elements ─▶ PatientName (0010,0010) PN Roe^Jane
                                                                     [name]      (0009,1010) LO x       creator

An element is found again by its path: keys and numbers of items, such as ``ReferencedSeriesSequence.0.SeriesInstanceUID``.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Final, TypeAlias

from pydicom.datadict import private_dictionary_description

from hounsfield.dicom.healthimaging.edit_values import BINARY_VRS
from hounsfield.dicom.values.decode import BULK_DATA_THRESHOLD, JsonValue
from hounsfield.dicom.values.dictionary import ENTRIES, is_private, is_private_creator, tag_of
from hounsfield.dicom.values.errors import tag_text

DataSet: TypeAlias = Mapping[str, JsonValue]

SHORTENED: Final = 200
"""Characters of a value that a row shows at most."""
_SHORTENED_BYTES: Final = 32
_GROUPS: Final = ("alphabetic", "ideographic", "phonetic")
"""Component groups of a person name (PS3.5 section 6.2.1.1)."""


@dataclass(frozen=True, slots=True)
class ShownValue:
    """A value in words.

    Attributes
    ----------
    parts : tuple of (str, str)
        Texts with what each is, which is empty but for the groups of a person name.
    note : str
        What is said of it besides, such as its size.
    is_empty : bool
        Whether there is nothing to show.
    is_shortened : bool
        Whether there is more of it.
    """

    parts: tuple[tuple[str, str], ...] = ()
    note: str = ""
    is_empty: bool = False
    is_shortened: bool = False

    @property
    def text(self) -> str:
        """All of it as one line, for comparisons by eye."""
        return "=".join(text for text, _ in self.parts) if not self.is_empty else ""


@dataclass(frozen=True, slots=True)
class Element:
    """An element.

    Attributes
    ----------
    key : str
        Its key in the document.
    path : str
        Its key after those of the sequences and items that it is in.
    keyword : str
        Its keyword; of a private element the name that is known for it, in brackets; else empty.
    tag : str
        As (gggg,eeee).
    vr : str
        Its VR; empty where that is not known.
    creator : str
        The creator of a private element; empty for others.
    value : JsonValue
        Its value, as the document has it.
    """

    key: str
    path: str
    keyword: str
    tag: str
    vr: str
    creator: str
    value: JsonValue = field(repr=False)

    @property
    def is_sequence(self) -> bool:
        """Whether it has items."""
        return self.vr == "SQ" or (isinstance(self.value, list) and any(isinstance(one, dict) for one in self.value))

    @property
    def items(self) -> Sequence[DataSet]:
        """The items of a sequence."""
        return [one for one in self.value if isinstance(one, dict)] if isinstance(self.value, list) else []

    def show(self, most: int = SHORTENED) -> ShownValue:
        """Return the value in words, of at most so many characters."""
        return show_value(self.vr, self.value, most)


def list_elements(data_set: DataSet, vrs: Mapping[str, str], path: str = "") -> list[Element]:
    """Return the elements of a data set in the order of their tags.

    Parameters
    ----------
    data_set : Mapping of str to JsonValue
        Values by key.
    vrs : Mapping of str to str
        VRs of the keys that are no keywords.
    path : str
        Path of the data set; empty for one that is in no sequence.
    """
    found = []
    for key, value in data_set.items():
        tag = tag_of(key)
        creator = ""
        if tag is not None:
            creator = _creator(data_set, tag)
        entry = None if tag is None else ENTRIES.get(tag)
        vr = vrs.get(key) or ("" if entry is None else entry.vr)
        text = f"{path}.{key}" if path else key
        found.append((tag or 0, Element(key, text, _keyword(key, tag, creator), _tag(tag), vr, creator, value)))
    return [element for _, element in sorted(found, key=lambda entry: entry[0])]


def element_at(data_set: DataSet, vrs: Mapping[str, str], path: str) -> Element:
    """Return the element at a path, the sequence where the path is that of an item; raises `KeyError`."""
    parent, _, key = path.rpartition(".")
    holder = find(data_set, parent)
    if isinstance(holder, list):
        return element_at(data_set, vrs, parent)
    if not isinstance(holder, dict) or key not in holder:
        raise KeyError(path)
    tag = tag_of(key)
    creator = _creator(holder, tag) if tag is not None else ""
    beside = {key: holder[key]}
    (element,) = list_elements(beside, vrs, parent)
    return replace(element, creator=creator, keyword=_keyword(key, tag, creator))


def flatten(data_set: DataSet, path: str = "") -> Iterator[tuple[str, JsonValue]]:
    """Yield the path and value of each element in a data set and in its sequences; of a sequence itself where it is empty."""
    for key, value in data_set.items():
        own = f"{path}.{key}" if path else key
        if isinstance(value, list) and any(isinstance(one, dict) for one in value):
            for number, item in enumerate(value):
                if isinstance(item, dict) and item:
                    yield from flatten(item, f"{own}.{number}")
                else:
                    yield f"{own}.{number}", None
        else:
            yield own, value


def find(data_set: DataSet, path: str) -> JsonValue:
    """Return what is at a path: a value, or a data set where the path ends with the number of an item; raises `KeyError`."""
    found: Any = data_set
    for step in path.split(".") if path else ():
        try:
            found = found[int(step)] if isinstance(found, list) else found[step]
        except (IndexError, TypeError, ValueError):
            raise KeyError(path) from None
    value: JsonValue = found
    return value


def count_elements(data_set: DataSet) -> int:
    """Return how many elements are in a data set and in its sequences."""
    return sum(1 + sum(count_elements(item) for item in _items(value)) for value in data_set.values())


def _items(value: JsonValue) -> list[dict[str, JsonValue]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def show_value(vr: str, value: JsonValue, most: int = SHORTENED) -> ShownValue:
    """Return a value in words.

    Parameters
    ----------
    vr : str
        Its VR.
    value : JsonValue
        As the document has it.
    most : int
        Characters at most.
    """
    is_binary = not BINARY_VRS.isdisjoint(vr.split(" or "))
    if value is None or value in ("", []):
        large = is_binary and value is None
        note = f"not in the document: larger than {BULK_DATA_THRESHOLD // 1024:,} KiB, or empty" if large else "empty"
        return ShownValue(note=note, is_empty=True)
    if is_binary and isinstance(value, str):
        return _binary(value, most)
    if isinstance(value, dict) or (isinstance(value, list) and any(isinstance(one, dict) for one in value)):
        count = len(value) if isinstance(value, list) else 1
        return ShownValue(note=f"{count:,} item{'' if count == 1 else 's'}")
    texts = [_text(one) for one in value] if isinstance(value, list) else [_text(value)]
    if vr == "PN":
        return _names(texts, most)
    text = "\\".join(texts)
    note = f"{len(texts):,} values" if len(texts) > 1 and len(text) > most else ""
    if len(text) > most:
        note = note or f"{len(text):,} characters"
        return ShownValue(((f"{text[:most]}…", ""),), note, is_shortened=True)
    return ShownValue(((text, ""),), note)


def _names(texts: list[str], most: int) -> ShownValue:
    parts = []
    for name in texts:
        groups = name.split("=")
        labels = _GROUPS if len(groups) > 1 else ("",)
        parts += [(group, label) for group, label in zip(groups, (*labels, *[""] * len(groups)), strict=False) if group]
    shortened = [(f"{text[:most]}…" if len(text) > most else text, label) for text, label in parts]
    return ShownValue(tuple(shortened), is_shortened=shortened != parts)


def _binary(value: str, most: int) -> ShownValue:
    try:
        content = b64decode(value, validate=True)
    except ValueError:
        return ShownValue(((value[:most], ""),), "not base64", is_shortened=len(value) > most)
    size = f"{len(content):,} byte{'' if len(content) == 1 else 's'}"
    text = content.rstrip(b"\0 ").decode("latin-1")
    if text and text.isascii() and text.isprintable():
        long = len(text) > most
        return ShownValue(((f"{text[:most]}…" if long else text, "as text"),), size, is_shortened=long)
    shown = content[: max(_SHORTENED_BYTES, most // 3)] if most > SHORTENED else content[:_SHORTENED_BYTES]
    long = len(shown) < len(content)
    return ShownValue(((shown.hex(" ") + (" …" if long else ""), "hexadecimal"),), size, is_shortened=long)


def _creator(data_set: DataSet, tag: int) -> str:
    """Return the creator of a private element: (gggg,00bb) reserves (gggg,bb00-bbFF) in its data set (PS3.5 section 7.8.1)."""
    if not is_private(tag) or is_private_creator(tag):
        return ""
    return str(data_set.get(f"{tag >> 16:04X}{tag >> 8 & 0xFF:04X}") or "")


def _text(value: JsonValue) -> str:
    return "" if value is None else str(value)


def _tag(tag: int | None) -> str:
    return "" if tag is None else tag_text(tag)


def _keyword(key: str, tag: int | None, creator: str) -> str:
    if tag is not None and tag in ENTRIES:
        return ENTRIES[tag].keyword
    if tag is None:
        return key
    if is_private_creator(tag):
        return "[Private creator]"
    name = _private_name(tag, creator) if creator else ""
    return f"[{name}]" if name else ""


@lru_cache(maxsize=8192)
def _private_name(tag: int, creator: str) -> str:
    try:
        return private_dictionary_description(tag, creator)
    except KeyError:
        return ""
