"""``maxResults`` and ``nextToken`` of the listing operations."""

from __future__ import annotations

from hounsfield.api.healthimaging.parameters import optional_integer, optional_text
from hounsfield.aws.protocol.errors import ValidationException
from hounsfield.aws.protocol.model import Parameters
from hounsfield.aws.protocol.pagination import PageTokens, page_context
from hounsfield.imaging.pagination import Position

DEFAULT_PAGE = 50


class Listing:
    """One call of a listing operation: where it goes on, and how the next call will.

    Parameters
    ----------
    tokens : PageTokens
        Seals positions.
    operation : str
        Operation name; a token is good for this operation with the same parameters only.
    parameters : Parameters
        Parsed parameters.

    Raises
    ------
    ValidationException
        The token is not one of this listing.
    """

    def __init__(self, tokens: PageTokens, operation: str, parameters: Parameters) -> None:
        self._tokens = tokens
        self._context = page_context(operation, parameters)
        self.limit = optional_integer(parameters, "maxResults") or DEFAULT_PAGE
        self.after: Position | None = None
        token = optional_text(parameters, "nextToken")
        if token is not None:
            values = tokens.open(token, self._context)
            if not isinstance(values, list) or len(values) != 3:
                raise ValidationException(
                    "The nextToken is of another version of this service; start again without it."
                )
            first, identifier, second = values
            self.after = Position(first if isinstance(first, int) else str(first), str(identifier), str(second))

    def token(self, end: Position | None) -> str | None:
        """Return the token of the next page, or None when there is none."""
        if end is None:
            return None
        return self._tokens.seal([end.sort_value, end.id, end.second_value], self._context)
