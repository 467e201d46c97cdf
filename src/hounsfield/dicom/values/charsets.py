"""Character sets: bytes of an element to Unicode by Specific Character Set (PS3.5 section 6.1, PS3.3 C.12.1.1.2).

The defined terms and escape sequences with their Python codecs come from pydicom's tables. Decoding never fails: what
cannot be decoded becomes U+FFFD, and the caller reports it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from pydicom.charset import CODES_TO_ENCODINGS, STAND_ALONE_ENCODINGS, python_encoding

DEFAULT_ENCODING: Final = "latin-1"
"""For ISO_IR 6 as well: undeclared Latin-1 is the commonest violation, and all of ASCII is in it."""

REPLACEMENT: Final = "\ufffd"

_PERSON_NAME_DELIMITERS = re.compile(rb"[\^=\\]")
_TEXT_DELIMITERS = re.compile(rb"[\r\n\t\f\\]")
_FRAGMENT = re.compile(rb"[^\x1b]+|\x1b[^\x1b]*")
_LONGEST_VALUE = 1024
"""Bytes that Specific Character Set can reasonably have: all defined terms together are shorter."""

_STATEFUL = frozenset({"iso2022_jp", "iso2022_jp_2"})
"""Codecs that understand their escape sequence themselves and return to ASCII by the next one."""


def _plain(term: str) -> str:
    """Reduce a defined term to its letters and digits: ``ISO-IR 100`` and ``ISO_IR 100`` are one."""
    return re.sub(r"[^A-Z0-9]", "", term.upper())


_ENCODINGS = {_plain(term): encoding for term, encoding in python_encoding.items()}
_UNICODE_ENCODINGS = (_ENCODINGS[_plain("ISO_IR 192")],)
_STAND_ALONE = frozenset(_plain(term) for term in STAND_ALONE_ENCODINGS)


@dataclass(frozen=True, slots=True)
class CharacterSet:
    """How text is encoded in a data set.

    Attributes
    ----------
    encodings : tuple of str
        Python codec names; the first is in force until an escape sequence.
    known : bool
        False when Specific Character Set has a term that is not defined; Latin-1 takes its place.
    """

    encodings: tuple[str, ...] = (DEFAULT_ENCODING,)
    known: bool = True

    @property
    def unicode(self) -> bool:
        """Whether text is in UTF-8 (``ISO_IR 192``)."""
        return self.encodings == _UNICODE_ENCODINGS

    def decode(self, value: bytes, *, person_name: bool = False) -> str:
        """Decode a whole value, all of its backslash-separated parts.

        Decoding comes before splitting: the second byte of a character may be 0x5C in GB 18030 and ISO-IR 87.

        Parameters
        ----------
        value : bytes
            Raw value.
        person_name : bool
            True for VR PN, in which ``^`` and ``=`` end a code extension (PS3.5 section 6.1.2.5.3).

        Returns
        -------
        str
            The text with its padding; bytes that cannot be decoded become U+FFFD.
        """
        if b"\x1b" not in value:
            return value.decode("ascii") if value.isascii() else value.decode(self.encodings[0], "replace")
        delimiters = _PERSON_NAME_DELIMITERS if person_name else _TEXT_DELIMITERS
        return "".join(self._fragment(fragment, delimiters) for fragment in _FRAGMENT.findall(value))

    def _fragment(self, fragment: bytes, delimiters: re.Pattern[bytes]) -> str:
        """Decode the bytes from one escape sequence to the next (PS3.3 Tables C.12-3 and C.12-4)."""
        first = self.encodings[0]
        code = fragment[:4] if fragment[:4] in CODES_TO_ENCODINGS else fragment[:3]
        encoding = CODES_TO_ENCODINGS.get(code)
        if encoding is None:
            return fragment.decode(first, "replace")
        if encoding in _STATEFUL:
            return fragment.decode(encoding, "replace")
        text = fragment[len(code) :]
        reset = delimiters.search(text)
        if reset is None:
            return text.decode(encoding, "replace")
        return text[: reset.start()].decode(encoding, "replace") + text[reset.start() :].decode(first, "replace")


def character_set(value: bytes) -> CharacterSet:
    """Interpret the raw value of Specific Character Set (0008,0005).

    Parameters
    ----------
    value : bytes
        Backslash-separated defined terms; empty for the default repertoire.

    Returns
    -------
    CharacterSet
        Terms with other separators (``ISO-IR 100``) are understood; undefined ones become Latin-1 with ``known``
        False. Terms that allow no code extensions stand alone (PS3.3 C.12.1.1.2).
    """
    return _interpreted(value) if len(value) <= _LONGEST_VALUE else CharacterSet(known=False)


@lru_cache(maxsize=256)
def _interpreted(value: bytes) -> CharacterSet:
    """Interpret a value once; few different ones occur."""
    terms = [_plain(term.strip(" \0")) for term in value.decode("latin-1").split("\\")]
    if terms[0] in _STAND_ALONE:
        terms = terms[:1]
    terms = terms[:1] + [term for term in terms[1:] if term not in _STAND_ALONE]
    encodings = tuple(_ENCODINGS.get(term, DEFAULT_ENCODING) for term in terms)
    return CharacterSet(encodings, all(term in _ENCODINGS for term in terms))
