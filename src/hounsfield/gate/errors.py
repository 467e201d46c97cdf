"""From what went wrong in the domain to what the API answers, in one place."""

from __future__ import annotations

import structlog

from hounsfield.access.directory.errors import DirectoryUnavailableError
from hounsfield.access.job_roles import JobRoleDeniedError, JobRoleError
from hounsfield.access.oidc.errors import BearerError
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
from hounsfield.gate.bearer_errors import bearer_error
from hounsfield.gate.coming_again import SOON_SECONDS, come_again
from hounsfield.imaging.errors import (
    BusyError,
    ConflictError,
    InvalidRequestError,
    NotAcceptableError,
    NotFoundError,
    QuotaExceededError,
    TooManyUnderWayError,
)
from hounsfield.storage.data_keys import KeyNotAtHandError
from hounsfield.storage.keys import KeyServiceDownError, KeyUnavailableError

_log = structlog.get_logger(__name__)

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
    if isinstance(error, ThrottledError | TooManyUnderWayError):
        wait = error.wait_seconds if isinstance(error, ThrottledError) else SOON_SECONDS
        return ThrottlingException(str(error), come_again(wait))
    if isinstance(error, BearerError):
        return bearer_error(error, request_id)
    # The second: a key that has reached its age again and again before the work came to it, on a machine that is too busy.
    if isinstance(error, KeyServiceDownError | KeyNotAtHandError):
        _log.error("key service down", request_id=request_id)
        return ServiceUnavailableException(
            "The key of the data store cannot be had from the key service just now. Try again in a moment."
        )
    if isinstance(error, KeyUnavailableError):
        _log.error("key unavailable", request_id=request_id)
        return AccessDeniedException("The key of the data store is not available: it was disabled, or may not be used.")
    _log.error("request failed", request_id=request_id, error=type(error).__name__, exc_info=error)
    return InternalServerException(
        f"The request could not be answered; the log of the service tells more of {request_id}."
    )
