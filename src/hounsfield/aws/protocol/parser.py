"""Parser of HTTP requests to the parameters of their operation (REST-JSON).

    path labels ─┐
    query string ─┼─▶ plan of the operation (built once) ─▶ {member name: value} ─▶ validation ─▶ parameters
    headers      ─┤
    JSON body    ─┘

Values come out typed: blobs as bytes, timestamps as aware datetimes. Members and query parameters the model does not
know are passed over, as are JSON nulls. What is no JSON is a SerializationException, as Smithy's REST-JSON protocol has it,
or the operation's own BadRequestException where it has one; a value of another type than its member ("abc" for a number) and
one that breaks a constraint are a ValidationException, which SDKs know for every operation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TypeAlias
from urllib.parse import unquote

import orjson

from hounsfield.aws.protocol.decoding import Decoder, Mismatch, decoder_of, structure_decoder, text_decoder_of
from hounsfield.aws.protocol.errors import (
    BadRequestException,
    RequestEntityTooLargeException,
    SerializationException,
    ValidationException,
)
from hounsfield.aws.protocol.json_nesting import is_nested_deeper
from hounsfield.aws.protocol.model import Kind, Location, Operation, Parameter, Parameters
from hounsfield.aws.protocol.validation import validate

MAX_BODY_BYTES = 4 * 1024 * 1024
"""Largest body of an operation: 1,000 metadata mappings of an import job with every text at its limit are 2.1 MB."""

MAX_QUERY_BYTES = 128 * 1024
"""Longest query string: 200 tag keys of 128 characters, each character percent-encoded, are 79 kB."""

MAX_DEPTH = 32
"""Deepest nesting of arrays and objects in a body; the model's deepest input has 7."""

MAX_BRACKETS = 100_000
"""Most arrays and objects in a body, which take far more memory than their bytes; 1,000 metadata mappings have 2,000."""

Headers: TypeAlias = Sequence[tuple[bytes, bytes]]


def parse_request(
    operation: Operation, labels: Mapping[str, str], query_string: bytes, headers: Headers, body: bytes
) -> Parameters:
    """Read and validate the parameters of a request.

    Parameters
    ----------
    operation : Operation
        The operation.
    labels : Mapping of str to str
        Decoded labels of the path by their name in the path template.
    query_string : bytes
        Query string as sent, without the question mark.
    headers : sequence of (bytes, bytes)
        Header names in lower case, and values.
    body : bytes
        The body; may be empty where the operation has no required members in it.

    Returns
    -------
    dict
        Values by member name; members that were not given are absent. A payload member (``imageFrameInformation``)
        holds the structure that the body is.

    Raises
    ------
    SerializationException, BadRequestException
        The body is no JSON; the second where the operation models it.
    ValidationException
        A value has the wrong type, or constraints are violated.
    RequestEntityTooLargeException
        Body or query string are too large.
    """
    if len(body) > MAX_BODY_BYTES:
        raise RequestEntityTooLargeException(f"The body must have at most {MAX_BODY_BYTES} bytes.")
    if len(query_string) > MAX_QUERY_BYTES:
        raise RequestEntityTooLargeException(f"The query string must have at most {MAX_QUERY_BYTES} bytes.")
    plan = _plan_of(operation)
    parameters: Parameters = {}
    try:
        plan.read_path(labels, parameters)
        if query_string and plan.query:
            plan.read_query(query_string, parameters)
        if plan.headers:
            plan.read_headers(headers, parameters)
        if body and plan.read_body is not None:
            plan.read_body(body, parameters)
    except Mismatch as mismatch:
        raise ValidationException(str(mismatch)) from None
    except SerializationException as error:
        if BadRequestException.code in operation.errors:
            raise BadRequestException(error.message) from None
        raise
    validate(operation.input, parameters)
    return parameters


class _Plan:
    """How the parameters of one operation are read, made ready once."""

    def __init__(self, operation: Operation) -> None:
        shape = operation.input
        text_decoders = {
            location: {
                name: (member.name, member.shape.kind is Kind.LIST, text_decoder_of(member.shape))
                for name, member in shape.located(location).items()
            }
            for location in (Location.PATH, Location.QUERY, Location.HEADER)
        }
        self.path = text_decoders[Location.PATH]
        self.query = text_decoders[Location.QUERY]
        self.headers = {name.lower().encode(): entry for name, entry in text_decoders[Location.HEADER].items()}
        self.read_body = _body_reader(operation)

    def read_path(self, labels: Mapping[str, str], parameters: Parameters) -> None:
        for label, (name, _, decode) in self.path.items():
            parameters[name] = _at(name, decode, labels[label])

    def read_query(self, query_string: bytes, parameters: Parameters) -> None:
        for pair in query_string.decode("utf-8", "replace").split("&"):
            key, _, value = pair.partition("=")
            entry = self.query.get(key) or self.query.get(unquote(key))
            if entry is not None:
                _put(entry, unquote(value), parameters)

    def read_headers(self, headers: Headers, parameters: Parameters) -> None:
        for key, value in headers:
            entry = self.headers.get(key)
            if entry is not None:
                _put(entry, value.decode("utf-8", "replace"), parameters)


def _put(entry: tuple[str, bool, Decoder], text: str, parameters: Parameters) -> None:
    """Add a value from the query or the headers: lists repeat their name, of anything else the last value counts."""
    name, is_list, decode = entry
    value = _at(name, decode, text)
    collected = parameters.setdefault(name, []) if is_list else None
    if isinstance(collected, list):
        collected.append(value)
    else:
        parameters[name] = value


def _at(name: str, decode: Decoder, value: str) -> Parameter:
    try:
        return decode(value)
    except Mismatch as mismatch:
        raise mismatch.inside(name) from None


def _body_reader(operation: Operation) -> Callable[[bytes, Parameters], None] | None:
    """Make the reader of the JSON body; None where the operation has nothing in its body, which is then not looked at."""
    shape = operation.input
    if shape.payload is not None:
        payload = shape.members[shape.payload]
        if payload.shape.kind is not Kind.STRUCTURE:
            message = f"The input of {operation.name} has a payload that is not JSON, which is not known here."
            raise ValueError(message)
        name, decode_payload = payload.name, decoder_of(payload.shape)

        def read_payload(body: bytes, parameters: Parameters) -> None:
            document = _load(body)
            if document is not None:
                try:
                    parameters[name] = decode_payload(document)
                except Mismatch as mismatch:
                    raise mismatch.inside(name) from None

        return read_payload
    members = shape.located(Location.BODY)
    if not members:
        return None
    decode_members = structure_decoder(members)

    def read_members(body: bytes, parameters: Parameters) -> None:
        document = _load(body)
        if document is not None:
            parameters.update(decode_members(document))

    return read_members


def _load(body: bytes) -> object:
    brackets = body.count(b"{") + body.count(b"[")
    if brackets > MAX_BRACKETS:
        raise SerializationException(f"The body must have at most {MAX_BRACKETS} arrays and objects.")
    if brackets > MAX_DEPTH and is_nested_deeper(body, MAX_DEPTH):
        raise SerializationException(f"The body must nest arrays and objects at most {MAX_DEPTH} deep.")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        # The message of the decoder may quote the text; the position alone cannot.
        message = f"The body must be a JSON object in UTF-8; it stops being JSON at character {error.pos}."
        raise SerializationException(message) from None


@cache
def _plan_of(operation: Operation) -> _Plan:
    return _Plan(operation)
