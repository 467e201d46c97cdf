"""Map the exceptions of the domain to AWS errors, in one place."""

from __future__ import annotations

import errno

import structlog

from hounsfield.aws.protocol.errors import (
    AccessDeniedException,
    AwsError,
    ConflictException,
    DeleteConflictException,
    EntityAlreadyExistsException,
    InternalServerException,
    LimitExceededException,
    MalformedPolicyDocumentException,
    NoSuchEntityException,
    NotAcceptableException,
    ResourceNotFoundException,
    ServiceQuotaExceededException,
    ServiceUnavailableException,
    ThrottlingException,
    ValidationException,
)
from hounsfield.aws.protocol.response import SOON_SECONDS, retry_after_headers
from hounsfield.gateway.bearer_errors import bearer_error
from hounsfield.iam.authorization import AccessDeniedError
from hounsfield.iam.identities.errors import (
    DeleteConflictError,
    DirectoryUnavailableError,
    EntityAlreadyExistsError,
    InvalidInputError,
    LimitExceededError,
    MalformedPolicyError,
    NoSuchEntityError,
)
from hounsfield.iam.sessions.import_job_roles import JobRoleDeniedError, JobRoleError
from hounsfield.iam.throttling import ThrottledError
from hounsfield.imaging.errors import (
    BusyError,
    ConflictError,
    InvalidRequestError,
    NotAcceptableError,
    NotFoundError,
    QuotaExceededError,
    TooManyUnderWayError,
)
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.tiering.damage_log import note_damage
from hounsfield.oidc.errors import BearerError
from hounsfield.runtime.worker_pool import NoProcessError
from hounsfield.storage.blobs.blobs import BlobsUnreachableError
from hounsfield.storage.db.errors import (
    CommitUnknownError,
    DatabaseBusyError,
    DatabaseDamagedError,
    DatabaseDownError,
    DatabaseFullError,
)
from hounsfield.storage.durable_files import FULL_ERRNOS, REFUSING_ERRNOS
from hounsfield.storage.free_space import DiskTrouble, DiskTroubleError
from hounsfield.storage.keys.data_key import KeyServiceDownError, KeyUnavailableError
from hounsfield.storage.keys.data_key_cache import KeyNotCachedError

_LATER_SECONDS = 30.0
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
    NoSuchEntityError: NoSuchEntityException,
    EntityAlreadyExistsError: EntityAlreadyExistsException,
    DeleteConflictError: DeleteConflictException,
    LimitExceededError: LimitExceededException,
    InvalidInputError: ValidationException,
    MalformedPolicyError: MalformedPolicyDocumentException,
}

_KEY_SERVICE_DOWN = (
    "key service down",
    "The key of the data store cannot be had from the key service just now. Try again in a moment.",
)
_PASSING: dict[type[Exception], tuple[str, str]] = {
    KeyServiceDownError: _KEY_SERVICE_DOWN,
    # A key that has reached its age again and again before the work came to it, on a machine that is too busy.
    KeyNotCachedError: _KEY_SERVICE_DOWN,
    NoProcessError: (
        "no process can be started",
        "The service cannot start a process for this just now. Nothing was stored, try again in a moment.",
    ),
}
"""What is over in a moment: the event in the log, and the message."""


def translate_error(
    error: Exception,
    request_id: str,
    image_store: ImageStore,
    *,
    no_room: type[AwsError] = ServiceUnavailableException,
) -> AwsError:
    """Return the AWS error for whatever a handler raised; what nobody foresaw is logged and answered as a server error.

    Parameters
    ----------
    error : Exception
        What was raised.
    request_id : str
        Identifier of the request.
    image_store : ImageStore
        Where a pack is noted that turns out to be damaged.
    no_room : type of AwsError
        What it is called that there is no room left.
    """
    shape = _SHAPES.get(type(error))
    if shape is None:
        known = _trouble(error, request_id, no_room)
    else:
        known = shape(str(error), retry_after_headers(SOON_SECONDS) if shape is ServiceUnavailableException else ())
    if known is not None:
        return known
    if isinstance(error, ThrottledError | TooManyUnderWayError):
        wait = error.wait_seconds if isinstance(error, ThrottledError) else SOON_SECONDS
        return ThrottlingException(str(error), retry_after_headers(wait))
    if isinstance(error, BearerError):
        return bearer_error(error, request_id)
    for kind, (event, words) in _PASSING.items():
        if isinstance(error, kind):
            _log.error(event, request_id=request_id)
            return ServiceUnavailableException(words, retry_after_headers(SOON_SECONDS))
    if isinstance(error, KeyUnavailableError):
        _log.error("key unavailable", request_id=request_id)
        return AccessDeniedException("The key of the data store is not available: it was disabled, or may not be used.")
    told = "What is stored here is damaged or missing; the log of the service names the pack."
    if not note_damage(image_store, error):
        _log.error("request failed", request_id=request_id, error=type(error).__name__, exc_info=error)
        told = f"The request could not be answered; the log of the service tells more of {request_id}."
    return InternalServerException(told)


def _trouble(error: Exception, request_id: str, no_room: type[AwsError]) -> AwsError | None:
    """Return the error where the database or the store of the packs cannot do its part; None where it is something else."""
    name = type(error).__name__
    match error:
        case DatabaseBusyError():
            _log.warning("database busy", request_id=request_id)
            return ServiceUnavailableException(
                "The database is busy: others lock what the request needs. Nothing was changed, try again in a moment.",
                retry_after_headers(SOON_SECONDS),
            )
        case DatabaseDownError() | BlobsUnreachableError():
            _log.error("store not reached", request_id=request_id, error=name, exc_info=error)
            return ServiceUnavailableException(_not_reached(error), retry_after_headers(SOON_SECONDS))
        case DatabaseDamagedError():
            _log.error("a damaged part of the database was needed", request_id=request_id)
            return InternalServerException(
                f"A part of the database is damaged; the log of the service tells more of {request_id}."
            )
        case DiskTroubleError():
            # It is in the log once, when it begins.
            return _no_room(no_room) if error.trouble is DiskTrouble.FULL else _refused()
        case DatabaseFullError() | OSError():
            return _disk_trouble(error, request_id, no_room)
        case _:
            return None


def _disk_trouble(error: DatabaseFullError | OSError, request_id: str, no_room: type[AwsError]) -> AwsError | None:
    """Return the error where a disk is full, fails or lets nothing be written; None where it is something else."""
    if isinstance(error, OSError) and error.errno in {*REFUSING_ERRNOS, errno.EIO}:
        _log.error("disk refuses", request_id=request_id, reason=error.strerror, path=str(error.filename))
        return _refused()
    if isinstance(error, OSError) and error.errno not in FULL_ERRNOS:
        return None
    _log.error("no room left", request_id=request_id, error=type(error).__name__)
    return _no_room(no_room)


def _refused() -> AwsError:
    return ServiceUnavailableException(
        "The disk of the service lets nothing be written or opened just now. Try again later.",
        retry_after_headers(_LATER_SECONDS),
    )


def _no_room(no_room: type[AwsError]) -> AwsError:
    return no_room(
        "There is no room left to store this. Nothing of the request was stored; try again once there is room.",
        retry_after_headers(_LATER_SECONDS),
    )


def _not_reached(error: DatabaseDownError | BlobsUnreachableError) -> str:
    if isinstance(error, CommitUnknownError):
        return (
            "The database was lost while it carried out the request, which it did as a whole or not at all. "
            "Look whether it was done before you try again."
        )
    what = "database" if isinstance(error, DatabaseDownError) else "store of the images"
    return f"The {what} cannot be reached just now. Try again in a moment."
