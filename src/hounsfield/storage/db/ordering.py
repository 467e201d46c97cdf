"""Sort value of what has no number; workers import it without the database."""

from __future__ import annotations

from typing import Final

LAST: Final = 2**31
"""What series and instances without a number have in its place, to come last: numbers are 32-bit integers."""
