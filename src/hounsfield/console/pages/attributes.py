"""The DICOM dictionary: attributes by what one remembers of their names, for people and for fields that suggest them."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final

import orjson
from starlette.responses import Response

from hounsfield.console.imagesets.metadata import in_thread
from hounsfield.console.page import Page
from hounsfield.console.visit import Visit
from hounsfield.dicom.healthimaging.edit_values import EditValueError
from hounsfield.dicom.healthimaging.editable_elements import editable_element
from hounsfield.dicom.healthimaging.levels import Level, level_of
from hounsfield.dicom.values.dictionary import ENTRIES, DictionaryEntry, letters_of, name_of
from hounsfield.dicom.values.errors import tag_text

_SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute of the dictionary.

    Attributes
    ----------
    keyword, name, tag, vr : str
        What it is known by, and its value representation.
    level : str
        Where an image set keeps it.
    is_editable : bool
        Whether an update can change it.
    """

    keyword: str
    name: str
    tag: str
    vr: str
    level: str
    is_editable: bool


async def search_attributes(visit: Visit) -> Response:
    """Show the attributes whose name, keyword or tag has what was typed."""
    typed = visit.query.get("key", "").strip()
    return visit.render("attributes.html", typed=typed, attributes=list(_found(typed)) if typed else [])


def _found(typed: str) -> Iterator[Attribute]:
    """Find attributes: first those that begin with what was typed, and those of the image set before those of instances."""
    wanted = letters_of(typed)
    digits = typed.strip("()").replace(",", "").casefold()
    matches = [
        (tag, entry)
        for tag, entry in ENTRIES.items()
        if (wanted and (wanted in entry.keyword.casefold() or wanted in letters_of(name_of(tag))))
        or f"{tag:08x}".startswith(digits)
    ]

    def rank(match: tuple[int, DictionaryEntry]) -> tuple[bool, bool, str]:
        tag, entry = match
        starts = entry.keyword.casefold().startswith(wanted) or letters_of(name_of(tag)).startswith(wanted)
        return not starts, level_of(tag) is Level.INSTANCE, entry.keyword

    for tag, entry in sorted(matches, key=rank)[:_SHOWN]:
        level = level_of(tag)
        yield Attribute(
            entry.keyword, name_of(tag), tag_text(tag), entry.vr, level.value, _is_editable(entry.keyword, level)
        )


def _is_editable(keyword: str, level: Level) -> bool:
    try:
        editable_element(keyword, level)
    except EditValueError:
        return False
    return True


@cache
def _keywords() -> bytes:
    return gzip.compress(orjson.dumps({f"{tag:08X}": entry.keyword for tag, entry in ENTRIES.items() if entry.keyword}))


async def send_keywords(_: Visit) -> Response:
    """Send the keywords of the dictionary by tag, for scripts that show data sets."""
    return Response(await in_thread(_keywords), media_type="application/json", headers={"Content-Encoding": "gzip"})


PAGES: Final = (
    Page("/console/attributes", search_attributes),
    Page("/console/attributes/keywords", send_keywords, is_file=True),
)
