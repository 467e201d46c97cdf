"""The tree of a metadata document: levels and instances, their elements, and the items of sequences.

Place(Instance, 1.2.3) ─▶ rows_of ─▶ rows; small sequences with their own rows, large ones with the address of theirs
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode

from hounsfield.console.imagesets.elements import DataSet, Element, ShownValue, count_elements, list_elements
from hounsfield.console.imagesets.image_set import ImageSet
from hounsfield.console.imagesets.metadata import Level, levels_of, read_instance
from hounsfield.dicom.healthimaging.document_parts import DocumentParts

INSTANCE: Final = "Instance"
MOST_ROWS: Final = 100
"""Elements of a data set, or items of a sequence, that a page shows at a time."""
_MOST_INNER: Final = 40
"""Elements of a sequence that come with the data set that it is in."""
_MOST_OF_ALL: Final = 150
"""Elements of all sequences that do."""


@dataclass(frozen=True, slots=True)
class Place:
    """A level or an instance of the version that a page is about.

    Attributes
    ----------
    image_set : ImageSet
        The image set.
    level : str
        ``Patient``, ``Study``, ``Series`` or ``Instance``.
    sop_uid : str
        The instance; empty for the levels above.
    """

    image_set: ImageSet
    level: str
    sop_uid: str = ""

    def address(self, path: str = "", start: int = 0) -> str:
        """Return the address of what is at a path, from an element or item on."""
        return self._address("element", path, start)

    def frames_address(self, start: int = 0) -> str:
        """Return the address of the list of frames, from one on."""
        return self._address("frames", "", start)

    def picture_address(self, frame: int) -> str:
        """Return the address of the picture of a frame, by its number from 1."""
        return self._address("picture", "", frame)

    def _address(self, page: str, path: str, start: int) -> str:
        version = "" if self.image_set.is_latest else self.image_set.shown.version
        query = {
            "version": version,
            "level": self.level,
            "instance": self.sop_uid,
            "path": path,
            "start": start or "",
        }
        return f"{self.image_set.path}/metadata/{page}?{urlencode({k: v for k, v in query.items() if v})}"


@dataclass(frozen=True, slots=True)
class Row:
    """An element of a data set.

    Attributes
    ----------
    element : Element
        The element.
    value : ShownValue
        Its value in words.
    address : str
        Where all of it is.
    items : list of list of Row
        Of a small sequence, the rows of each item.
    """

    element: Element
    value: ShownValue
    address: str
    items: Sequence[Sequence[Row]] = field(default=())


@dataclass(frozen=True, slots=True)
class Item:
    """An item of a sequence.

    Attributes
    ----------
    number : int
        Its number, from 1.
    count : int
        Elements in it and in its sequences.
    address : str
        Where it is shown alone.
    rows : sequence of Row or None
        Its rows; None where there are so many that they are asked for when somebody wants to see them.
    """

    number: int
    count: int
    address: str
    rows: Sequence[Row] | None


@dataclass(frozen=True, slots=True)
class Branch:
    """A level or an instance with its elements.

    Attributes
    ----------
    place : Place
        What it is.
    data_set : Mapping of str to JsonValue
        Its elements.
    vrs : Mapping of str to str
        VRs of keys that are no keywords.
    frame_count : int
        Frames of an instance.
    """

    place: Place
    data_set: DataSet = field(repr=False)
    vrs: Mapping[str, str] = field(repr=False)
    frame_count: int = 0

    def rows(self, data_set: DataSet | None = None, path: str = "", start: int = 0) -> list[Row]:
        """Return the rows of a data set, of the branch itself where none is given, from one on.

        Parameters
        ----------
        data_set : Mapping of str to JsonValue or None
            An item of a sequence.
        path : str
            Its path.
        start : int
            Number of the first row.
        """
        elements = list_elements(self.data_set if data_set is None else data_set, self.vrs, path)
        found, room = [], _MOST_OF_ALL
        for element in elements[start : start + MOST_ROWS]:
            inner = sum(map(count_elements, element.items)) if element.is_sequence else 0
            fits = inner <= min(_MOST_INNER, room)
            room -= inner if fits else 0
            found.append(self._row(element, inner=fits))
        return found

    def items(self, element: Element, start: int = 0) -> list[Item]:
        """Return the items of a sequence, from one on."""
        found, total = [], 0
        for number, item in enumerate(element.items[start : start + MOST_ROWS], start=start):
            path, count = f"{element.path}.{number}", count_elements(item)
            total += count
            rows = self.rows(item, path) if total <= MOST_ROWS else None
            found.append(Item(number + 1, count, self.place.address(path), rows))
        return found

    def _row(self, element: Element, *, inner: bool) -> Row:
        items: Sequence[Sequence[Row]] = ()
        if inner:
            items = [self.rows(item, f"{element.path}.{number}") for number, item in enumerate(element.items)]
        return Row(element, element.show(), self.place.address(element.path), items)


def branch_of(document: DocumentParts, image_set: ImageSet, level: str, sop_uid: str) -> Branch:
    """Return a level, or an instance; raises `KeyError` where the document has none such."""
    if level == INSTANCE:
        instance = read_instance(document, sop_uid)
        return Branch(Place(image_set, level, sop_uid), instance.data_set, instance.vrs, len(instance.frames))
    found = next((one for one in levels_of(document) if one.name == level), None)
    if found is None:
        raise KeyError(level)
    return branch_of_level(image_set, found)


def branch_of_level(image_set: ImageSet, level: Level) -> Branch:
    """Return the branch of a level above the instances."""
    return Branch(Place(image_set, level.name), level.data_set, {})
