"""AWS errors: one exception per error shape, and their form on the wire.

    raise ConflictException("…")  ─▶  serialise_error  ─▶  409, x-amzn-ErrorType: ConflictException, {"message": "…"}

The first group is the error shapes of the service model; the second the ones every AWS REST-JSON service may answer
besides ("common errors"); the third those of the Security Token Service and of IAM. SDKs take the code from the header
`x-amzn-ErrorType`; services with the query protocol answer in XML (`query_serializer.py`).
"""

# ruff: noqa: N818 - the classes bear the names AWS gave the shapes, which end in Exception

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import orjson

from hounsfield.aws.protocol.response import WireResponse


class AwsError(Exception):
    """An answer that says no, in AWS's words.

    Parameters
    ----------
    message : str
        What is wrong and what would be right. It goes to the client and into logs: no patient data, no secrets.
    headers : sequence of (str, str), optional
        Further response headers, such as ``Allow``.

    Attributes
    ----------
    code : str
        Shape name, sent as ``x-amzn-ErrorType``.
    status : int
        HTTP status.
    """

    code: ClassVar[str] = "InternalFailure"
    status: ClassVar[int] = 500

    def __init__(self, message: str, headers: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.headers = tuple(headers)

    def __init_subclass__(cls, *, status: int, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        cls.code = cls.__name__
        cls.status = status


class AccessDeniedException(AwsError, status=403):
    """The caller is known but may not do this."""


class BadRequestException(AwsError, status=400):
    """A malformed request; modelled for GetImageFrame only."""


class ConflictException(AwsError, status=409):
    """The change could leave a resource in an inconsistent state."""


class InternalServerException(AwsError, status=500):
    """Something failed on our side."""


class FailedDependencyException(AwsError, status=424):
    """Something that the service has to ask for the caller, such as an authorizer, does not do its part."""


class NotAcceptableException(AwsError, status=406):
    """The Accept header excludes what there is; modelled for GetImageFrame only."""


class ResourceNotFoundException(AwsError, status=404):
    """The request names a resource that is not there."""


class ServiceQuotaExceededException(AwsError, status=402):
    """The request would exceed a quota."""


class ThrottlingException(AwsError, status=429):
    """Too many requests; to be tried again later."""


class ValidationException(AwsError, status=400):
    """The input violates a constraint."""


class ExpiredTokenException(AwsError, status=403):
    """The session token has run out."""


class IncompleteSignatureException(AwsError, status=403):
    """The signature lacks a part or a part is not of its form."""


class InvalidSignatureException(AwsError, status=403):
    """The signature is not the one of this request, or not of this time, region or service."""


class MissingAuthenticationTokenException(AwsError, status=403):
    """The request is not signed at all."""


class UnrecognizedClientException(AwsError, status=403):
    """The access key id or session token is not known."""


class InsufficientStorageException(AwsError, status=507):
    """There is no room for what is to be stored; DICOMweb's word for it (PS3.18 section 8.5)."""


class MethodNotAllowedException(AwsError, status=405):
    """The path is known, the HTTP method is not one of its methods."""


class NotImplementedException(AwsError, status=501):
    """The operation is part of the service model but this server does not carry it out."""

    @classmethod
    def of(cls, operation: str) -> NotImplementedException:
        """Make the error for an operation that is routed but has no handler.

        Parameters
        ----------
        operation : str
            Operation name, such as ``CopyImageSet``.
        """
        return cls(f"This server knows the operation {operation} but does not carry it out.")


class RangeNotSatisfiableException(AwsError, status=416):
    """The request asks for bytes beyond the end."""


class RequestEntityTooLargeException(AwsError, status=413):
    """The request is larger than the server takes."""


class RequestHeaderSectionTooLargeException(AwsError, status=431):
    """The headers are larger, or more, than the server takes."""


class RequestTimeoutException(AwsError, status=408):
    """The request did not arrive completely in time."""


class SerializationException(AwsError, status=400):
    """The request cannot be read: not JSON, or a value of the wrong JSON type."""


class ServiceUnavailableException(AwsError, status=503):
    """The server cannot answer just now."""


class UnsupportedMediaTypeException(AwsError, status=415):
    """The body is of a media type that the operation does not take."""


class UnknownOperationException(AwsError, status=404):
    """No operation has this path."""


class ExpiredIdentityTokenException(AwsError, status=400):
    """The web identity token has run out; the model calls the shape ExpiredTokenException, as another one is called."""


class IDPCommunicationErrorException(AwsError, status=400):
    """The identity provider cannot be asked for its keys."""


class IDPRejectedClaimException(AwsError, status=403):
    """The claims of the web identity token are not accepted."""


class InvalidIdentityTokenException(AwsError, status=400):
    """The web identity token is not one of the provider for this audience."""


class MalformedPolicyDocumentException(AwsError, status=400):
    """The document is no valid policy."""


class PackedPolicyTooLargeException(AwsError, status=400):
    """Session policies and session tags together are larger than a session token may hold."""


class NoSuchEntityException(AwsError, status=404):
    """There is no user, role, key or policy of that name."""


class EntityAlreadyExistsException(AwsError, status=409):
    """The name of a user, role or policy is taken."""


class DeleteConflictException(AwsError, status=409):
    """A user, role or policy is still used."""


class LimitExceededException(AwsError, status=409):
    """There are as many of a user's, role's or policy's parts as there may be."""


def serialise_error(error: AwsError, request_id: str) -> WireResponse:
    """Return the HTTP form of an error.

    Parameters
    ----------
    error : AwsError
        The error.
    request_id : str
        Identifier of the request, sent as ``x-amzn-RequestId``.

    Returns
    -------
    WireResponse
        Status, headers and the body ``{"message": …}``.
    """
    body = orjson.dumps({"message": error.message.encode("utf-8", "replace").decode()})
    headers = [
        ("Content-Type", "application/json"),
        ("x-amzn-ErrorType", error.code),
        ("x-amzn-RequestId", request_id),
        *error.headers,
    ]
    return WireResponse(error.status, headers, body)
