"""From what is wrong with a bearer token to what DICOMweb answers, and to what the log is told of it."""

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
from hounsfield.gateway.retry_after import SOON_SECONDS, come_again
from hounsfield.oidc.errors import (
    AuthorizerFailedError,
    AuthorizerForeignError,
    AuthorizerMisconfiguredError,
    AuthorizerTimeoutError,
    BearerError,
    DeniedTokenError,
    ExpiredTokenError,
    InvalidTokenError,
    IssuerUnavailableError,
    TooManyAuthorizationsError,
)

_log = structlog.get_logger(__name__)

_SHAPES: dict[type[BearerError], type[AwsError]] = {
    InvalidTokenError: AccessDeniedException,
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
    """Give the answer to a bearer token, and tell the log what the answer does not."""
    shape = _SHAPES[type(error)]
    headers: list[tuple[str, str]] = []
    if isinstance(error, InvalidTokenError):
        headers = [("WWW-Authenticate", 'Bearer error="invalid_token"')]
    elif isinstance(error, TooManyAuthorizationsError | IssuerUnavailableError):
        headers = come_again(SOON_SECONDS)
    # Anybody can send tokens that are none; what is wrong with an authorizer is for whoever runs the service.
    log = _log.debug if shape is AccessDeniedException else _log.warning
    log("bearer token refused", request_id=request_id, answer=str(error), reason=error.reason)
    return shape(str(error), headers)
