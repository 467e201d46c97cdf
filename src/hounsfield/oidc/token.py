"""JSON Web Tokens in compact form (RFC 7519, RFC 7515 section 3.1), parsed but not yet validated."""

from __future__ import annotations

import hashlib
import re
import warnings
from dataclasses import dataclass, field
from typing import Final

from joserfc import jws
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jws import JWSRegistry

from hounsfield.oidc.claims import Claims
from hounsfield.oidc.errors import InvalidTokenError

LONGEST_TOKEN: Final = 16 * 1024
"""Characters; the headers of a request as a whole may hardly be longer."""

# The old name of Ed25519 is deprecated (RFC 9864), and what most issuers still write; weak keys are refused by `key_sets`.
warnings.filterwarnings("ignore", category=SecurityWarning)

_FORM: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
_NAME: Final = re.compile(r"[A-Za-z0-9-]{1,16}")
_LONGEST_KEY_ID: Final = 256


@dataclass(frozen=True, slots=True)
class Token:
    """A token that was read, and that nobody vouches for yet.

    Attributes
    ----------
    text : str
        Its compact form: a secret.
    claims : Claims
        What it claims.
    algorithm : str
        ``alg`` of its header.
    key_id : str or None
        ``kid`` of its header.
    type : str
        ``typ`` of its header, in lower case and without ``application/``; empty where there is none.
    """

    text: str = field(repr=False)
    claims: Claims = field(repr=False)
    algorithm: str
    key_id: str | None
    type: str = ""

    @property
    def digest(self) -> str:
        """SHA-256 of its compact form, in hexadecimal: knows it again without keeping it."""
        return hashlib.sha256(self.text.encode()).hexdigest()


class _Bounds(JWSRegistry):
    """The sizes that joserfc lets through, within `LONGEST_TOKEN`."""

    max_header_length = 2048
    max_payload_length = LONGEST_TOKEN


def registry(algorithms: tuple[str, ...]) -> JWSRegistry:
    """Return the rules by which joserfc reads tokens signed with some algorithms; unknown parameters of headers are ignored."""
    return _Bounds(algorithms=list(algorithms), strict_check_header=False)


_ANY: Final = registry(())


def read_token(text: str) -> Token:
    """Read a token; its signature is not looked at.

    Parameters
    ----------
    text : str
        What stands after ``Bearer``.

    Raises
    ------
    InvalidTokenError
        It is too long, or no signed token in compact form; encrypted ones (JWE) are not taken.
    """
    if len(text) > LONGEST_TOKEN:
        raise InvalidTokenError(f"it is longer than {LONGEST_TOKEN} characters")
    if not _FORM.fullmatch(text):
        raise InvalidTokenError("it has not the form header.payload.signature")
    try:
        parts = jws.extract_compact(text.encode(), registry=_ANY)
    except (JoseError, ValueError, RecursionError):
        raise InvalidTokenError("its header or payload cannot be decoded") from None
    header: object = parts.protected
    if not isinstance(header, dict):
        raise InvalidTokenError("its header is not a JSON object")
    algorithm, key_id = header.get("alg"), header.get("kid")
    if not (isinstance(algorithm, str) and _NAME.fullmatch(algorithm)):
        raise InvalidTokenError("its header names no algorithm")
    if not (key_id is None or (isinstance(key_id, str) and len(key_id) <= _LONGEST_KEY_ID)):
        raise InvalidTokenError("kid in its header is no text, or a long one")
    if "crit" in header:
        raise InvalidTokenError("its header has critical parameters, which are not understood here")
    kind = header.get("typ", "")
    if not isinstance(kind, str):
        raise InvalidTokenError("typ in its header is no text")
    claims = Claims.of_payload(parts.payload or b"")
    return Token(text, claims, algorithm, key_id, kind.lower().removeprefix("application/"))
