"""Parser of requests of AWS's query protocol to the parameters of their operation.

    Action=AssumeRole&Version=2011-06-15&Tags.member.1.Key=ward&…
      ─▶ read_form ─▶ {name: text} ─▶ operation_of ─▶ Operation
                                   └▶ parse_form   ─▶ tree of names ─▶ plan of the operation ─▶ validation ─▶ parameters

The form is the body of a POST, or the query string of a GET; both where a client uses both. Fields the model does not know
are passed over, as in JSON.

Source: Smithy 2.0, "AWS query protocol".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TypeAlias
from urllib.parse import unquote_plus

from hounsfield.aws.protocol.decoding import Mismatch, text_decoder_of
from hounsfield.aws.protocol.errors import (
    RequestEntityTooLargeException,
    UnknownOperationException,
    ValidationException,
)
from hounsfield.aws.protocol.model import Kind, Operation, Parameter, Parameters, Service, Shape
from hounsfield.aws.protocol.validation import validate

MAX_FORM_BYTES = 512 * 1024
"""Largest form: 50 tags of 384 characters, percent-encoded, are 230 kB; a SAML assertion may have 100,000 characters."""

MAX_FIELDS = 1000
"""Most fields of a form; 50 tags and 50 tag keys are 150."""

MAX_DEPTH = 8
"""Most parts of a field name; the model's deepest (``Tags.member.1.Key``) has 4."""

_MOST_INDEX_DIGITS = 4

Form: TypeAlias = Mapping[str, str]
_Decode: TypeAlias = "Callable[[_Node], Parameter]"


@dataclass(slots=True)
class _Node:
    """A place in the tree of field names."""

    text: str | None = None
    children: dict[str, _Node] = field(default_factory=dict)


def read_form(query_string: bytes, body: bytes) -> Form:
    """Read the fields of a request.

    Parameters
    ----------
    query_string : bytes
        Query string as sent; parts of a signature in it (``X-Amz-…``) are left out.
    body : bytes
        Body, ``application/x-www-form-urlencoded``.

    Raises
    ------
    RequestEntityTooLargeException
        They are larger than `MAX_FORM_BYTES`.
    ValidationException
        A field comes twice, or there are more than `MAX_FIELDS`.
    """
    if len(query_string) + len(body) > MAX_FORM_BYTES:
        raise RequestEntityTooLargeException(f"The request must have at most {MAX_FORM_BYTES} bytes.")
    if query_string.count(b"&") + body.count(b"&") >= MAX_FIELDS:
        raise ValidationException(f"The request must have at most {MAX_FIELDS} fields.")
    fields: dict[str, str] = {}
    for part in (*query_string.split(b"&"), *body.strip().split(b"&")):
        name, _, value = part.decode("utf-8", "replace").partition("=")
        name = unquote_plus(name)
        if not name or name.startswith("X-Amz-"):
            continue
        if name in fields:
            raise ValidationException(f"The request must give the field {name[:128]} once.")
        fields[name] = unquote_plus(value)
    return fields


def operation_of(service: Service, form: Form) -> Operation:
    """Find the operation that a form asks for.

    Raises
    ------
    UnknownOperationException
        ``Action`` is missing or none of the service's, or ``Version`` is not the service's.
    """
    action, version = form.get("Action"), form.get("Version", service.api_version)
    if not action:
        raise UnknownOperationException("The request must name its operation in the field Action.")
    operation = service.operations.get(action)
    if operation is None or version != service.api_version:
        raise UnknownOperationException(
            f"Could not find operation {action[:128]} for version {version[:128]}, the version here is {service.api_version}."
        )
    return operation


def parse_form(operation: Operation, form: Form) -> Parameters:
    """Read and validate the parameters of an operation.

    Parameters
    ----------
    operation : Operation
        The operation.
    form : mapping of str to str
        The fields.

    Returns
    -------
    dict
        Values by member name, as `parsing.parse_request` gives them.

    Raises
    ------
    ValidationException
        A value has the wrong type, or constraints are violated.
    """
    root = _Node()
    for name, text in form.items():
        parts = name.split(".")
        if len(parts) > MAX_DEPTH:
            raise ValidationException(f"The name of a field must have at most {MAX_DEPTH} parts.")
        node = root
        for part in parts:
            node = node.children.setdefault(part, _Node())
        node.text = text
    try:
        parameters = _structure_decoder(operation.input)(root)
    except Mismatch as mismatch:
        raise ValidationException(str(mismatch)) from None
    validate(operation.input, parameters)
    return parameters


@cache
def _structure_decoder(shape: Shape) -> Callable[[_Node], Parameters]:
    members = {member.wire_name: (member.name, _decoder_of(member.shape)) for member in shape.members.values()}

    def decode(node: _Node) -> Parameters:
        decoded: Parameters = {}
        for wire_name, child in node.children.items():
            entry = members.get(wire_name)
            if entry is None:
                continue
            name, decode_member = entry
            try:
                decoded[name] = decode_member(child)
            except Mismatch as mismatch:
                raise mismatch.inside(name) from None
        return decoded

    return decode


def _decoder_of(shape: Shape) -> _Decode:
    if shape.kind is Kind.STRUCTURE:
        return _structure_decoder(shape)
    return _list_decoder(shape) if shape.kind is Kind.LIST else _text_decoder(shape)


def _text_decoder(shape: Shape) -> _Decode:
    """Return the decoder of a scalar; blobs and maps are refused, as no input has them."""
    decode_text = text_decoder_of(shape)

    def decode(node: _Node) -> Parameter:
        if node.text is None:
            raise Mismatch("a single value")
        return decode_text(node.text)

    return decode


def _list_decoder(shape: Shape) -> _Decode:
    """Return the decoder of a list, whose elements are numbered: ``Tags.member.1``; an empty value is an empty list."""
    decode_element = _decoder_of(shape.element)

    def decode(node: _Node) -> Parameter:
        elements = node.children.get("member")
        if elements is None:
            if node.text == "" and not node.children:
                return []
            raise Mismatch("a list whose elements are named member.1, member.2 and so on")
        decoded: list[Parameter] = []
        numbered = {_index(key): element for key, element in elements.children.items()}
        for number in sorted(numbered):
            try:
                decoded.append(decode_element(numbered[number]))
            except Mismatch as mismatch:
                raise mismatch.inside(f"{number}.member") from None
        return decoded

    return decode


def _index(key: str) -> int:
    if not (key.isascii() and key.isdigit()) or len(key) > _MOST_INDEX_DIGITS or key.startswith("0"):
        raise Mismatch("a list whose elements are named member.1, member.2 and so on")
    return int(key)
