"""Tag filters: formulas over ids and tags of image sets, evaluated by the database or in Python.

TagIs(ward in {3, 4}) ─┐
IdIs(0f3a…)           ─┼─ AnyOf · AllOf · Not ─▶ holds(id, tags)      for one image set
True, False           ─┘                      ─▶ condition(column)    for a query
                                              ─▶ starts               values and ids of which one must be there

"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, and_, exists, false, not_, or_, true

from hounsfield.storage.db.tag_table import image_set_tags


@dataclass(frozen=True, slots=True)
class TagIs:
    """A test of one tag.

    Attributes
    ----------
    key : str
        Its key, in lower case.
    values : frozenset of str
        Values that are meant, or with ``others`` those that are not.
    others : bool
        Whether all other values are meant.
    absent : bool
        Whether an image set without the tag is meant.
    """

    key: str
    values: frozenset[str]
    others: bool = False
    absent: bool = False


@dataclass(frozen=True, slots=True)
class IdIs:
    """The image set of an id."""

    id: str


@dataclass(frozen=True, slots=True)
class AllOf:
    """What is meant by every part."""

    parts: tuple[Formula, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """What is meant by a part."""

    parts: tuple[Formula, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """What is not meant by a formula."""

    part: Formula


Formula: TypeAlias = "bool | TagIs | IdIs | AllOf | AnyOf | Not"
"""True means all image sets, False none."""


def tag_is(key: str, values: Iterable[str], *, others: bool, absent: bool) -> Formula:
    """Return a test of one tag, in its shortest form; see `TagIs`."""
    kept = frozenset(values)
    if not kept and others is absent:
        return others
    return TagIs(key, kept, others, absent)


def all_of(parts: Iterable[Formula]) -> Formula:
    """Return what is meant by every part, in its shortest form."""
    kept: list[Formula] = []
    for part in parts:
        if part is False:
            return False
        if part is not True and part not in kept:
            kept.append(part)
    return AllOf(tuple(kept)) if len(kept) > 1 else kept[0] if kept else True


def any_of(parts: Iterable[Formula]) -> Formula:
    """Return what is meant by one part at least, in its shortest form."""
    kept: list[Formula] = []
    for part in parts:
        if part is True:
            return True
        if part is not False and part not in kept:
            kept.append(part)
    return AnyOf(tuple(kept)) if len(kept) > 1 else kept[0] if kept else False


def negate(part: Formula) -> Formula:
    """Return what is not meant by a formula."""
    return not part if isinstance(part, bool) else part.part if isinstance(part, Not) else Not(part)


def holds(formula: Formula, image_set_id: str, tags: Mapping[str, str]) -> bool:
    """Return whether an image set is meant.

    Parameters
    ----------
    formula : Formula
        The formula.
    image_set_id : str
        Its id.
    tags : Mapping of str to str
        Its tags; keys in lower case.
    """
    match formula:
        case bool():
            return formula
        case TagIs(key, values, others, absent):
            return absent if key not in tags else (tags[key] in values) is not others
        case IdIs(wanted):
            return wanted == image_set_id
        case AllOf(parts):
            return all(holds(part, image_set_id, tags) for part in parts)
        case AnyOf(parts):
            return any(holds(part, image_set_id, tags) for part in parts)
        case Not(part):
            return not holds(part, image_set_id, tags)


def condition(formula: Formula, image_set_id: ColumnElement[Any]) -> ColumnElement[bool]:
    """Return a formula as the condition of a query, on the column that has the id of an image set."""
    match formula:
        case bool():
            return true() if formula else false()
        case TagIs():
            return _of_tag(formula, image_set_id)
        case IdIs(wanted):
            return image_set_id == wanted
        case AllOf(parts):
            return and_(*(condition(part, image_set_id) for part in parts))
        case AnyOf(parts):
            return or_(*(condition(part, image_set_id) for part in parts))
        case Not(part):
            return not_(condition(part, image_set_id))


def _of_tag(test: TagIs, image_set_id: ColumnElement[Any]) -> ColumnElement[bool]:
    # Under a name of its own, so that a query of the same table is not taken for it.
    table = image_set_tags.alias("one_tag")
    own = (table.c.image_set_id == image_set_id, table.c.tag_key == test.key)
    values = sorted(test.values)
    tagged: ColumnElement[bool]
    if test.others:
        tagged = exists().where(*own, table.c.tag_value.not_in(values)) if values else exists().where(*own)
    else:
        tagged = exists().where(*own, table.c.tag_value.in_(values)) if values else false()
    return or_(tagged, not_(exists().where(*own))) if test.absent else tagged


def keys_of(formula: Formula) -> frozenset[str]:
    """Return the keys of the tags that a formula tests."""
    match formula:
        case TagIs(key):
            return frozenset({key})
        case AllOf(parts) | AnyOf(parts):
            return frozenset().union(*(keys_of(part) for part in parts))
        case Not(part):
            return keys_of(part)
        case _:
            return frozenset()


def alternatives(formula: Formula) -> list[TagIs] | None:
    """Return the tests of which one is enough; None where a formula says more than that some tags have some values."""
    parts = formula.parts if isinstance(formula, AnyOf) else (formula,)
    tests = [part for part in parts if isinstance(part, TagIs) and not (part.others or part.absent)]
    return tests if len(tests) == len(parts) else None


Start: TypeAlias = "tuple[str, str] | IdIs"
"""Key and value of a tag, or an image set: what a search for what a formula means can begin with."""


def starts(formula: Formula) -> list[Start] | None:
    """Return tags and ids of which every image set that is meant has one; None where there are none such."""
    found: list[Start] | None = None
    match formula:
        case bool():
            found = None if formula else []
        case TagIs(key, values, others, absent):
            found = None if others or absent else [(key, value) for value in sorted(values)]
        case IdIs():
            found = [formula]
        case AllOf(parts):
            known = [some for part in parts if (some := starts(part)) is not None]
            found = min(known, key=len) if known else None
        case AnyOf(parts):
            each = [some for part in parts if (some := starts(part)) is not None]
            if len(each) == len(parts):
                found = list(dict.fromkeys(start for some in each for start in some))
        case Not():
            pass
    return found
