"""Forms: names and values that a page sent."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl

MOST_FORM_BYTES: Final = 4 * 1024 * 1024
_MOST_FIELDS: Final = 2000


class Form:
    """A form that was sent: names and values in their order.

    Parameters
    ----------
    content : bytes
        The body, ``application/x-www-form-urlencoded``.

    Raises
    ------
    ValueError
        It has too many fields, or is not in UTF-8.
    """

    def __init__(self, content: bytes = b"") -> None:
        self._pairs = parse_qsl(
            content.decode("utf-8"), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict"
        )

    def text(self, name: str, default: str = "") -> str:
        """Return the first value of a field, without white space around it."""
        return next((value.strip() for key, value in self._pairs if key == name), default)

    def raw(self, name: str) -> str:
        """Return the first value of a field as it was sent, but for line ends, which are single line feeds."""
        return next((value.replace("\r\n", "\n") for key, value in self._pairs if key == name), "")

    def texts(self, name: str) -> list[str]:
        """Return all values of a field, without white space around them."""
        return [value.strip() for key, value in self._pairs if key == name]

    def raws(self, name: str) -> list[str]:
        """Return all values of a field as they were sent, but for line ends, which are single line feeds."""
        return [value.replace("\r\n", "\n") for key, value in self._pairs if key == name]

    def __contains__(self, name: str) -> bool:
        return any(key == name for key, _ in self._pairs)

    def values(self) -> dict[str, str]:
        """Return the first value of each field, for a form that is shown again with what was typed."""
        return dict(reversed(self._pairs))
