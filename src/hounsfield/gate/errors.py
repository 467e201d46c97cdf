"""From what went wrong in the domain to what the API answers, in one place."""

from __future__ import annotations

import math

import structlog

from hounsfield.access.directory.errors import DirectoryUnavailableError
from hounsfield.access.job_roles import JobRoleDeniedError, JobRoleError
from hounsfield.access.permissions import AccessDeniedError
from hounsfield.access.throttling import ThrottledError
from hounsfield.aws.errors import (
    AccessDeniedException,
    AwsError,
    ConflictException,
    InternalServerException,
    NotAcceptableException,
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
    JobRoleError: ValidationException,
    JobRoleDeniedError: AccessDeniedException,
    DirectoryUnavailableError: ServiceUnavailableException,
}


def translated(error: Exception, request_id: str) -> AwsError:
    """Give the AWS error for whatever a handler raised; what nobody foresaw is logged and answered as a server error."""
    shape = _SHAPES.get(type(error))
    if shape is not None:
        return shape(str(error))
    if isinstance(error, ThrottledError):
        return ThrottlingException(str(error), _come_again(error.wait_seconds))
    if isinstance(error, TooManyUnderWayError):
        return ThrottlingException(str(error), _come_again(_SOON_SECONDS))
    if isinstance(error, KeyUnavailableError):
        _log.error("key unavailable", request_id=request_id)
        return AccessDeniedException("The key of the data store is not available.")
    _log.error("request failed", request_id=request_id, error=type(error).__name__, exc_info=error)
    return InternalServerException(
        f"The request could not be answered; the log of the service tells more of {request_id}."
    )


def _come_again(seconds: float) -> list[tuple[str, str]]:
    """Give the wait in whole seconds, as HTTP has it, and in milliseconds, as AWS's SDKs read it."""
    return [
        ("Retry-After", str(max(1, math.ceil(seconds)))),
        ("x-amz-retry-after", str(max(1, math.ceil(seconds * 1000)))),
    ]
