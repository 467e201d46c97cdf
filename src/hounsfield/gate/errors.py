"""From what went wrong in the domain to what the API answers, in one place."""

from __future__ import annotations

import math

import structlog

from hounsfield.access.directory.errors import DirectoryUnavailableError
from hounsfield.access.oidc.errors import (
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
from hounsfield.access.permissions import AccessDeniedError
from hounsfield.access.throttling import ThrottledError
from hounsfield.aws.errors import (
    AccessDeniedException,
    AwsError,
    ConflictException,
    FailedDependencyException,
    InternalServerException,
    NotAcceptableException,
    RequestTimeoutException,
    ResourceNotFoundException,
    ServiceQuotaExceededException,
    ServiceUnavailableException,
    ThrottlingException,
    ValidationException,
)
from hounsfield.imaging.errors import (
    BusyError,
    ConflictError,
    InvalidRequestError,
    NotAcceptableError,
    NotFoundError,
    QuotaExceededError,
    TooManyUnderWayError,
)
from hounsfield.storage.keys import KeyUnavailableError

_log = structlog.get_logger(__name__)

_SOON_SECONDS = 1.0

_SHAPES: dict[type[Exception], type[AwsError]] = {
    InvalidRequestError: ValidationException,
    NotFoundError: ResourceNotFoundException,
    ConflictError: ConflictException,
    QuotaExceededError: ServiceQuotaExceededException,
    NotAcceptableError: NotAcceptableException,
    AccessDeniedError: AccessDeniedException,
    BusyError: ServiceUnavailableException,
    DirectoryUnavailableError: ServiceUnavailableException,
}

_BEARER_SHAPES: dict[type[BearerError], type[AwsError]] = {
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


def translated(error: Exception, request_id: str) -> AwsError:
    """Give the AWS error for whatever a handler raised; what nobody foresaw is logged and answered as a server error."""
    shape = _SHAPES.get(type(error))
    if shape is not None:
        return shape(str(error))
    if isinstance(error, ThrottledError):
        return ThrottlingException(str(error), _come_again(error.wait_seconds))
    if isinstance(error, TooManyUnderWayError):
        return ThrottlingException(str(error), _come_again(_SOON_SECONDS))
    if isinstance(error, BearerError):
        return _of_bearer(error, request_id)
    if isinstance(error, KeyUnavailableError):
        _log.error("key unavailable", request_id=request_id)
        return AccessDeniedException("The key of the data store is not available.")
    _log.error("request failed", request_id=request_id, error=type(error).__name__, exc_info=error)
    return InternalServerException(
        f"The request could not be answered; the log of the service tells more of {request_id}."
    )


def _of_bearer(error: BearerError, request_id: str) -> AwsError:
    """Give the answer to a bearer token, and tell the log what the answer does not."""
    shape = _BEARER_SHAPES[type(error)]
    headers: list[tuple[str, str]] = []
    if isinstance(error, InvalidTokenError):
        headers = [("WWW-Authenticate", 'Bearer error="invalid_token"')]
    elif isinstance(error, TooManyAuthorizationsError | IssuerUnavailableError):
        headers = _come_again(_SOON_SECONDS)
    # Anybody can send tokens that are none; what is wrong with an authorizer is for whoever runs the service.
    log = _log.debug if shape is AccessDeniedException else _log.warning
    log("bearer token refused", request_id=request_id, answer=str(error), reason=error.reason)
    return shape(str(error), headers)


def _come_again(seconds: float) -> list[tuple[str, str]]:
    """Give the wait in whole seconds, as HTTP has it, and in milliseconds, as AWS's SDKs read it."""
    return [
        ("Retry-After", str(max(1, math.ceil(seconds)))),
        ("x-amz-retry-after", str(max(1, math.ceil(seconds * 1000)))),
    ]
