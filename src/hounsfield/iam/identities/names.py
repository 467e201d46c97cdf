"""Names, unique ids and tags of users, roles and policies.

Source: IAM User Guide, "IAM identifiers" and "IAM and AWS STS quotas".
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import Final

from hounsfield.iam.identities.errors import InvalidInputError, LimitExceededError

_NAME: Final = re.compile(r"[\w+=,.@-]+", re.ASCII)
_TAG_TEXT: Final = re.compile(r"[\w\s.:/=+\-@]*")
_ID_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_UNIQUE_DIGITS: Final = 17
_KEY_DIGITS: Final = 16
_SECRET_BYTES: Final = 30

MOST_TAGS: Final = 50
MOST_OF_IDENTITY_NAME: Final = 64
MOST_OF_POLICY_NAME: Final = 128
MOST_OF_DESCRIPTION: Final = 1000
MOST_OF_SHOWN: Final = 256
SESSION_SECONDS: Final = range(3600, 43_200 + 1)
"""What the longest session of a role may be set to (CreateRole, ``MaxSessionDuration``)."""


def validate_name(name: str, what: str, most: int = MOST_OF_IDENTITY_NAME) -> str:
    """Return a name that may be one; raises `InvalidInputError` naming ``what`` it is of."""
    if not (1 <= len(name) <= most and _NAME.fullmatch(name)):
        raise InvalidInputError(f"the {what} name must be 1 to {most} letters, digits or any of _+=,.@-")
    return name


def validate_tags(tags: Mapping[str, str]) -> Mapping[str, str]:
    """Return tags that may be those of a user or role.

    Raises
    ------
    InvalidInputError
        A key or value is not of its form, or two keys differ by case only.
    LimitExceededError
        There are too many.
    """
    for key, value in tags.items():
        if not (1 <= len(key) <= 128 and _TAG_TEXT.fullmatch(key)) or key.lower().startswith("aws:"):
            raise InvalidInputError(
                "a tag key must be 1 to 128 letters, digits, spaces or _.:/=+-@, not beginning with aws:"
            )
        if not (len(value) <= 256 and _TAG_TEXT.fullmatch(value)):
            raise InvalidInputError(f"the value of tag {key} must be up to 256 letters, digits, spaces or _.:/=+-@")
    if len({key.lower() for key in tags}) < len(tags):
        raise InvalidInputError("tag keys must differ by more than upper and lower case")
    if len(tags) > MOST_TAGS:
        raise LimitExceededError(f"there would be {len(tags)} tags, a user or role has {MOST_TAGS} at most")
    return tags


def validate_description(description: str) -> str:
    """Return a description of bounded length; raises `InvalidInputError`."""
    if len(description) > MOST_OF_DESCRIPTION:
        raise InvalidInputError(f"the description must have {MOST_OF_DESCRIPTION} characters at most")
    return description


def validate_session_seconds(seconds: int) -> int:
    """Return a longest session that a role may have; raises `InvalidInputError`."""
    if seconds not in SESSION_SECONDS:
        raise InvalidInputError(
            f"the longest session must be {SESSION_SECONDS[0]} to {SESSION_SECONDS[-1]} seconds, not {seconds}"
        )
    return seconds


def format_name(name: str) -> str:
    """Return a name that a caller sent in a form that is fit for a message; raises `InvalidInputError`."""
    if len(name) > MOST_OF_SHOWN or not name.isprintable():
        raise InvalidInputError(f"a name must be printable and {MOST_OF_SHOWN} characters at most")
    return name


def new_unique_id(prefix: str) -> str:
    """Make a unique id, such as ``AIDA…`` for a user, ``AROA…`` for a role and ``ANPA…`` for a policy."""
    return prefix + _digits(_UNIQUE_DIGITS)


def new_access_key_id() -> str:
    """Make an access key id, ``AKIA…``."""
    return "AKIA" + _digits(_KEY_DIGITS)


def new_secret() -> str:
    """Make a secret access key of 240 random bits, 40 characters that need no escaping in files and URLs."""
    return secrets.token_urlsafe(_SECRET_BYTES)


def _digits(count: int) -> str:
    return "".join(secrets.choice(_ID_ALPHABET) for _ in range(count))
