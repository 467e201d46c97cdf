"""Serializer of results to the HTTP response of their operation (REST-JSON).

    {member name: value} ─▶ plan of the operation (built once) ─┬▶ headers
                                                                └▶ JSON body, or the payload as it is

A result that does not fit the model is a fault of ours, never of the client: it raises ResultError, so that no test can
pass with an answer an SDK would misread.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import TypeAlias

import orjson

from hounsfield.aws.protocol.model import Kind, Location, Member, Operation, Shape
from hounsfield.aws.protocol.response import WireResponse

Encoder: TypeAlias = Callable[[object], object]

JSON_TYPE = "application/json"
BINARY_TYPE = "application/octet-stream"


class ResultError(TypeError):
    """A result does not have the form the service model gives for the operation."""


def serialise(operation: Operation, result: Mapping[str, object]) -> WireResponse:
    """Return the HTTP response for the result of an operation.

    Parameters
    ----------
    operation : Operation
        The operation.
    result : mapping of str to object
        Values by member name: str (enumerations too), int, bool, bytes, aware datetime, sequences and mappings. None is
        the same as absent.

    Returns
    -------
    WireResponse
        Timestamps are epoch seconds with milliseconds; absent members are left out.

    Raises
    ------
    ResultError
        A member is unknown, a required one is missing, or a value has the wrong type.
    """
    return _plan_of(operation)(result)


@cache
def _plan_of(operation: Operation) -> Callable[[Mapping[str, object]], WireResponse]:
    output = operation.output
    if output.payload is not None:
        return _payload_plan(operation, output, output.payload)
    encode = structure_encoder(output.name, output.members)
    status = operation.status
    if not output.members:

        def respond_empty(result: Mapping[str, object]) -> WireResponse:
            encode(result)
            return WireResponse(status, [], b"")

        return respond_empty
    if any(member.location is not Location.BODY for member in output.members.values()):
        message = f"The output of {operation.name} has headers beside a JSON body, which is not known here."
        raise ValueError(message)

    def respond(result: Mapping[str, object]) -> WireResponse:
        return WireResponse(status, [("Content-Type", JSON_TYPE)], orjson.dumps(encode(result)))

    return respond


def _payload_plan(operation: Operation, output: Shape, payload: str) -> Callable[[Mapping[str, object]], WireResponse]:
    """Plan a response whose body is one blob, with the other members in headers."""
    if output.members[payload].shape.kind is not Kind.BLOB:
        message = f"The output of {operation.name} has a payload that is no blob, which is not known here."
        raise ValueError(message)
    header_members = output.located(Location.HEADER)
    known = {payload, *(member.name for member in header_members.values())}

    def respond(result: Mapping[str, object]) -> WireResponse:
        if not known.issuperset(result):
            raise ResultError(f"{output.name} has no member {', '.join(sorted(set(result) - known))}.")
        body = result.get(payload)
        if not isinstance(body, bytes | bytearray):
            raise ResultError(f"{output.name}.{payload} must be bytes, not {type(body).__name__}.")
        headers = []
        for name, member in header_members.items():
            value = result.get(member.name)
            if value is not None:
                headers.append((name, _header_text(value, f"{output.name}.{member.name}")))
        if not any(name.lower() == "content-type" for name, _ in headers):
            headers.append(("Content-Type", BINARY_TYPE))
        return WireResponse(operation.status, headers, body)

    return respond


def _header_text(value: object, path: str) -> str:
    if not isinstance(value, str) or not value.isascii() or not value.isprintable():
        raise ResultError(f"{path} goes into a header and must be printable ASCII text.")
    return str(value)


def _encoder_of(shape: Shape, path: str) -> Encoder:
    if shape.kind is Kind.STRUCTURE:
        return structure_encoder(path, shape.members, union=shape.union)
    return _ENCODERS[shape.kind](shape, path)


def structure_encoder(path: str, members: Mapping[str, Member], *, union: bool = False) -> Encoder:
    """Make the function that turns the members of a structure into JSON values.

    Parameters
    ----------
    path : str
        What to call the structure in errors.
    members : mapping of str to Member
        Its members.
    union : bool
        Whether exactly one must be given.

    Returns
    -------
    callable
        Takes a mapping by member name and gives a dict by wire name; raises `ResultError`.
    """
    plan = {
        member.name: (member.wire_name, _encoder_of(member.shape, f"{path}.{member.name}"))
        for member in members.values()
    }
    required = frozenset(member.name for member in members.values() if member.required)

    def encode(value: object) -> object:
        if not isinstance(value, Mapping):
            raise ResultError(f"{path} must be a mapping, not {type(value).__name__}.")
        encoded: dict[str, object] = {}
        missing = set(required)
        for name, item in value.items():
            entry = plan.get(name)
            if entry is None:
                raise ResultError(f"{path} has no member {name}.")
            if item is not None:
                encoded[entry[0]] = entry[1](item)
                missing.discard(name)
        if missing:
            raise ResultError(f"{path} lacks the required {', '.join(sorted(missing))}.")
        if union and len(encoded) != 1:
            raise ResultError(f"{path} is a union and must have exactly one member, not {len(encoded)}.")
        return encoded

    return encode


def _list_encoder(shape: Shape, path: str) -> Encoder:
    encode_element = _encoder_of(shape.element, f"{path}[]")

    def encode(value: object) -> object:
        if not isinstance(value, Sequence) or isinstance(value, str | bytes):
            raise ResultError(f"{path} must be a sequence, not {type(value).__name__}.")
        return [encode_element(item) for item in value]

    return encode


def _map_encoder(shape: Shape, path: str) -> Encoder:
    if (shape.element.kind, shape.key.kind) != (Kind.STRING, Kind.STRING):
        message = f"The service model has the map {shape.name} with other than texts, which is not known here."
        raise ValueError(message)

    def encode(value: object) -> object:
        if not isinstance(value, Mapping) or not all(
            isinstance(key, str) and isinstance(item, str) for key, item in value.items()
        ):
            raise ResultError(f"{path} must be a mapping of str to str.")
        return dict(value)

    return encode


def _string_encoder(shape: Shape, path: str) -> Encoder:
    permitted = frozenset(shape.enum)

    def encode(value: object) -> object:
        if not isinstance(value, str):
            raise ResultError(f"{path} must be str, not {type(value).__name__}.")
        if permitted and value not in permitted:
            raise ResultError(f"{path} must be one of {', '.join(shape.enum)}.")
        return str(value)

    return encode


def _integer_encoder(shape: Shape, path: str) -> Encoder:
    del shape  # limits are those of requests

    def encode(value: object) -> object:
        if not isinstance(value, int) or isinstance(value, bool):
            raise ResultError(f"{path} must be int, not {type(value).__name__}.")
        return value

    return encode


def _boolean_encoder(shape: Shape, path: str) -> Encoder:
    del shape  # all are alike

    def encode(value: object) -> object:
        if not isinstance(value, bool):
            raise ResultError(f"{path} must be bool, not {type(value).__name__}.")
        return value

    return encode


def _timestamp_encoder(shape: Shape, path: str) -> Encoder:
    del shape  # all are alike

    def encode(value: object) -> object:
        if not isinstance(value, datetime) or value.tzinfo is None:
            raise ResultError(f"{path} must be a datetime with a time zone.")
        return round(value.timestamp(), 3)

    return encode


def _blob_encoder(shape: Shape, path: str) -> Encoder:
    del shape  # limits are those of requests

    def encode(value: object) -> object:
        if not isinstance(value, bytes):
            raise ResultError(f"{path} must be bytes, not {type(value).__name__}.")
        return b64encode(value).decode()

    return encode


_ENCODERS: dict[Kind, Callable[[Shape, str], Encoder]] = {
    Kind.LIST: _list_encoder,
    Kind.MAP: _map_encoder,
    Kind.STRING: _string_encoder,
    Kind.INTEGER: _integer_encoder,
    Kind.BOOLEAN: _boolean_encoder,
    Kind.TIMESTAMP: _timestamp_encoder,
    Kind.BLOB: _blob_encoder,
}
