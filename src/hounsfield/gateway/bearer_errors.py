"""Map what is wrong with a bearer token to AWS errors, and log what the client is not told."""

from __future__ import annotations

import structlog

from hounsfield.aws.protocol.errors import (
    AccessDeniedException,
    AwsError,
    FailedDependencyException,
    RequestTimeoutException,
    ServiceUnavailableException,
    ThrottlingException,
)
from hounsfield.aws.protocol.response import SOON_SECONDS, retry_after_headers
from hounsfield.oidc.errors import (
    AuthorizerFailedError,
    AuthorizerForeignError,
    AuthorizerMisconfiguredError,
    AuthorizerTimeoutError,
    BearerError,
    DeniedTokenError,
    EarlyTokenError,
    ExpiredTokenError,
    ForeignAudienceError,
    InvalidTokenError,
    IssuerUnavailableError,
    TooManyAuthorizationsError,
)

_log = structlog.get_logger(__name__)

_SHAPES: dict[type[BearerError], type[AwsError]] = {
    InvalidTokenError: AccessDeniedException,
    EarlyTokenError: AccessDeniedException,
    ForeignAudienceError: AccessDeniedException,
    ExpiredTokenError: AccessDeniedException,
    DeniedTokenError: AccessDeniedException,
    AuthorizerMisconfiguredError: FailedDependencyException,
    AuthorizerFailedError: FailedDependencyException,
    AuthorizerForeignError: FailedDependencyException,
    AuthorizerTimeoutError: RequestTimeoutException,
    TooManyAuthorizationsError: ThrottlingException,
    IssuerUnavailableError: ServiceUnavailableException,
}
"""Answers to bearer tokens, with the messages of the developer guide."""


def bearer_error(error: BearerError, request_id: str) -> AwsError:
    """Return the AWS error for a bearer token, and log what it does not say."""
    shape = _SHAPES[type(error)]
    headers: list[tuple[str, str]] = []
    if isinstance(error, InvalidTokenError):
        headers = [("WWW-Authenticate", 'Bearer error="invalid_token"')]
    elif isinstance(error, TooManyAuthorizationsError | IssuerUnavailableError):
        headers = retry_after_headers(SOON_SECONDS)
    # Anybody can send tokens that are none; what is wrong with an authorizer is for whoever runs the service.
    log = _log.debug if shape is AccessDeniedException else _log.warning
    log("bearer token refused", request_id=request_id, answer=str(error), reason=error.reason)
    return shape(str(error), headers)
