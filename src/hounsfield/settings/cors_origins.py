"""CORS origins (RFC 6454)."""

from __future__ import annotations

import re
from typing import Final

_ORIGIN: Final = re.compile(r"https?://(?:[A-Za-z0-9.\-]+|\[[0-9A-Fa-f:]+\])(?::[0-9]{1,5})?")
_ANY: Final = "*"


def parse_origins(text: str) -> tuple[str, ...]:
    """Read a list of origins with commas between them.

    Raises
    ------
    ValueError
        One is not an origin such as ``https://viewer.example.org``, nor ``*`` alone for all.
    """
    origins = tuple(origin.strip() for origin in text.split(",") if origin.strip())
    for origin in origins:
        if not (_ORIGIN.fullmatch(origin) or origins == (_ANY,)):
            raise ValueError(
                f"{origin!r} is not an origin such as https://viewer.example.org or http://localhost:3000, without a path"
            )
    return origins
