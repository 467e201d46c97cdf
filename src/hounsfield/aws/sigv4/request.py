"""The parts of an HTTP request that a signature covers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

HeaderValues: TypeAlias = Mapping[bytes, Sequence[bytes]]
"""Header values by name in lower case, in the order they were sent."""


@dataclass(frozen=True, slots=True)
class Request:
    """The parts of an HTTP request that a signature covers, as they were sent.

    Attributes
    ----------
    method : str
        HTTP method in capitals.
    raw_path : bytes
        Path, percent-encoded as sent.
    query_string : bytes
        Query string as sent, without the question mark.
    headers : sequence of (bytes, bytes)
        Names in lower case, and values; with ``host``.
    """

    method: str
    raw_path: bytes
    query_string: bytes
    headers: Sequence[tuple[bytes, bytes]]

    def header_values(self) -> dict[bytes, list[bytes]]:
        """Return the header values by name."""
        values: dict[bytes, list[bytes]] = {}
        for name, value in self.headers:
            values.setdefault(name, []).append(value)
        return values
