"""Nesting of JSON, counted before it is parsed: parsers of JSON go as deep as a body does."""

from __future__ import annotations

import re
from typing import Final

_STRINGS_AND_BRACKETS: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\Z)|[\[\]{}]', re.DOTALL)
"""A string that does not end goes to the end of the text: it is read once, whatever is in it."""


def is_nested_deeper(text: bytes, most: int) -> bool:
    """Return whether arrays and objects are nested deeper than allowed; looks no further than to the first that is.

    Parameters
    ----------
    text : bytes
        JSON in UTF-8, or what is to be that.
    most : int
        How deep they may be nested.
    """
    depth = 0
    for token in _STRINGS_AND_BRACKETS.finditer(text):
        first = text[token.start()]
        if first in b"[{":
            depth += 1
            if depth > most:
                return True
        elif first in b"]}":
            depth -= 1
    return False
