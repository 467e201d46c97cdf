"""Claims of a token (RFC 7519, section 4): a JSON object with typed access."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson

from hounsfield.oidc.errors import InvalidTokenError
from hounsfield.settings.claim_roles import ClaimPath


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of one token.

    Attributes
    ----------
    values : Mapping of str to object
        The JSON object.
    """

    values: Mapping[str, object] = field(repr=False)

    @classmethod
    def of_payload(cls, payload: bytes) -> Claims:
        """Read the payload of a token.

        Raises
        ------
        InvalidTokenError
            It is not a JSON object.
        """
        try:
            values = orjson.loads(payload)
        except orjson.JSONDecodeError:
            raise InvalidTokenError("the payload is not JSON") from None
        if not isinstance(values, dict):
            raise InvalidTokenError("the payload is not a JSON object")
        return cls(values)

    def seconds(self, name: str) -> float | None:
        """Return a NumericDate, in seconds since 1970-01-01 UTC; None when there is none.

        Raises
        ------
        InvalidTokenError
            The claim is there and not a number.
        """
        value = self.values.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InvalidTokenError(f"{name} is not a number")
        return float(value)

    def text(self, name: str) -> str:
        """Return a claim that is text; empty when there is none or it is something else."""
        value = self.values.get(name)
        return value if isinstance(value, str) else ""

    @property
    def audiences(self) -> tuple[str, ...]:
        """Whom the token is for (``aud``), one or several."""
        return self.texts(("aud",))

    def texts(self, path: ClaimPath) -> tuple[str, ...]:
        """Return the values of a claim: the text, or the texts of a list. ``scope`` is a list with blanks (RFC 8693, 4.2).

        Parameters
        ----------
        path : sequence of str
            Names from the outermost object inwards.
        """
        value: object = self.values
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        if isinstance(value, str):
            return tuple(value.split()) if tuple(path) == ("scope",) else (value,)
        if isinstance(value, list):
            return tuple(entry for entry in value if isinstance(entry, str))
        return ()
