"""From what went wrong in the domain to what the API answers, in one place."""

from __future__ import annotations

import structlog

from hounsfield.access.permissions import AccessDeniedError
from hounsfield.aws.errors import (
    AccessDeniedException,
    AwsError,
    ConflictException,
    InternalServerException,
    NotAcceptableException,
    ResourceNotFoundException,
    ServiceQuotaExceededException,
    ServiceUnavailableException,
    ValidationException,
)
from hounsfield.imaging.errors import (
    BusyError,
    ConflictError,
    InvalidRequestError,
    NotAcceptableError,
    NotFoundError,
    QuotaExceededError,
)
from hounsfield.storage.keys import KeyUnavailableError

_log = structlog.get_logger(__name__)

_SHAPES: dict[type[Exception], type[AwsError]] = {
    InvalidRequestError: ValidationException,
    NotFoundError: ResourceNotFoundException,
    ConflictError: ConflictException,
    QuotaExceededError: ServiceQuotaExceededException,
    NotAcceptableError: NotAcceptableException,
    AccessDeniedError: AccessDeniedException,
    BusyError: ServiceUnavailableException,
}


def translated(error: Exception, request_id: str) -> AwsError:
    """Give the AWS error for whatever a handler raised; what nobody foresaw is logged and answered as a server error."""
    shape = _SHAPES.get(type(error))
    if shape is not None:
        return shape(str(error))
    if isinstance(error, KeyUnavailableError):
        _log.error("key unavailable", request_id=request_id)
        return AccessDeniedException("The key of the data store is not available.")
    _log.error("request failed", request_id=request_id, error=type(error).__name__, exc_info=error)
    return InternalServerException(
        f"The request could not be answered; the log of the service tells more of {request_id}."
    )
