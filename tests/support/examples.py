"""How many random examples a property is tried with: a quarter of them by ``make test``, all by ``make test-all``.

The examples differ from run to run, so that a few in each run try as many in time.
"""

from __future__ import annotations

import os
from typing import Final

_ALL: Final = "ALL_EXAMPLES" in os.environ
_FEWEST: Final = 10


def examples(number: int) -> int:
    """Return how many examples to try of a number."""
    return number if _ALL else min(number, max(_FEWEST, number // 4))
