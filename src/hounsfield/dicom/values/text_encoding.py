"""Text encoding: Unicode to the bytes of an element, and a data set from one character set to another (PS3.5 section 6.1).

Where the character set of a data set cannot hold a text, the caller makes the whole data set UTF-8.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from hounsfield.dicom.values.charsets import CharacterSet, character_set
from hounsfield.dicom.values.elements import SPECIFIC_CHARACTER_SET, Element
from hounsfield.dicom.values.scalars import CUSTOM_CHARSET_VRS

UTF_8: Final = "ISO_IR 192"
_ASCII_TERMS: Final = frozenset({"", "ISO_IR 6", "ISO 2022 IR 6"})


@dataclass(frozen=True, slots=True)
class TextEncoding:
    """How text is written into a data set.

    Attributes
    ----------
    character_set : CharacterSet
        How it is read again.
    codec : str
        Python codec of the text that can be written; ASCII where no character set is declared, and wherever others
        would need escape sequences.
    """

    character_set: CharacterSet
    codec: str

    def encode(self, text: str, vr: str) -> bytes:
        """Encode the text of an element, all of its values.

        Parameters
        ----------
        text : str
            The text.
        vr : str
            A VR whose value is text. Text of the default repertoire alone (PS3.5 section 6.2) is always written as
            Latin-1, which is how it is read; what is not in it becomes a question mark.

        Raises
        ------
        UnicodeEncodeError
            The character set has no such character.
        """
        if vr not in CUSTOM_CHARSET_VRS:
            return text.encode("latin-1", "replace")
        return text.encode(self.codec)


def text_encoding(value: bytes) -> TextEncoding:
    """Return the encoding that a raw value of Specific Character Set (0008,0005) asks for."""
    return _text_encoding(bytes(value[:1024]))


@lru_cache(maxsize=256)
def _text_encoding(value: bytes) -> TextEncoding:
    charset = character_set(value)
    terms = [term.strip(" \0") for term in value.decode("latin-1").split("\\")]
    # GB 18030 and the other multi-byte sets have second bytes that look like a delimiter to others.
    plain = len(terms) == 1 and charset.known and terms[0] not in _ASCII_TERMS
    return TextEncoding(charset, charset.encodings[0] if plain else "ascii")


UNICODE: Final = text_encoding(UTF_8.encode())


def encoding_of(elements: tuple[Element, ...]) -> TextEncoding:
    """Return the encoding of a data set by its own Specific Character Set (0008,0005); the default repertoire without."""
    return _own(elements) or text_encoding(b"")


def recode_elements(
    elements: tuple[Element, ...], old: CharacterSet, new: TextEncoding, terms: bytes
) -> tuple[Element, ...]:
    """Bring a data set into another character set.

    Parameters
    ----------
    elements : tuple of Element
        A data set. Items that name a character set of their own keep it.
    old : CharacterSet
        How its text is to be read.
    new : TextEncoding
        How its text is to be written.
    terms : bytes
        New raw value of Specific Character Set (0008,0005).

    Raises
    ------
    UnicodeEncodeError
        The new character set has not all the characters.
    """
    named = Element(SPECIFIC_CHARACTER_SET, "CS", terms)
    others = [element for element in _recoded(elements, old, new) if element.tag != SPECIFIC_CHARACTER_SET]
    return tuple(sorted((named, *others), key=lambda element: element.tag))


def _recoded(elements: tuple[Element, ...], old: CharacterSet, new: TextEncoding) -> tuple[Element, ...]:
    return tuple(_element(element, old, new) for element in elements)


def _element(element: Element, old: CharacterSet, new: TextEncoding) -> Element:
    tag, vr, value = element
    if isinstance(value, tuple):
        items = tuple(item if _own(item) is not None else _recoded(item, old, new) for item in value)
        return Element(tag, vr, items)
    if vr not in CUSTOM_CHARSET_VRS or (value.isascii() and b"\x1b" not in value):
        return element
    return Element(tag, vr, new.encode(old.decode(value, person_name=vr == "PN"), vr))


def _own(elements: tuple[Element, ...]) -> TextEncoding | None:
    for element in elements:
        if element.tag == SPECIFIC_CHARACTER_SET and isinstance(element.value, bytes):
            return text_encoding(element.value)
    return None
