"""Query parameters that say how an answer is wanted, not of what (PS3.18 section 8.3): supported, or ignored with a warning.

charset=latin1  ─▶ Warning: 299 hounsfield "The query parameters charset are not supported and were ignored"

Whoever asks for less than this server gives is better served with the answer than with an error. What says which results are
wanted is never ignored: more patients than were asked for would be found.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

CHARSET: Final = "charset"
ICC_PROFILE: Final = "iccprofile"
SAYING_HOW: Final = frozenset({"_", CHARSET, "emptyvaluematching", ICC_PROFILE, "multiplevaluematching", "orderby"})
"""Their names in lower case; ``_`` is what pages add so that nothing is taken from a cache."""
_UTF_8: Final = frozenset({"utf-8", "utf8", "*"})


def says_how(name: str) -> bool:
    """Return whether a parameter only says how an answer is wanted, and is ignored where it is not supported."""
    return name.lower() in SAYING_HOW


def warning(query: Sequence[tuple[str, str]], met: Collection[str] = ()) -> tuple[str, str] | None:
    """Return the header that names what was ignored, None when nothing was.

    Parameters
    ----------
    query : sequence of (str, str)
        Query parameters.
    met : collection of str
        Names in lower case of what the operation has done.
    """
    names = {name.lower() for name, value in query if says_how(name) and not _is_met(name.lower(), value.lower())}
    names.difference_update(met)
    if not names:
        return None
    told = ", ".join(sorted(names))
    return "Warning", f'299 hounsfield "The query parameters {told} are not supported and were ignored"'


def _is_met(name: str, value: str) -> bool:
    """Return whether an answer is as a parameter wants it without anything being done."""
    if name == CHARSET:
        return not _UTF_8.isdisjoint(part.partition(";")[0].strip() for part in value.split(","))
    return name == ICC_PROFILE and value == "no"
