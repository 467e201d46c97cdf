"""Decoders of wire values to typed parameters, made from their shapes.

    JSON value ─▶ decoder_of(shape) ─▶ str, int, bool, bytes, datetime, list, dict
    text of path, query or header ─▶ text_decoder_of(shape) ─▶ the same

Decoders are made once for a shape. A value that does not fit raises Mismatch, which gathers the member names on its way
out and never holds the value.
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TypeAlias

from hounsfield.aws.protocol.model import Kind, Member, Parameter, Parameters, Shape
from hounsfield.aws.protocol.validation import violation, violations_text

Decoder: TypeAlias = Callable[[object], Parameter]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INTEGER = re.compile(r"[+-]?[0-9]{1,10}", re.ASCII)
_NUMBER = re.compile(r"[+-]?[0-9]{1,20}(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?", re.ASCII)
_INTEGER_LIMIT = 2**31
_ZERO_CHARACTER = "\0"


class Mismatch(Exception):  # noqa: N818 - a finding on its way out, made a ValidationException by the caller
    """A value on the wire is not of the type of its member.

    Parameters
    ----------
    expected : str
        What the value must be, such as "a string".
    """

    def __init__(self, expected: str) -> None:
        super().__init__(expected)
        self.expected = expected
        self.path: tuple[str, ...] = ()

    def inside(self, name: str) -> Mismatch:
        """Say that the value is inside a member or element; gives the same object back."""
        self.path = (name, *self.path)
        return self

    def __str__(self) -> str:
        if not self.path:
            return f"The body must be {self.expected}."
        return violations_text([violation(None, ".".join(self.path), f"Member must be {self.expected}")])


@cache
def decoder_of(shape: Shape) -> Decoder:
    """Return the decoder for values of a shape in JSON.

    Parameters
    ----------
    shape : Shape
        The shape.

    Returns
    -------
    callable
        Takes a value as JSON has it and returns it typed; raises `Mismatch`.
    """
    match shape.kind:
        case Kind.STRUCTURE:
            return structure_decoder({member.wire_name: member for member in shape.members.values()})
        case Kind.LIST:
            return _list_decoder(shape)
        case Kind.MAP:
            return _map_decoder(shape)
        case _:
            return _SCALARS[shape.kind]


@cache
def text_decoder_of(shape: Shape) -> Decoder:
    """Return the decoder for values of a shape in a path, query string or header.

    Parameters
    ----------
    shape : Shape
        The shape; of a list, the decoder is that of one element.

    Returns
    -------
    callable
        Takes the text and returns it typed; raises `Mismatch`.

    Raises
    ------
    ValueError
        Values of the shape cannot stand in a text.
    """
    if shape.kind is Kind.LIST:
        return text_decoder_of(shape.element)
    decoder = _TEXTS.get(shape.kind)
    if decoder is None:
        message = f"The service model has {shape.name}, a {shape.kind}, outside the body, which is not known here."
        raise ValueError(message)
    return decoder


def structure_decoder(members: Mapping[str, Member]) -> Callable[[object], Parameters]:
    """Return the decoder for a JSON object with some members.

    Parameters
    ----------
    members : mapping of str to Member
        The members by their wire name; others in the object are passed over.

    Returns
    -------
    callable
        Takes a JSON object and returns a dict by member name; raises `Mismatch`.
    """
    plan = {wire_name: (member.name, decoder_of(member.shape)) for wire_name, member in members.items()}

    def decode(value: object) -> Parameters:
        if not isinstance(value, dict):
            raise Mismatch("a JSON object")
        decoded: Parameters = {}
        for wire_name, item in value.items():
            entry = plan.get(wire_name)
            if entry is None or item is None:
                continue
            name, decode_member = entry
            try:
                decoded[name] = decode_member(item)
            except Mismatch as mismatch:
                raise mismatch.inside(name) from None
        return decoded

    return decode


def _list_decoder(shape: Shape) -> Decoder:
    decode_element = decoder_of(shape.element)

    def decode(value: object) -> Parameter:
        if not isinstance(value, list):
            raise Mismatch("a JSON array")
        decoded: list[Parameter] = []
        for number, item in enumerate(value, start=1):
            try:
                decoded.append(decode_element(item))
            except Mismatch as mismatch:
                raise mismatch.inside(f"{number}.member") from None
        return decoded

    return decode


def _map_decoder(shape: Shape) -> Decoder:
    decode_element = decoder_of(shape.element)

    def decode(value: object) -> Parameter:
        if not isinstance(value, dict):
            raise Mismatch("a JSON object")
        try:
            return {str(_string(key)): decode_element(item) for key, item in value.items()}
        except Mismatch as mismatch:
            # Keys of maps are the client's own words, so they are not told.
            raise mismatch.inside("value") from None

    return decode


def _string(value: object) -> Parameter:
    if not isinstance(value, str):
        raise Mismatch("a string")
    # No text of ours has one, and PostgreSQL has no such text: refused here, for every member and both databases.
    if _ZERO_CHARACTER in value:
        raise Mismatch("a string without the zero character (U+0000)")
    return value


def _integer(value: object) -> Parameter:
    if not isinstance(value, int) or isinstance(value, bool) or not -_INTEGER_LIMIT <= value < _INTEGER_LIMIT:
        raise Mismatch("an integer of 32 bits")
    return value


def _boolean(value: object) -> Parameter:
    if not isinstance(value, bool):
        raise Mismatch("true or false")
    return value


def _blob(value: object) -> Parameter:
    if isinstance(value, str):
        try:
            return b64decode(value, validate=True)
        except (Base64Error, ValueError):
            pass
    raise Mismatch("a string in base64")


def _timestamp(value: object) -> Parameter:
    try:
        if isinstance(value, str):
            moment = datetime.fromisoformat(value)
            return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return EPOCH + timedelta(seconds=value)
    except (ValueError, OverflowError):
        pass
    raise Mismatch("a number of seconds since 1970 or a date and time as in ISO 8601")


def _integer_text(value: object) -> Parameter:
    if not isinstance(value, str) or not _INTEGER.fullmatch(value):
        raise Mismatch("an integer of 32 bits")
    return _integer(int(value))


def _boolean_text(value: object) -> Parameter:
    if value == "true":
        return True
    if value == "false":
        return False
    raise Mismatch("true or false")


def _timestamp_text(value: object) -> Parameter:
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return _timestamp(float(value))
    return _timestamp(value)


_SCALARS: dict[Kind, Decoder] = {
    Kind.STRING: _string,
    Kind.INTEGER: _integer,
    Kind.BOOLEAN: _boolean,
    Kind.BLOB: _blob,
    Kind.TIMESTAMP: _timestamp,
}

_TEXTS: dict[Kind, Decoder] = {
    Kind.STRING: _string,
    Kind.INTEGER: _integer_text,
    Kind.BOOLEAN: _boolean_text,
    Kind.TIMESTAMP: _timestamp_text,
}
