"""Retry-After headers."""

from __future__ import annotations

import math
from typing import Final

SOON_SECONDS: Final = 1.0
"""Wait where nobody knows how long it takes."""


def come_again(seconds: float) -> list[tuple[str, str]]:
    """Give the wait in whole seconds, as HTTP has it, and in milliseconds, as AWS's SDKs read it."""
    return [
        ("Retry-After", str(max(1, math.ceil(seconds)))),
        ("x-amz-retry-after", str(max(1, math.ceil(seconds * 1000)))),
    ]
