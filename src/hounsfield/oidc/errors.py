"""Errors of bearer tokens and authorizers: one exception per kind of response.

The messages are those of the developer guide ("OIDC authorizer error codes") and tell nothing of the token; what was found out
is in `BearerError.reason`, for the log.
"""

from __future__ import annotations

from typing import ClassVar

from hounsfield.runtime.picklable_error import PicklableError


class BearerError(PicklableError):
    """Base of all.

    Parameters
    ----------
    reason : str
        What was found, for logs: never the token, nor a part of it.
    """

    message: ClassVar[str] = "Access Denied"

    def __init__(self, reason: str) -> None:
        super().__init__(self.message)
        self.reason = reason


class InvalidTokenError(BearerError):
    """The token is not one, or nobody vouches for it."""

    message = "Invalid or Expired Token"


class ExpiredTokenError(InvalidTokenError):
    """The time of the token is over."""


class EarlyTokenError(InvalidTokenError):
    """The time of the token has not begun: one of the clocks is wrong."""


class ForeignAudienceError(InvalidTokenError):
    """The token is for somebody else."""


class DeniedTokenError(BearerError):
    """The token is genuine, and stands for no role."""

    message = "Access Denied"


class AuthorizerMisconfiguredError(BearerError):
    """There is no such authorizer, its answer is malformed, or its role cannot be assumed."""

    message = "Authorizer Misconfiguration"


class AuthorizerFailedError(BearerError):
    """The authorizer crashed, or could not be reached."""

    message = "Authorizer Failed"


class AuthorizerForeignError(BearerError):
    """The authorizer or its role belong to another account or Region than the data store."""

    message = "Authorizer Cross Account/Cross Region Access"


class AuthorizerTimeoutError(BearerError):
    """The authorizer took longer than it may."""

    message = "Authorizer Timeout"


class TooManyAuthorizationsError(BearerError):
    """As many authorizers are being asked as may be at the same time."""

    message = "Too many requests"


class CodeRefusedError(PicklableError):
    """The issuer gave no token for the code of a sign-in.

    Attributes
    ----------
    code : str
        What it calls the error (RFC 6749, section 5.2), such as ``invalid_grant``.
    reason : str
        The same in words, for logs.
    """

    def __init__(self, code: str) -> None:
        super().__init__(f"the issuer answers {code}")
        self.reason = str(self)
        self.code = code


class IssuerUnavailableError(BearerError):
    """The keys of the issuer cannot be fetched, and none are kept that are fresh enough."""

    message = "The keys of the token issuer cannot be fetched just now"
