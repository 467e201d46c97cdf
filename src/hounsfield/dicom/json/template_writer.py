"""Writer of DICOM JSON for similar files: the text of most elements is that of a file before.

stretch that is as it was ─▶ its text, made once ─┐
element that differs      ─▶ its text             ─┴─▶ {"…":{…},"…":{…}}
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple, TypeAlias

from hounsfield.dicom.io.file_template import META_GROUP, FileTemplate, TemplatePiece, pieces_of
from hounsfield.dicom.io.part10 import Part10
from hounsfield.dicom.values.elements import Element
from hounsfield.dicom.values.errors import DicomError

Texts: TypeAlias = "Callable[[Element], bytes | None]"
"""Writes a member of the JSON object; empty where an element is left out, None where its text is not for every file."""


class JsonParts(NamedTuple):
    """The JSON object of a file in parts, and the element that was asked to be noted; None where the file has none.

    Parts are mostly those of other files, so that many objects take little memory before they are put together.
    """

    parts: Sequence[bytes]
    noted: Element | None


class JsonTemplate:
    """Writes files that are like one that was read; not for several threads at a time.

    Parameters
    ----------
    part10 : Part10
        The file, without the value of its pixel data.
    elements : Sequence of Element
        What is written of it: its elements, of which some may be others than in the file, and more.
    texts : callable
        Writes them.
    noted : int
        Tag of the element to note.
    decisive : Collection of int
        Elements on which it depends, beside those of the encoding, how others are written.

    Raises
    ------
    DicomError
        The file is not one for a template, or has values that are given by URI.
    """

    def __init__(
        self, part10: Part10, elements: Sequence[Element], texts: Texts, noted: int, decisive: Collection[int] = ()
    ) -> None:
        self._texts = texts
        self._noted_tag = noted
        self._noted = part10.element(noted)
        self._file = FileTemplate(part10, _with_texts(pieces_of(part10), elements, texts), decisive)

    def write(self, data: bytes) -> JsonParts | None:
        """Write a file.

        Parameters
        ----------
        data : bytes
            The file, without the value of its pixel data; its JSON has nothing that the file has not, but what was written
            more of the template.

        Returns
        -------
        JsonParts or None
            None where the file is not like the template.
        """
        differing = self._file.differing(data)
        if differing is None:
            return None
        noted = self._noted
        parts = [b"{"]
        for stretch, element in zip(self._file.stretches, differing, strict=False):
            text = b"" if element.tag >> 16 == META_GROUP else self._texts(element)
            if text is None:
                return None
            for member in (stretch.text, text):
                if member:
                    parts += (member, b",")
            if element.tag == self._noted_tag:
                noted = element
        last = self._file.stretches[-1].text
        if last:
            parts.append(last)
        elif len(parts) > 1:
            parts.pop()
        parts.append(b"}")
        return JsonParts(parts, noted)


def _with_texts(pieces: Sequence[TemplatePiece], elements: Sequence[Element], texts: Texts) -> list[TemplatePiece]:
    """Return pieces with the texts of what is written of them; what is not in the file becomes a piece without bytes."""
    by_tag = {element.tag: element for element in elements}
    if len(by_tag) != len(elements):
        raise DicomError("the elements of a template must be in order, each of them once")
    written = []
    for piece in pieces:
        element = None if piece.element.tag >> 16 == META_GROUP else by_tag.pop(piece.element.tag, None)
        written.append(piece if element is None else piece._replace(text=_text_of(element, texts)))
    added = [TemplatePiece(b"", element, _text_of(element, texts)) for element in by_tag.values()]
    return sorted([*written, *added], key=lambda piece: piece.element.tag)


def _text_of(element: Element, texts: Texts) -> bytes:
    text = texts(element)
    if text is None:
        raise DicomError("a text of the template is not for every file")
    return text
