r"""Matchers for patterns of the service model, which are Java regular expressions.

Java's ``matches`` wants the whole string, ``\w`` and ``\d`` mean ASCII, and ``\p{ASCII}`` is known. Most patterns go to
`re`; those with categories of Unicode (``\p{L}``) to the `regex` package. A pattern that repeats a group may take time that
grows exponentially with the text; such ones go to `regex` too, which takes a time limit. The one of today's model that does
grow so is replaced by an equal one that does not.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

import regex  # type: ignore[import-untyped]

MATCH_SECONDS = 0.1
"""Time limit for one match of a pattern that repeats a group."""

# The model's pattern for paths of metadata files repeats within a repetition. It says: characters from "!" to "~" and
# blanks, with no blank at either end. ("[a-zA-Z0-9!-~]" and "[!-~]" are the same set.)
_EQUAL_PATTERNS = {
    r"[a-zA-Z0-9!-~]+([a-zA-Z0-9!-~ ]*[a-zA-Z0-9!-~]+)*": r"[!-~](?:[ -~]*[!-~])?",
}
_UNICODE_CATEGORY = re.compile(r"\\p\{(?!ASCII\})")
_REPEATED_GROUP = re.compile(r"\)[*+{]")


@cache
def matcher(pattern: str) -> Callable[[str], bool]:
    """Make the function that tells whether a text has a pattern.

    Parameters
    ----------
    pattern : str
        Regular expression of the service model.

    Returns
    -------
    callable
        Takes the text and answers whether the whole of it matches. A text that cannot be decided in `MATCH_SECONDS`
        does not match.
    """
    pattern = _EQUAL_PATTERNS.get(pattern, pattern)
    if _REPEATED_GROUP.search(pattern):
        return _timed_matcher(pattern)
    if _UNICODE_CATEGORY.search(pattern):
        whole = regex.compile(pattern).fullmatch
        return lambda text: whole(text) is not None
    fullmatch = re.compile(pattern.replace(r"\p{ASCII}", r"[\x00-\x7F]"), re.ASCII).fullmatch
    return lambda text: fullmatch(text) is not None


def _timed_matcher(pattern: str) -> Callable[[str], bool]:
    fullmatch = regex.compile(pattern, regex.ASCII).fullmatch

    def matches(text: str) -> bool:
        try:
            return fullmatch(text, timeout=MATCH_SECONDS) is not None
        except TimeoutError:
            return False

    return matches
