"""Writer of the DICOM JSON model (PS3.18 Annex F), as text straight from elements.

    element ─▶ "GGGGEEEE":{"vr":"…","Value":[…]}        text and numbers
               "GGGGEEEE":{"vr":"…","InlineBinary":"…"}  bytes
               "GGGGEEEE":{"vr":"…","BulkDataURI":"…"}   more than 1 MiB of bytes
               "GGGGEEEE":{"vr":"SQ","Value":[{…},{…}]}   items

The instances of a series share nearly all of their elements: the text of short ones is made once and remembered, so that a
series is mostly bytes joined.
"""

from __future__ import annotations

import hashlib
import math
import re
from binascii import b2a_base64
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from struct import Struct
from typing import Final, TypeAlias

import numpy as np
import orjson

from hounsfield.dicom.values.charsets import CharacterSet, character_set
from hounsfield.dicom.values.decode import BULK_DATA_THRESHOLD, is_encoding_only
from hounsfield.dicom.values.elements import PIXEL_TAGS, SPECIFIC_CHARACTER_SET, Element
from hounsfield.dicom.values.memo import ResultMemo
from hounsfield.dicom.values.scalars import CUSTOM_CHARSET_VRS, FIXED_CHARSET_VRS, NUMBERS, SINGLE_TEXT_VRS, strip_text

Path: TypeAlias = "tuple[int, ...]"
"""Where an element is: its tag; in a sequence tag of the sequence, index of the item, tag, and so on."""

BULK_DATA_URI: Final = b'"BulkDataURI":'
"""Is in the text of an element only where a value is given by URI."""

_NUMBER_CODES: Final = {"US": "H", "SS": "h", "UL": "L", "SL": "l", "UV": "Q", "SV": "q", "FL": "f", "FD": "d"}
_NUMBER: Final = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")
_SIMPLE_VRS: Final = frozenset({"AE", "AS", "CS", "DA", "DT", "LO", "SH", "TM", "UI"})
_SIMPLE_TEXT: Final = re.compile(rb"[ !#-\[\]-}]+")
"""One value that is the same text in every character set, and stands in JSON as it is: ASCII without quotes and ``\\ ~``."""
_SIMPLE_DECIMALS: Final = re.compile(rb"(?:-?(?:0|[1-9]\d{0,15})(?:\.\d{1,15})?(?:\\(?=.)|$))+")
"""Values that are numbers in JSON as they stand."""
_EXACT_INTEGERS: Final = 1 << 53
_GROUPS: Final = ("Alphabetic", "Ideographic", "Phonetic")
_UNICODE: Final = b'["ISO_IR 192"]'


def json_object(
    elements: tuple[Element, ...], charset: CharacterSet, bulk_data_uri: Callable[[Path], str], path: Path = ()
) -> bytes:
    """Write a data set; parameters are those of `json_members`.

    Returns
    -------
    bytes
        A JSON object in UTF-8, members in tag order.
    """
    return join_members(json_members(elements, charset, bulk_data_uri, path))


def join_members(members: Iterable[tuple[int, bytes]]) -> bytes:
    """Put members together to the JSON object of a data set."""
    return b"{" + b",".join([text for _, text in members]) + b"}"


def json_members(
    elements: tuple[Element, ...], charset: CharacterSet, bulk_data_uri: Callable[[Path], str], path: Path = ()
) -> list[tuple[int, bytes]]:
    """Write the members of a data set.

    Parameters
    ----------
    elements : tuple of Element
        A data set, little endian; of a tag that comes more than once the last counts.
    charset : CharacterSet
        In force in it.
    bulk_data_uri : callable
        Gives the URI under which the value at a path can be retrieved.
    path : tuple of int
        Where the data set is; empty for the top level.

    Returns
    -------
    list of (int, bytes)
        Tag, and ``"GGGGEEEE":{…}`` in UTF-8, in tag order. Pixel data at the top level, group lengths and trailing padding
        are left out (PS3.18 section F.2.2). Specific Character Set is that of the JSON text.
    """
    known = _texts(charset).get
    members: list[tuple[int, bytes]] = []
    append = members.append
    for element in sort_elements(elements):
        text = known(element)
        if text is None:
            text = element_text(element, charset, bulk_data_uri, path)
        if text:
            append((element[0], text))
    return members


def element_text(
    element: Element, charset: CharacterSet, bulk_data_uri: Callable[[Path], str], path: Path = ()
) -> bytes:
    """Write one member of a data set, empty where the element is left out; parameters are those of `json_members`."""
    table = _texts(charset)
    text = table.get(element)
    if text is not None:
        return text
    tag, vr, value = element
    if isinstance(value, tuple):
        return _head(tag, "SQ") + _items(value, charset, bulk_data_uri, (*path, tag)) + b"}"
    if is_encoding_only(tag) or (not path and tag in PIXEL_TAGS):
        return b""
    text = _member(tag, vr, value, charset, bulk_data_uri, (*path, tag))
    table.keep(element, text, len(value))
    return text


def sort_elements(elements: tuple[Element, ...]) -> tuple[Element, ...] | list[Element]:
    """Sort elements by tag, and leave out those that another one of their tag follows; there are hardly ever any."""
    tags = [element[0] for element in elements]
    if len(set(tags)) == len(tags) and tags == sorted(tags):
        return elements
    by_tag = dict(zip(tags, elements, strict=True))
    return [by_tag[tag] for tag in sorted(by_tag)]


def path_digest(owner: str, path: Path) -> str:
    """Return the name of the value at a path in URIs: 32 hexadecimal digits that follow from whose it is and where it is."""
    text = owner + "".join(f"/{step:X}" for step in path)
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def bulk_values(elements: tuple[Element, ...], path: Path = ()) -> Iterator[tuple[Path, bytes]]:
    """Find all values of a data set that are given by URI.

    Parameters
    ----------
    elements : tuple of Element
        A data set, little endian.
    path : tuple of int
        Where it is.

    Yields
    ------
    (tuple of int, bytes)
        Path and value.
    """
    for tag, vr, value in elements:
        if isinstance(value, tuple):
            for index, item in enumerate(value):
                yield from bulk_values(item, (*path, tag, index))
        elif _is_bulk(vr, value) and (path or tag not in PIXEL_TAGS):
            yield (*path, tag), value


@lru_cache(maxsize=4)
def _texts(charset: CharacterSet) -> ResultMemo[Element, bytes]:  # noqa: ARG001
    """Return the texts of elements that were written under a character set before."""
    return ResultMemo()


def _head(tag: int, vr: str) -> bytes:
    return b'"%08X":{"vr":"%b"' % (tag, vr.encode())


def _items(
    items: tuple[tuple[Element, ...], ...], charset: CharacterSet, uri: Callable[[Path], str], path: Path
) -> bytes:
    if not items:
        return b""
    texts = [json_object(item, _charset(item, charset), uri, (*path, index)) for index, item in enumerate(items)]
    return b',"Value":[' + b",".join(texts) + b"]"


def _charset(item: tuple[Element, ...], outer: CharacterSet) -> CharacterSet:
    for element in item:
        if element.tag == SPECIFIC_CHARACTER_SET and isinstance(element.value, bytes):
            return character_set(element.value)
    return outer


def _is_bulk(vr: str, value: bytes) -> bool:
    return len(value) > BULK_DATA_THRESHOLD and not _has_values(vr)


def _has_values(vr: str) -> bool:
    return vr in CUSTOM_CHARSET_VRS or vr in FIXED_CHARSET_VRS or vr in NUMBERS or vr == "AT"


def _member(tag: int, vr: str, value: bytes, charset: CharacterSet, uri: Callable[[Path], str], path: Path) -> bytes:
    head = _head(tag, vr)
    if not _has_values(vr):
        if not value:
            return head + b"}"
        if _is_bulk(vr, value):
            return head + b"," + BULK_DATA_URI + orjson.dumps(uri(path)) + b"}"
        return head + b',"InlineBinary":"' + b2a_base64(value, newline=False) + b'"}'
    if tag == SPECIFIC_CHARACTER_SET and value.strip(b" \0"):
        return head + b',"Value":' + _UNICODE + b"}"
    text = _values(vr, value, charset)
    return head + b"}" if text is None else head + b',"Value":' + text + b"}"


def _values(vr: str, value: bytes, charset: CharacterSet) -> bytes | None:
    """Write the values of an element as a JSON array; None when there is none."""
    simple = _simple_values(vr, value)
    if simple is not None:
        return simple
    if vr in NUMBERS:
        return _numbers(vr, value)
    if vr == "AT":
        return _tags(value)
    text = charset.decode(value, person_name=vr == "PN") if vr in CUSTOM_CHARSET_VRS else value.decode("latin-1")
    parts = [text] if vr in SINGLE_TEXT_VRS else text.split("\\")
    parts = [strip_text(part, vr) for part in parts]
    if parts == [""]:
        return None
    if vr in ("DS", "IS"):
        return b"[" + b",".join(_decimal(part, vr) for part in parts) + b"]"
    return orjson.dumps([_person_name(part) if vr == "PN" else part or None for part in parts])


def _simple_values(vr: str, value: bytes) -> bytes | None:
    """Write what nearly all texts and numbers are, without decoding them; None for all else."""
    if vr in _SIMPLE_VRS:
        text = value.strip(b" \0")
        return b'["' + text + b'"]' if _SIMPLE_TEXT.fullmatch(text) else None
    if vr in ("DS", "IS"):
        text = value.strip(b" \0")
        simple = _SIMPLE_DECIMALS.fullmatch(text) and not (vr == "IS" and b"." in text)
        return b"[" + text.replace(b"\\", b",") + b"]" if simple else None
    return None


def _tags(value: bytes) -> bytes | None:
    words = Struct(f"<{len(value) // 4 * 2}H").unpack_from(value)
    tags = [f"{group:04X}{number:04X}" for group, number in zip(words[::2], words[1::2], strict=True)]
    return orjson.dumps(tags) if tags else None


def _person_name(text: str) -> dict[str, str] | None:
    groups = {name: group for name, part in zip(_GROUPS, text.split("="), strict=False) if (group := part.rstrip(" "))}
    return groups or None


def _decimal(text: str, vr: str) -> bytes:
    """Write a decimal string as the number it is, digit for digit where JSON allows, else as a string.

    An integer string that has a fraction or an exponent is written as the integer it is, or else as a string.
    """
    text = text.strip()
    if not text:
        return b"null"
    try:
        number = float(text)
    except ValueError:
        return orjson.dumps(text)
    if not math.isfinite(number) or "_" in text or not text.isascii():
        return orjson.dumps(text)
    if vr == "IS" and re.search("[.eE]", text):
        exact = number.is_integer() and abs(number) <= _EXACT_INTEGERS
        return repr(int(number)).encode() if exact else orjson.dumps(text)
    if _NUMBER.fullmatch(text):
        return text.encode()
    return repr(int(text)).encode() if re.fullmatch(r"[+-]?\d+", text) else repr(number).encode()


def _numbers(vr: str, value: bytes) -> bytes | None:
    count = len(value) // NUMBERS[vr][0].size
    if not count:
        return None
    numbers = Struct(f"<{count}{_NUMBER_CODES[vr]}").unpack_from(value)
    if vr in ("FL", "FD"):
        if not all(map(math.isfinite, numbers)):
            return orjson.dumps([_floating(number, vr) for number in numbers])
        array = np.frombuffer(value, "<f4" if vr == "FL" else "<f8", count)
        return orjson.dumps(array, option=orjson.OPT_SERIALIZE_NUMPY)
    # JavaScript reads larger integers inexactly, and PS3.18 Table F.2.3-1 allows strings.
    return orjson.dumps(
        [number if -_EXACT_INTEGERS <= number <= _EXACT_INTEGERS else str(number) for number in numbers]
    )


def _floating(number: float, vr: str) -> float | str:
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "inf" if number > 0 else "-inf"
    return float(str(np.float32(number))) if vr == "FL" else number
