"""Attribute matching (PS3.4 section C.2.2.2): the text of a search key as a match. Pure.

StudyDate=20240101-20240131  ─▶ RangeMatch        PatientName=ROE*     ─▶ PatternMatch
SeriesInstanceUID=1.2,1.3    ─▶ ValueMatch          PatientName=jane, fuzzy ─▶ WordMatch
PatientID=                   ─▶ None: matches everything
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from hounsfield.dicom.values.person_names import fold_case, normalise_name, split_words
from hounsfield.imaging.errors import InvalidRequestError
from hounsfield.imaging.search.search_keys import Matching, SearchKey

LONGEST_VALUE: Final = 1024
MOST_WILDCARDS: Final = 16
MOST_UIDS: Final = 1000
MOST_CODES: Final = 50
MOST_WORDS: Final = 16
_LONGEST_LIST: Final = 70_000

_DATE: Final = re.compile(r"[0-9]{4}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])")
_TIME: Final = re.compile(
    r"(?:[01][0-9]|2[0-3])(?:[0-5][0-9](?:(?:[0-5][0-9]|60)(?:\.[0-9]{1,6})?)?)?",
)
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,10}")
_WARNING: Final = re.compile(r"[0-9*?]{1,16}")
_LATEST: Final = "235959.999999"
_WILDCARDS: Final = re.compile(r"[*?]")
_LISTED: Final = re.compile(r"[\\,]")
_WORD_BEGINNING: Final = re.compile(r"(?:\A|[\^=\s\\])[^*?^=\s\\]")
"""A literal beginning of a word: whatever is like a pattern that has one, has a word that begins so."""
_LAST_LATIN: Final = "\u024f"


@dataclass(frozen=True, slots=True)
class ValueMatch:
    """Equals one of the values."""

    values: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class RangeMatch:
    """Lies between two texts, both included; None for an open end. A value that is missing never does."""

    lower: str | None
    upper: str | None


@dataclass(frozen=True, slots=True)
class PatternMatch:
    """Equals one of the patterns, in which ``*`` stands for any characters and ``?`` for one."""

    patterns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AnyCasePatternMatch:
    """Equals one of the patterns, without regard to case."""

    patterns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WordMatch:
    """Has a word that is one of the patterns, or that begins with one of the prefixes."""

    patterns: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PatternOrWordMatch:
    """Is like one or has the other: a pattern that words alone do not find all of."""

    like: PatternMatch
    words: WordMatch


@dataclass(frozen=True, slots=True)
class PresenceMatch:
    """Has a value."""


Match: TypeAlias = (
    ValueMatch | RangeMatch | PatternMatch | AnyCasePatternMatch | WordMatch | PatternOrWordMatch | PresenceMatch
)


@dataclass(frozen=True, slots=True)
class Criterion:
    """A search key and what it must match."""

    key: SearchKey
    match: Match


def parse_match(key: SearchKey, text: str, *, fuzzy: bool = False, any_case: bool = False) -> Match | None:
    """Read the value of a search key.

    Parameters
    ----------
    key : SearchKey
        The key.
    text : str
        Its value.
    fuzzy : bool
        Whether names are matched by the beginnings of their words, too.
    any_case : bool
        Whether descriptions are matched without regard to case.

    Returns
    -------
    Match or None
        None for a value that matches everything (PS3.4 section C.2.2.2.3).

    Raises
    ------
    InvalidRequestError
        The value is not one of the key.
    """
    text = text.strip()
    _check(key, text)
    if text.strip("*") == "":
        return PresenceMatch() if text and key.matching is Matching.WARNING else None
    if key.matching is Matching.NAME:
        return _fuzzy(key, _unquoted(text)) if fuzzy else _name(_unquoted(text))
    if any_case and key.matching is Matching.DESCRIPTION:
        return AnyCasePatternMatch((text,))
    return _MATCHERS[key.matching](key, text)


def takes_list(key: SearchKey | None) -> bool:
    """Return whether a search key takes a list of values, one of which must match."""
    return key is not None and key.matching in _LISTS


def _check(key: SearchKey, text: str) -> None:
    most = _LONGEST_LIST if key.matching in _LISTS else LONGEST_VALUE
    if len(text) > most:
        raise InvalidRequestError(f"The value of {key.keyword} is longer than {most} characters")
    if "\0" in text:
        raise InvalidRequestError(f"The value of {key.keyword} holds a zero byte, which no DICOM text does")
    if len(_WILDCARDS.findall(text)) > MOST_WILDCARDS:
        raise InvalidRequestError(f"The value of {key.keyword} has more than {MOST_WILDCARDS} wildcards")


def _text(_key: SearchKey, text: str) -> Match:
    return _values((text,))


def _values(values: tuple[str, ...]) -> ValueMatch | PatternMatch:
    return PatternMatch(values) if any(_WILDCARDS.search(value) for value in values) else ValueMatch(values)


def _list(key: SearchKey, text: str) -> Match:
    values = tuple(dict.fromkeys(value for part in _LISTED.split(text) if (value := part.strip())))
    most = MOST_UIDS if key.matching is Matching.UID else MOST_CODES
    if len(values) > most or not values:
        raise InvalidRequestError(f"{key.keyword} must be a list of 1 to {most} values")
    if key.matching is Matching.UID:
        if any(_WILDCARDS.search(value) for value in values):
            raise InvalidRequestError(f"{key.keyword} is a UID, which cannot be searched with wildcards")
        return ValueMatch(values)
    return WordMatch(patterns=values) if key.matching is Matching.MODALITIES else _values(values)


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text


def _fuzzy(key: SearchKey, text: str) -> Match | None:
    """Match the beginnings of words; and the whole name, where it may be like what is asked for without such a word."""
    words, name = _words(key, text), _name(text)
    if words is None or name is None:
        return words
    is_found_by_words = not _WILDCARDS.search(text) or _WORD_BEGINNING.search(fold_case(text))
    return words if is_found_by_words else PatternOrWordMatch(name, words)


def _words(key: SearchKey, text: str) -> WordMatch | None:
    words = tuple(split_words(_WILDCARDS.sub(" ", text)))
    if len(words) > MOST_WORDS:
        raise InvalidRequestError(f"{key.keyword} has {len(words)} words, at most {MOST_WORDS} may be searched for")
    return WordMatch(prefixes=words) if words else None


def _name(text: str) -> PatternMatch | None:
    first, second, third = normalise_name(text).split("=")
    if second or third:
        return PatternMatch((f"{first or '*'}={second or '*'}={third or '*'}",))
    if _WILDCARDS.match(first) or (first and max(first) > _LAST_LATIN):
        # It may be of any component group; ideographic and phonetic ones are seldom written in Latin letters.
        return PatternMatch((f"{first}=*=*", f"*={first}=*", f"*=*={first}"))
    if not _WILDCARDS.search(first):
        return PatternMatch((f"{first}=*",)) if first else None
    if _WILDCARDS.search(first[:-1]) is None and first.endswith("*"):
        return PatternMatch((first,))
    # The two separators of a compared name keep a wildcard within the first component group.
    return PatternMatch((f"{first}=*=*",))


def _date(key: SearchKey, text: str) -> Match:
    given = _range(key, text, _DATE, "YYYYMMDD, YYYYMMDD-YYYYMMDD, YYYYMMDD- or -YYYYMMDD")
    return ValueMatch((given.lower,)) if given.lower is not None and given.lower == given.upper else given


def _time(key: SearchKey, text: str) -> Match:
    """Let a time mean all moments that begin with it, whatever precision the stored text (TM) has."""
    given = _range(key, text, _TIME, "HHMMSS, its beginning, or two of them with '-' between them")
    # 10, 1000 and 100000.0 are all ten o'clock; the least text of them is the one without zeros at its end.
    lower = None if given.lower is None else given.lower.rstrip("0.")
    return RangeMatch(lower, None if given.upper is None else _latest(given.upper))


def _range(key: SearchKey, text: str, form: re.Pattern[str], forms: str) -> RangeMatch:
    lower, dash, upper = text.partition("-")
    lower, upper = lower.strip(), upper.strip()
    if not dash:
        upper = lower
    ends = [end for end in (lower, upper) if end]
    if not ends or not all(form.fullmatch(end) for end in ends):
        raise InvalidRequestError(f"The value of {key.keyword} must be {forms}")
    if len(ends) == 2 and _latest(upper) < lower:
        raise InvalidRequestError(f"The range of {key.keyword} ends before it begins")
    return RangeMatch(lower or None, upper or None)


def _latest(text: str) -> str:
    """Return the greatest text of a time (TM) that begins with a text; dates are whole."""
    return text if len(text) == 8 and "." not in text else text + _LATEST[len(text) :]


def _integer(key: SearchKey, text: str) -> Match:
    if not _INTEGER.fullmatch(text) or not -(2**31) <= int(text) < 2**31:
        raise InvalidRequestError(f"{key.keyword} must be an integer of 32 bits, without wildcards")
    return ValueMatch((int(text),))


def _warning(key: SearchKey, text: str) -> Match:
    if not _WARNING.fullmatch(text):
        raise InvalidRequestError(f"{key.keyword} must be a decimal number, with wildcards or without")
    return PatternMatch((text,)) if _WILDCARDS.search(text) else ValueMatch((min(int(text), 2**31 - 1),))


_LISTS: Final = frozenset({Matching.UID, Matching.CODE, Matching.MODALITIES})
_MATCHERS: Final[Mapping[Matching, Callable[[SearchKey, str], Match]]] = {
    Matching.TEXT: _text,
    Matching.DESCRIPTION: _text,
    Matching.CODE: _list,
    Matching.MODALITIES: _list,
    Matching.UID: _list,
    Matching.DATE: _date,
    Matching.TIME: _time,
    Matching.INTEGER: _integer,
    Matching.WARNING: _warning,
}
