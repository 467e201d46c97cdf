"""SQL conditions of attribute matching, the same on both databases.

The literal beginning of a pattern becomes a range, which an index can be walked over; what follows is left to GLOB (SQLite)
or LIKE (PostgreSQL), both of which tell small letters from capital ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from sqlalchemy import (
    Column,
    ColumnElement,
    CompoundSelect,
    Connection,
    Select,
    Text,
    and_,
    cast,
    exists,
    false,
    literal,
    or_,
    select,
    true,
    union_all,
)
from sqlalchemy.sql.visitors import replacement_traverse

from hounsfield.imaging.search.attribute_matching import (
    AnyCasePatternMatch,
    Criterion,
    Match,
    PatternMatch,
    PatternOrWordMatch,
    PresenceMatch,
    RangeMatch,
    ValueMatch,
    WordMatch,
)
from hounsfield.imaging.search.search_keys import Matching, SearchKey, SearchLevel
from hounsfield.storage.db.image_set_tables import image_sets, instances
from hounsfield.storage.db.study_tables import studies, study_words

_TABLES: Final = {SearchLevel.STUDY: studies, SearchLevel.SERIES: image_sets, SearchLevel.INSTANCE: instances}
_PATTERN: Final = re.compile(r"[^*?]*")
_LAST_CHARACTER: Final = 0x10FFFF
_SURROGATES: Final = range(0xD800, 0xE000)


def condition(key: SearchKey, match: Match, dialect: str) -> ColumnElement[bool]:
    """Return the condition on the column of a key, for all matches but those of words.

    Parameters
    ----------
    key : SearchKey
        The key.
    match : Match
        What it must match.
    dialect : str
        ``sqlite`` or ``postgresql``.
    """
    column: ColumnElement[Any] = _TABLES[key.level].c[key.column]
    if isinstance(match, ValueMatch):
        equal = column == match.values[0] if len(match.values) == 1 else column.in_(match.values)
        return and_(equal, column.is_not(None)) if key.matching is Matching.WARNING else equal
    if isinstance(match, RangeMatch):
        ends = [column != ""]
        if match.lower:
            ends.append(column >= match.lower)
        if match.upper is not None:
            ends.append(column <= match.upper)
        return and_(*ends)
    if isinstance(match, PresenceMatch):
        return column.is_not(None)
    if isinstance(match, PatternMatch):
        if key.matching is Matching.WARNING:
            return and_(column.is_not(None), _like(cast(column, Text), match.patterns, dialect, ranges=False))
        # Text of image sets is ordered by the language of a PostgreSQL database.
        return _like(column, match.patterns, dialect, ranges=dialect == "sqlite" or key.level is SearchLevel.STUDY)
    if isinstance(match, AnyCasePatternMatch):
        return or_(*(_like_any_case(column, pattern, dialect) for pattern in match.patterns))
    raise TypeError(f"{key.keyword} is not matched by words here")


def are_met(
    connection: Connection, criteria: Iterable[Criterion], study: Mapping[str, Any], words: Iterable[Mapping[str, str]]
) -> bool:
    """Return whether a study that is in no table meets criteria.

    Parameters
    ----------
    connection : Connection
        A database, which compares values as it does those of its tables.
    criteria : iterable of Criterion
        Criteria on studies.
    study : Mapping of str to object
        Values by columns of the table of studies.
    words : iterable of Mapping
        Rows of the table of words.
    """
    dialect = connection.dialect.name
    parts: list[ColumnElement[bool]] = []
    for criterion in criteria:
        match = criterion.match
        either: list[ColumnElement[bool]] = [false()]
        plain = match.like if isinstance(match, PatternOrWordMatch) else match
        by_words = match.words if isinstance(match, PatternOrWordMatch) else match
        if not isinstance(plain, WordMatch):
            either.append(_of_values(condition(criterion.key, plain, dialect), study))
        if isinstance(by_words, WordMatch):
            field = word_field(criterion.key)
            own = [row for row in words if row["field"] == field]
            either += [_of_values(word, row) for row in own for word in _words(by_words, dialect)]
        parts.append(or_(*either))
    return bool(connection.execute(select(and_(true(), *parts))).scalar_one())


def _of_values(wanted: ColumnElement[bool], values: Mapping[str, Any]) -> ColumnElement[bool]:
    """Put values in the place of the columns of a condition."""

    def value(element: Any, **_: object) -> ColumnElement[Any] | None:
        return cast(literal(values[element.name]), element.type) if isinstance(element, Column) else None

    replaced: ColumnElement[bool] = replacement_traverse(wanted, {}, value)
    return replaced


def word_field(key: SearchKey) -> str:
    """Return the field of the table of words that a key is for."""
    return key.column.removesuffix("_key")


def studies_with_words(
    datastore_id: str, field: str, match: WordMatch, dialect: str
) -> Select[Any] | CompoundSelect[Any]:
    """Return a query for the UIDs of studies that have words; each pattern is looked up in the index on its own."""
    queries = [
        select(study_words.c.study_uid)
        .where(*_words_of(datastore_id, field), word)
        .with_hint(study_words, f"INDEXED BY {primary_key_index(study_words.name)}", "sqlite")
        for word in _words(match, dialect)
    ]
    return queries[0] if len(queries) == 1 else union_all(*queries)


def primary_key_index(table: str) -> str:
    """Return the name that SQLite gives the index of a primary key."""
    return f"sqlite_autoindex_{table}_1"


def has_words(datastore_id: str, field: str, match: WordMatch, dialect: str) -> ColumnElement[bool]:
    """Return the condition that the study of a row of studies has words."""
    own = (*_words_of(datastore_id, field), study_words.c.study_uid == studies.c.study_uid)
    return exists().where(*own, or_(*_words(match, dialect)))


def _words_of(datastore_id: str, field: str) -> tuple[ColumnElement[bool], ...]:
    return study_words.c.datastore_id == datastore_id, study_words.c.field == field


def literal_beginning(match: Match) -> bool:
    """Return whether an index helps to find what matches: not where every pattern may begin with anything."""
    patterns = match.patterns if isinstance(match, (PatternMatch, WordMatch)) else ()
    return all(not pattern.startswith(("*", "?")) for pattern in patterns)


def _words(match: WordMatch, dialect: str) -> list[ColumnElement[bool]]:
    patterns = (*match.patterns, *(f"{prefix}*" for prefix in match.prefixes))
    return [_like(study_words.c.word, (pattern,), dialect, ranges=True) for pattern in patterns]


def _like(column: ColumnElement[Any], patterns: tuple[str, ...], dialect: str, *, ranges: bool) -> ColumnElement[bool]:
    return or_(*(_one(column, re.sub(r"\*+", "*", pattern), dialect, ranges=ranges) for pattern in patterns))


def _one(column: ColumnElement[Any], pattern: str, dialect: str, *, ranges: bool) -> ColumnElement[bool]:
    found = _PATTERN.match(pattern)
    prefix = found[0] if found else ""
    if prefix == pattern:
        return column == pattern
    parts: list[ColumnElement[bool]] = []
    if prefix and ranges:
        parts.append(column >= prefix)
        after = _after(prefix)
        if after is not None:
            parts.append(column < after)
    if not parts or pattern != f"{prefix}*":
        parts.append(_residual(column, pattern, dialect))
    return and_(true(), *parts)


def _residual(column: ColumnElement[Any], pattern: str, dialect: str) -> ColumnElement[bool]:
    if dialect == "sqlite":
        return column.op("GLOB", is_comparison=True)(pattern.replace("[", "[[]"))
    escaped = re.sub(r"([\\%_])", r"\\\1", pattern).replace("*", "%").replace("?", "_")
    return column.like(escaped, escape="\\")


def _like_any_case(column: ColumnElement[Any], pattern: str, dialect: str) -> ColumnElement[bool]:
    """Match a pattern letter by letter, small or capital: neither database compares letters beyond ASCII so of itself."""
    if dialect == "sqlite":
        return column.op("GLOB", is_comparison=True)("".join(_both_cases(one, one) for one in pattern))
    wildcards = {"*": ".*", "?": "."}
    parts = (wildcards.get(one) or _both_cases(one, re.escape(one)) for one in pattern)
    return column.op("~", is_comparison=True)(f"^{''.join(parts)}$")


def _both_cases(character: str, alone: str) -> str:
    """Return what stands for a character in a pattern: a class of characters where it has cases, or means something itself."""
    cases = {case for case in (character, character.lower(), character.upper()) if len(case) == 1}
    return f"[{''.join(sorted(cases))}]" if len(cases) > 1 or character == "[" else alone


def _after(prefix: str) -> str | None:
    """Return the least text that comes after all that begin with a prefix, None when there is none."""
    while prefix:
        last = ord(prefix[-1]) + 1
        if last in _SURROGATES:
            last = _SURROGATES.stop
        if last <= _LAST_CHARACTER:
            return prefix[:-1] + chr(last)
        prefix = prefix[:-1]
    return None
