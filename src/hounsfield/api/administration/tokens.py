"""Tokens of pages that begin where the one before ended, good only for the same operation with the same parameters."""

from __future__ import annotations

from typing import Final

from hounsfield.api.administration.context import Call, Context
from hounsfield.aws.protocol.errors import ValidationException
from hounsfield.aws.protocol.members import optional_text
from hounsfield.aws.protocol.pagination import MAX_TOKEN_CHARACTERS, JsonValue, page_context

LONGEST_TOKEN: Final = MAX_TOKEN_CHARACTERS
_OF_PAGES: Final = frozenset({"MaxResults", "MaxKeys", "NextToken", "ContinuationToken"})


class NextPage:
    """Where a page begins, and the token of the one that follows.

    Parameters
    ----------
    context : Context
        Seals the places.
    call : Call
        Asks for a page.
    operation : str
        Name of the operation.
    member : str
        Member of the request that has the token.

    Raises
    ------
    ValidationException
        The token is of another request, or was changed.
    """

    def __init__(self, context: Context, call: Call, operation: str, member: str = "NextToken") -> None:
        self._tokens = context.tokens
        bound = {name: value for name, value in call.parameters.items() if name not in _OF_PAGES}
        self._context = page_context(f"administration:{operation}", bound)
        self._member = member
        token = optional_text(call.parameters, member)
        self.start: JsonValue = None if token is None else self._opened(token)

    def start_text(self) -> str | None:
        """Return where the page begins, where that is a text."""
        return None if self.start is None else str(self.start)

    def start_number(self) -> int:
        """Return where the page begins, where that is a number; 0 at first."""
        return self.start if isinstance(self.start, int) else 0

    def token(self, end: JsonValue) -> str | None:
        """Return the token for the page that begins at a place; None for none."""
        return None if end is None else self._tokens.seal(end, self._context)

    def _opened(self, token: str) -> JsonValue:
        try:
            return self._tokens.open(token, self._context)
        except ValidationException:
            message = f"{self._member} must be what the same operation with the same members answered."
            raise ValidationException(message) from None
