"""JSON documents within requests of UpdateImageSetMetadata and CopyImageSet."""

from __future__ import annotations

import base64
from typing import Final

import orjson

from hounsfield.imaging.errors import InvalidRequestError

ZERO_CHARACTER: Final = "\0"
_ESCAPED_ZERO: Final = b"\\u0000"


def read_request_json(name: str, data: bytes | str) -> object:
    """Read a JSON document of a request.

    Parameters
    ----------
    name : str
        The member that holds it, for messages.
    data : bytes or str
        The document.

    Returns
    -------
    object
        Its content.

    Raises
    ------
    InvalidRequestError
        It is no JSON, or one of its names or texts has a zero character, which no value of DICOM has (PS3.5 section 6.1.3) and
        PostgreSQL cannot store.
    """
    encoded = data.encode() if isinstance(data, str) else data
    try:
        content: object = orjson.loads(encoded)
    except orjson.JSONDecodeError as error:
        reason = "is JSON in base64 in base64; encode it once only" if _is_base64_json(encoded) else "is not JSON"
        raise InvalidRequestError(f"{name} {reason}") from error
    # JSON has no zero characters but escaped ones.
    if _ESCAPED_ZERO in encoded and _has_zero(content):
        raise InvalidRequestError(
            f"{name} has a zero character (U+0000) in a name or value, which no attribute can have"
        )
    return content


def _is_base64_json(encoded: bytes) -> bool:
    """Return whether a document was encoded by hand for a client that encodes it, as AWS CLI 1 does."""
    try:
        orjson.loads(base64.b64decode(encoded.strip(), validate=True))
    except ValueError:
        return False
    return True


def _has_zero(content: object) -> bool:
    """Search a document of any depth."""
    waiting = [content]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            if ZERO_CHARACTER in value:
                return True
        elif isinstance(value, dict):
            waiting.extend(value.keys())
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
    return False
