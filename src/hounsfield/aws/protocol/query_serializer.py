"""Serializer of results and errors to the XML of AWS's query protocol.

    {member name: value} ─▶ checked against the model ─▶ <AssumeRoleResponse><AssumeRoleResult>…</…></…>
    AwsError             ─▶ <ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>…</…></…>

Error codes are those of the query protocol's common errors, which name some errors otherwise than JSON services do.

Source: Smithy 2.0, "AWS query protocol"; AWS STS API Reference, "Common Error Types".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import TypeAlias
from xml.etree.ElementTree import Element, SubElement, tostring

from hounsfield.aws.protocol.errors import (
    AwsError,
    ExpiredIdentityTokenException,
    ExpiredTokenException,
    InternalServerException,
    InvalidSignatureException,
    ThrottlingException,
    UnknownOperationException,
    UnrecognizedClientException,
    ValidationException,
)
from hounsfield.aws.protocol.model import Kind, Operation, Service, Shape
from hounsfield.aws.protocol.response import WireResponse
from hounsfield.aws.protocol.serializer import Encoder, structure_encoder

XML_TYPE = "text/xml"

_CODES: Mapping[type[AwsError], tuple[str, int]] = {
    ExpiredIdentityTokenException: ("ExpiredTokenException", 400),
    ExpiredTokenException: ("ExpiredToken", 403),
    InternalServerException: ("InternalFailure", 500),
    InvalidSignatureException: ("SignatureDoesNotMatch", 403),
    ThrottlingException: ("Throttling", 400),
    UnknownOperationException: ("InvalidAction", 400),
    UnrecognizedClientException: ("InvalidClientTokenId", 403),
    ValidationException: ("ValidationError", 400),
}
"""Codes and statuses that are others here; all other errors keep their status, and their name without "Exception"."""

# A carriage return would come out as a line feed.
_NOT_XML = re.compile("[^\t\n\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_Write: TypeAlias = Callable[[Element, object], None]


def serialise_query(
    service: Service, operation: Operation, result: Mapping[str, object], request_id: str
) -> WireResponse:
    """Return the HTTP response for the result of an operation.

    Parameters
    ----------
    service : Service
        The service.
    operation : Operation
        The operation.
    result : mapping of str to object
        Values by member name, as `serializer.serialise` takes them.
    request_id : str
        Identifier of the request.

    Raises
    ------
    ResultError
        The result does not have the form of the operation's output.
    """
    encode, write = _plan_of(operation)
    root = Element(f"{operation.name}Response", xmlns=service.namespace)
    write(root if operation.result_wrapper is None else SubElement(root, operation.result_wrapper), encode(result))
    _add_text(SubElement(root, "ResponseMetadata"), "RequestId", request_id)
    return _answer(200, root, request_id)


def serialise_query_error(service: Service, error: AwsError, request_id: str) -> WireResponse:
    """Return the HTTP response of an error.

    Parameters
    ----------
    service : Service
        The service.
    error : AwsError
        The error.
    request_id : str
        Identifier of the request.
    """
    code, status = query_code(error)
    root = Element("ErrorResponse", xmlns=service.namespace)
    element = SubElement(root, "Error")
    _add_text(element, "Type", "Sender" if status < 500 else "Receiver")
    _add_text(element, "Code", code)
    _add_text(element, "Message", error.message)
    _add_text(root, "RequestId", request_id)
    answer = _answer(status, root, request_id)
    return WireResponse(status, [*answer.headers, *error.headers], answer.body)


def query_code(error: AwsError) -> tuple[str, int]:
    """Return the code and the HTTP status of an error in the query protocol."""
    return _CODES.get(type(error), (error.code.removesuffix("Exception"), error.status))


def _answer(status: int, root: Element, request_id: str) -> WireResponse:
    headers = [("Content-Type", XML_TYPE), ("x-amzn-RequestId", request_id)]
    return WireResponse(status, headers, tostring(root, encoding="utf-8"))


@cache
def _plan_of(operation: Operation) -> tuple[Encoder, _Write]:
    return structure_encoder(operation.output.name, operation.output.members), _writer_of(operation.output)


def _writer_of(shape: Shape) -> _Write:
    if shape.kind is Kind.STRUCTURE:
        return _structure_writer(shape)
    if shape.kind is Kind.LIST:
        return _list_writer(shape)
    if shape.kind is Kind.MAP:
        message = f"The service model has the map {shape.name} in an answer, which is not known here."
        raise ValueError(message)
    return _timestamp if shape.kind is Kind.TIMESTAMP else _text


def _structure_writer(shape: Shape) -> _Write:
    writers = {member.wire_name: _writer_of(member.shape) for member in shape.members.values()}

    def write(element: Element, value: object) -> None:
        if isinstance(value, Mapping):
            for name, item in value.items():
                writers[name](SubElement(element, name), item)

    return write


def _list_writer(shape: Shape) -> _Write:
    write_element = _writer_of(shape.element)

    def write(element: Element, value: object) -> None:
        if isinstance(value, list):
            for item in value:
                write_element(SubElement(element, "member"), item)

    return write


def _text(element: Element, value: object) -> None:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    element.text = _NOT_XML.sub("\ufffd", text)


def _timestamp(element: Element, value: object) -> None:
    if isinstance(value, float | int):
        moment = datetime.fromtimestamp(value, UTC)
        element.text = moment.isoformat(timespec="milliseconds" if moment.microsecond else "seconds").replace(
            "+00:00", "Z"
        )


def _add_text(parent: Element, name: str, text: str) -> None:
    _text(SubElement(parent, name), text)
