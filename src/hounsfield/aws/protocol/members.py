"""Typed access to the members of parsed parameters, which the parser has checked against the model."""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar

from hounsfield.aws.protocol.model import Parameter, Parameters

T = TypeVar("T")


def text(parameters: Parameters, member: str) -> str:
    """Return a required string member."""
    return _as(str, parameters[member])


def optional_text(parameters: Parameters, member: str) -> str | None:
    """Return a string member, or None when it is absent."""
    value = parameters.get(member)
    return None if value is None else _as(str, value)


def optional_integer(parameters: Parameters, member: str) -> int | None:
    """Return an integer member, or None when it is absent."""
    value = parameters.get(member)
    return None if value is None else _as(int, value)


def optional_boolean(parameters: Parameters, member: str) -> bool | None:
    """Return a boolean member, or None when it is absent."""
    value = parameters.get(member)
    return None if value is None else _as(bool, value)


def mapping(parameters: Parameters, member: str) -> dict[str, str]:
    """Return a map of strings, empty when it is absent."""
    value = parameters.get(member)
    return {} if value is None else {key: _as(str, entry) for key, entry in structure(value).items()}


def texts(value: Parameter) -> list[str]:
    """Return a list of strings."""
    return [_as(str, entry) for entry in _as(list, value)]


def structure(value: Parameter) -> Parameters:
    """Return a structure."""
    return _as(dict, value)


def structures(value: Parameter) -> list[Parameters]:
    """Return a list of structures."""
    return [structure(entry) for entry in _as(list, value)]


def moment(value: Parameter) -> datetime:
    """Return a timestamp."""
    return _as(datetime, value)


def _as(kind: type[T], value: object) -> T:
    if not isinstance(value, kind):
        raise TypeError(f"the parser gave {type(value).__name__} where the model has {kind.__name__}")
    return value
