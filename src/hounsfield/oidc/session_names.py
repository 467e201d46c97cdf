"""Session names of tokens: their subject, in the characters that IAM takes."""

from __future__ import annotations

import hashlib
import re
from typing import Final

from hounsfield.oidc.token import Token

LONGEST: Final = 64
_OTHERS: Final = re.compile(r"[^A-Za-z0-9_+=,.@-]")
_DIGITS: Final = 8


def make_session_name(token: Token) -> str:
    r"""Name the session of a token by its ``sub`` (STS AssumeRole, RoleSessionName: 2 to 64 of ``[\w+=,.@-]``).

    A subject with other characters, or a longer one, is cut and told apart by a digest; without a subject the token is.
    """
    subject = token.claims.text("sub")
    if not subject:
        return f"token-{token.digest[:_DIGITS]}"
    name = _OTHERS.sub("-", subject)
    if name == subject and 2 <= len(name) <= LONGEST:
        return name
    digest = hashlib.sha256(subject.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]
    return f"{name[: LONGEST - _DIGITS - 1]}-{digest}"
