"""Algorithms that may sign tokens (RFC 7518, RFC 8037)."""

from __future__ import annotations

from typing import Final

ALGORITHMS: Final = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA", "Ed25519"),
)
"""Signatures that only the holder of a private key can make (RFC 7518 section 3.1, RFC 8037, RFC 9864)."""


def parse_algorithms(text: str) -> tuple[str, ...]:
    """Read a list of algorithms with commas between them.

    Raises
    ------
    ValueError
        One is not among `ALGORITHMS`, or there is none.
    """
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    for name in names:
        if name not in ALGORITHMS:
            raise ValueError(f"{name!r} is not one of {', '.join(ALGORITHMS)}")
    if not names:
        raise ValueError("at least one algorithm must be allowed")
    return names
