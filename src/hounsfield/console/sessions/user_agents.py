"""Names of browsers: what a person calls the program that a User-Agent header names (RFC 9110, section 10.1.5)."""

from __future__ import annotations

import re
from typing import Final

# Each of these also says that it is those below it.
_BROWSERS: Final = (
    ("Edge", re.compile(r"\bEdgA?/(\d+)")),
    ("Opera", re.compile(r"\bOPR/(\d+)")),
    ("Firefox", re.compile(r"\b(?:Firefox|FxiOS)/(\d+)")),
    ("Chrome", re.compile(r"\b(?:Headless)?(?:Chrome|CriOS)/(\d+)")),
    ("Safari", re.compile(r"\bVersion/(\d+)\S* (?:Mobile/\S+ )?Safari/")),
)
_SYSTEMS: Final = (
    ("Android", "Android"),
    ("iPhone", "iOS"),
    ("iPad", "iPadOS"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)
_LONGEST: Final = 40


def browser_name(user_agent: str) -> str:
    """Return the name and version of a browser and its system, such as ``Firefox 140, Windows``; else how the header begins."""
    for name, pattern in _BROWSERS:
        found = pattern.search(user_agent)
        if found is not None:
            system = next((shown for sign, shown in _SYSTEMS if sign in user_agent), "")
            return f"{name} {found[1]}{', ' if system else ''}{system}"
    return user_agent[:_LONGEST] or "unknown"
